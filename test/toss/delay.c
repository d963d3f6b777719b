/*-------------------------------------------------------------------------
 *
 * delay.c
 *	  Requests that wait, without a thread each.
 *
 * One thread sleeps until the earliest of a heap of timers is due and calls
 * its wake function.  A timer of TIMER_NEVER waits for sim_delay_release.
 * Wake functions run without any lock held and may add the timer again.
 *
 *-------------------------------------------------------------------------
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "simulator.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static pthread_t thread;
static Timer **heap;			/* positions 1 .. heap_count */
static size_t heap_count;
static size_t heap_capacity;
static bool stopping;

static void
place(Timer *timer, size_t position)
{
	heap[position] = timer;
	timer->position = position;
}

static void
sift_up(Timer *timer, size_t position)
{
	while (position > 1 && heap[position / 2]->due > timer->due)
	{
		place(heap[position / 2], position);
		position /= 2;
	}
	place(timer, position);
}

static Timer *
pop(void)
{
	Timer	   *top = heap[1];
	Timer	   *last = heap[heap_count--];
	size_t		position = 1;

	for (;;)
	{
		size_t		child = position * 2;

		if (child > heap_count)
			break;
		if (child < heap_count && heap[child + 1]->due < heap[child]->due)
			child++;
		if (heap[child]->due >= last->due)
			break;
		place(heap[child], position);
		position = child;
	}
	if (heap_count > 0)
		place(last, position);
	top->position = 0;
	return top;
}

static void *
run(void *arg)
{
	pthread_mutex_lock(&lock);
	while (!stopping)
	{
		if (heap_count == 0 || heap[1]->due == TIMER_NEVER)
			pthread_cond_wait(&changed, &lock);
		else if (heap[1]->due > sim_clock_monotonic())
		{
			struct timespec until;

			until.tv_sec = heap[1]->due / SECOND;
			until.tv_nsec = heap[1]->due % SECOND * 1000;
			pthread_cond_timedwait(&changed, &lock, &until);
		}
		else
		{
			Timer	   *timer = pop();

			pthread_mutex_unlock(&lock);
			timer->wake(timer->arg);
			pthread_mutex_lock(&lock);
		}
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

bool
sim_delay_start(void)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&changed, &attributes);
	return pthread_create(&thread, NULL, run, NULL) == 0;
}

/* Starts a timer; after sim_delay_stop it is due at once. */
void
sim_delay_add(Timer *timer)
{
	pthread_mutex_lock(&lock);
	if (stopping)
	{
		pthread_mutex_unlock(&lock);
		timer->wake(timer->arg);
		return;
	}
	if (heap_count + 1 >= heap_capacity)
	{
		heap_capacity = heap_capacity ? heap_capacity * 2 : 256;
		heap = realloc(heap, heap_capacity * sizeof(Timer *));
		if (heap == NULL)
			abort();
	}
	sift_up(timer, ++heap_count);
	if (timer->position == 1)
		pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
}

size_t
sim_delay_waiting(void)
{
	size_t		count;

	pthread_mutex_lock(&lock);
	count = heap_count;
	pthread_mutex_unlock(&lock);
	return count;
}

/*
 * Wakes the timers that hang, or all of them; returns how many.
 */
size_t
sim_delay_release(bool hanging_only)
{
	Timer	  **woken;
	size_t		woken_count = 0;
	size_t		kept = 0;

	pthread_mutex_lock(&lock);
	woken = sim_alloc(heap_count * sizeof(Timer *));
	for (size_t i = 1; i <= heap_count; i++)
	{
		if (hanging_only && !heap[i]->hangs)
			sift_up(heap[i], ++kept);
		else
			woken[woken_count++] = heap[i];
	}
	heap_count = kept;
	pthread_mutex_unlock(&lock);

	for (size_t i = 0; i < woken_count; i++)
	{
		woken[i]->position = 0;
		woken[i]->wake(woken[i]->arg);
	}
	free(woken);
	return woken_count;
}

/* Ends the thread and wakes everything; later timers are due at once. */
void
sim_delay_stop(void)
{
	pthread_mutex_lock(&lock);
	stopping = true;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
	while (sim_delay_release(false) > 0)
		;
	free(heap);
	heap = NULL;
	heap_capacity = 0;
}

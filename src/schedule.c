/*
 * schedule.c
 *		Which calls are due, and whose turn it is, in the worker's memory.
 *
 * The place of a merchant (behind) is the last id up to which its calls are in
 * memory; calls with greater ids are found by reading the table.  PAY_ALL means
 * that there is nothing to read.  A call that is told of while its merchant has
 * something to read, and that will be read, is not kept: so a merchant with a
 * backlog is served in the order of its ids, and its memory does not grow.
 * test/unit/schedule_test.c
 */
#include "schedule.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "call_queue.h"
#include "due_heap.h"

#define PAY_ALL			PAY_SCHEDULE_END

typedef struct Merchant Merchant;

struct Merchant
{
	int64_t		id;
	int64_t		behind;			/* calls behind this id are to be read */
	int64_t		passed_until;	/* none may go before this */

	PayCallQueue due;

	bool		is_ready;		/* in the list of those with due calls */
	bool		is_reading;		/* in the list of those with calls to read */
	Merchant   *next_ready;
	Merchant   *next_reading;
};

typedef struct List
{
	Merchant   *first;
	Merchant   *last;
	int			n;
} List;

struct PaySchedule
{
	Merchant  **merchants;		/* by id */
	int			n_merchants;
	int			merchants_room;
	List		ready;
	List		reading;
	PayDueHeap	later;
	int64_t		forget_at;
};

static Merchant *find(const PaySchedule *schedule, int64_t id, int *place);
static void add_due(PaySchedule *schedule, Merchant *merchant,
					int64_t call_id);
static void bring_due(PaySchedule *schedule, int64_t now);
static void read_from(PaySchedule *schedule, Merchant *merchant,
					  int64_t behind);
static bool wants(const Merchant *merchant);
static bool lets_go(Merchant *merchant, int64_t now, PayScheduleGate may_go,
					void *arg);
static void make_ready(PaySchedule *schedule, Merchant *merchant);
static void append(List *list, Merchant *merchant, size_t link);
static Merchant *take(List *list, size_t link);

PaySchedule *
pay_schedule_create(void)
{
	PaySchedule *schedule = calloc(1, sizeof(PaySchedule));

	if (schedule != NULL)
		schedule->forget_at = PAY_SCHEDULE_NEVER;
	return schedule;
}

void
pay_schedule_destroy(PaySchedule *schedule)
{
	if (schedule == NULL)
		return;
	for (int i = 0; i < schedule->n_merchants; i++)
	{
		pay_call_queue_free(&schedule->merchants[i]->due);
		free(schedule->merchants[i]);
	}
	free(schedule->merchants);
	pay_due_heap_free(&schedule->later);
	free(schedule);
}

/* A merchant that is new has everything to read. */
bool
pay_schedule_know(PaySchedule *schedule, int64_t merchant_id)
{
	int			place;
	Merchant   *merchant = find(schedule, merchant_id, &place);

	if (merchant != NULL)
		return true;
	if (schedule->n_merchants == schedule->merchants_room)
	{
		int			room = schedule->merchants_room == 0 ? 16 :
		schedule->merchants_room * 2;
		Merchant  **grown = realloc(schedule->merchants,
									sizeof(Merchant *) * room);

		if (grown == NULL)
			return false;
		schedule->merchants = grown;
		schedule->merchants_room = room;
	}
	merchant = calloc(1, sizeof(Merchant));
	if (merchant == NULL)
		return false;
	merchant->id = merchant_id;
	merchant->behind = PAY_ALL;
	memmove(&schedule->merchants[place + 1], &schedule->merchants[place],
			sizeof(Merchant *) * (schedule->n_merchants - place));
	schedule->merchants[place] = merchant;
	schedule->n_merchants++;
	read_from(schedule, merchant, 0);
	return true;
}

bool
pay_schedule_knows(const PaySchedule *schedule, int64_t merchant_id)
{
	int			place;

	return find(schedule, merchant_id, &place) != NULL;
}

/* The merchant with this id, or NULL and the place where it would stand. */
static Merchant *
find(const PaySchedule *schedule, int64_t id, int *place)
{
	int			low = 0;
	int			high = schedule->n_merchants;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (schedule->merchants[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	*place = low;
	if (low < schedule->n_merchants && schedule->merchants[low]->id == id)
		return schedule->merchants[low];
	return NULL;
}

/* A call of a merchant that is not known is left: know first, that reads it. */
void
pay_schedule_add(PaySchedule *schedule, int64_t merchant_id, int64_t call_id,
				 int64_t due_at, int64_t now)
{
	int			place;
	Merchant   *merchant = find(schedule, merchant_id, &place);
	PayDueCall	call = {due_at, call_id, merchant};

	if (merchant == NULL || call_id > merchant->behind)
		return;
	if (due_at <= now)
		add_due(schedule, merchant, call_id);
	else if (!pay_due_heap_add(&schedule->later, call, PAY_SCHEDULE_HEAP) &&
			 due_at < schedule->forget_at)
		schedule->forget_at = due_at;
}

/*
 * A due call that finds no room is left to be read, and so is all that is in
 * memory with greater ids.
 */
static void
add_due(PaySchedule *schedule, Merchant *merchant, int64_t call_id)
{
	if (pay_call_queue_add(&merchant->due, call_id, PAY_SCHEDULE_QUEUE))
		make_ready(schedule, merchant);
	else
		read_from(schedule, merchant, call_id - 1);
}

/* Those whose time has come are due.  What was read meanwhile is in both. */
static void
bring_due(PaySchedule *schedule, int64_t now)
{
	PayDueHeap *later = &schedule->later;

	while (later->n > 0 && later->calls[0].due_at <= now)
	{
		PayDueCall	call = pay_due_heap_take(later);
		Merchant   *merchant = call.owner;

		if (call.call_id <= merchant->behind)
			add_due(schedule, merchant, call.call_id);
	}
}

/*
 * Places in the table
 */

void
pay_schedule_lost(PaySchedule *schedule, int64_t from)
{
	for (int i = 0; i < schedule->n_merchants; i++)
	{
		Merchant   *merchant = schedule->merchants[i];

		if (merchant->behind >= from)
			read_from(schedule, merchant, from - 1);
	}
}

void
pay_schedule_forget(PaySchedule *schedule)
{
	schedule->later.n = 0;
	schedule->forget_at = PAY_SCHEDULE_NEVER;
	for (int i = 0; i < schedule->n_merchants; i++)
		read_from(schedule, schedule->merchants[i], 0);
}

int64_t
pay_schedule_forget_at(const PaySchedule *schedule)
{
	return schedule->forget_at;
}

/* Calls behind this id are to be read, so those that are here are forgotten. */
static void
read_from(PaySchedule *schedule, Merchant *merchant, int64_t behind)
{
	pay_call_queue_cut(&merchant->due, behind);
	merchant->behind = behind;
	if (!merchant->is_reading)
		append(&schedule->reading, merchant, offsetof(Merchant, next_reading));
	merchant->is_reading = true;
}

/* Is there something to read for this merchant, and room for it? */
static bool
wants(const Merchant *merchant)
{
	return merchant->behind != PAY_ALL && merchant->due.n <= PAY_SCHEDULE_LOW;
}

/* One merchant after the other. */
bool
pay_schedule_wants(PaySchedule *schedule, int64_t *merchant_id,
				   int64_t *after)
{
	for (int n = schedule->reading.n; n > 0; n--)
	{
		Merchant   *merchant = take(&schedule->reading,
									offsetof(Merchant, next_reading));

		merchant->is_reading = merchant->behind != PAY_ALL;
		if (merchant->is_reading)
			append(&schedule->reading, merchant,
				   offsetof(Merchant, next_reading));
		if (wants(merchant))
		{
			*merchant_id = merchant->id;
			*after = merchant->behind;
			return true;
		}
	}
	return false;
}

void
pay_schedule_read(PaySchedule *schedule, int64_t merchant_id,
				  const PayScheduleRow *rows, int n, int64_t upto, int64_t now)
{
	int			place;
	Merchant   *merchant = find(schedule, merchant_id, &place);

	if (merchant == NULL)
		return;
	merchant->behind = upto;
	for (int i = 0; i < n; i++)
	{
		if (rows[i].due_at != PAY_SCHEDULE_NEVER)
			pay_schedule_add(schedule, merchant_id, rows[i].call_id,
							 rows[i].due_at, now);
	}
}

/*
 * Whose turn it is
 */

int
pay_schedule_pick(PaySchedule *schedule, int64_t now, int max, PayPick *picks,
				  PayScheduleGate may_go, void *arg)
{
	int			n = 0;
	int			n_passed = 0;	/* since one was taken */

	bring_due(schedule, now);
	while (n < max && schedule->ready.n > n_passed)
	{
		Merchant   *merchant = take(&schedule->ready,
									offsetof(Merchant, next_ready));

		merchant->is_ready = false;
		if (merchant->due.n > 0 && !lets_go(merchant, now, may_go, arg))
			n_passed++;
		else if (merchant->due.n > 0)
		{
			n_passed = 0;
			picks[n].call_id = pay_call_queue_take(&merchant->due);
			picks[n++].merchant_id = merchant->id;
		}
		if (merchant->due.n > 0)
			make_ready(schedule, merchant);
	}
	return n;
}

/* May the merchant's first call go? */
static bool
lets_go(Merchant *merchant, int64_t now, PayScheduleGate may_go, void *arg)
{
	if (may_go == NULL)
		return true;
	if (merchant->passed_until <= now)
		merchant->passed_until = may_go(arg, merchant->id,
										pay_call_queue_first(&merchant->due), now);
	return merchant->passed_until <= now;
}

void
pay_schedule_release(PaySchedule *schedule, int64_t merchant_id)
{
	int			place;
	Merchant   *merchant = find(schedule, merchant_id, &place);

	if (merchant != NULL)
		merchant->passed_until = 0;
}

void
pay_schedule_release_all(PaySchedule *schedule)
{
	for (int i = 0; i < schedule->n_merchants; i++)
		schedule->merchants[i]->passed_until = 0;
}

int64_t
pay_schedule_next_at(PaySchedule *schedule, int64_t now)
{
	int64_t		next = schedule->later.n > 0 ?
	schedule->later.calls[0].due_at : PAY_SCHEDULE_NEVER;

	for (Merchant *m = schedule->ready.first; m != NULL; m = m->next_ready)
	{
		if (m->due.n > 0 && m->passed_until <= now)
			return now;
		if (m->due.n > 0 && m->passed_until < next)
			next = m->passed_until;
	}
	for (Merchant *m = schedule->reading.first; m != NULL; m = m->next_reading)
		if (wants(m))
			return now;
	return next;
}

static void
make_ready(PaySchedule *schedule, Merchant *merchant)
{
	if (!merchant->is_ready)
		append(&schedule->ready, merchant, offsetof(Merchant, next_ready));
	merchant->is_ready = true;
}

/*
 * Lists; link is where in a merchant the pointer to the next one is
 */

static Merchant **
next_of(Merchant *merchant, size_t link)
{
	return (Merchant **) ((char *) merchant + link);
}

static void
append(List *list, Merchant *merchant, size_t link)
{
	*next_of(merchant, link) = NULL;
	if (list->n++ == 0)
		list->first = merchant;
	else
		*next_of(list->last, link) = merchant;
	list->last = merchant;
}

static Merchant *
take(List *list, size_t link)
{
	Merchant   *merchant = list->first;

	list->first = *next_of(merchant, link);
	list->n--;
	return merchant;
}

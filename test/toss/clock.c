/*-------------------------------------------------------------------------
 *
 * clock.c
 *	  The movable clock, and random text.
 *
 * Three clocks: the real one stamps journals, so that they can be laid
 * beside the logs of other processes; the movable one is what the simulated
 * world lives by (expiry, approvedAt, 15 days of idempotency); the monotonic
 * one drives timers.  Moving the clock never moves the first and the last.
 *
 *-------------------------------------------------------------------------
 */
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "simulator.h"

#define KST_OFFSET INT64_C(32400)

static _Atomic int64_t offset;	/* us */
static uint64_t random_state = 88172645463325252u;
static uint64_t trace_state;

static int64_t
read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec * SECOND + t.tv_nsec / 1000;
}

int64_t
sim_clock_real(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t
sim_clock_now(void)
{
	return read_clock(CLOCK_REALTIME) + atomic_load(&offset);
}

int64_t
sim_clock_monotonic(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

void
sim_clock_advance(int64_t seconds)
{
	atomic_fetch_add(&offset, seconds * SECOND);
}

int64_t
sim_clock_offset(void)
{
	return atomic_load(&offset) / SECOND;
}

static void
korean_time(int64_t time, struct tm *out)
{
	time_t		seconds = time / SECOND + KST_OFFSET;

	gmtime_r(&seconds, out);
}

static char *
put_digits(char *out, int number, int count)
{
	for (int i = count - 1; i >= 0; i--, number /= 10)
		out[i] = (char) ('0' + number % 10);
	return out + count;
}

/* Appends a quoted time the way Toss writes it, in Korean time. */
void
sim_clock_write(Text *out, int64_t time)
{
	struct tm	t;
	char		text[] = "\"0000-00-00T00:00:00+09:00\"";

	korean_time(time, &t);
	put_digits(text + 1, t.tm_year + 1900, 4);
	put_digits(text + 6, t.tm_mon + 1, 2);
	put_digits(text + 9, t.tm_mday, 2);
	put_digits(text + 12, t.tm_hour, 2);
	put_digits(text + 15, t.tm_min, 2);
	put_digits(text + 18, t.tm_sec, 2);
	sim_text_add_bytes(out, text, sizeof(text) - 1);
}

/* Writes yyyyMMddHHmmss, the middle part of a payment key. */
void
sim_clock_compact(char out[15], int64_t time)
{
	struct tm	t;
	char	   *p = out;

	korean_time(time, &t);
	p = put_digits(p, t.tm_year + 1900, 4);
	p = put_digits(p, t.tm_mon + 1, 2);
	p = put_digits(p, t.tm_mday, 2);
	p = put_digits(p, t.tm_hour, 2);
	p = put_digits(p, t.tm_min, 2);
	p = put_digits(p, t.tm_sec, 2);
	*p = '\0';
}

/* Steps a generator (splitmix64). */
uint64_t
sim_random_next(uint64_t *state)
{
	uint64_t	z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* Draws from the process-wide generator; the lock must be held. */
uint64_t
sim_random(void)
{
	return sim_random_next(&random_state);
}

void
sim_random_seed(uint64_t seed)
{
	random_state = seed;
	trace_state = ~seed;
}

/* Writes random letters and digits, without a NUL. */
void
sim_random_alnum(char *out, size_t length, uint64_t *state)
{
	static const char letters[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

	for (size_t i = 0; i < length; i++)
		out[i] = letters[sim_random_next(state) % (sizeof(letters) - 1)];
}

/* Writes a new trace id, 32 hex digits; the lock must be held. */
void
sim_trace_id(char out[33])
{
	static const char hex[] = "0123456789abcdef";

	for (int half = 0; half < 2; half++)
	{
		uint64_t	bits = sim_random_next(&trace_state);

		for (int i = 0; i < 16; i++, bits >>= 4)
			out[half * 16 + i] = hex[bits & 15];
	}
	out[32] = '\0';
}

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

#define PAY_ALL			INT64_MAX
#define FIRST_QUEUE		16		/* room that a merchant begins with */
#define FIRST_HEAP		256

typedef struct Merchant Merchant;

struct Merchant
{
	int64_t		id;
	int64_t		behind;			/* calls behind this id are to be read */

	int64_t    *calls;			/* a ring of those that are due */
	int			room;			/* of it: a power of two, or 0 */
	unsigned int first;			/* counts without end */
	int			n;

	bool		is_ready;		/* in the list of those with due calls */
	bool		is_reading;		/* in the list of those with calls to read */
	Merchant   *next_ready;
	Merchant   *next_reading;
};

typedef struct Later
{
	int64_t		due_at;
	int64_t		call_id;
	Merchant   *merchant;
} Later;

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
	Later	   *heap;			/* the earliest first */
	int			n_later;
	int			heap_room;
	int64_t		forget_at;
};

static Merchant *find(const PaySchedule *schedule, int64_t id, int *place);
static int64_t *call_at(const Merchant *merchant, int i);
static void add_due(PaySchedule *schedule, Merchant *merchant,
					int64_t call_id);
static bool add_later(PaySchedule *schedule, Merchant *merchant,
					  int64_t call_id, int64_t due_at);
static Later take_earliest(PaySchedule *schedule);
static void bring_due(PaySchedule *schedule, int64_t now);
static bool has_room(Merchant *merchant);
static void read_from(PaySchedule *schedule, Merchant *merchant,
					  int64_t behind);
static bool wants(const Merchant *merchant);
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
		free(schedule->merchants[i]->calls);
		free(schedule->merchants[i]);
	}
	free(schedule->merchants);
	free(schedule->heap);
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

/* The i-th of a merchant's due calls */
static int64_t *
call_at(const Merchant *merchant, int i)
{
	return &merchant->calls[(merchant->first + i) & (merchant->room - 1)];
}

/* A call of a merchant that is not known is left: know first, that reads it. */
void
pay_schedule_add(PaySchedule *schedule, int64_t merchant_id, int64_t call_id,
				 int64_t due_at, int64_t now)
{
	int			place;
	Merchant   *merchant = find(schedule, merchant_id, &place);

	if (merchant == NULL || call_id > merchant->behind)
		return;
	if (due_at <= now)
		add_due(schedule, merchant, call_id);
	else if (!add_later(schedule, merchant, call_id, due_at) &&
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
	if (has_room(merchant))
	{
		*call_at(merchant, merchant->n++) = call_id;
		make_ready(schedule, merchant);
	}
	else
		read_from(schedule, merchant, call_id - 1);
}

/* Is there room for one more due call?  Makes some, up to the limit. */
static bool
has_room(Merchant *merchant)
{
	int			room = merchant->room == 0 ? FIRST_QUEUE : merchant->room * 2;
	int64_t    *grown;

	if (merchant->n < merchant->room)
		return true;
	if (room > PAY_SCHEDULE_QUEUE)
		return false;
	grown = malloc(sizeof(int64_t) * room);
	if (grown == NULL)
		return false;
	for (int i = 0; i < merchant->n; i++)
		grown[i] = *call_at(merchant, i);
	free(merchant->calls);
	merchant->calls = grown;
	merchant->room = room;
	merchant->first = 0;
	return true;
}

/*
 * The heap
 */

static bool
add_later(PaySchedule *schedule, Merchant *merchant, int64_t call_id,
		  int64_t due_at)
{
	Later	   *heap = schedule->heap;
	int			i = schedule->n_later;

	if (i == schedule->heap_room)
	{
		int			room = i == 0 ? FIRST_HEAP : i * 2;

		if (room > PAY_SCHEDULE_HEAP)
			return false;
		heap = realloc(heap, sizeof(Later) * room);
		if (heap == NULL)
			return false;
		schedule->heap = heap;
		schedule->heap_room = room;
	}
	schedule->n_later++;
	while (i > 0 && heap[(i - 1) / 2].due_at > due_at)
	{
		heap[i] = heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	heap[i] = (Later) {due_at, call_id, merchant};
	return true;
}

static Later
take_earliest(PaySchedule *schedule)
{
	Later	   *heap = schedule->heap;
	Later		earliest = heap[0];
	Later		last = heap[--schedule->n_later];
	int			n = schedule->n_later;
	int			i = 0;

	for (;;)
	{
		int			child = 2 * i + 1;

		if (child + 1 < n && heap[child + 1].due_at < heap[child].due_at)
			child++;
		if (child >= n || heap[child].due_at >= last.due_at)
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = last;
	return earliest;
}

/* Those whose time has come are due.  What was read meanwhile is in both. */
static void
bring_due(PaySchedule *schedule, int64_t now)
{
	while (schedule->n_later > 0 && schedule->heap[0].due_at <= now)
	{
		Later		later = take_earliest(schedule);

		if (later.call_id <= later.merchant->behind)
			add_due(schedule, later.merchant, later.call_id);
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
	schedule->n_later = 0;
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
	int			kept = 0;

	for (int i = 0; i < merchant->n; i++)
	{
		int64_t		call_id = *call_at(merchant, i);

		if (call_id <= behind)
			*call_at(merchant, kept++) = call_id;
	}
	merchant->n = kept;
	merchant->behind = behind;
	if (!merchant->is_reading)
		append(&schedule->reading, merchant, offsetof(Merchant, next_reading));
	merchant->is_reading = true;
}

/* Is there something to read for this merchant, and room for it? */
static bool
wants(const Merchant *merchant)
{
	return merchant->behind != PAY_ALL && merchant->n <= PAY_SCHEDULE_LOW;
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
				  const PayScheduleRow *rows, int n, bool is_end, int64_t now)
{
	int			place;
	Merchant   *merchant = find(schedule, merchant_id, &place);

	if (merchant == NULL)
		return;
	if (is_end)
		merchant->behind = PAY_ALL;
	else if (n > 0)
		merchant->behind = rows[n - 1].call_id;
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
pay_schedule_pick(PaySchedule *schedule, int64_t now, int max, PayPick *picks)
{
	int			n = 0;

	bring_due(schedule, now);
	while (n < max && schedule->ready.n > 0)
	{
		Merchant   *merchant = take(&schedule->ready,
									offsetof(Merchant, next_ready));

		merchant->is_ready = false;
		if (merchant->n > 0)
		{
			picks[n++] = (PayPick) {*call_at(merchant, 0), merchant->id};
			merchant->first++;
			merchant->n--;
		}
		if (merchant->n > 0)
			make_ready(schedule, merchant);
		else if (merchant->room > FIRST_QUEUE)
		{
			free(merchant->calls);
			merchant->calls = NULL;
			merchant->room = 0;
		}
	}
	return n;
}

int64_t
pay_schedule_next_at(PaySchedule *schedule, int64_t now)
{
	for (Merchant *m = schedule->ready.first; m != NULL; m = m->next_ready)
		if (m->n > 0)
			return now;
	for (Merchant *m = schedule->reading.first; m != NULL; m = m->next_reading)
		if (wants(m))
			return now;
	return schedule->n_later > 0 ? schedule->heap[0].due_at :
		PAY_SCHEDULE_NEVER;
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

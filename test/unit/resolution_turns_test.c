/*
 * resolution_turns_test.c
 *		Behind an attempt without an answer: a query first, then the same key.
 *
 * What the resolution decides is played against Tosses that lose requests and
 * answers in the simplest ways, for confirms and for cancels.  Every attempt is
 * written down with its time, and then looked at: who came first, how soon, how
 * far apart, and whether the call came to an end.
 */
#include "resolution.h"
#include "tap.h"

#define SECOND			INT64_C(1000000)
#define MINUTE			(60 * SECOND)
#define T0				(INT64_C(1000000) * MINUTE)
#define MAX_ATTEMPTS	200
#define CAP				(60 * SECOND)

/* A Toss, and the way to it. */
typedef struct Toss
{
	int			arrive_from;	/* which of our sendings is the first to arrive */
	int			answer_from;	/* and which is the first to be answered */
	PayTossMeaning query;		/* every query's answer, or APPROVED: the truth */
	PayTime		takes;			/* what an attempt without an answer takes */
	bool		may_not_send;	/* what is to be sent is asked about instead */
	bool		key_changed;
	bool		key_answered;
	PayCallPhase phase;
} Toss;

/* What was done. */
typedef struct Story
{
	int			n;
	PayTossOperation operations[MAX_ATTEMPTS];
	PayTime		began[MAX_ATTEMPTS];
	PayTime		ended[MAX_ATTEMPTS];
	PayAction	action;			/* the last */
} Story;

static Story
play(bool is_refund, Toss toss, PayTime until)
{
	static const PayTossMeaning done[] = {PAY_MEANS_APPROVED, PAY_MEANS_REFUNDED};
	PayTossOperation sending = is_refund ? PAY_TOSS_CANCEL : PAY_TOSS_CONFIRM;
	PayCallState state = {
		.operation = sending,
		.is_refund = is_refund,
		.reached_psp = true,
		.key_changed = toss.key_changed,
		.phase = PAY_PHASE_TRYING,
		.first_sent_at = T0,
	};
	Story		story = {0};
	bool		executed = false;
	int			sent = 0;
	PayTime		now = 0;

	while (story.n < MAX_ATTEMPTS && now <= until)
	{
		PayTossMeaning meaning;
		PayDecision d;

		story.operations[story.n] = state.operation;
		story.began[story.n] = now;
		if (state.operation == sending)
		{
			sent++;
			executed = executed || sent >= toss.arrive_from;
			meaning = executed && sent >= toss.answer_from ? done[is_refund] : PAY_MEANS_NO_ANSWER;
		}
		else
			meaning = toss.query != PAY_MEANS_APPROVED ? toss.query
				: executed ? done[is_refund] : PAY_MEANS_OPEN;
		if (meaning == PAY_MEANS_NO_ANSWER)
			now += toss.takes;
		story.ended[story.n++] = now;

		pay_resolve(&state, meaning, T0 + now, &d);
		story.action = d.action;
		if (pay_action_closes(d.action) || d.action == PAY_ACTION_ESCALATE)
			break;
		state.operation = d.action == PAY_ACTION_RESEND && !toss.may_not_send ? sending : PAY_TOSS_QUERY;
		state.outcome_unknown = d.outcome_unknown;
		state.key_answered = d.key_answered || toss.key_answered;
		state.phase = toss.phase != 0 ? toss.phase : d.phase;
		state.failures = d.failures;
		state.contradictions = d.contradictions;
		now += d.delay;
	}
	return story;
}

/* "CQC": what was done, a letter each. */
static const char *
letters(const Story *story)
{
	static char text[MAX_ATTEMPTS + 1];

	for (int i = 0; i < story->n; i++)
		text[i] = story->operations[i] == PAY_TOSS_QUERY ? 'Q' : 'S';
	text[story->n] = '\0';
	return text;
}

static bool
is_closed_well(const Story *story, bool is_refund)
{
	return story->action == (is_refund ? PAY_ACTION_REFUND : PAY_ACTION_SUCCEED);
}

/* Each comes later than the one before of its kind, up to a cap. */
static void
check_pace(const Story *story, PayTime takes, const char *what)
{
	for (int first = 0; first < 2; first++)
		for (int i = first + 4; i < story->n; i += 2)
		{
			PayTime		before = story->began[i - 2] - story->began[i - 4];
			PayTime		gap = story->began[i] - story->began[i - 2];

			tap_check(gap > before || (gap == before && gap >= CAP), "%s: number %d after %d s, before after %d s",
					  what, i, (int) (gap / SECOND), (int) (before / SECOND));
			tap_check(gap <= 2 * (CAP + takes), "%s: number %d after %d s", what, i, (int) (gap / SECOND));
		}
}

/* ---- one answer is lost ---- */

static void
test_once(bool is_refund)
{
	const char *kind = is_refund ? "cancel" : "confirm";
	Story		story = play(is_refund, (Toss) {.arrive_from = 1,.answer_from = 2,.query = PAY_MEANS_APPROVED}, MINUTE);

	ok(same_text(letters(&story), "SQ") && is_closed_well(&story, is_refund) && story.began[1] == SECOND,
	   "%s: the answer was lost: a query finds it, within a second", kind);

	story = play(is_refund, (Toss) {.arrive_from = 2,.query = PAY_MEANS_APPROVED}, MINUTE);
	ok(same_text(letters(&story), "SQS") && is_closed_well(&story, is_refund) &&
	   story.began[1] == SECOND && story.began[2] == (is_refund ? 2 : 1) * SECOND,
	   "%s: the request was lost: behind a query it goes out again, within two seconds", kind);

	story = play(is_refund, (Toss) {.arrive_from = 1,.answer_from = 2,.query = PAY_MEANS_OPEN}, MINUTE);
	ok(same_text(letters(&story), "SQS") && is_closed_well(&story, is_refund),
	   "%s: a copy that lags shows nothing: the same key brings the answer", kind);

	story = play(is_refund, (Toss) {.arrive_from = 1,.answer_from = 2,.query = PAY_MEANS_LOOKUP_FAILED}, MINUTE);
	ok(same_text(letters(&story), "SQS") && is_closed_well(&story, is_refund) && story.began[2] <= 3 * SECOND,
	   "%s: the query could not look: the same key brings the answer, within three seconds", kind);
}

/* ---- one way is dead, or both ---- */

static void
test_dead_ways(bool is_refund)
{
	static const PayTossMeaning dead[] = {PAY_MEANS_LOOKUP_FAILED, PAY_MEANS_NO_ANSWER};
	PayTime		window = is_refund ? PAY_KEY_LIFETIME : PAY_CONFIRM_WINDOW;
	PayTime		watched = is_refund ? 3600 * SECOND : PAY_CONFIRM_WINDOW + PAY_CONFIRM_GRACE + 5 * MINUTE;

	for (int t = 0; t < 2; t++)
	{
		PayTime		takes = t * MINUTE;
		Story		story;

		/* Queries bring nothing, and sendings are answered from some time on. */
		for (int q = 0; q < 2; q++)
			for (int from = 1; from <= (t == 0 ? 9 : 3); from++)
			{
				story = play(is_refund, (Toss) {.arrive_from = 1,.answer_from = from,.query = dead[q],.takes = takes}, watched);
				tap_check(is_closed_well(&story, is_refund) && story.began[story.n - 1] < window && story.n == 2 * from - 1,
						  "answered from sending %d on: %s, %s", from, letters(&story), pay_action_name(story.action));
				check_pace(&story, takes, "dead queries");
			}

		/* Sendings are never answered. */
		for (int from = 2; from <= 4; from++)
		{
			story = play(is_refund, (Toss) {.arrive_from = from,.answer_from = MAX_ATTEMPTS,.query = PAY_MEANS_APPROVED,.takes = takes}, watched);
			tap_check(is_closed_well(&story, is_refund) && story.n == 2 * from,
					  "executed by sending %d: %s, %s", from, letters(&story), pay_action_name(story.action));
			check_pace(&story, takes, "dead sendings");
		}
		story = play(is_refund, (Toss) {.arrive_from = MAX_ATTEMPTS,.query = PAY_MEANS_APPROVED,.takes = takes}, watched);
		tap_check(is_refund ? !pay_action_closes(story.action) && story.n > 10 : story.action == PAY_ACTION_FAIL,
				  "never executed: %s, %s", letters(&story), pay_action_name(story.action));

		/* Neither is. */
		story = play(is_refund, (Toss) {.arrive_from = MAX_ATTEMPTS,.query = PAY_MEANS_NO_ANSWER,.takes = takes}, window < watched ? window - 1 : watched);
		tap_check(story.n > 6, "%s", letters(&story));
		check_pace(&story, takes, "dead");
		for (int i = 0; i < story.n; i++)
			tap_check((story.operations[i] == PAY_TOSS_QUERY) == (i % 2 == 1), "they take turns: %s", letters(&story));
	}
	tap_checked("one dead way does not hold it up, and all repetitions back off");
}

/* ---- when only queries are left ---- */

static void
test_only_queries(bool is_refund)
{
	static const PayTossMeaning nothing[] = {PAY_MEANS_LOOKUP_FAILED, PAY_MEANS_NO_ANSWER};
	static const Toss reasons[] = {{.key_answered = true}, {.key_changed = true}, {.phase = PAY_PHASE_REFUSED}};

	for (size_t r = 0; r < sizeof(reasons) / sizeof(reasons[0]); r++)
		for (int q = 0; q < 2; q++)
		{
			Toss		toss = reasons[r];
			Story		story;

			toss.arrive_from = toss.answer_from = MAX_ATTEMPTS;
			toss.query = nothing[q];
			story = play(is_refund, toss, 9 * MINUTE);
			tap_check(story.n > 5 && strchr(letters(&story) + 1, 'S') == NULL, "reason %d: %s", (int) r, letters(&story));
		}
	tap_checked("a key that can bring nothing new is not sent again");

	/* What may not be sent is claimed as a query, and Toss is not flooded. */
	for (int q = 0; q < 2; q++)
	{
		Story		story = play(is_refund, (Toss) {.arrive_from = MAX_ATTEMPTS,.query = q ? PAY_MEANS_OPEN : PAY_MEANS_LOOKUP_FAILED,.may_not_send = true},
								 9 * MINUTE);

		tap_check(story.n > 8 && story.n < 25, "%d queries in nine minutes", story.n);
		tap_check(story.began[story.n - 1] - story.began[story.n - 2] >= 30 * SECOND, "the last after %d s",
				  (int) ((story.began[story.n - 1] - story.began[story.n - 2]) / SECOND));
	}
	tap_checked("one that may not be sent is asked about less and less often");
}

int
main(void)
{
	for (int is_refund = 0; is_refund < 2; is_refund++)
	{
		printf("# %s\n", is_refund ? "cancels" : "confirms");
		test_once(is_refund);
		test_dead_ways(is_refund);
		test_only_queries(is_refund);
	}
	return tap_end();
}

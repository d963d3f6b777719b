/*
 * toss_refund.c
 *		Toss Payments: what a Payment says about a cancel of ours.
 *
 * Owns the rule by which a refund is believed: among the cancels of the very
 * payment there is exactly one whose reason ends in our token, it is over our
 * amount, and it is done.  The token stands at the end, so nothing that a
 * caller writes into a reason can be taken for another refund's.
 *
 * Neither the payment's status nor its balance is asked: both tell what all
 * cancels came to, those of the dashboard with ours, and not whether this one
 * is among them.
 */
#include "toss.h"

#include <stdio.h>
#include <string.h>

#include "money.h"

static int	find_cancel(const PayTossRefund *refund, const PayTossBody *body,
						const PayTossCancel **found);
static bool is_ours(const char *reason, const char *token);
static void judge_absence(const PayTossRequest *request,
						  const PayTossBody *body, PayTossAnswer *answer);
static void judge_cancel(const PayTossRequest *request,
						 const PayTossBody *body, const PayTossCancel *cancel,
						 PayTossAnswer *answer);

/* The states of a payment that was paid, whatever was taken back since. */
static const char *const paid_statuses[] = {
	"DONE", "CANCELED", "PARTIAL_CANCELED"
};

static void
doubt(const PayTossRequest *request, PayTossAnswer *answer, bool suspect,
	  const char *code, const char *detail)
{
	answer->meaning = suspect || request->operation != PAY_TOSS_QUERY ?
		PAY_MEANS_UNCERTAIN : PAY_MEANS_LOOKUP_FAILED;
	answer->suspect = suspect;
	answer->code = code;
	answer->detail = detail;
}

/* The payment is the one that we asked for: toss.c has compared it. */
void
pay_toss_interpret_refund(const PayTossRequest *request,
						  const PayTossBody *body, PayTossAnswer *answer)
{
	const PayTossCancel *cancel = NULL;
	int			n = find_cancel(request->refund, body, &cancel);

	if (n == 0)
		judge_absence(request, body, answer);
	else if (n == 1)
		judge_cancel(request, body, cancel, answer);
	else
		doubt(request, answer, true, "CANCELED_TWICE",
			  "the payment has more than one cancel with our token");
}

static int
find_cancel(const PayTossRefund *refund, const PayTossBody *body,
			const PayTossCancel **found)
{
	int			n = 0;

	for (int i = 0; i < body->n_cancels; i++)
	{
		if (body->cancels[i].reason == NULL ||
			!is_ours(body->cancels[i].reason, refund->token))
			continue;
		*found = &body->cancels[i];
		n++;
	}
	return n;
}

/* Does it end in "[rf:token]"? */
static bool
is_ours(const char *reason, const char *token)
{
	char		tag[PAY_TOSS_MAX_TOKEN + 8];
	size_t		len = (size_t) snprintf(tag, sizeof(tag), "[rf:%s]", token);
	size_t		reason_len = strlen(reason);

	return len < sizeof(tag) && reason_len >= len &&
		strcmp(reason + reason_len - len, tag) == 0;
}

/*
 * A query that does not show it found it unprocessed, as long as the payment
 * is one that can be refunded at all.  A cancel that was answered and is not
 * there is a contradiction.
 */
static void
judge_absence(const PayTossRequest *request, const PayTossBody *body,
			  PayTossAnswer *answer)
{
	const char *status = NULL;

	for (size_t i = 0; i < sizeof(paid_statuses) / sizeof(paid_statuses[0]); i++)
	{
		if (strcmp(paid_statuses[i], body->status) == 0)
			status = paid_statuses[i];
	}
	if (request->operation == PAY_TOSS_CANCEL)
		doubt(request, answer, true, "CANCEL_MISSING",
			  "the answer does not show our cancel");
	else if (status == NULL && body->virtual_account_bank != NULL &&
			 strcmp(body->status, "WAITING_FOR_DEPOSIT") == 0)
	{
		/* the bank took the deposit back: there is nothing to give back */
		answer->meaning = PAY_MEANS_OPEN;
		answer->code = "WAITING_FOR_DEPOSIT";
	}
	else if (status == NULL)
		doubt(request, answer, true, "NOT_PAID",
			  "the payment that is to be refunded is not paid");
	else
	{
		answer->meaning = PAY_MEANS_OPEN;
		answer->code = status;
	}
}

/*
 * Of an account that waited, since the bank had taken the deposit back before,
 * it has moved no money.
 */
static void
judge_cancel(const PayTossRequest *request, const PayTossBody *body,
			 const PayTossCancel *cancel, PayTossAnswer *answer)
{
	int64_t		amount;

	if (cancel->amount == NULL ||
		pay_money_read(cancel->amount, strlen(cancel->amount),
					   request->minor_units, &amount) != PAY_MONEY_OK ||
		amount != request->refund->amount)
		doubt(request, answer, true, "CANCEL_AMOUNT_MISMATCH",
			  "the cancel with our token is over another amount");
	else if (cancel->transaction_key == NULL || cancel->status == NULL)
		doubt(request, answer, true, "CANCEL_INCOMPLETE",
			  "our cancel has no transaction key or no status");
	else if (pay_toss_is_withdrawn(body))
	{
		answer->meaning = PAY_MEANS_ABORTED;
		answer->code = "DEPOSIT_REVERSED";
		answer->detail = "cancelled when the bank had taken the deposit back";
	}
	else if (strcmp(cancel->status, "DONE") == 0)
	{
		answer->meaning = PAY_MEANS_REFUNDED;
		answer->code = "CANCEL_DONE";
		answer->cancel = cancel;
	}
	else if (strcmp(cancel->status, "ABORTED") == 0)
	{
		answer->meaning = PAY_MEANS_ABORTED;
		answer->code = "CANCEL_ABORTED";
		answer->cancel = cancel;
	}
	else
		doubt(request, answer, false, "CANCEL_IN_PROGRESS",
			  "our cancel has not ended yet");
}

/*
 * toss.h
 *		Toss Payments: requests, and what an answer means.
 *
 * The table of codes is toss-api's (48 documented codes of confirm, 30 of
 * cancel, the two of idempotency, those of the query and the overall list).  No SQL, no
 * allocation, no clock, no error: pure functions over their arguments.
 */
#ifndef PAY_TOSS_H
#define PAY_TOSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toss_json.h"

typedef enum PayTossOperation
{
	PAY_TOSS_CONFIRM = 'C',		/* POST /v1/payments/confirm */
	PAY_TOSS_CANCEL = 'X',		/* POST /v1/payments/{paymentKey}/cancel */
	PAY_TOSS_QUERY = 'Q'		/* GET /v1/payments/{paymentKey} */
} PayTossOperation;

/*
 * A cancel, sent or asked about.  Toss gives it no id of ours, so its reason
 * ends in a token that no other cancel has.
 */
typedef struct PayTossRefund
{
	const char *token;			/* letters, digits */
	const char *reason;			/* UTF-8, without the token */
	int64_t		amount;			/* mills */
	int64_t		balance;		/* of the payment before it, mills */
} PayTossRefund;

/* Where the refund of a deposit goes; what is sent is UTF-8. */
typedef struct PayTossAccount
{
	const char *bank;			/* Toss's code */
	const char *number;			/* digits */
	const char *holder;
} PayTossAccount;

#define PAY_TOSS_MAX_TOKEN	40
#define PAY_TOSS_MAX_REASON	150 /* characters, with the token below 200 */

/* What we asked for; every 2xx is compared with it before it is believed. */
typedef struct PayTossRequest
{
	PayTossOperation operation;
	const char *payment_key;
	const char *order_id;
	const char *currency;
	int64_t		amount;			/* mills, of the payment */
	int			minor_units;
	const PayTossRefund *refund;	/* NULL: it is about a confirm */
} PayTossRequest;

/* How far the exchange got, as the transport saw it. */
typedef enum PayTransport
{
	PAY_TRANSPORT_ANSWERED,		/* a whole HTTP answer arrived */
	PAY_TRANSPORT_NOT_SENT,		/* proved: no byte of the request left */
	PAY_TRANSPORT_NO_ANSWER		/* sent, or perhaps sent, and no whole answer */
} PayTransport;

/*
 * What an answer says about the payment.  The meaning of a code depends on the
 * operation: 404 NOT_FOUND_PAYMENT refuses a confirm, and tells a query that
 * nothing was processed yet.
 */
typedef enum PayTossMeaning
{
	PAY_MEANS_APPROVED,			/* DONE, and everything matches */
	PAY_MEANS_WAITING,			/* WAITING_FOR_DEPOSIT, and all matches */
	PAY_MEANS_CANCELED,			/* approved once, cancelled by somebody */
	PAY_MEANS_ABORTED,			/* it, or our cancel, can never succeed */
	PAY_MEANS_OPEN,				/* query: not processed (yet) */
	PAY_MEANS_REFUSED,			/* class FINAL */
	PAY_MEANS_MISCONFIGURED,	/* class CONF: not executed, our fault */
	PAY_MEANS_LATER,			/* not executed, may work later */
	PAY_MEANS_BUSY,				/* 409: the same key is still running */
	PAY_MEANS_UNCERTAIN,		/* UNK, OK?, garbage, mismatch: query */
	PAY_MEANS_LOOKUP_FAILED,	/* query: could not look */
	PAY_MEANS_NOT_SENT,
	PAY_MEANS_NO_ANSWER,
	PAY_MEANS_REFUNDED,			/* our cancel is among the payment's */
	PAY_MEANS_LAPSED			/* waiting, and nobody can pay in any more */
} PayTossMeaning;

/* An answer, read.  Strings point into the PayTossBody or are static. */
typedef struct PayTossAnswer
{
	PayTossMeaning meaning;
	bool		suspect;		/* a 2xx that does not match what we asked */
	bool		is_verified;	/* it is our payment, over our amount */
	const char *code;			/* Toss's code, or ours ("HTTP_502") */
	const char *detail;			/* one line for people, or NULL */
	const PayTossCancel *cancel;	/* ours, or NULL */
} PayTossAnswer;

extern void pay_toss_interpret(const PayTossRequest *request,
							   PayTransport transport, int http_status,
							   const PayTossBody *body, PayTossAnswer *answer);

extern const char *pay_toss_meaning_name(PayTossMeaning meaning);

/* Has it the form of a code? */
extern bool pay_toss_is_code(const char *text);

/* One documented code; the table is what the tests and the docs walk. */
typedef struct PayTossCode
{
	const char *code;
	int			http_status;
	PayTossOperation operation;
	PayTossMeaning meaning;
} PayTossCode;

extern const PayTossCode pay_toss_codes[];
extern const int pay_toss_codes_count;

/*
 * Requests.  The path is written percent-encoded; the body of a confirm or a
 * cancel is the same bytes for the same arguments, for ever.  Both return the
 * length, or -1 when buf is too small or an argument has a byte that is not
 * allowed
 * (paymentKey: 1-200 of [A-Za-z0-9_=.-]; orderId: 6-64 of the same).
 */
extern int	pay_toss_path(const PayTossRequest *request, char *buf, size_t size);
extern int	pay_toss_body(const PayTossRequest *request, char *buf, size_t size);

/*
 * The body of a cancel with the account that its money goes to, which is kept
 * apart from it; as above.
 */
extern int	pay_toss_body_to_account(const char *body,
									 const PayTossAccount *account, char *buf,
									 size_t size);

/*
 * Was a virtual account cancelled while it waited for a deposit?  No money moves
 * then.
 */
extern bool pay_toss_is_withdrawn(const PayTossBody *body);

extern bool pay_toss_valid_payment_key(const char *text);
extern bool pay_toss_valid_order_id(const char *text);

/* toss_refund.c, for toss.c: what a Payment says about a cancel of ours. */
extern void pay_toss_interpret_refund(const PayTossRequest *request,
									  const PayTossBody *body,
									  PayTossAnswer *answer);

#endif							/* PAY_TOSS_H */

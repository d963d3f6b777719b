/*
 * toss_list.h
 *		Toss's list of transactions: how a page is asked for, and read.
 *
 * A page is an array of rows, one for each movement of a payment.  Whatever is
 * in a row concerns that row alone: one that cannot be used says why, and the
 * others are good.  Only a body that is no array of JSON is lost as a whole.
 *
 * Pure like toss_json.h, whose parser it shares.
 */
#ifndef PAY_TOSS_LIST_H
#define PAY_TOSS_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAY_TOSS_MAX_LIST	(2 * 1024 * 1024)	/* bytes of a page */
#define PAY_TOSS_MAX_ROWS	5000	/* of a page, Toss's own limit */

/* Times in microseconds since 1970; both ends are meant to be in it. */
typedef struct PayTossListRequest
{
	int64_t		from_us;
	int64_t		to_us;
	const char *after;			/* key of the transaction before it, or NULL */
	int			rows;			/* at most */
} PayTossListRequest;

typedef enum PayTossListVerdict
{
	PAY_TOSS_LIST_ROWS,
	PAY_TOSS_LIST_ERROR,		/* an error object; see code */
	PAY_TOSS_LIST_GARBAGE		/* anything else; see reason */
} PayTossListVerdict;

/*
 * A row.  Texts are NULL when they are missing or not of their form; those
 * that are there are short, and visible ASCII.
 */
typedef struct PayTossRow
{
	const char *problem;		/* static text: it cannot be used; or NULL */
	char	   *transaction_key;
	char	   *payment_key;
	char	   *order_id;
	char	   *status;
	char	   *currency;
	bool		has_amount;
	int64_t		amount;			/* mills; never negative */
	bool		has_time;
	int64_t		time_us;		/* since 1970 */
} PayTossRow;

typedef struct PayTossList
{
	PayTossListVerdict verdict;
	const char *reason;			/* static text, why it is garbage */
	char	   *code;			/* of an error */
	PayTossRow *rows;
	int			n;
} PayTossList;

/*
 * The path of a page with its query, percent-encoded; the length, or -1 when
 * buf is too small, the period ends before it begins, a time has no four-digit
 * year, or the cursor is no key of a transaction.
 */
extern int	pay_toss_list_path(const PayTossListRequest *request, char *buf,
							   size_t size);

/*
 * Read body[0..len).  Never raises an error; what it allocates is in the
 * current memory context.
 */
extern void pay_toss_list_read(const char *body, size_t len,
							   PayTossList *out);

#endif							/* PAY_TOSS_LIST_H */

/*
 * toss_json.h
 *		What we read out of a Toss body: a Payment or an error.
 *
 * No SQL; with FRONTEND defined it links against libpgcommon and needs no server.
 * Never raises an error, whatever the bytes are.
 */
#ifndef PAY_TOSS_JSON_H
#define PAY_TOSS_JSON_H

#include <stdbool.h>
#include <stddef.h>

#define PAY_TOSS_MAX_BODY	(64 * 1024)

typedef enum PayTossJsonVerdict
{
	PAY_TOSS_JSON_PAYMENT,		/* a Payment object */
	PAY_TOSS_JSON_ERROR,		/* an error object, v1 or v2 shape */
	PAY_TOSS_JSON_GARBAGE		/* anything else; see reason */
} PayTossJsonVerdict;

/*
 * The fields of an allow-list; everything else in the body is dropped, and
 * with it all personal data.  A missing or null field is NULL.  Numbers are
 * their text in the body, words as well.  All strings belong to the memory
 * context that was current (or malloc, in a frontend) and are valid UTF-8.
 */
typedef struct PayTossCancel
{
	char	   *amount;
	char	   *reason;
	char	   *transaction_key;
	char	   *canceled_at;
	char	   *status;
} PayTossCancel;

typedef struct PayTossBody
{
	PayTossJsonVerdict verdict;
	const char *reason;			/* static text, why it is garbage */

	/* an error */
	char	   *code;
	char	   *message;

	/* a Payment */
	char	   *version;
	char	   *payment_key;
	char	   *type;
	char	   *order_id;
	char	   *mid;
	char	   *currency;
	char	   *method;
	char	   *status;
	char	   *total_amount;
	char	   *balance_amount;
	char	   *requested_at;
	char	   *approved_at;
	char	   *last_transaction_key;
	char	   *card_issuer_code;
	char	   *card_type;
	char	   *installment_plan_months;
	char	   *easy_pay_provider;
	char	   *receipt_url;
	char	   *failure_code;
	char	   *failure_message;
	char	   *virtual_account_bank;
	char	   *virtual_account_number;
	char	   *virtual_account_due_date;
	char	   *virtual_account_expired;	/* "true" or "false" */
	char	   *secret;			/* never logged, never shown */
	int			n_cancels;
	PayTossCancel *cancels;
} PayTossBody;

/*
 * Read body[0..len).  Garbage is: empty, longer than PAY_TOSS_MAX_BODY, not
 * UTF-8, not JSON, two documents, deeper than PAY_TOSS_MAX_DEPTH, a NUL
 * character, a known key twice in one object, a known key with the wrong type,
 * neither a Payment (paymentKey, orderId, status, totalAmount) nor an error
 * (code).
 */
extern void pay_toss_json_read(const char *body, size_t len, PayTossBody *out);

#endif							/* PAY_TOSS_JSON_H */

/*-------------------------------------------------------------------------
 *
 * simulator.h
 *	  Types and functions shared by the files of the Toss simulator.
 *
 * One section per file, lowest layer first.  All state (payments, keys,
 * faults, logs, settings) is guarded by the one lock of payment.c; functions
 * that need it held say so.  No code is shared with the extension on
 * purpose: audits compare the simulator's books with the extension's.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIMULATOR_H
#define SIMULATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* text.c: growable text, and the writing of JSON */

typedef struct Text
{
	char	   *data;			/* NUL-terminated once anything was added */
	size_t		length;
	size_t		capacity;
} Text;

extern void *sim_alloc(size_t size);
extern char *sim_copy(const char *text, size_t length);
extern void sim_text_add_bytes(Text *text, const void *bytes, size_t length);
extern void sim_text_add(Text *text, const char *string);
extern void sim_text_fill(Text *text, char c, size_t n);
extern int	sim_utf8_length(const char *p, const char *end);
extern void sim_text_add_json(Text *text, const char *string);
extern void sim_text_add_int(Text *text, int64_t number);
extern void sim_text_format(Text *text, const char *format,...)
			__attribute__((format(printf, 2, 3)));
extern void sim_text_free(Text *text);

/* amount.c: money as whole thousandths, read and written without rounding */

typedef int64_t Amount;

#define AMOUNT_SCALE 1000

extern bool sim_amount_parse(const char *text, size_t length, Amount *amount);
extern void sim_amount_write(Text *out, Amount amount);
extern Amount sim_amount_vat(Amount taxable, const char *currency);

/* json.c: reading JSON */

typedef enum JsonKind
{
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
} JsonKind;

typedef struct JsonNode
{
	JsonKind	kind;
	const char *name;			/* member name, NULL outside objects */
	const char *text;			/* decoded string, or the number as written */
	size_t		length;			/* of text */
	uint32_t	child;			/* first child, 0 = none */
	uint32_t	next;			/* next sibling, 0 = none */
} JsonNode;

typedef struct JsonDoc
{
	JsonNode   *nodes;			/* node 0 is the root */
	uint32_t	count;
	uint32_t	capacity;
	char	   *buffer;
} JsonDoc;

extern bool sim_json_parse(JsonDoc *doc, const char *text, size_t length);
extern void sim_json_free(JsonDoc *doc);
extern const JsonNode *sim_json_member(const JsonDoc *doc,
									   const JsonNode *object,
									   const char *name);
extern const JsonNode *sim_json_first(const JsonDoc *doc,
									  const JsonNode *parent);
extern const JsonNode *sim_json_next(const JsonDoc *doc,
									 const JsonNode *node);
extern const char *sim_json_string(const JsonDoc *doc, const JsonNode *object,
								   const char *name, const char *otherwise);
extern bool sim_json_int(const JsonDoc *doc, const JsonNode *object,
						 const char *name, int64_t *number);

/* table.c: hash table of intrusive links */

typedef struct Link
{
	struct Link *next;
	uint64_t	hash;
	void	   *owner;
} Link;

typedef struct Table
{
	Link	  **slots;
	size_t		size;			/* power of two, or 0 */
	size_t		count;
} Table;

extern uint64_t sim_hash(uint64_t seed, const void *bytes, size_t length);
extern void sim_table_add(Table *table, Link *link, uint64_t hash, void *owner);
extern Link *sim_table_first(const Table *table, uint64_t hash);
extern Link *sim_table_next(const Link *link);
extern void sim_table_clear(Table *table, void (*release) (void *owner));

/* clock.c: the movable clock, and random text */

#define SECOND INT64_C(1000000)

extern int64_t sim_clock_real(void);	/* us since 1970, never moved */
extern int64_t sim_clock_now(void); /* us since 1970, movable */
extern int64_t sim_clock_monotonic(void);	/* us, for timers */
extern void sim_clock_advance(int64_t seconds);
extern int64_t sim_clock_offset(void);
extern void sim_clock_write(Text *out, int64_t time);
extern void sim_clock_compact(char out[15], int64_t time);
extern uint64_t sim_random(void);
extern void sim_random_seed(uint64_t seed);
extern uint64_t sim_random_next(uint64_t *state);
extern void sim_random_alnum(char *out, size_t length, uint64_t *state);
extern void sim_trace_id(char out[33]);

/* codes.c: the error codes of the API */

typedef struct Code
{
	int			status;
	const char *name;
	const char *message;
} Code;

extern const Code *sim_code_find(const char *name);
extern const Code *sim_code_at(size_t position);
extern void sim_code_write(Text *out, const Code *code);

/* settings.c: the switches that can be set at run time */

#define MAX_RANDOM_KINDS 32

struct FaultKind;

typedef struct Settings
{
	int64_t		delay_ms;
	int64_t		delay_jitter_ms;
	bool		execute_late;
	char		auto_prefix[64];
	bool		store_5xx;
	char		amount_mismatch[64];
	char		merchant_mismatch[64];
	bool		query_unconfirmed;
	int64_t		query_lag_ms;
	int64_t		query_interval_ms;
	int64_t		cancel_interval_ms;
	int64_t		requests_per_minute;
	int64_t		retry_after_seconds;
	bool		session_hides_done;
	bool		duplicate_order;
	bool		quoted_amount;
	bool		test_codes;
	bool		keep_requests;
	int64_t		transactions_lag_ms;
	int64_t		transactions_max_rows;
	int64_t		transactions_max_days;
	bool		transactions_descending;
	bool		transactions_utc;
	bool		transactions_end_exclusive;
	bool		transactions_inclusive;
	bool		transactions_negative;
	bool		down;
	char		webhook_url[256];
	bool		webhook_keep;
	bool		webhook_payments;
	bool		webhook_deposits;
	int64_t		webhook_delay_ms;
	int64_t		webhook_lose_percent;
	int64_t		webhook_duplicate_percent;
	int64_t		webhook_reorder_percent;
	int64_t		webhook_forge_percent;
	bool		webhook_keeps_id;
	bool		webhook_takes_2xx;
	bool		webhook_deposit_offset;
	bool		webhook_text_key;
	int64_t		account_seconds;
	bool		account_stays_open;
	double		random_rate;
	uint64_t	random_state;
	char		random_on[8];
	char		random_after[12];
	char		random_code[64];
	int64_t		random_delay_ms;
	const struct FaultKind *random_kinds[MAX_RANDOM_KINDS];
	int			random_kind_count;
} Settings;

extern Settings sim_settings;

extern void sim_settings_reset(void);
extern const char *sim_settings_apply(const JsonDoc *doc);
extern void sim_settings_write(Text *out);

/* api_key.c: the secret keys and the Authorization header */

typedef struct ApiKey
{
	const char *secret;
	const char *mid;
	bool		is_test;
	char		fingerprint[17];
	int64_t		minute;			/* for the rate limit */
	int64_t		requests_in_minute;
} ApiKey;

extern bool sim_api_key_add(const char *option);
extern ApiKey *sim_api_key_default(void);
extern const char *sim_api_key_mid(const char *mid);
extern const Code *sim_api_key_check(const char *authorization, ApiKey **key);

/* payment.c: orders and payments */

typedef enum Status
{
	STATUS_READY,
	STATUS_IN_PROGRESS,
	STATUS_WAITING_FOR_DEPOSIT,
	STATUS_DONE,
	STATUS_CANCELED,
	STATUS_PARTIAL_CANCELED,
	STATUS_ABORTED,
	STATUS_EXPIRED
} Status;

typedef struct Method Method;

/* One state of a payment; immutable once added, so that it can be replayed. */
typedef struct Version
{
	Status		status;
	int64_t		real_time;		/* when it was added, sim_clock_real */
	int64_t		clock_time;		/* when it happened, sim_clock_now */
	const Code *failure;
	int			transaction;	/* numbers the money movement */
	bool		account_expired;	/* virtual account past its due date */
	Amount		canceled;		/* by this version */
	Amount		balance;		/* left after it */
	char	   *reason;			/* of the cancel, or NULL */
} Version;

typedef struct Payment
{
	Link		by_key;
	struct Payment *older;		/* of the same order */
	struct Order *order;
	const char *key;
	const char *order_name;
	const char *mid;
	const Method *method;
	char		currency[4];
	Amount		amount;
	int64_t		requested_at;
	int64_t		authenticated_at;
	int64_t		due_at;			/* of its virtual account */
	int64_t		queried_at;
	int64_t		canceled_at;	/* sim_clock_monotonic; 0: never */
	uint64_t	seed;			/* of the made-up details */
	int			busy;			/* confirms and cancels being worked on */
	int			executions;
	bool		abandoned;
	int			version_count;
	int			version_capacity;
	Version    *versions;
} Payment;

typedef struct Order
{
	Link		by_id;
	char	   *id;
	Payment    *newest;
	int			charges;
	Amount		charged;
	int			cancels;
	Amount		canceled;
} Order;

typedef struct PaymentRequest
{
	const char *key;			/* NULL: draw one */
	const char *order_id;
	const char *order_name;
	const char *mid;
	const char *currency;
	const Method *method;
	Amount		amount;
} PaymentRequest;

extern void sim_lock(void);
extern void sim_unlock(void);
extern Payment *sim_payment_create(const PaymentRequest *request);
extern void sim_payment_authenticate(Payment *payment);
extern void sim_payment_add_version(Payment *payment, Status status,
									int64_t clock_time, const Code *failure);
extern Payment *sim_payment_find(const char *key);
extern Payment *sim_payment_find_order(const char *order_id, const char *mid);
extern Order *sim_order_find(const char *order_id);
extern Status sim_payment_status(Payment *payment);
extern int	sim_payment_version_at(const Payment *payment, int64_t real_time);
extern void sim_payment_each_order(void (*visit) (Order *order, void *arg),
								   void *arg);
extern void sim_payment_reset(void);
extern bool sim_order_id_valid(const char *order_id);

/* payment_object.c: the Payment object of the API */

/* What a fault makes of the object; all zero: the truth. */
typedef struct Distortion
{
	bool		amount;
	bool		order;
	bool		key;
	bool		currency;
	bool		status;
	bool		canceled;
	bool		unknown_fields;
	bool		duplicate_keys;
	bool		cancels;
} Distortion;

extern const Method *sim_method_find(const char *name);
extern bool sim_method_is_deposit(const Method *method);
extern Amount sim_method_minimum(const Method *method);
extern const char *sim_status_name(Status status);
extern void sim_payment_write_method_name(Text *out, const Payment *payment);
extern void sim_payment_secret(char out[64], const Payment *payment);
extern void sim_payment_transaction_key(char out[40], const Payment *payment,
										int transaction);
extern void sim_payment_write(Text *out, const Payment *payment, int version,
							  const Distortion *distortion);

/* fault.c: which request goes wrong, and how */

typedef enum Operation
{
	OPERATION_NONE,
	OPERATION_CONFIRM,
	OPERATION_QUERY,
	OPERATION_CANCEL,
	OPERATION_TRANSACTIONS
} Operation;

typedef enum After
{
	AFTER_UNCHANGED,
	AFTER_ABORTED,
	AFTER_DONE,
	AFTER_LATE
} After;

typedef enum FaultForm
{
	FORM_NORMAL,				/* no fault, or only a delay */
	FORM_REFUSE,
	FORM_RESET,
	FORM_CLOSE,
	FORM_DRIP,
	FORM_CUT,
	FORM_GARBAGE,
	FORM_EMPTY,
	FORM_HTML502,
	FORM_REDIRECT,
	FORM_CONTENT_TYPE,
	FORM_OVERSIZE,
	FORM_DEEP,
	FORM_BARE,
	FORM_DISTORT,
	FORM_LAG
} FaultForm;

typedef struct FaultKind
{
	const char *name;
	FaultForm	form;
	After		after;			/* unless the fault says otherwise */
	bool		after_fixed;	/* the name says it */
	int64_t		delay_ms;		/* unless the fault says otherwise */
	bool		hangs;			/* without delayMs: until released */
	bool		reused_only;	/* only on a reused connection */
	Distortion	distortion;
} FaultKind;

typedef struct Fault
{
	const FaultKind *kind;		/* NULL: none */
	const Code *code;
	After		after;
	int64_t		delay_ms;		/* -1: until released */
	bool		anew;			/* a replay is answered as a new request */
} Fault;

extern const FaultKind *sim_fault_kind(const char *name);
extern const FaultKind *sim_fault_kind_at(size_t position);
extern const char *sim_fault_add(const JsonDoc *doc);
extern void sim_fault_clear(void);
extern bool sim_fault_take(Operation operation, const char *payment_key,
						   const char *order_id, bool reused_connection,
						   bool replay, Fault *fault);
extern void sim_fault_write(Text *out);

/* idempotency.c: answers stored under the Idempotency-Key */

/* What a request is answered with: a code, or a state of a payment. */
typedef struct Answer
{
	const Code *code;			/* NULL: the payment */
	const Payment *payment;
	int			version;
} Answer;

typedef struct Idempotent
{
	Link		link;
	const ApiKey *api_key;
	char	   *scope;			/* method, path, key */
	int64_t		first_used;
	bool		in_flight;
	Answer		answer;
	char		trace[33];
} Idempotent;

extern Idempotent *sim_idempotent_find(const ApiKey *api_key,
									   const char *method, const char *path,
									   const char *key);
extern void sim_idempotent_forget(const ApiKey *api_key, const char *method,
								  const char *path, const char *key);
extern Idempotent *sim_idempotent_add(const ApiKey *api_key,
									  const char *method, const char *path,
									  const char *key, const char *trace);
extern void sim_idempotent_finish(Idempotent *entry, const Answer *answer);
extern void sim_idempotent_reset(void);
extern size_t sim_idempotent_count(void);

/* journal.c: executed charges and cancels */

extern bool sim_journal_open(const char *path);
extern void sim_journal_add(const char *kind, Payment *payment,
							const char *idempotency_key,
							const ApiKey *api_key, const char *trace);
extern void sim_journal_write(Text *out);
extern void sim_journal_summary(Text *out, bool with_orders);
extern void sim_journal_reset(bool empty_file);

/* request_log.c: every request received */

typedef struct RequestRecord
{
	int64_t		sequence;
	int64_t		received_at;
	int64_t		answered_at;
	uint64_t	connection;
	uint64_t	request_on_connection;
	int			status;			/* 0: no HTTP answer */
	unsigned char digest[32];
	char		trace[33];
	char		done[48];
	char	   *strings;		/* method, path, idempotency key */
} RequestRecord;

extern bool sim_request_log_open(const char *path, size_t keep);
extern RequestRecord *sim_request_log_add(const char *method,
										  const char *path,
										  const char *idempotency_key,
										  const void *body, size_t length);
extern RequestRecord *sim_request_log_find(int64_t sequence);
extern void sim_request_log_finish(RequestRecord *record);
extern void sim_request_log_write(Text *out);
extern void sim_request_log_reset(bool empty_file);

/* delay.c: requests that wait */

typedef struct Timer
{
	int64_t		due;			/* sim_clock_monotonic */
	size_t		position;		/* in the heap, from 1; 0: not waiting */
	bool		hangs;			/* to be woken by POST /release */
	void		(*wake) (void *arg);
	void	   *arg;
} Timer;

#define TIMER_NEVER INT64_MAX

extern bool sim_delay_start(void);
extern void sim_delay_add(Timer *timer);
extern size_t sim_delay_release(bool hanging_only);
extern size_t sim_delay_waiting(void);
extern void sim_delay_stop(void);

/* api.c, confirm.c, cancel.c, query.c, transaction.c: what a request means */

/* A page of the list of transactions; the texts are as they were sent. */
typedef struct List
{
	char	   *start_date;		/* each NULL when it is not there */
	char	   *end_date;
	char	   *starting_after;
	char	   *limit;
	int64_t		from;			/* us since 1970 */
	int64_t		to;				/* exclusive */
	int64_t		after;			/* the row before it; -1: none */
	int64_t		rows;			/* at most */
} List;

typedef struct Request
{
	/* filled by server.c */
	const char *method;
	char	   *path;			/* as sent, without the query */
	const char *authorization;
	const char *idempotency_key;
	const char *test_code;
	Text		body;
	bool		body_too_large;
	int64_t		received_at;
	uint64_t	connection_number;
	uint64_t	request_on_connection;

	/* filled by api.c */
	Operation	operation;
	ApiKey	   *api_key;
	char	   *payment_key;
	char	   *order_id;
	List		list;
	JsonDoc		json;
	Fault		fault;
	FaultForm	form;			/* what happens on the wire */
	Answer		answer;
	bool		execute_late;
	Payment    *busy;			/* this request is not answered */
	Idempotent *idempotent;		/* to be finished when answered */
	int64_t		wait_ms;		/* -1: until released */
	int64_t		log_sequence;
	char		trace[33];
	char		original_trace[33];
	bool		replayed;
	const char *done;			/* what was done, for the log */
	Text		answer_body;	/* written by finish, taken by wire.c */
} Request;

extern char *sim_decode_percent(const char *text);
extern void sim_api_begin(Request *request);
extern void sim_api_finish(Request *request);
extern void sim_api_release(Request *request);
extern int	sim_api_unfinished(void);
extern Answer sim_answer_code(const char *name);
extern Answer sim_answer_payment(const Payment *payment);
extern bool sim_confirm_read(Request *request);
extern Answer sim_confirm_execute(Request *request);
extern void sim_confirm_abort(Request *request, const Code *code);
extern bool sim_cancel_read(Request *request);
extern Answer sim_cancel_execute(Request *request);
extern void sim_payment_cancel(Payment *payment, Amount amount,
							   const char *reason);
extern Payment *sim_query_find(Request *request);
extern Answer sim_query_execute(Request *request);
extern void sim_transaction_add(const Payment *payment);
extern Answer sim_transactions_execute(Request *request);
extern void sim_transactions_write(Text *out, const Request *request);
extern void sim_transaction_reset(void);

/* webhook.c: what the merchant is told without asking */

extern bool sim_webhook_start(void);
extern void sim_webhook_stop(void);
extern void sim_webhook_reset(void);
extern void sim_webhook_changed(Payment *payment);
extern void sim_webhook_notice(void);

/* server.c and wire.c: the public HTTPS server */

struct MHD_Daemon;
struct MHD_Connection;
struct MHD_Response;

typedef struct Exchange Exchange;

typedef struct ServerOptions
{
	const char *listen;
	int			port;
	int			idle_seconds;
} ServerOptions;

extern struct MHD_Daemon *sim_server_start(const ServerOptions *options);
extern void sim_server_resume(struct MHD_Connection *connection);
extern void sim_server_stop(struct MHD_Daemon *daemon);
extern int	sim_server_port(struct MHD_Daemon *daemon);
extern int	sim_wire_answer(struct MHD_Connection *connection,
							Request *request);

/* Behind an answer: what was gathered of it leaves. */
extern void sim_wire_release(struct MHD_Connection *connection);

/* control.c: the control interface */

extern struct MHD_Daemon *sim_control_start(int port);

/* tls.c: certificates */

extern bool sim_tls_make(const char **names, int count);
extern char *sim_tls_authority(void);
extern const char *sim_tls_serve(const char *kind, char **authority);
extern void sim_tls_sha256(const void *bytes, size_t length,
						   unsigned char digest[32]);

#endif							/* SIMULATOR_H */

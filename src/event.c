/*
 * event.c
 *		The outbox: written with the facts, read in an order without gaps.
 *
 * Ids are drawn before commit, so a transaction that commits late can own a
 * lower id than one that was read long ago; an offset in ids would skip it.
 * The feed's order is therefore (generation, xid, id), and a row is given out
 * only when its transaction id is below the oldest one still running: then
 * nothing can appear before it any more.  Transaction ids start anew when the
 * rows move to another cluster by dump and restore; the first event written
 * there begins a new generation (payments.cluster), and rows of older
 * generations are all final.
 *
 * Rows are written directly (table.c).  Kinds are literals of ours, and the
 * row of payments.cluster that a generation names never changes or goes.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "amount.h"
#include "args.h"
#include "compat.h"
#include "db.h"
#include "errors.h"
#include "event.h"
#include "table.h"

#define MAX_FETCH	10000
#define MAX_NAME		63		/* bytes, of a consumer */

enum
{
	ID,
	KIND,
	ORDER_ID,
	PAYLOAD,
	OCCURRED_AT,
	GENERATION,
	XID
};

static PayTable outbox = {
	"event",
	{
		[ID] = "id",
		[KIND] = "kind",
		[ORDER_ID] = "order_id",
		[PAYLOAD] = "payload",
		[OCCURRED_AT] = "occurred_at",
		[GENERATION] = "generation",
		[XID] = "xid",
	}
};

PG_FUNCTION_INFO_V1(payments_fetch_events);
PG_FUNCTION_INFO_V1(payments_ack_events);

static void fill_row(int row, const PayEvent *event, int64 id,
					 int generation, TimestampTz now);
static void put_text(JsonbParseState **state, const char *key,
					 const char *value);
static void put_number(JsonbParseState **state, const char *key, Datum value);
static void put_string(JsonbParseState **state, JsonbIteratorToken token,
					   const char *text);
static int	current_generation(TimestampTz now);
static int	newest_generation(bool *is_ours);
static void lock_consumer(const char *consumer, TimestampTz now);
static char *consumer_argument(FunctionCallInfo fcinfo);

/*
 * Writing
 */

void
pay_event_write(const PayEvent *events, int n, TimestampTz now)
{
	int			generation;
	int64	   *ids;

	if (n == 0)
		return;
	PreventCommandIfReadOnly("writing an event");
	generation = current_generation(now);
	ids = pay_db_draw_ids("event_id_seq", n);

	pay_table_open(&outbox);
	for (int first = 0; first < n; first += PAY_TABLE_ROWS)
	{
		int			rows = Min(n - first, PAY_TABLE_ROWS);

		for (int i = 0; i < rows; i++)
			fill_row(i, &events[first + i], ids[first + i], generation, now);
		pay_table_insert_rows(&outbox, rows);
	}
	pay_table_close(&outbox);
	CommandCounterIncrement();
}

static void
fill_row(int row, const PayEvent *event, int64 id, int generation,
		 TimestampTz now)
{
	pay_table_begin_row(&outbox, row);
	pay_table_set(&outbox, row, ID, Int64GetDatum(id));
	pay_table_set(&outbox, row, KIND, CStringGetTextDatum(event->kind));
	if (event->order_id != NULL)
		pay_table_set(&outbox, row, ORDER_ID,
					  CStringGetTextDatum(event->order_id));
	pay_table_set(&outbox, row, PAYLOAD, event->payload == NULL ? event->json :
				  DirectFunctionCall1(jsonb_in,
									  CStringGetDatum(event->payload)));
	pay_table_set(&outbox, row, OCCURRED_AT, TimestampTzGetDatum(now));
	pay_table_set(&outbox, row, GENERATION, Int32GetDatum(generation));
	pay_table_set(&outbox, row, XID,
				  FullTransactionIdGetDatum(GetTopFullTransactionId()));
}

void
pay_event_write_payment(const char *kind, const PayOrder *order,
						const char *code, TimestampTz now)
{
	PayEvent	event = {kind, order->order_id, NULL,
	pay_event_payment_json(order, code)};

	pay_event_write(&event, 1, now);
}

Datum
pay_event_payment_json(const PayOrder *order, const char *code)
{
	JsonbParseState *state = NULL;
	JsonbValue *object;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	put_text(&state, "order_id", order->order_id);
	put_text(&state, "payment_key", order->payment_key);
	put_number(&state, "amount",
			   DirectFunctionCall3(numeric_in,
								   CStringGetDatum(pay_amount_text(order->amount)),
								   ObjectIdGetDatum(InvalidOid),
								   Int32GetDatum(-1)));
	put_text(&state, "currency", order->currency);
	put_number(&state, "buyer_id",
			   NumericGetDatum(int64_to_numeric(order->buyer_id)));
	put_text(&state, "merchant", order->merchant);
	put_text(&state, "code", code);
	object = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbPGetDatum(JsonbValueToJsonb(object));
}

/* NULL: not at all */
static void
put_text(JsonbParseState **state, const char *key, const char *value)
{
	if (value == NULL)
		return;
	put_string(state, WJB_KEY, key);
	put_string(state, WJB_VALUE, value);
}

static void
put_number(JsonbParseState **state, const char *key, Datum value)
{
	JsonbValue	number = {.type = jbvNumeric};

	put_string(state, WJB_KEY, key);
	number.val.numeric = DatumGetNumeric(value);
	pushJsonbValue(state, WJB_VALUE, &number);
}

static void
put_string(JsonbParseState **state, JsonbIteratorToken token, const char *text)
{
	JsonbValue	string = {.type = jbvString};

	string.val.string.val = unconstify(char *, text);
	string.val.string.len = (int) strlen(text);
	pushJsonbValue(state, token, &string);
}

/* The newest generation and whether it began in this cluster; 0 for none. */
static int
newest_generation(bool *is_ours)
{
	static PayStatement read = {
		"SELECT generation, system_identifier FROM payments.cluster"
		" ORDER BY generation DESC LIMIT 1",
		0
	};

	*is_ours = false;
	if (pay_db_run(&read, NULL, NULL) == 0)
		return 0;
	*is_ours = pay_db_int64(0, 2) == (int64) GetSystemIdentifier();
	return pay_db_int32(0, 1);
}

/*
 * The generation of events written now; begins one when the rows came from
 * another cluster.  Two first writers collide on the key: one waits, and finds
 * the other's row, or starts over when that one rolls back.
 */
static int
current_generation(TimestampTz now)
{
	static PayStatement begin = {
		"INSERT INTO payments.cluster (generation, system_identifier, first_seen_at)"
		" VALUES ($1, $2, $3) ON CONFLICT ON CONSTRAINT cluster_pkey DO NOTHING",
		3, {INT4OID, INT8OID, TIMESTAMPTZOID}
	};
	bool		is_ours;
	int			generation = newest_generation(&is_ours);

	while (!is_ours)
	{
		Datum		values[3];

		values[0] = Int32GetDatum(generation + 1);
		values[1] = Int64GetDatum((int64) GetSystemIdentifier());
		values[2] = TimestampTzGetDatum(now);
		pay_db_run(&begin, values, NULL);
		generation = newest_generation(&is_ours);
	}
	return generation;
}

/*
 * Reading
 */

static char *
consumer_argument(FunctionCallInfo fcinfo)
{
	static const char allowed[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
	char	   *name;

	pay_args_require(fcinfo, 0, "consumer");
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (name[0] == '\0' || strlen(name) > MAX_NAME ||
		name[strspn(name, allowed)] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("consumer \"%s\" is not a valid name",
						pay_args_shown(name)),
				 errhint("A name has 1 to %d letters, digits, \"_\", \".\" and \"-\".",
						 MAX_NAME)));
	return name;
}

/* The consumer's row, locked until the transaction ends; made when new. */
static void
lock_consumer(const char *consumer, TimestampTz now)
{
	static PayStatement lock = {
		"SELECT generation, xid, event_id FROM payments.event_consumer"
		" WHERE name OPERATOR(pg_catalog.=) $1 FOR UPDATE",
		1, {TEXTOID}
	};
	static PayStatement create = {
		"INSERT INTO payments.event_consumer (name, updated_at) VALUES ($1, $2)"
		" ON CONFLICT ON CONSTRAINT event_consumer_pkey DO NOTHING",
		2, {TEXTOID, TIMESTAMPTZOID}
	};
	Datum		values[2] = {CStringGetTextDatum(consumer),
	TimestampTzGetDatum(now)};

	if (pay_db_run(&lock, values, NULL) > 0)
		return;
	pay_db_run(&create, values, NULL);
	if (pay_db_run(&lock, values, NULL) == 0)
		elog(ERROR, "event consumer \"%s\" has no row", consumer);
}

/*
 * payments.fetch_events: see 70_functions.sql.  Two readers of one name take
 * turns: the second waits until the first has ended its transaction.
 */
Datum
payments_fetch_events(PG_FUNCTION_ARGS)
{
	static PayStatement read = {
		"SELECT e.id, e.kind, e.order_id, e.payload, e.occurred_at"
		" FROM payments.event e WHERE (e.generation, e.xid, e.id) OPERATOR(pg_catalog.>)"
		" ($1, $2, $3)"
		" AND (e.generation OPERATOR(pg_catalog.<) $4 OR e.xid OPERATOR(pg_catalog.<) pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot()))"
		" ORDER BY e.generation, e.xid, e.id LIMIT $5",
		5, {INT4OID, XID8OID, INT8OID, INT4OID, INT4OID}
	};
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *consumer = consumer_argument(fcinfo);
	int			max_events;
	bool		is_null;
	bool		is_ours;
	int			newest;
	uint64		rows;
	Datum		values[5];

	max_events = pay_args_number(fcinfo, 1, "max_events", MAX_FETCH);
	InitMaterializedSRF(fcinfo, 0);

	pay_db_connect();
	newest = newest_generation(&is_ours);
	lock_consumer(consumer, GetCurrentTimestamp());
	values[0] = Int32GetDatum(pay_db_int32(0, 1));
	values[1] = pay_db_datum(0, 2, &is_null);
	values[2] = Int64GetDatum(pay_db_int64(0, 3));
	/* rows from another cluster are all final, whatever their xid */
	values[3] = Int32GetDatum(is_ours ? newest : newest + 1);
	values[4] = Int32GetDatum(max_events);
	rows = pay_db_run(&read, values, NULL);
	for (uint64 i = 0; i < rows; i++)
	{
		Datum		row[5];
		bool		nulls[5];

		for (int c = 0; c < 5; c++)
			row[c] = pay_db_datum(i, c + 1, &nulls[c]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row, nulls);
	}
	pay_db_finish();
	PG_RETURN_NULL();
}

/*
 * payments.ack_events: see 70_functions.sql.  Moving back is refused: a
 * consumer that wants to read again takes another name.
 */
Datum
payments_ack_events(PG_FUNCTION_ARGS)
{
	static PayStatement find = {
		"SELECT generation, xid FROM payments.event WHERE id OPERATOR(pg_catalog.=) $1",
		1, {INT8OID}
	};
	static PayStatement move = {
		"UPDATE payments.event_consumer SET generation = $2, xid = $3, event_id = $4, updated_at = $5"
		" WHERE name OPERATOR(pg_catalog.=) $1 AND (generation, xid, event_id) OPERATOR(pg_catalog.<=) ($2, $3, $4)",
		5, {TEXTOID, INT4OID, XID8OID, INT8OID, TIMESTAMPTZOID}
	};
	char	   *consumer = consumer_argument(fcinfo);
	int64		upto;
	bool		is_null;
	Datum		values[5];

	pay_args_require(fcinfo, 1, "upto");
	upto = PG_GETARG_INT64(1);

	pay_db_connect();
	lock_consumer(consumer, GetCurrentTimestamp());
	values[0] = Int64GetDatum(upto);
	if (pay_db_run(&find, values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_UNKNOWN_EVENT),
				 errmsg("event " INT64_FORMAT " does not exist", upto),
				 errhint("Give the id of the last event that payments.fetch_events returned.")));
	values[1] = Int32GetDatum(pay_db_int32(0, 1));
	values[2] = pay_db_datum(0, 2, &is_null);
	values[0] = CStringGetTextDatum(consumer);
	values[3] = Int64GetDatum(upto);
	values[4] = TimestampTzGetDatum(GetCurrentTimestamp());
	if (pay_db_run(&move, values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_UNKNOWN_EVENT),
				 errmsg("consumer \"%s\" is already past event " INT64_FORMAT,
						consumer, upto),
				 errhint("An offset only moves on; read again under another consumer's name.")));
	pay_db_finish();
	PG_RETURN_VOID();
}

/*
 * admin.c
 *		What operators and DBAs call: rights, node numbers, merchants.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "args.h"
#include "compat.h"
#include "db.h"
#include "operator_action.h"
#include "wake.h"

#define MAX_CLIENT_KEY	200
#define KEY_END			4		/* that much of it is written down */
#define LETTERS_AND_DIGITS \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

PG_FUNCTION_INFO_V1(payments_grant_to);
PG_FUNCTION_INFO_V1(payments_set_merchant);
PG_FUNCTION_INFO_V1(payments_set_node);

static char *put_merchant(FunctionCallInfo fcinfo);
static char *merchant_words(const char *client_key, const char *mid);
pg_noreturn static void refuse_merchant(const char *argument,
										const char *hint);
static bool is_file_name(const char *text);
static bool is_client_key(const char *text);
static bool is_mid(const char *text);
static void set_sequence(const char *name, int64 node, int64 nodes);

/*
 * payments.grant_to: grants the rows of payments.privilege of one kind.  Runs
 * with the caller's rights, so only who may grant can grant.
 */
Datum
payments_grant_to(PG_FUNCTION_ARGS)
{
	static PayStatement read = {
		"SELECT object_type, object FROM payments.privilege"
		" WHERE kind OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}
	};
	const char *role;
	char	   *kind;
	char	  **grants;
	uint64		n;
	Datum		values[1];

	pay_args_require(fcinfo, 0, "role");
	pay_args_require(fcinfo, 1, "kind");
	role = quote_identifier(GetUserNameFromId(PG_GETARG_OID(0), false));
	kind = text_to_cstring(PG_GETARG_TEXT_PP(1));

	pay_db_connect();
	values[0] = CStringGetTextDatum(kind);
	n = pay_db_run(&read, values, NULL);
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("kind of role \"%s\" is unknown", kind),
				 errhint("The kinds are application, bookkeeper, operator, auditor and monitor; see the view payments.privilege.")));

	/* the next statement throws this result away: write all grants first */
	grants = palloc(sizeof(char *) * n);
	for (uint64 i = 0; i < n; i++)
	{
		char	   *type = pay_db_text(i, 1);

		grants[i] = psprintf("GRANT %s ON %s %s TO %s",
							 strcmp(type, "TABLE") == 0 ? "SELECT" : "EXECUTE",
							 type, pay_db_text(i, 2), role);
	}
	pay_db_utility(psprintf("GRANT USAGE ON SCHEMA payments TO %s", role));
	for (uint64 i = 0; i < n; i++)
		pay_db_utility(grants[i]);
	pay_db_finish();
	PG_RETURN_VOID();
}

/*
 * payments.set_merchant: adds or changes a merchant.  What is not valid is
 * refused here, without a word of it: the table's constraints would show the
 * row, and whoever confuses the keys, or the arguments, would find the secret in
 * the log.
 */
Datum
payments_set_merchant(PG_FUNCTION_ARGS)
{
	PayOperatorAction action = {.action = "set_merchant"};

	pay_args_require(fcinfo, 0, "name");
	pay_args_require(fcinfo, 1, "client_key");
	if (!is_file_name(text_to_cstring(PG_GETARG_TEXT_PP(0))))
		refuse_merchant("name", "A name has 1 to 63 characters of a-z, 0-9, \"_\" and \"-\", and begins with a letter or a digit: it is that of the file with the secret key, too.");
	if (!is_client_key(text_to_cstring(PG_GETARG_TEXT_PP(1))))
		refuse_merchant("client_key", "A client key begins with test_ck_, test_gck_, live_ck_ or live_gck_, and has 200 characters at most; the secret key goes into a file in payments.secret_dir.");
	if (!PG_ARGISNULL(2) && !is_mid(text_to_cstring(PG_GETARG_TEXT_PP(2))))
		refuse_merchant("mid", "A MID has 1 to 14 letters and digits.");
	action.merchant = text_to_cstring(PG_GETARG_TEXT_PP(0));
	action.became = merchant_words(text_to_cstring(PG_GETARG_TEXT_PP(1)),
								   PG_ARGISNULL(2) ? NULL :
								   text_to_cstring(PG_GETARG_TEXT_PP(2)));

	pay_db_connect();
	action.was = put_merchant(fcinfo);
	pay_operator_action_record(&action, GetCurrentTimestamp());
	pay_db_finish();
	pay_wake_look();			/* the first one brings the worker */
	PG_RETURN_VOID();
}

/*
 * Add it, or change it.  Returns what it was before, NULL when it is new.  Who
 * finds it there waits for whoever has just added it, and reads it behind him.
 */
static char *
put_merchant(FunctionCallInfo fcinfo)
{
	static PayStatement add = {
		"INSERT INTO payments.merchant (name, client_key, mid, id) VALUES ($1, $2, $3, $4)"
		" ON CONFLICT ON CONSTRAINT merchant_pkey DO NOTHING",
		4, {TEXTOID, TEXTOID, TEXTOID, INT8OID}
	};
	static PayStatement lock = {
		"SELECT client_key, mid FROM ONLY payments.merchant"
		" WHERE name OPERATOR(pg_catalog.=) $1 FOR NO KEY UPDATE",
		1, {TEXTOID}
	};
	static PayStatement change = {
		"UPDATE payments.merchant SET client_key = $2, mid = $3"
		" WHERE name OPERATOR(pg_catalog.=) $1",
		3, {TEXTOID, TEXTOID, TEXTOID}
	};
	const char *nulls = PG_ARGISNULL(2) ? "  n " : NULL;
	char	   *was;
	Datum		values[4];

	for (int i = 0; i < 3; i++)
		values[i] = PG_GETARG_DATUM(i);
	values[3] = Int64GetDatum(pay_db_draw_ids("merchant_id_seq", 1)[0]);
	if (pay_db_run(&add, values, nulls) == 1)
		return NULL;
	if (pay_db_run(&lock, values, NULL) != 1)
		elog(ERROR, "merchant vanished while it was changed");
	was = merchant_words(pay_db_text(0, 1), pay_db_text(0, 2));
	pay_db_run(&change, values, nulls);
	return was;
}

/*
 * What is written down of a merchant.  A client key is public; its ends tell it
 * from another all the same.
 */
static char *
merchant_words(const char *client_key, const char *mid)
{
	const char *rest = strstr(client_key, "ck_") + 3;
	size_t		len = strlen(rest);

	return psprintf("client key %.*s...%s, %s%s",
					(int) (rest - client_key), client_key,
					len < KEY_END * 4 ? "" : rest + len - KEY_END,
					mid == NULL ? "no MID" : "MID ", mid == NULL ? "" : mid);
}

static void
refuse_merchant(const char *argument, const char *hint)
{
	/* the statement may hold the secret, and so may what surrounds it */
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s of the merchant is not valid", argument),
			 errhint("%s", hint),
			 errhidestmt(true), errhidecontext(true)));
}

/* As the table's constraint says. */
static bool
is_file_name(const char *text)
{
	size_t		len = strlen(text);

	return len >= 1 && len <= 63 && text[0] != '_' && text[0] != '-' &&
		text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-")] == '\0';
}

/* (test|live)_[g]ck_ and letters, digits or "_" */
static bool
is_client_key(const char *text)
{
	if (strlen(text) > MAX_CLIENT_KEY)
		return false;
	if (strncmp(text, "test_", 5) != 0 && strncmp(text, "live_", 5) != 0)
		return false;
	text += 5;
	if (*text == 'g')
		text++;
	if (strncmp(text, "ck_", 3) != 0 || text[3] == '\0')
		return false;
	text += 3;
	return text[strspn(text, LETTERS_AND_DIGITS "_")] == '\0';
}

static bool
is_mid(const char *text)
{
	size_t		len = strlen(text);

	return len >= 1 && len <= 14 &&
		text[strspn(text, LETTERS_AND_DIGITS)] == '\0';
}

/*
 * payments.set_node: every sequence of the schema goes on at a number above all
 * that it drew which is node modulo nodes, in steps of nodes.  The steps are
 * rolled back with the transaction, the skipped numbers are not.
 *
 * is_called is kept as it is: a sequence that was used and then restarted would
 * not show its last number any more, and a second set_node would draw it again.
 */
Datum
payments_set_node(PG_FUNCTION_ARGS)
{
	static PayStatement record = {
		"INSERT INTO payments.node (node, nodes) VALUES ($1, $2)"
		" ON CONFLICT ((true)) DO UPDATE SET node = EXCLUDED.node, nodes = EXCLUDED.nodes",
		2, {INT4OID, INT4OID}
	};
	static PayStatement sequences = {
		"SELECT c.relname::pg_catalog.text FROM pg_catalog.pg_class c"
		" WHERE c.relkind OPERATOR(pg_catalog.=) 'S'"
		" AND c.relnamespace OPERATOR(pg_catalog.=) 'payments'::pg_catalog.regnamespace"
		" ORDER BY c.relname",
		0
	};
	int64		node;
	int64		nodes;
	char	  **names;
	uint64		n;
	Datum		values[2];

	pay_args_require(fcinfo, 0, "node");
	pay_args_require(fcinfo, 1, "nodes");
	node = PG_GETARG_INT32(0);
	nodes = PG_GETARG_INT32(1);
	if (nodes < 1 || nodes > 1024 || node < 0 || node >= nodes)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("node is out of range"),
				 errhint("nodes is 1 to 1024, and node is 0 to nodes - 1.")));

	pay_db_connect();
	values[0] = Int32GetDatum((int32) node);
	values[1] = Int32GetDatum((int32) nodes);
	pay_db_run(&record, values, NULL);

	n = pay_db_run(&sequences, NULL, NULL);
	names = palloc(sizeof(char *) * n);
	for (uint64 i = 0; i < n; i++)
		names[i] = pay_db_text(i, 1);
	for (uint64 i = 0; i < n; i++)
		set_sequence(names[i], node, nodes);
	pay_db_finish();
	PG_RETURN_VOID();
}

/* The change of the step locks the sequence; only then is its number read. */
static void
set_sequence(const char *name, int64 node, int64 nodes)
{
	static PayStatement read = {
		"SELECT pg_catalog.pg_sequence_last_value(('payments.' OPERATOR(pg_catalog.||) $1)::pg_catalog.regclass)",
		1, {TEXTOID}
	};
	bool		called;
	int64		first;
	Datum		values[1] = {CStringGetTextDatum(name)};

	pay_db_utility(psprintf("ALTER SEQUENCE payments.%s INCREMENT BY " INT64_FORMAT,
							quote_identifier(name), nodes));
	pay_db_run(&read, values, NULL);
	called = !pay_db_is_null(0, 1);
	first = called ? pay_db_int64(0, 1) : 1;
	pay_db_utility(psprintf("SELECT pg_catalog.setval('payments.%s', " INT64_FORMAT ", %s)",
							quote_identifier(name),
							first + ((node - first) % nodes + nodes) % nodes,
							called ? "true" : "false"));
}

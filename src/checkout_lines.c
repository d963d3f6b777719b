/*
 * checkout_lines.c
 *		The lines argument of payments.checkout: what a buyer buys, from JSON.
 *
 * Strict on purpose: a key that is not known is an error, since a misspelt
 * "quantity" would otherwise sell one piece instead of ten.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/numeric.h"

#include "amount.h"
#include "checkout_lines.h"
#include "compat.h"

#define MAX_TEXT	200			/* bytes of a product id or name */
#define MAX_QUANTITY 1000000

typedef struct LineFields
{
	JsonbValue *seller_id;
	JsonbValue *amount;
	JsonbValue *unit_price;
	JsonbValue *quantity;
	JsonbValue *product_id;
	JsonbValue *name;
} LineFields;

/* The keys of a line, where they go, and the type they must have. */
static const struct
{
	const char *key;
	size_t		offset;
	enum jbvType type;
	const char *type_name;
}			line_keys[] =

{
	{"seller_id", offsetof(LineFields, seller_id), jbvNumeric, "a number"},
	{"amount", offsetof(LineFields, amount), jbvNumeric, "a number"},
	{"unit_price", offsetof(LineFields, unit_price), jbvNumeric, "a number"},
	{"quantity", offsetof(LineFields, quantity), jbvNumeric, "a number"},
	{"product_id", offsetof(LineFields, product_id), jbvString, "a string"},
	{"name", offsetof(LineFields, name), jbvString, "a string"},
};

static void read_line(JsonbContainer *json, int n, const PayOrder *order,
					  PayOrderLine *line);
static void collect_fields(JsonbContainer *json, int n, LineFields *fields);
static int64 read_integer(JsonbValue *value, int64 max, int n,
						  const char *key);
static char *read_text(JsonbValue *value, int n, const char *key);
static int64 read_price(const LineFields *fields, int n,
						const PayOrder *order, int32 quantity);
pg_noreturn static void line_error(int n, const char *key,
								   const char *problem, const char *hint);

void
pay_checkout_lines_read(Jsonb *lines, PayOrder *order)
{
	int			n;

	if (!JB_ROOT_IS_ARRAY(lines) || JB_ROOT_IS_SCALAR(lines))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lines is not a JSON array"),
				 errhint("Give an array of objects with seller_id and amount, or unit_price and quantity.")));
	n = JB_ROOT_COUNT(lines);
	if (n < 1 || n > PAY_MAX_LINES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lines has %d elements", n),
				 errhint("An order has 1 to %d lines.", PAY_MAX_LINES)));

	order->n_lines = n;
	order->lines = palloc0(sizeof(PayOrderLine) * n);
	for (int i = 0; i < n; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(&lines->root, i);

		if (element->type != jbvBinary ||
			!JsonContainerIsObject(element->val.binary.data))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("line %d is not a JSON object", i + 1),
					 errhint("Give an array of objects with seller_id and amount, or unit_price and quantity.")));
		read_line(element->val.binary.data, i + 1, order, &order->lines[i]);
	}
}

static void
read_line(JsonbContainer *json, int n, const PayOrder *order,
		  PayOrderLine *line)
{
	LineFields	fields;

	collect_fields(json, n, &fields);
	if (fields.seller_id == NULL)
		line_error(n, "seller_id", "is missing",
				   "Every line names the seller of the product.");
	line->seller_id = read_integer(fields.seller_id, PG_INT64_MAX, n,
								   "seller_id");
	line->quantity = fields.quantity == NULL ? 1 :
		(int32) read_integer(fields.quantity, MAX_QUANTITY, n, "quantity");
	line->amount = read_price(&fields, n, order, line->quantity);
	line->product_id = read_text(fields.product_id, n, "product_id");
	line->product_name = read_text(fields.name, n, "name");
}

/* Sort the members of a line by key; JSON null counts as absent. */
static void
collect_fields(JsonbContainer *json, int n, LineFields *fields)
{
	JsonbIterator *it = JsonbIteratorInit(json);
	JsonbIteratorToken token;
	JsonbValue	value;
	char	   *key = NULL;

	memset(fields, 0, sizeof(LineFields));
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		size_t		i;

		if (token == WJB_KEY)
			key = pnstrdup(value.val.string.val, value.val.string.len);
		if (token != WJB_VALUE)
			continue;

		for (i = 0; i < lengthof(line_keys); i++)
			if (strcmp(line_keys[i].key, key) == 0)
				break;
		if (i == lengthof(line_keys))
			line_error(n, key, "is not a known key",
					   "A line has seller_id, amount or unit_price, quantity, product_id and name.");
		if (value.type == jbvNull)
			continue;
		if (value.type != line_keys[i].type)
			line_error(n, key, psprintf("is not %s", line_keys[i].type_name),
					   NULL);

		*(JsonbValue **) ((char *) fields + line_keys[i].offset) =
			memcpy(palloc(sizeof(JsonbValue)), &value, sizeof(JsonbValue));
	}
}

/* A positive whole number, at most max. */
static int64
read_integer(JsonbValue *value, int64 max, int n, const char *key)
{
	Datum		numeric = NumericGetDatum(value->val.numeric);
	char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out,
														   numeric));
	char	   *end;
	int64		number;

	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno != 0 || *end != '\0' || number < 1 || number > max)
		line_error(n, key, "is not a whole number in range",
				   psprintf("Give a whole number from 1 to " INT64_FORMAT ".",
							max));
	return number;
}

static char *
read_text(JsonbValue *value, int n, const char *key)
{
	if (value == NULL)
		return NULL;
	if (value->val.string.len < 1 || value->val.string.len > MAX_TEXT)
		line_error(n, key, "is empty or too long",
				   psprintf("Give 1 to %d bytes, or leave it out.", MAX_TEXT));
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* amount as given, or unit_price times quantity */
static int64
read_price(const LineFields *fields, int n, const PayOrder *order,
		   int32 quantity)
{
	JsonbValue *given = fields->amount ? fields->amount : fields->unit_price;
	int64		price;

	if (given == NULL || (fields->amount && fields->unit_price))
		line_error(n, "amount",
				   given ? "and unit_price are both given" : "is missing",
				   "Give amount for the whole line, or unit_price and quantity.");
	price = pay_amount_from_caller(NumericGetDatum(given->val.numeric),
								   order->minor_units, order->currency,
								   psprintf("line %d: %s", n,
											fields->amount ? "amount" :
											"unit_price"));
	if (fields->unit_price && !pay_money_multiply(price, quantity, &price))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("line %d: unit_price times quantity is too large", n),
				 errhint("Amounts are below 10^15.")));
	return price;
}

static void
line_error(int n, const char *key, const char *problem, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("line %d: %s %s", n, key, problem),
			 hint ? errhint("%s", hint) : 0));
}

/*
 * list_fuzz.c
 *		Any bytes as a page of Toss's list: no crash, and nothing in a row that
 *		could not be stored, shown or sent back.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "money.h"
#include "toss.h"
#include "toss_list.h"

static void
must(bool condition)
{
	if (!condition)
		abort();
}

static void
check_text(const char *text, size_t max)
{
	if (text == NULL)
		return;
	must(strlen(text) >= 1 && strlen(text) <= max);
	for (const char *p = text; *p; p++)
		must(*p > ' ' && *p <= '~');
}

static void
check_row(const PayTossRow *row)
{
	PayTossListRequest request = {.rows = 1,.from_us = INT64_C(1795310162000000),
		.to_us = INT64_C(1795310162000000),.after = row->transaction_key};
	char		path[400];

	check_text(row->transaction_key, 64);
	check_text(row->payment_key, 200);
	check_text(row->order_id, 64);
	check_text(row->status, 40);
	check_text(row->currency, 4);
	must(row->amount >= 0 && row->amount < PAY_AMOUNT_LIMIT * PAY_MILLS_PER_UNIT);
	if (row->transaction_key != NULL)
		must(pay_toss_list_path(&request, path, sizeof(path)) > 0);
	if (row->problem == NULL)
		must(row->transaction_key != NULL && row->order_id != NULL &&
			 row->status != NULL && row->currency != NULL &&
			 row->has_amount && row->has_time &&
			 pay_toss_valid_payment_key(row->payment_key));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	PayTossList list;
	char	   *copy = malloc(size > 0 ? size : 1);

	/* a copy of its own, so that reading beyond the end is seen */
	memcpy(copy, data, size);
	pay_toss_list_read(copy, size, &list);
	free(copy);
	must((list.verdict == PAY_TOSS_LIST_GARBAGE) == (list.reason != NULL));
	must((list.verdict == PAY_TOSS_LIST_ERROR) == (list.code != NULL));
	must(list.n == 0 || list.verdict == PAY_TOSS_LIST_ROWS);
	for (int i = 0; i < list.n; i++)
		check_row(&list.rows[i]);
	memory_reset();
	return 0;
}

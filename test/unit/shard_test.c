/*
 * shard_test.c
 *		Which worker looks after an order: one of them, and no other.
 */
#include "postgres_fe.h"

#include "shard.h"
#include "tap.h"

#define ORDERS	20000

int
main(void)
{
	char		order_id[64];

	/* what pg_catalog.hashtext says of these, without a sign */
	ok(pay_shard_hash("") == 2817148525U &&
	   pay_shard_hash("order-1") == 2497279691U, "the hash is the server's");

	for (int of = 1; of <= 8; of++)
	{
		int			counts[8] = {0};

		for (int i = 0; i < ORDERS; i++)
		{
			int			owners = 0;

			snprintf(order_id, sizeof(order_id), "order-%d", i);
			for (int number = 0; number < of; number++)
			{
				PayShard	shard = {number, of};

				if (!pay_shard_has(shard, pay_shard_hash(order_id)))
					continue;
				owners++;
				counts[number]++;
			}
			tap_check(owners == 1, "%s has %d of %d", order_id, owners, of);
		}
		for (int number = 0; number < of; number++)
			tap_check(counts[number] > ORDERS / of * 9 / 10 &&
					  counts[number] < ORDERS / of * 11 / 10,
					  "shard %d of %d has %d", number, of, counts[number]);
	}
	tap_checked("an order has one worker, and workers have as many orders");

	for (int of = 1; of <= 8; of++)
		for (int whole = 1; whole <= 1000; whole++)
		{
			int			sum = 0;

			for (int number = 0; number < of; number++)
			{
				PayShard	shard = {number, of};
				int			share = pay_shard_share(shard, whole);

				tap_check(share >= 1, "%d of %d of %d", number, of, whole);
				sum += share;
			}
			tap_check(sum == (whole > of ? whole : of), "%d of %d", of, whole);
		}
	tap_checked("shares add up, and each is one at least");
	return tap_end();
}

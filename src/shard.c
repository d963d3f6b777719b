/*
 * shard.c
 *		Which of a database's workers looks after an order.
 *
 * The hash is the server's own, which works in a program as well: it is what
 * pg_catalog.hashtext says of a text with a deterministic collation.
 * test/unit/shard_test.c, test/t/058_shards.pl
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "common/hashfn.h"
#include "shard.h"

uint32_t
pay_shard_hash(const char *order_id)
{
	return hash_bytes((const unsigned char *) order_id,
					  (int) strlen(order_id));
}

/* Without the highest bit, which would be a sign in SQL. */
bool
pay_shard_has(PayShard shard, uint32_t hash)
{
	return (hash & INT32_MAX) % (uint32_t) shard.of ==
		(uint32_t) shard.number;
}

/* Shares add up to the whole, unless there is less than one for each. */
int
pay_shard_share(PayShard shard, int whole)
{
	int			share = whole / shard.of +
	(shard.number < whole % shard.of ? 1 : 0);

	return share > 0 ? share : 1;
}

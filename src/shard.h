/*
 * shard.h
 *		Which of a database's workers looks after an order.
 *
 * The workers of a database divide its calls by a hash of the order's id, so
 * that all calls of an order have the same worker.  What the hash is matters to
 * nobody as long as the server runs: it is stored nowhere.  SQL calculates the
 * same with PAY_SHARD_HAS of psp_call.h.
 */
#ifndef PAY_SHARD_H
#define PAY_SHARD_H

#include <stdbool.h>
#include <stdint.h>

/* A worker's part: number is 0 to of - 1. */
typedef struct PayShard
{
	int			number;
	int			of;
} PayShard;

extern uint32_t pay_shard_hash(const char *order_id);
extern bool pay_shard_has(PayShard shard, uint32_t hash);

/* What a worker may have of something that there is for all of them: some. */
extern int	pay_shard_share(PayShard shard, int whole);

#endif							/* PAY_SHARD_H */

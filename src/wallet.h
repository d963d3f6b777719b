/*
 * wallet.h
 *		Sellers' wallets and their journal; wallet.c is their only writer.
 */
#ifndef PAY_WALLET_H
#define PAY_WALLET_H

#include "postgres.h"

#include "utils/timestamp.h"

typedef struct PayWalletChange
{
	int64		seller_id;
	const char *currency;
	const char *kind;			/* "sale", "commission", "refund" ... */
	int64		amount;			/* mills; positive to the seller; 0: only
								 * pending changes */
	const char *order_id;
	int64		payment_order_id;
	int64		refund_id;		/* 0: none */
	int64		pending;		/* mills; how much more is reserved */
	bool		is_fact;		/* it happened: the wallet may owe from then
								 * on */
	int32		deposit_no;		/* movement of an account behind its first; 0:
								 * none */
} PayWalletChange;

/*
 * Apply changes, netted per wallet, wallets locked in the order of (seller,
 * currency) and opened on first use.  Needs pay_db_connect.
 */
extern void pay_wallet_apply(const PayWalletChange *changes, int n,
							 TimestampTz now);

#endif							/* PAY_WALLET_H */

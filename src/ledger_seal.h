/*
 * ledger_seal.h
 *		Seals: what one says, and how its digest is computed.
 */
#ifndef PAY_LEDGER_SEAL_H
#define PAY_LEDGER_SEAL_H

#include "postgres.h"

#include "utils/timestamp.h"

#include "ledger_seal_account.h"

typedef struct PayLedgerSeal
{
	int64		no;				/* from 1 */
	int64		after_id;		/* where the one before it ends */
	int64		upto_id;
	int64		transactions;
	int64		entries;
	TimestampTz sealed_at;
	char	   *digest;			/* in hexadecimal digits */
} PayLedgerSeal;

/*
 * Read what a seal covers, and set how much it is and the digest of it, in the
 * current memory context.  before is the digest of the seal before it, NULL for
 * the first.  accounts keeps those that were read, for the next seal.  fresh: the
 * rows as they are now; otherwise as the caller's snapshot shows them.  Needs
 * pay_db_connect.
 */
extern void pay_ledger_seal_compute(PayLedgerSeal *seal, const char *before,
									PaySealAccounts *accounts,
									bool fresh);

#endif							/* PAY_LEDGER_SEAL_H */

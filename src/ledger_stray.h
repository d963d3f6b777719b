/*
 * ledger_stray.h
 *		Strays: what is effective long before or after its neighbours.
 *
 * A stray is a ledger transaction of an account that a row of the tree
 * (ledger_snapshot.h) leaves out of its amount and of its range of effective
 * times.  The strays of a row, of whatever level, are its run.
 */
#ifndef PAY_LEDGER_STRAY_H
#define PAY_LEDGER_STRAY_H

#include "postgres.h"

#include "utils/timestamp.h"

#include "ledger_snapshot.h"

/*
 * A row with more strays than this has no run; they are looked for in the rows
 * below it.  It bounds what writing one takes.
 */
#define PAY_STRAY_MAX_RUN	32768

/*
 * Which of these times, of neighbours in the order of their ids, belong to
 * strays.  At most PAY_SNAPSHOT_FANOUT of them.
 */
extern void pay_ledger_stray_mark(const TimestampTz *at, int n, bool *strays);

/*
 * Write runs: those of level 1 from n strays, columns of values of which each
 * has its row's account and ordinal; those of a higher level, for n rows, from
 * the runs of the rows below.
 */
extern void pay_ledger_stray_insert(int n, Datum *account_ids,
									Datum *ordinals, Datum *ids,
									Datum *effective_ats, Datum *amounts);
extern void pay_ledger_stray_merge(int level, int n, Datum *account_ids,
								   Datum *ordinals);

/*
 * The sum of ranges and the runs that go with it, numeric, where the part has no
 * beginning on the effective clock.
 */
extern Datum pay_ledger_stray_sum(const PayLedgerPart *part,
								  const PayLedgerRanges *ranges);

/* Turn the runs into ranges of ids: one for each stray of the part. */
extern void pay_ledger_stray_find(const PayLedgerPart *part,
								  PayLedgerRanges *ranges);

#endif							/* PAY_LEDGER_STRAY_H */

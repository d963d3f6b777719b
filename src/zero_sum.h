/*
 * zero_sum.h
 *		Do entries add up to zero in every currency?
 *
 * The arithmetic that the posting function and the zero-sum trigger share.
 * Sums cannot overflow: 32767 amounts below 10^18 mills fit into 128 bits with
 * room to spare.
 */
#ifndef PAY_ZERO_SUM_H
#define PAY_ZERO_SUM_H

#include "postgres.h"

/* So many currencies need no memory of their own. */
#define PAY_ZERO_SUM_USUAL 8

/* A currency's three letters as a number; 0 when it is not three letters. */
typedef uint32 PayCurrencyCode;

typedef struct PayZeroSumCurrency
{
	PayCurrencyCode code;
	int128		sum;			/* mills */
} PayZeroSumCurrency;

typedef struct PayZeroSum
{
	int			n;
	int			room;
	int			last;			/* the one that was added to last */
	PayZeroSumCurrency *currencies;
	PayZeroSumCurrency usual[PAY_ZERO_SUM_USUAL];
} PayZeroSum;

extern PayCurrencyCode pay_zero_sum_pack(const char *currency);

extern void pay_zero_sum_begin(PayZeroSum *zero_sum);

/* May allocate, in the current memory context. */
extern void pay_zero_sum_add(PayZeroSum *zero_sum, PayCurrencyCode currency,
							 int64 amount);

/*
 * NULL when every currency adds up to zero; else what is left, for people, as
 * palloc'ed text: "500 KRW, -1.25 USD".  Of very many, the first.
 */
extern char *pay_zero_sum_residual(const PayZeroSum *zero_sum);

/* For ereport: the constraint that was violated. */
extern int	pay_zero_sum_errconstraint(void);

#endif							/* PAY_ZERO_SUM_H */

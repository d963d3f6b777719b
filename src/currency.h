/*
 * currency.h
 *		How fine an amount of a currency may be.
 */
#ifndef PAY_CURRENCY_H
#define PAY_CURRENCY_H

#include "postgres.h"

/*
 * Digits after the point of a currency.  The first raises 22023 when it is not
 * one of ours, the second returns -1.  Both need pay_db_connect.
 */
extern int	pay_currency_minor_units(const char *currency);
extern int	pay_currency_find(const char *currency);

#endif							/* PAY_CURRENCY_H */

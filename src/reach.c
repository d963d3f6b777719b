/*
 * reach.c
 *		How far a read of the queue may go, so that it does not take long.
 */
#include "reach.h"

int64_t
pay_reach_upto(const PayReach *reach, int64_t after, int64_t newest)
{
	if (reach->ids == 0 || newest - after <= reach->ids)
		return PAY_REACH_END;
	return after + reach->ids;
}

bool
pay_reach_fit(PayReach *reach, int64_t ms, int64_t passed)
{
	if (ms > PAY_REACH_MS)
	{
		reach->ids = passed / 2 > PAY_REACH_LEAST ? passed / 2 : PAY_REACH_LEAST;
		return false;
	}
	if (ms < PAY_REACH_MS / 4 && passed >= reach->ids && reach->ids != 0)
		reach->ids = reach->ids < PAY_REACH_END / 2 ? reach->ids * 2 : 0;
	return true;
}

/*-------------------------------------------------------------------------
 *
 * control.h
 *	  A call of the control interface, and who handles it.
 *
 * Every handler runs with the lock held, writes JSON to "out" and returns an
 * HTTP status.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONTROL_H
#define CONTROL_H

#include "simulator.h"

typedef struct Call
{
	struct MHD_Connection *connection;
	const char *argument;		/* the rest of the path */
	Text		body;
	JsonDoc		json;
	Text		out;
} Call;

/* control.c */
extern int	sim_control_problem(Call *call, int status, const char *code,
								const char *message);
extern int	sim_control_bad_value(Call *call, const char *name);

/* browser.c */
extern int	sim_browser_pay(Call *call);
extern int	sim_browser_create(Call *call);
extern int	sim_browser_bulk(Call *call);
extern int	sim_browser_authenticate(Call *call);
extern int	sim_browser_abandon(Call *call);
extern int	sim_browser_fail(Call *call);
extern int	sim_browser_deposit(Call *call);
extern int	sim_browser_deposit_error(Call *call);
extern int	sim_browser_approve(Call *call);
extern int	sim_browser_cancel(Call *call);
extern int	sim_browser_payment(Call *call);

/* transaction.c */
extern int	sim_transaction_add_raw(Call *call);

/* webhook.c */
extern int	sim_webhook_list(Call *call);
extern int	sim_webhook_add(Call *call);

#endif							/* CONTROL_H */

/*
 * guc.h
 *		Settings.  guc.c defines them; doc/reference.md lists them.
 */
#ifndef PAY_GUC_H
#define PAY_GUC_H

#include "postgres.h"

/* The only host that ever gets a live secret key. */
#define PAY_TOSS_LIVE_HOST	"api.tosspayments.com"

#define PAY_MAX_IN_FLIGHT	1000	/* of a database */

typedef enum PayEnvironment
{
	PAY_ENVIRONMENT_TEST,
	PAY_ENVIRONMENT_LIVE
} PayEnvironment;

extern char *pay_guc_databases; /* payments.databases */
extern char *pay_guc_toss_url;	/* payments.toss_url */
extern char *pay_guc_toss_ca_file;	/* payments.toss_ca_file */
extern char *pay_guc_secret_dir;	/* payments.secret_dir */
extern int	pay_guc_environment;	/* payments.environment */
extern bool pay_guc_test_keys_need_arming;	/* payments.test_keys_need_arming */
extern bool pay_guc_arm_on_promotion;	/* payments.arm_on_promotion */
extern int	pay_guc_workers_per_database;	/* payments.workers_per_database */
extern int	pay_guc_max_in_flight;	/* payments.max_in_flight */
extern int	pay_guc_request_timeout;	/* payments.request_timeout, ms */
extern int	pay_guc_connect_timeout;	/* payments.connect_timeout, ms */
extern int	pay_guc_shutdown_drain; /* payments.shutdown_drain, ms */
extern int	pay_guc_sweep_interval; /* payments.sweep_interval, s */
extern bool pay_guc_notify;		/* payments.notify */
extern int	pay_guc_reconcile_interval; /* payments.reconcile_interval, s */
extern int	pay_guc_reconcile_wait; /* payments.reconcile_wait, s */
extern bool pay_guc_webhook_text_key;	/* payments.webhook_text_key */
extern char *pay_guc_maintenance;	/* payments.maintenance; NULL: not
									 * preloaded */

extern void pay_guc_define(void);

#endif							/* PAY_GUC_H */

/*
 * payments.c
 *		The library: what happens when it is loaded.
 *
 * In shared_preload_libraries it also gets shared memory, starts the launcher
 * and guards the schema; without, everything but the worker, prompt wake-ups
 * and that guard works.
 * During pg_upgrade it does nothing at all: no worker may see a half-made
 * database.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "db_plan.h"
#include "fault.h"
#include "guard.h"
#include "guc.h"
#include "flow.h"
#include "flow_resume.h"
#include "launcher.h"
#include "ledger_log.h"
#include "wake.h"
#include "worker_hold.h"
#include "worker_slot.h"
#include "worker_stats.h"

#ifndef PAYMENTS_VERSION
#error "PAYMENTS_VERSION is not defined; build with the Makefile"
#endif

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(payments_version);

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	if (IsBinaryUpgrade)
		return;

	PAY_FAULT_INIT();
	pay_guc_define();
	pay_db_plan_register();
	pay_wake_register();
	pay_flow_resume_register();
	pay_ledger_log_register();

	if (process_shared_preload_libraries_in_progress)
	{
		pay_worker_slot_init();
		pay_worker_stats_init();
		pay_flow_init();
		pay_worker_hold_init();
		pay_launcher_register();
		pay_guard_install();
	}
}

/* payments.version: the library's version, which may differ from the schema's. */
Datum
payments_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(PAYMENTS_VERSION));
}

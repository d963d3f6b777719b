/*
 * worker_start.c
 *		What a worker does before its first turn.
 *
 * Connects, makes itself independent of settings that ALTER DATABASE or ALTER
 * ROLE give to every session, finds the extension, and begins an epoch: the
 * number by which its results are told from those of a worker before it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/indexing.h"
#include "catalog/pg_extension.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "clock.h"
#include "db.h"
#include "fault.h"
#include "order_history.h"
#include "psp_epoch.h"
#include "worker.h"

/*
 * How long after the start the calls are asked about that an earlier run left
 * in flight: when it died on this machine, its connections are closed, and the
 * PSP only has to finish what it had begun.
 */
#define SETTLE_LOCAL_US		(INT64_C(2) * USECS_PER_SEC)

static const struct
{
	const char *name;
	const char *value;
}			pinned[] =

{
	{"search_path", "pg_catalog, pg_temp"},
	{"default_transaction_isolation", "read committed"},
	{"default_transaction_read_only", "off"},
	{"default_transaction_deferrable", "off"},
	{"session_replication_role", "origin"},
	{"row_security", "off"},
	{"statement_timeout", "0"}, /* turns have a timeout of their own */
	{"lock_timeout", "500ms"},	/* results that have to wait are put off */
	{"idle_in_transaction_session_timeout", "0"},
	{"jit", "off"},
	{"enable_seqscan", "off"},	/* plans made while tables were small */
	{"DateStyle", "ISO, YMD"},
	{"IntervalStyle", "postgres"},
	{"TimeZone", "UTC"},
	{"extra_float_digits", "1"},
#ifdef PAY_HAS_TRANSACTION_TIMEOUT
	{"transaction_timeout", "0"},
#endif
	{"debug_print_parse", "off"},	/* these would show parameters in the log */
	{"debug_print_rewritten", "off"},
	{"debug_print_plan", "off"},
};

static emit_log_hook_type next_log_hook = NULL;
static PayWorker *connecting = NULL;

static void connect_to_database(PayWorker *worker);
static void note_refusal(ErrorData *error);
static bool find_extension(Oid *oid, char *version, size_t size);
pg_noreturn static void give_up(PayWorker *worker);

/*
 * Connect to the database of the slot, as the bootstrap superuser.  A database
 * that is not there, or not to be connected to, ends the process.
 */
void
pay_worker_connect(PayWorker *worker)
{
	bool		usable;

	connect_to_database(worker);
	pay_worker_pin_settings(worker);
	pay_order_actor = "payments worker";

	/* Whoever creates the extension or queues a call after this look knocks. */
	pay_worker_slot_connected(worker->slot_no, MyDatabaseId);
	StartTransactionCommand();
	usable = pay_worker_check_extension(worker);
	CommitTransactionCommand();
	if (!usable)
		give_up(worker);
}

/*
 * The server ends the process when it does not let us in, so the reason has to
 * be taken from its message.  Who changes the whole database may keep us
 * waiting for as long as that takes: SIGTERM ends this wait, too.
 */
static void
connect_to_database(PayWorker *worker)
{
	pay_worker_slot_report(worker->slot_no, PAY_WORKER_STARTING, NULL);
	connecting = worker;
	next_log_hook = emit_log_hook;
	emit_log_hook = note_refusal;
	pay_worker_is_committing = true;
	if (ShutdownRequestPending)
		proc_exit(1);
	BackgroundWorkerInitializeConnection(worker->slot->database, NULL, 0);
	pay_worker_is_committing = false;
	emit_log_hook = next_log_hook;
	connecting = NULL;
}

/* Not the message itself: its encoding need not be that of who reads it. */
static void
note_refusal(ErrorData *error)
{
	char		reason[PAY_REASON_SIZE];

	if (error->elevel >= ERROR)
	{
		switch (error->sqlerrcode)
		{
			case ERRCODE_UNDEFINED_DATABASE:
				strlcpy(reason, "the database does not exist", sizeof(reason));
				break;
			case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
				strlcpy(reason, "the database does not accept connections",
						sizeof(reason));
				break;
			case ERRCODE_ADMIN_SHUTDOWN:
				strlcpy(reason, "was told to stop", sizeof(reason));
				break;
			default:
				snprintf(reason, sizeof(reason),
						 "could not connect to the database: SQLSTATE %s, see the server's log",
						 unpack_sql_state(error->sqlerrcode));
				break;
		}
		pay_worker_slot_report(connecting->slot_no, PAY_WORKER_STARTING,
							   reason);
	}
	if (next_log_hook != NULL)
		next_log_hook(error);
}

/*
 * ALTER DATABASE and ALTER ROLE reach background workers too.  Settings that
 * could change what a turn does are pinned; the guarantee that nothing is sent
 * before it is durable needs synchronous_commit.
 */
void
pay_worker_pin_settings(const PayWorker *worker)
{
	char		name[NAMEDATALEN] = "payments worker";

	if (worker->shard.of > 1)
		snprintf(name, sizeof(name), "payments worker, shard %d of %d",
				 worker->shard.number, worker->shard.of);
	SetConfigOption("application_name", name, PGC_SUSET, PGC_S_OVERRIDE);
	for (int i = 0; i < lengthof(pinned); i++)
		SetConfigOption(pinned[i].name, pinned[i].value,
						PGC_SUSET, PGC_S_OVERRIDE);
	if (synchronous_commit < SYNCHRONOUS_COMMIT_ON)
		SetConfigOption("synchronous_commit", "on",
						PGC_SUSET, PGC_S_OVERRIDE);
}

/*
 * Is the extension there, still the one we know, and of the library's version?
 * Locks it until the end of the transaction, so that it cannot be dropped
 * meanwhile.  False, with worker->gone set, when the worker has to end.
 */
bool
pay_worker_check_extension(PayWorker *worker)
{
	char		version[64];
	Oid			oid;

	if (OidIsValid(worker->extension))
		LockDatabaseObject(ExtensionRelationId, worker->extension, 0,
						   AccessShareLock);
	if (!find_extension(&oid, version, sizeof(version)))
		strlcpy(worker->gone, "the database does not have the extension",
				sizeof(worker->gone));
	else if (OidIsValid(worker->extension) && oid != worker->extension)
		strlcpy(worker->gone, "the extension was created anew",
				sizeof(worker->gone));
	else if (strcmp(version, PAYMENTS_VERSION) != 0)
		snprintf(worker->gone, sizeof(worker->gone),
				 "the extension has version %s, the library %s: update the one, or restart the server for the other",
				 version, PAYMENTS_VERSION);
	else
		worker->extension = oid;
	return worker->gone[0] == '\0';
}

static bool
find_extension(Oid *oid, char *version, size_t size)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber,
				F_NAMEEQ, CStringGetDatum("payments"));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		is_null;
		Datum		datum = heap_getattr(tuple, Anum_pg_extension_extversion,
										 RelationGetDescr(rel), &is_null);

		*oid = ((Form_pg_extension) GETSTRUCT(tuple))->oid;
		version[0] = '\0';
		if (!is_null)
			text_to_cstring_buffer(DatumGetTextPP(datum), version, size);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return HeapTupleIsValid(tuple);
}

/* The launcher tries again; the reason stays in the slot.  No cause for noise. */
static void
give_up(PayWorker *worker)
{
	pay_worker_slot_report(worker->slot_no, PAY_WORKER_STARTING, worker->gone);
	proc_exit(0);
}

/*
 * Begin a run.  What earlier runs left in flight is asked about after a while:
 * soon when they died on this machine; only when their requests must have ended
 * if they may have run on another, which may be alive.
 */
void
pay_worker_begin_epoch(PayWorker *worker)
{
	TimestampTz now;
	int64		settle_us;
	int			orphans;

	/*
	 * A lock of somebody else's ends this run with an error after
	 * lock_timeout, and SIGTERM ends any wait: nothing is in flight yet.
	 */
	pay_worker_is_committing = true;
	pay_worker_may_cancel = true;
	if (ShutdownRequestPending)
		proc_exit(1);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	pgstat_report_activity(STATE_RUNNING, "payments: begin a run");
	/* an epoch matters on this machine only: wait for no standby */
	(void) set_config_option("synchronous_commit", "local", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	pay_worker_clock_start(worker);
	now = GetCurrentTimestamp();
	orphans = pay_worker_adopt(worker, now, &settle_us);
	pay_worker_arming_start(worker, now + settle_us);
	worker->epoch = pay_psp_epoch_draw(worker->shard, now);
	PAY_FAULT("epoch-drawn");
	pay_worker_reconcile_start(worker, now + settle_us);
	pay_worker_books_start(worker);
	PopActiveSnapshot();
	pay_worker_may_cancel = false;
	CommitTransactionCommand();
	pay_worker_is_committing = false;
	if (ProcDiePending)
		proc_exit(1);			/* told to stop while it waited for a standby */
	pgstat_report_activity(STATE_IDLE, NULL);
	PAY_FAULT("epoch-begun");

	pay_worker_slot_began(worker->slot_no, worker->epoch, worker->extension);
	ereport(LOG,
			(errmsg("%s has started: run " INT64_FORMAT ", calls left in flight: %d",
					worker->name, worker->epoch, orphans),
			 errhidestmt(true)));
}

/*
 * Take over what runs that are over have left in flight of this shard, in a
 * transaction; says how many calls, and after what time they are asked about.
 * They may belong to another server when this one started as a standby or from a
 * backup and no worker has run in this slot since, or when their run was noted
 * under another system identifier (a dump and restore).
 */
int
pay_worker_adopt(PayWorker *worker, TimestampTz now, int64 *settle_us)
{
	int64	   *epochs;
	bool		foreign;
	int			n = pay_psp_epoch_orphans(worker->shard, &epochs, &foreign);

	foreign |= pay_worker_shared->was_standby && !worker->slot->began_epoch;
	*settle_us = foreign ? pay_guc_request_timeout * INT64_C(1000) :
		SETTLE_LOCAL_US;
	return pay_psp_epoch_adopt(worker->shard, epochs, n, now + *settle_us);
}

/*
 * restore.c
 *		Is a dump being restored into this database?
 *
 * A worker must not begin in the middle of it: its rows would take the numbers
 * of rows that are still to come, whose COPY then fails, and it would judge calls
 * whose attempts are not there yet.  Nobody says that a restore is going on, nor
 * that it is over.  But an extension without rows needs no worker; and a dump sets
 * its sequences behind all rows, so until then there are rows whose sequence has
 * drawn none.  Those of a node of several may have come from another node
 * (payments.set_node gives its sequences steps): there, that says nothing.
 * test/t/077_restore_served.pl
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "db.h"
#include "restore.h"

static bool has_rows(const char *table);

bool
pay_restore_is_to_come(void)
{
	return !has_rows("merchant") && !has_rows("ledger_account");
}

bool
pay_restore_is_unfinished(char *why, Size size)
{
	static PayStatement not_drawn_from = {
		"SELECT t.relname::pg_catalog.text"
		" FROM pg_catalog.pg_class s"
		" JOIN pg_catalog.pg_sequence q ON q.seqrelid OPERATOR(pg_catalog.=) s.oid"
		" JOIN pg_catalog.pg_class t ON t.relnamespace OPERATOR(pg_catalog.=) s.relnamespace"
		" AND s.relname OPERATOR(pg_catalog.=) (t.relname::pg_catalog.text OPERATOR(pg_catalog.||) '_id_seq')::pg_catalog.name"
		" WHERE s.relnamespace OPERATOR(pg_catalog.=) 'payments'::pg_catalog.regnamespace"
		" AND q.seqincrement OPERATOR(pg_catalog.=) 1"
		/* the plan may ask of what is none, before it joins */
		" AND CASE WHEN s.relkind OPERATOR(pg_catalog.=) 'S'"
		" THEN pg_catalog.pg_sequence_last_value(s.oid) IS NULL ELSE false END"
		" ORDER BY 1", 0
	};
	char	  **tables;
	uint64		n;

	why[0] = '\0';
	pay_db_connect();
	n = pay_db_run(&not_drawn_from, NULL, NULL);
	tables = palloc(sizeof(char *) * n);
	for (uint64 i = 0; i < n; i++)
		tables[i] = pay_db_text(i, 1);
	for (uint64 i = 0; i < n && why[0] == '\0'; i++)
	{
		if (has_rows(tables[i]))
			snprintf(why, size,
					 "a dump is being restored: table %s has rows, but its sequence is not set",
					 tables[i]);
	}
	pay_db_finish();
	return why[0] != '\0';
}

/* Any row that is visible now */
static bool
has_rows(const char *table)
{
	Oid			schema = get_namespace_oid("payments", false);
	Relation	relation = table_open(get_relname_relid(table, schema),
									  AccessShareLock);
	TableScanDesc scan = table_beginscan(relation, GetActiveSnapshot(), 0,
										 NULL);
	TupleTableSlot *row = table_slot_create(relation, NULL);
	bool		found = table_scan_getnextslot(scan, ForwardScanDirection, row);

	ExecDropSingleTupleTableSlot(row);
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	return found;
}

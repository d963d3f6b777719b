/*
 * compat.h
 *		What differs between the server's versions.
 *
 * The only file with PG_VERSION_NUM.  It gives older servers the newer names
 * or, where neither side's form can be had on the other, a name of ours.
 * Include it after postgres.h or postgres_fe.h.
 */
#ifndef PAY_COMPAT_H
#define PAY_COMPAT_H

#ifndef FRONTEND
#include "access/tableam.h"
#endif
#include "common/jsonapi.h"
#include "mb/pg_wchar.h"

/*
 * The JSON parser's actions return an error code since 16, and nothing before.
 * An action is declared with PAY_JSON_ACTION and ends with
 * "return PAY_JSON_CONTINUE;", which is a plain return where it must be.
 */
#if PG_VERSION_NUM >= 160000
#define PAY_JSON_ACTION		JsonParseErrorType
#define PAY_JSON_CONTINUE	JSON_SUCCESS
#else
#define PAY_JSON_ACTION		void
#define PAY_JSON_CONTINUE
#endif

/* A lexer over UTF-8 text that hands out strings with escapes resolved. */
#if PG_VERSION_NUM >= 170000
#define pay_json_lexer(json, len) \
	makeJsonLexContextCstringLen(NULL, json, len, PG_UTF8, true)
#else
#define pay_json_lexer(json, len) \
	makeJsonLexContextCstringLen(json, len, PG_UTF8, true)
#endif

#ifndef FRONTEND

#include "nodes/parsenodes.h"

/* Processes are known by a number; 17 gave it a type and a variable. */
#if PG_VERSION_NUM < 170000
typedef int ProcNumber;
#define INVALID_PROC_NUMBER	(-1)
#define MyProcNumber		(MyProc->pgprocno)
#endif

/* A set of things to wait for that lives as long as the process. */
#if PG_VERSION_NUM >= 170000
#define pay_wait_event_set_create(n)	CreateWaitEventSet(NULL, n)
#else
#define pay_wait_event_set_create(n)	CreateWaitEventSet(TopMemoryContext, n)
#endif

#if PG_VERSION_NUM >= 170000
#define PAY_HAS_TRANSACTION_TIMEOUT
#endif

/* What pg_stat_activity says while we wait; names can be given since 17. */
#if PG_VERSION_NUM >= 170000
#define pay_wait_event(name)	WaitEventExtensionNew(name)
#else
#define pay_wait_event(name)	PG_WAIT_EXTENSION
#endif

/*
 * Entering a row into the indexes of its table: all of them, or those that an
 * update says.
 */
#if PG_VERSION_NUM >= 160000
typedef TU_UpdateIndexes PayUpdateIndexes;
#define PAY_INDEXES_NONE	TU_None
#define PAY_INDEXES_ALL		TU_All
#define pay_insert_index_tuples(result, row, estate, indexes) \
	((void) ExecInsertIndexTuples(result, row, estate, false, false, NULL, NIL, \
								  (indexes) == TU_Summarizing))
#else
typedef bool PayUpdateIndexes;
#define PAY_INDEXES_NONE	false
#define PAY_INDEXES_ALL		true
#define pay_insert_index_tuples(result, row, estate, indexes) \
	((void) ExecInsertIndexTuples(result, row, estate, false, false, NULL, NIL))
#endif

/* Scanning an index; 18 can count what a scan does. */
#if PG_VERSION_NUM >= 180000
#define pay_index_beginscan(table, index, snapshot, nkeys) \
	index_beginscan(table, index, snapshot, NULL, nkeys, 0)
#else
#define pay_index_beginscan(table, index, snapshot, nkeys) \
	index_beginscan(table, index, snapshot, nkeys, 0)
#endif

#if PG_VERSION_NUM < 180000
#define pg_noreturn			__attribute__((noreturn))
#endif

/*
 * What ExecutorCheckPerms_hook gets: since 16 permissions have a list of their
 * own.
 */
#if PG_VERSION_NUM >= 160000
typedef RTEPermissionInfo PayPermissions;
#define PAY_CHECK_PERMS_HOOK(name) \
	static bool name(List *relations, List *permissions, bool report)
#define PAY_CHECK_PERMS_LIST		permissions
#define PAY_CHECK_PERMS_CALL(hook)	hook(relations, permissions, report)
#else
typedef RangeTblEntry PayPermissions;
#define PAY_CHECK_PERMS_HOOK(name) \
	static bool name(List *relations, bool report)
#define PAY_CHECK_PERMS_LIST		relations
#define PAY_CHECK_PERMS_CALL(hook)	hook(relations, report)
#endif

/* Who owns an object; 16 asks for all kinds in one way. */
#if PG_VERSION_NUM >= 160000
#define pay_database_ownercheck(oid, role) \
	object_ownercheck(DatabaseRelationId, oid, role)
#define pay_extension_ownercheck(oid, role) \
	object_ownercheck(ExtensionRelationId, oid, role)
#else
#define pay_database_ownercheck(oid, role)	pg_database_ownercheck(oid, role)
#define pay_extension_ownercheck(oid, role) pg_extension_ownercheck(oid, role)
#endif

#endif							/* FRONTEND */

#endif							/* PAY_COMPAT_H */

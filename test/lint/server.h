/*
 * server.h
 *		What cppcheck has to know about the server's macros; nothing else
 *		reads this.
 *
 * The real headers take it minutes and give it wrong ideas.  The one thing it
 * must know is that an ERROR does not return.
 */
#include <stdlib.h>

#define ERROR 21
#define FATAL 22
#define PANIC 23
#define ereport(level, ...) do { if ((level) >= ERROR) abort(); } while (0)
#define elog(level, ...) do { if ((level) >= ERROR) abort(); } while (0)
#define Assert(condition) ((void) 0)
#define StaticAssertDecl(condition, message)
#define StaticAssertStmt(condition, message)
#define PG_FUNCTION_INFO_V1(function)
#define PG_MODULE_MAGIC
#define PG_USED_FOR_ASSERTS_ONLY
#define pg_attribute_noreturn() __attribute__((noreturn))
#define pg_attribute_printf(f, a)
#define pg_noreturn __attribute__((noreturn))
#define PGDLLEXPORT
#define FLEXIBLE_ARRAY_MEMBER
#define pg_unreachable() abort()

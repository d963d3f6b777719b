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

#endif							/* PAY_COMPAT_H */

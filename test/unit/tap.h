/*
 * tap.h
 *		Test Anything Protocol for the unit tests: one line per check.
 *
 * A check that is made many times (for every row, every status) is made with
 * tap_check, which prints only failures, and counted as one with tap_checked.
 */
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int	tap_run;
static int	tap_failed;
static int	tap_failed_in_group;
static int	tap_checks_in_group;

static inline void __attribute__((format(printf, 4, 5)))
tap_ok(bool passed, const char *file, int line, const char *format,...)
{
	va_list		args;

	printf("%s %d - ", passed ? "ok" : "not ok", ++tap_run);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	if (!passed)
	{
		tap_failed++;
		printf("# failed at %s:%d\n", file, line);
	}
	fflush(stdout);
}

static inline bool __attribute__((format(printf, 4, 5)))
tap_note(bool passed, const char *file, int line, const char *format,...)
{
	va_list		args;

	tap_checks_in_group++;
	if (passed)
		return true;

	/* a few examples are enough */
	if (++tap_failed_in_group <= 10)
	{
		printf("# failed at %s:%d: ", file, line);
		va_start(args, format);
		vprintf(format, args);
		va_end(args);
		printf("\n");
	}
	return false;
}

#define ok(passed, ...)			tap_ok((passed), __FILE__, __LINE__, __VA_ARGS__)
#define tap_check(passed, ...)	tap_note((passed), __FILE__, __LINE__, __VA_ARGS__)

/* Ends a group: it passes if something was checked and nothing failed. */
#define tap_checked(what) \
	do { \
		ok(tap_failed_in_group == 0 && tap_checks_in_group > 0, \
		   "%s (%d checks, %d failed)", what, tap_checks_in_group, \
		   tap_failed_in_group); \
		tap_failed_in_group = tap_checks_in_group = 0; \
	} while (0)

static inline bool
same_text(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

/* The last statement of main: the plan, and the exit status. */
static inline int
tap_end(void)
{
	printf("1..%d\n", tap_run);
	return tap_failed == 0 && tap_run > 0 ? 0 : 1;
}

#endif							/* TAP_H */

/*
 * toss_time_test.c
 *		Times in Toss's bodies: what is read, to the microsecond, and what is
 *		refused.  The expected values come from libc.
 */
#include <stdlib.h>
#include <time.h>

#include "tap.h"
#include "toss_time.h"

static const struct
{
	const char *text;
	const char *utc;			/* for timegm */
	int			us;
}			times[] =
{
	{"2026-11-22T10:16:02+09:00", "2026-11-22 01:16:02", 0},
	{"2026-11-22T10:16:02+0900", "2026-11-22 01:16:02", 0},
	{"2026-11-22T01:16:02Z", "2026-11-22 01:16:02", 0},
	{"2026-11-22T10:16:02", "2026-11-22 01:16:02", 0},
	{"2026-11-22T10:16:02.104882", "2026-11-22 01:16:02", 104882},
	{"2026-11-22T10:16:02.10488", "2026-11-22 01:16:02", 104880},
	{"2026-11-22T10:16:02.123456789+09:00", "2026-11-22 01:16:02", 123456},
	{"2026-11-21T20:16:02-05:00", "2026-11-22 01:16:02", 0},
	{"2024-02-29T23:59:59Z", "2024-02-29 23:59:59", 0},
	{"2000-03-01T00:00:00+09:00", "2000-02-29 15:00:00", 0},
	{"2999-12-31T23:59:59Z", "2999-12-31 23:59:59", 0},
};

static const char *const refused[] = {
	"", "x", "2026-11-22", "2026-11-22 10:16:02+09:00", "2026-11-22T10:16",
	"2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-02-29T00:00:00Z",
	"2100-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-11-00T00:00:00Z",
	"2026-11-22T24:00:00Z", "2026-11-22T10:60:00Z", "2026-11-22T10:16:60Z",
	"2026-11-22T10:16:02.", "2026-11-22T10:16:02.1234567890Z",
	"2026-11-22T10:16:02+9:00", "2026-11-22T10:16:02+16:00",
	"2026-11-22T10:16:02+09:60", "2026-11-22T10:16:02ZZ",
	"2026-11-22T10:16:02 Z", "1999-12-31T23:59:59Z", "26-11-22T10:16:02Z",
	" 2026-11-22T10:16:02Z", "2026-11-22T10:16:02+", "+026-11-22T10:16:02Z",
};

static int64_t
expected(const char *utc, int us)
{
	struct tm	tm = {0};

	sscanf(utc, "%d-%d-%d %d:%d:%d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		   &tm.tm_hour, &tm.tm_min, &tm.tm_sec);
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	return (int64_t) timegm(&tm) * 1000000 + us;
}

int
main(void)
{
	/* before 2000 and from 3000 on, in Korea; and what no clock says */
	static const int64_t not_written[] = {
		INT64_C(946652399999999), INT64_C(32503647600000000), 0, -1,
		INT64_MIN, INT64_MAX
	};
	char		written[PAY_TOSS_TIME_SIZE];
	int64_t		again = 0;
	int64_t		us = 0;

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		tap_check(pay_toss_time_read(times[i].text, &us) &&
				  us == expected(times[i].utc, times[i].us), "%s", times[i].text);
	tap_checked("times are read");

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		tap_check(!pay_toss_time_read(refused[i], &us), "%s", refused[i]);
	tap_check(!pay_toss_time_read(NULL, &us), "NULL");
	tap_checked("anything else is refused");

	/* every day from 2000 to 2199 */
	for (int64_t day = 10957; day < 84006; day++)
	{
		time_t		seconds = day * 86400;
		struct tm	tm;
		char		text[32];

		gmtime_r(&seconds, &tm);
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
		tap_check(pay_toss_time_read(text, &us) && us == day * 86400 * 1000000,
				  "%s", text);
		tap_check(pay_toss_time_write(us + 999999, written) &&
				  pay_toss_time_read(written, &again) && again == us,
				  "%s is written as %s", text, written);
	}
	tap_checked("every day of two centuries, read and written");

	tap_check(pay_toss_time_write(INT64_C(1795402562000000), written) &&
			  strcmp(written, "2026-11-23T11:56:02") == 0, "%s", written);
	for (size_t i = 0; i < sizeof(not_written) / sizeof(not_written[0]); i++)
		tap_check(!pay_toss_time_write(not_written[i], written) &&
				  written[0] == '\0', "%lld", (long long) not_written[i]);
	tap_checked("written in Korean time, or not at all");

	return tap_end();
}

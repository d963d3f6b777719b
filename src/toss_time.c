/*
 * toss_time.c
 *		Times in Toss's bodies.
 */
#include <stddef.h>

#include "toss_time.h"

#define US_PER_SECOND	INT64_C(1000000)
#define KOREA_OFFSET_S	(9 * 3600)

/* Exactly n digits, as a number in [min, max]; moves *text past them. */
static bool
read_number(const char **text, int n, int min, int max, int *value)
{
	*value = 0;
	for (int i = 0; i < n; i++, (*text)++)
	{
		if (**text < '0' || **text > '9')
			return false;
		*value = *value * 10 + (**text - '0');
	}
	return *value >= min && *value <= max;
}

static bool
read_character(const char **text, char wanted)
{
	if (**text != wanted)
		return false;
	(*text)++;
	return true;
}

static int
days_in_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool		leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

/* Days from 1970-01-01, by counting in years that begin in March. */
static int64_t
days_from_epoch(int year, int month, int day)
{
	int64_t		y = month <= 2 ? year - 1 : year;
	int64_t		day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return y * 365 + y / 4 - y / 100 + y / 400 + day_of_year - 719468;
}

/* ".123", up to nine digits; what is finer than a microsecond is cut off. */
static bool
read_fraction(const char **text, int64_t *us)
{
	int64_t		unit = US_PER_SECOND / 10;
	int			digits = 0;

	*us = 0;
	if (!read_character(text, '.'))
		return true;
	for (; **text >= '0' && **text <= '9'; (*text)++, digits++)
	{
		*us += (**text - '0') * unit;
		unit /= 10;
	}
	return digits >= 1 && digits <= 9;
}

static bool
read_offset(const char **text, int *seconds)
{
	int			sign = **text == '-' ? -1 : 1;
	int			hours;
	int			minutes;

	*seconds = KOREA_OFFSET_S;
	if (**text == '\0')
		return true;
	*seconds = 0;
	if (read_character(text, 'Z'))
		return true;
	if (!read_character(text, '+') && !read_character(text, '-'))
		return false;
	if (!read_number(text, 2, 0, 15, &hours))
		return false;
	(void) read_character(text, ':');
	if (!read_number(text, 2, 0, 59, &minutes))
		return false;
	*seconds = sign * (hours * 3600 + minutes * 60);
	return true;
}

bool
pay_toss_time_read(const char *text, int64_t *unix_us)
{
	int			year;
	int			month;
	int			day;
	int			hour;
	int			minute;
	int			second;
	int			offset;
	int64_t		fraction;

	if (text == NULL ||
		!read_number(&text, 4, 2000, 2999, &year) ||
		!read_character(&text, '-') ||
		!read_number(&text, 2, 1, 12, &month) ||
		!read_character(&text, '-') ||
		!read_number(&text, 2, 1, days_in_month(year, month), &day) ||
		!read_character(&text, 'T') ||
		!read_number(&text, 2, 0, 23, &hour) ||
		!read_character(&text, ':') ||
		!read_number(&text, 2, 0, 59, &minute) ||
		!read_character(&text, ':') ||
		!read_number(&text, 2, 0, 59, &second) ||
		!read_fraction(&text, &fraction) ||
		!read_offset(&text, &offset) ||
		*text != '\0')
		return false;
	*unix_us = (days_from_epoch(year, month, day) * 86400 +
				hour * 3600 + minute * 60 + second - offset) * US_PER_SECOND +
		fraction;
	return true;
}

/* Digits of a number, with leading zeros. */
static char *
write_number(char *to, int n, int64_t value)
{
	for (int i = n - 1; i >= 0; i--, value /= 10)
		to[i] = '0' + value % 10;
	return to + n;
}

bool
pay_toss_time_write(int64_t unix_us, char buf[PAY_TOSS_TIME_SIZE])
{
	int64_t		first = days_from_epoch(2000, 1, 1);
	int64_t		end = days_from_epoch(3000, 1, 1);
	int64_t		seconds = unix_us / US_PER_SECOND + KOREA_OFFSET_S;
	int64_t		day = seconds / 86400;
	int			year;
	int			month = 1;
	char	   *p = buf;

	*buf = '\0';
	if (unix_us < 0 || unix_us > INT64_MAX / 2 || day < first || day >= end)
		return false;

	/* the year by an estimate that is never too late, and then by looking */
	year = 2000 + (int) ((day - first) / 366);
	while (days_from_epoch(year + 1, 1, 1) <= day)
		year++;
	day -= days_from_epoch(year, 1, 1);
	for (; day >= days_in_month(year, month); month++)
		day -= days_in_month(year, month);

	p = write_number(p, 4, year);
	*p++ = '-';
	p = write_number(p, 2, month);
	*p++ = '-';
	p = write_number(p, 2, day + 1);
	*p++ = 'T';
	p = write_number(p, 2, seconds % 86400 / 3600);
	*p++ = ':';
	p = write_number(p, 2, seconds % 3600 / 60);
	*p++ = ':';
	p = write_number(p, 2, seconds % 60);
	*p = '\0';
	return true;
}

/*-------------------------------------------------------------------------
 *
 * text.c
 *	  Growable text, and the writing of JSON.
 *
 * Answers are written by hand into one buffer: no tree is built.  Running
 * out of memory ends the process; a simulator has nothing better to do.
 *
 *-------------------------------------------------------------------------
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulator.h"

/* Allocates zeroed memory or ends the process. */
void *
sim_alloc(size_t size)
{
	void	   *memory = calloc(1, size ? size : 1);

	if (memory == NULL)
		abort();
	return memory;
}

/* Returns a NUL-terminated copy. */
char *
sim_copy(const char *text, size_t length)
{
	char	   *copy = malloc(length + 1);

	if (copy == NULL)
		abort();
	memcpy(copy, text, length);
	copy[length] = '\0';
	return copy;
}

static void
reserve(Text *text, size_t more)
{
	size_t		capacity = text->capacity ? text->capacity : 256;

	if (text->length + more + 1 <= text->capacity)
		return;
	while (capacity < text->length + more + 1)
		capacity *= 2;
	text->data = realloc(text->data, capacity);
	if (text->data == NULL)
		abort();
	text->capacity = capacity;
}

void
sim_text_add_bytes(Text *text, const void *bytes, size_t length)
{
	reserve(text, length);
	if (length > 0)
		memcpy(text->data + text->length, bytes, length);
	text->length += length;
	text->data[text->length] = '\0';
}

void
sim_text_add(Text *text, const char *string)
{
	sim_text_add_bytes(text, string, strlen(string));
}

/* n times the same */
void
sim_text_fill(Text *text, char c, size_t n)
{
	reserve(text, n);
	memset(text->data + text->length, c, n);
	text->length += n;
	text->data[text->length] = '\0';
}

/* Length of the valid UTF-8 sequence at p, 0 if there is none. */
int
sim_utf8_length(const char *p, const char *end)
{
	unsigned char c = (unsigned char) p[0];
	unsigned char second = end - p > 1 ? (unsigned char) p[1] : 0;
	int			length = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 :
	c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

	if (length == 0 || end - p < length)
		return 0;
	for (int i = 1; i < length; i++)
	{
		if (((unsigned char) p[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((c == 0xe0 && second < 0xa0) || (c == 0xed && second > 0x9f) ||
		(c == 0xf0 && second < 0x90) || (c == 0xf4 && second > 0x8f))
		return 0;
	return length;
}

/*
 * Appends a quoted JSON string, or null for NULL.  Bytes that are not UTF-8,
 * as in a damaged path, are written as if they were Latin-1.
 */
void
sim_text_add_json(Text *text, const char *string)
{
	const char *end = string + (string ? strlen(string) : 0);
	const char *run = string;
	const char *p = string;

	if (string == NULL)
	{
		sim_text_add_bytes(text, "null", 4);
		return;
	}

	sim_text_add_bytes(text, "\"", 1);
	while (p < end)
	{
		unsigned char c = (unsigned char) *p;
		int			length = c < 0x80 ? 1 : sim_utf8_length(p, end);

		if (length > 0 && c >= 0x20 && c != '"' && c != '\\')
		{
			p += length;
			continue;
		}
		sim_text_add_bytes(text, run, (size_t) (p - run));
		if (c == '"' || c == '\\')
			sim_text_format(text, "\\%c", c);
		else
			sim_text_format(text, "\\u%04x", c);
		run = ++p;
	}
	sim_text_add_bytes(text, run, (size_t) (p - run));
	sim_text_add_bytes(text, "\"", 1);
}

void
sim_text_add_int(Text *text, int64_t number)
{
	char		digits[24];
	char	   *p = digits + sizeof(digits);
	uint64_t	rest = number < 0 ? -(uint64_t) number : (uint64_t) number;

	do
	{
		*--p = (char) ('0' + rest % 10);
		rest /= 10;
	} while (rest != 0);
	if (number < 0)
		*--p = '-';
	sim_text_add_bytes(text, p, (size_t) (digits + sizeof(digits) - p));
}

/* Appends in the manner of printf; not for JSON strings. */
void
sim_text_format(Text *text, const char *format,...)
{
	va_list		args;
	int			length;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);

	reserve(text, (size_t) length);
	va_start(args, format);
	vsnprintf(text->data + text->length, (size_t) length + 1, format, args);
	va_end(args);
	text->length += (size_t) length;
}

void
sim_text_free(Text *text)
{
	free(text->data);
	memset(text, 0, sizeof(*text));
}

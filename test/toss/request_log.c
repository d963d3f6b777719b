/*-------------------------------------------------------------------------
 *
 * request_log.c
 *	  Every request received on the public port.
 *
 * A ring of the newest requests in memory, and optionally a file.  A record
 * is made when the request is complete and finished when its answer, or the
 * end of its connection, is decided; between the two it may fall out of the
 * ring, so it is found by its number and not by address.  The file has one
 * line for each finished request.
 *
 *-------------------------------------------------------------------------
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "simulator.h"

static RequestRecord *ring;
static size_t ring_size;
static int64_t last_sequence;
static int	file = -1;

/* Sets the number of requests kept; path may be NULL. */
bool
sim_request_log_open(const char *path, size_t keep)
{
	ring_size = keep ? keep : 1;
	ring = sim_alloc(ring_size * sizeof(RequestRecord));
	if (path != NULL)
		file = open(path,
					O_WRONLY | O_CREAT | O_APPEND | O_TRUNC | O_CLOEXEC, 0644);
	return path == NULL || file >= 0;
}

/*
 * Records a request; NULL when requests are not kept.  The lock must be
 * held.  The strings are method, path and key, each NUL-terminated.
 */
RequestRecord *
sim_request_log_add(const char *method, const char *path,
					const char *idempotency_key, const void *body,
					size_t length)
{
	size_t		method_length = strlen(method) + 1;
	size_t		path_length = strlen(path) + 1;
	size_t		key_length = idempotency_key ? strlen(idempotency_key) + 1 : 0;
	RequestRecord *record;

	if (!sim_settings.keep_requests)
		return NULL;
	record = &ring[++last_sequence % (int64_t) ring_size];
	free(record->strings);
	memset(record, 0, sizeof(*record));
	record->sequence = last_sequence;
	record->strings = malloc(method_length + path_length + key_length + 1);
	if (record->strings == NULL)
		abort();
	memcpy(record->strings, method, method_length);
	memcpy(record->strings + method_length, path, path_length);
	if (key_length > 0)
		memcpy(record->strings + method_length + path_length,
			   idempotency_key, key_length);
	record->strings[method_length + path_length + key_length] = '\0';
	sim_tls_sha256(length ? body : "", length, record->digest);
	return record;
}

/* The record of that number, unless it fell out of the ring. */
RequestRecord *
sim_request_log_find(int64_t sequence)
{
	RequestRecord *record;

	if (sequence == 0)
		return NULL;
	record = &ring[sequence % (int64_t) ring_size];
	return record->sequence == sequence ? record : NULL;
}

static void
write_record(Text *out, const RequestRecord *record)
{
	const char *path = record->strings + strlen(record->strings) + 1;
	const char *key = path + strlen(path) + 1;
	char		digest[65];

	for (int i = 0; i < 32; i++)
	{
		digest[2 * i] = "0123456789abcdef"[record->digest[i] >> 4];
		digest[2 * i + 1] = "0123456789abcdef"[record->digest[i] & 15];
	}
	digest[64] = '\0';

	sim_text_format(out, "{\"number\":%lld,\"timeUs\":%lld,\"answeredUs\":",
					(long long) record->sequence,
					(long long) record->received_at);
	if (record->answered_at)
		sim_text_add_int(out, record->answered_at);
	else
		sim_text_add(out, "null");
	sim_text_add(out, ",\"method\":");
	sim_text_add_json(out, record->strings);
	sim_text_add(out, ",\"path\":");
	sim_text_add_json(out, path);
	sim_text_add(out, ",\"idempotencyKey\":");
	sim_text_add_json(out, *key ? key : NULL);
	sim_text_format(out, ",\"bodySha256\":\"%s\",\"connection\":%llu,"
					"\"requestOnConnection\":%llu,\"done\":",
					digest, (unsigned long long) record->connection,
					(unsigned long long) record->request_on_connection);
	sim_text_add_json(out, record->done);
	sim_text_format(out, ",\"status\":%d,\"traceId\":\"%s\"}\n",
					record->status, record->trace);
}

/* The record is complete: append it to the file, if there is one. */
void
sim_request_log_finish(RequestRecord *record)
{
	static Text line;

	record->answered_at = sim_clock_real();
	if (file < 0)
		return;
	line.length = 0;
	write_record(&line, record);
	if (write(file, line.data, line.length) != (ssize_t) line.length)
		perror("toss-simulator: could not write the request log");
}

/* Appends the requests kept, oldest first, as JSON lines. */
void
sim_request_log_write(Text *out)
{
	int64_t		first = last_sequence - (int64_t) ring_size + 1;

	for (int64_t i = first > 1 ? first : 1; i <= last_sequence; i++)
	{
		RequestRecord *record = sim_request_log_find(i);

		if (record != NULL)
			write_record(out, record);
	}
}

/* Forgets all records; with empty_file the file loses them too. */
void
sim_request_log_reset(bool empty_file)
{
	for (size_t i = 0; i < ring_size; i++)
	{
		free(ring[i].strings);
		memset(&ring[i], 0, sizeof(ring[i]));
	}
	last_sequence = 0;
	if (empty_file && file >= 0 && ftruncate(file, 0) != 0)
		perror("toss-simulator: could not empty the request log");
}

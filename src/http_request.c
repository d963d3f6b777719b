/*
 * http_request.c
 *		Which requests may be sent at all.
 *
 * Owns the form of addresses and headers.  What is not of it is refused before
 * libcurl sees it.
 */
#include "http_exchange.h"

#include <string.h>

#define MAX_URL		2048

static bool valid_url(const char *url);
static bool valid_header(const char *line);

bool
pay_http_request_check(const PayHttpRequest *request, const char **error)
{
	*error = NULL;
	if (!valid_url(request->url))
		*error = "the URL is not a plain https URL";
	else if (request->timeout_ms <= 0)
		*error = "the request has no time limit";
	else if (request->body != NULL && request->body_len == 0)
		*error = "the request's body is empty";
	else if (request->body != NULL &&
			 request->body_len > PAY_HTTP_MAX_REQUEST)
		*error = "the request's body is too large";

	for (int i = 0; i < request->n_headers && *error == NULL; i++)
	{
		if (!valid_header(request->headers[i]))
			*error = "a header is not \"Name: value\" in printable characters";
	}
	return *error == NULL;
}

/* https, printable ASCII, and no user, password or fragment in it. */
static bool
valid_url(const char *url)
{
	static const char scheme[] = "https://";
	size_t		len = url == NULL ? 0 : strlen(url);

	if (len < sizeof(scheme) || len > MAX_URL ||
		strncmp(url, scheme, sizeof(scheme) - 1) != 0 ||
		url[sizeof(scheme) - 1] == '/')
		return false;

	for (const char *p = url; *p != '\0'; p++)
	{
		if (*p <= ' ' || *p > '~' || strchr("@#\\\"<>", *p) != NULL)
			return false;
	}
	return true;
}

/*
 * A name, a colon, a blank and a value.  A control byte would begin a header,
 * or a body, that nobody wrote; without a value libcurl takes the line for an
 * order to drop one of its own.
 */
static bool
valid_header(const char *line)
{
	size_t		name_len = line == NULL ? 0 : strcspn(line, ":");

	if (name_len == 0 || line[name_len] == '\0' ||
		line[name_len + 1] != ' ' || line[name_len + 2] == '\0')
		return false;

	for (size_t i = 0; line[i] != '\0'; i++)
	{
		unsigned char c = line[i];
		bool		is_name = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9') || c == '-' || c == '_';

		if (c < ' ' || c > '~' || (i < name_len && !is_name))
			return false;
	}
	return true;
}

/*
 * pg_net_trust.h
 *		The simulator's authority for pg_net, which trusts what its libcurl was
 *		built to trust and has no setting for it.
 *
 * Included ahead of each of its files, whose text stays as it is.
 */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include <curl/curl.h>
#pragma GCC diagnostic pop

static inline CURL *
trusting_easy_init(void)
{
	CURL	   *easy = curl_easy_init();

	if (easy)
		curl_easy_setopt(easy, CURLOPT_CAINFO, BENCH_CA_FILE);
	return easy;
}

#define curl_easy_init() trusting_easy_init()

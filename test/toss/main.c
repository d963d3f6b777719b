/*-------------------------------------------------------------------------
 *
 * main.c
 *	  The Toss simulator: options, files, start and end.
 *
 * Stands in for api.tosspayments.com.  After start the directory holds
 * ca.pem, port, control-port, pid and journal.jsonl, and last of all ready:
 * a script that waits for "ready" finds everything else in place.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <microhttpd.h>

#include "simulator.h"

#define DEFAULT_SECRET "test_gsk_simulator"
#define MAX_NAMES 16

typedef struct Options
{
	ServerOptions server;
	int			control_port;
	const char *directory;
	const char *requests_file;
	long		keep_requests;
	uint64_t	seed;
	const char *names[MAX_NAMES];
	int			name_count;
} Options;

static const struct option long_options[] = {
	{"port", required_argument, NULL, 'p'},
	{"control-port", required_argument, NULL, 'c'},
	{"dir", required_argument, NULL, 'd'},
	{"secret", required_argument, NULL, 's'},
	{"listen", required_argument, NULL, 'l'},
	{"name", required_argument, NULL, 'n'},
	{"idle", required_argument, NULL, 'i'},
	{"requests-file", required_argument, NULL, 'r'},
	{"keep-requests", required_argument, NULL, 'k'},
	{"seed", required_argument, NULL, 'e'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0}
};

static const char usage[] =
"usage: toss-simulator [options]\n"
"  --port N            HTTPS port (default 0: any free one)\n"
"  --control-port N    control port on 127.0.0.1, plain HTTP (default 0)\n"
"  --dir DIR           where ca.pem, port, control-port, pid, journal.jsonl\n"
"                      and ready are written (default .)\n"
"  --secret KEY[:MID]  secret key, repeatable (default " DEFAULT_SECRET ")\n"
"  --listen ADDRESS    address of the HTTPS port (default 127.0.0.1)\n"
"  --name NAME         one more name or address in the certificate\n"
"  --idle SECONDS      idle connections are closed (default 120)\n"
"  --requests-file F   append every request to this file\n"
"  --keep-requests N   requests kept for GET /requests (default 100000)\n"
"  --seed N            seed of everything random (default: the time)\n";

static void
die(const char *what, const char *name)
{
	fprintf(stderr, "toss-simulator: %s: %s\n", what, name);
	exit(1);
}

static long
read_number(const char *text, long least, long most)
{
	char	   *end;
	long		number;

	errno = 0;
	number = strtol(text, &end, 10);
	if (errno != 0 || *text == '\0' || *end != '\0' || number < least ||
		number > most)
		die("not a number in range", text);
	return number;
}

static void
read_options(Options *options, int argc, char **argv)
{
	int			option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
	{
		switch (option)
		{
			case 'p':
				options->server.port = (int) read_number(optarg, 0, 65535);
				break;
			case 'c':
				options->control_port = (int) read_number(optarg, 0, 65535);
				break;
			case 'd':
				options->directory = optarg;
				break;
			case 's':
				if (!sim_api_key_add(optarg))
					die("bad secret key", optarg);
				break;
			case 'l':
				options->server.listen = optarg;
				break;
			case 'n':
				if (options->name_count == MAX_NAMES)
					die("too many names", optarg);
				options->names[options->name_count++] = optarg;
				break;
			case 'i':
				options->server.idle_seconds =
					(int) read_number(optarg, 0, 86400);
				break;
			case 'r':
				options->requests_file = optarg;
				break;
			case 'k':
				options->keep_requests = read_number(optarg, 1, 100000000);
				break;
			case 'e':
				options->seed = (uint64_t) read_number(optarg, 0, LONG_MAX);
				break;
			default:
				fputs(usage, option == 'h' ? stdout : stderr);
				exit(option == 'h' ? 0 : 2);
		}
	}
	if (optind < argc)
		die("unexpected argument", argv[optind]);
}

static void
file_path(char out[PATH_MAX], const Options *options, const char *name)
{
	if (snprintf(out, PATH_MAX, "%s/%s", options->directory, name) >= PATH_MAX)
		die("path too long", options->directory);
}

/* Writes a file whole or not at all. */
static void
write_file(const Options *options, const char *name, const char *content)
{
	char		path[PATH_MAX];
	char		temporary[PATH_MAX];
	char		hidden[64];
	FILE	   *file;

	snprintf(hidden, sizeof(hidden), ".%s.new", name);
	file_path(path, options, name);
	file_path(temporary, options, hidden);
	file = fopen(temporary, "w");
	if (file == NULL || fputs(content, file) < 0 || fclose(file) != 0 ||
		rename(temporary, path) != 0)
		die(strerror(errno), path);
}

static void
write_number(const Options *options, const char *name, int number)
{
	char		text[16];

	snprintf(text, sizeof(text), "%d\n", number);
	write_file(options, name, text);
}

static void
remove_file(const Options *options, const char *name)
{
	char		path[PATH_MAX];

	file_path(path, options, name);
	unlink(path);
}

static void
open_logs(const Options *options)
{
	char		path[PATH_MAX];

	file_path(path, options, "journal.jsonl");
	if (!sim_journal_open(path))
		die(strerror(errno), path);
	if (!sim_request_log_open(options->requests_file,
							  (size_t) options->keep_requests))
		die(strerror(errno), options->requests_file);
}

static void
raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
	{
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* Starts both servers and publishes where they are. */
static void
start(Options *options, struct MHD_Daemon *daemons[2])
{
	char	   *authority;

	if (!sim_tls_make(options->names, options->name_count))
		die("could not make certificates", "GnuTLS");
	daemons[0] = sim_server_start(&options->server);
	if (daemons[0] == NULL)
		die("could not listen", options->server.listen);
	daemons[1] = sim_control_start(options->control_port);
	if (daemons[1] == NULL)
		die("could not listen", "control port");

	authority = sim_tls_authority();
	write_file(options, "ca.pem", authority);
	write_number(options, "port", sim_server_port(daemons[0]));
	write_number(options, "control-port", sim_server_port(daemons[1]));
	write_number(options, "pid", (int) getpid());
	write_file(options, "ready", "ready\n");
	printf("port %d control-port %d\n", sim_server_port(daemons[0]),
		   sim_server_port(daemons[1]));
	fflush(stdout);
	free(authority);
}

static void
stop(const Options *options, struct MHD_Daemon *daemons[2])
{
	remove_file(options, "ready");
	sim_webhook_stop();
	sim_delay_stop();
	sim_server_stop(daemons[0]);
	MHD_stop_daemon(daemons[1]);
	sim_fault_clear();
	sim_journal_reset(false);
	sim_request_log_reset(false);
	sim_idempotent_reset();
	sim_payment_reset();
	remove_file(options, "pid");
}

int
main(int argc, char **argv)
{
	Options		options = {
		.server = {.listen = "127.0.0.1",.idle_seconds = 120},
		.directory = ".",
		.keep_requests = 100000,
		.seed = (uint64_t) sim_clock_real(),
		.names = {"localhost", "127.0.0.1", "::1"},
		.name_count = 3,
	};
	struct MHD_Daemon *daemons[2];
	sigset_t	signals;
	int			received;

	read_options(&options, argc, argv);
	if (sim_api_key_default() == NULL)
		sim_api_key_add(DEFAULT_SECRET);
	sim_random_seed(options.seed);
	sim_settings_reset();
	umask(022);
	raise_file_limit();
	remove_file(&options, "ready");
	open_logs(&options);

	/* Every thread inherits the mask; only the main thread takes signals. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);

	if (!sim_delay_start() || !sim_webhook_start())
		die("could not start a thread", "timer");
	start(&options, daemons);
	sigwait(&signals, &received);
	stop(&options, daemons);
	return 0;
}

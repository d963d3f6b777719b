/*
 * guc.c
 *		Settings of the extension.
 *
 * Each is one row of define() below: name, sentence, default, bounds.  All of
 * them can be defined at any time, so that the SQL part works without the
 * library being preloaded; none but maintenance, which is there only then,
 * needs a restart of the server.  Those that
 * decide where money goes belong to the configuration file, and so to the
 * administrator of the server: a session, a role or a database cannot change
 * them, and a dump does not carry them along.
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/varlena.h"

#include "guc.h"
#include "worker_slot.h"

#define DEFAULT_TOSS_URL	"https://" PAY_TOSS_LIVE_HOST

char	   *pay_guc_databases = NULL;
char	   *pay_guc_toss_url = NULL;
char	   *pay_guc_toss_ca_file = NULL;
char	   *pay_guc_secret_dir = NULL;
int			pay_guc_environment = PAY_ENVIRONMENT_TEST;
bool		pay_guc_test_keys_need_arming = false;
bool		pay_guc_arm_on_promotion = false;
int			pay_guc_workers_per_database = 1;
int			pay_guc_max_in_flight = 256;
int			pay_guc_request_timeout = 60000;
int			pay_guc_connect_timeout = 5000;
int			pay_guc_shutdown_drain = 2000;
int			pay_guc_sweep_interval = 60;
bool		pay_guc_notify = false;
int			pay_guc_reconcile_interval = 86400;
int			pay_guc_reconcile_wait = 120;
bool		pay_guc_webhook_text_key = false;
char	   *pay_guc_maintenance = NULL;

static const struct config_enum_entry environments[] = {
	{"test", PAY_ENVIRONMENT_TEST, false},
	{"live", PAY_ENVIRONMENT_LIVE, false},
	{NULL, 0, false}
};

static void define_strings(void);
static void define_arming(void);
static void define_numbers(void);
static bool check_databases(char **newval, void **extra, GucSource source);
static bool check_toss_url(char **newval, void **extra, GucSource source);
static bool check_absolute(char **newval, void **extra, GucSource source);
static bool check_maintenance(char **newval, void **extra, GucSource source);

/* Define all settings; from _PG_init. */
void
pay_guc_define(void)
{
	define_strings();
	define_arming();
	define_numbers();
	MarkGUCPrefixReserved("payments");
}

static void
define_strings(void)
{
	DefineCustomStringVariable("payments.databases",
							   "Databases whose payments this server's workers send to the PSP.",
							   "Empty means none.",
							   &pay_guc_databases,
							   "",
							   PGC_SIGHUP,
							   GUC_LIST_INPUT | GUC_SUPERUSER_ONLY,
							   check_databases, NULL, NULL);
	DefineCustomStringVariable("payments.toss_url",
							   "Where the API of Toss Payments is reached.",
							   "Scheme https, host and port only.",
							   &pay_guc_toss_url,
							   DEFAULT_TOSS_URL,
							   PGC_SIGHUP,
							   0,
							   check_toss_url, NULL, NULL);
	DefineCustomStringVariable("payments.toss_ca_file",
							   "File with the certificate authorities that Toss's certificate is checked against.",
							   "Empty means those of the system.",
							   &pay_guc_toss_ca_file,
							   "",
							   PGC_SIGHUP,
							   GUC_SUPERUSER_ONLY,
							   check_absolute, NULL, NULL);
	DefineCustomStringVariable("payments.secret_dir",
							   "Folder with one file per merchant, named after it, that holds its secret key.",
							   "Must lie outside the data directory.",
							   &pay_guc_secret_dir,
							   "",
							   PGC_SIGHUP,
							   GUC_SUPERUSER_ONLY,
							   check_absolute, NULL, NULL);

	/* what needs a restart can only be defined while the server starts */
	if (process_shared_preload_libraries_in_progress)
		DefineCustomStringVariable("payments.maintenance",
								   "Why the guard of the schema is off.",
								   "Empty means that it is on.",
								   &pay_guc_maintenance,
								   "",
								   PGC_POSTMASTER,
								   0,
								   check_maintenance, NULL, NULL);
}

/* Who may charge, and when */
static void
define_arming(void)
{
	DefineCustomEnumVariable("payments.environment",
							 "Whether this server may use live secret keys.",
							 "In a test environment they are refused.",
							 &pay_guc_environment,
							 PAY_ENVIRONMENT_TEST,
							 environments,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("payments.test_keys_need_arming",
							 "Sends charges with test keys, too, only while the database is armed.",
							 NULL,
							 &pay_guc_test_keys_need_arming,
							 false,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("payments.arm_on_promotion",
							 "Lets a standby that was promoted arm itself when it has asked about what was open.",
							 "Only for pairs where the old primary is certain to be stopped first.",
							 &pay_guc_arm_on_promotion,
							 false,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
}

static void
define_numbers(void)
{
	DefineCustomIntVariable("payments.workers_per_database",
							"How many workers divide the payments of each database among them.",
							NULL,
							&pay_guc_workers_per_database,
							1, 1, PAY_SHARDS,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("payments.max_in_flight",
							"Requests to the PSP that a database has in flight at most.",
							"Its workers have equal shares of them, at least one each.",
							&pay_guc_max_in_flight,
							256, 1, PAY_MAX_IN_FLIGHT,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("payments.request_timeout",
							"How long a worker waits for the PSP's answer.",
							"A request without answer is not lost: its outcome is asked for.",
							&pay_guc_request_timeout,
							60000, 1000, 600000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("payments.connect_timeout",
							"How long a worker waits for a connection to the PSP.",
							NULL,
							&pay_guc_connect_timeout,
							5000, 100, 60000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("payments.shutdown_drain",
							"How long a worker that is told to stop waits for answers in flight.",
							NULL,
							&pay_guc_shutdown_drain,
							2000, 0, 30000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("payments.sweep_interval",
							"How often an idle worker looks for calls that nobody told it of.",
							NULL,
							&pay_guc_sweep_interval,
							60, 1, 3600,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("payments.reconcile_interval",
							"How often a worker compares Toss's list of transactions with the books.",
							"So it does after starts behind which something may be missing, too. 0 means neither.",
							&pay_guc_reconcile_interval,
							86400, 0, 30 * 86400,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("payments.reconcile_wait",
							"How long charges wait, after such a start, until the books were compared.",
							"0 means that they do not wait.",
							&pay_guc_reconcile_wait,
							120, 0, 3600,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomBoolVariable("payments.notify",
							 "Sends NOTIFY payments_event when payments were settled.",
							 "One notification per settling transaction, however many payments.",
							 &pay_guc_notify,
							 false,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("payments.webhook_text_key",
							 "Takes webhooks for signed that the text of a security key signs.",
							 "Otherwise the bytes do that it stands for in hexadecimal digits.",
							 &pay_guc_webhook_text_key,
							 false,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
}

/* A list of at most PAY_DATABASES names, spelled as identifiers. */
static bool
check_databases(char **newval, void **extra, GucSource source)
{
	char	   *copy = pstrdup(*newval);
	List	   *names = NIL;
	bool		ok = SplitIdentifierString(copy, ',', &names);

	if (!ok)
		GUC_check_errdetail("List syntax is invalid.");
	else if (list_length(names) > PAY_DATABASES)
	{
		GUC_check_errdetail("A server serves at most %d databases.",
							PAY_DATABASES);
		ok = false;
	}
	list_free(names);
	pfree(copy);
	return ok;
}

/*
 * An origin: https, a host, perhaps a port, and nothing else.  No user or
 * password, which would be shown; no path, which is ours; no plain http,
 * because the secret key travels in a header.
 */
static bool
check_toss_url(char **newval, void **extra, GucSource source)
{
	static const char scheme[] = "https://";
	const char *host = *newval + strlen(scheme);
	const char *port;
	size_t		n;

	if (strncmp(*newval, scheme, strlen(scheme)) != 0)
	{
		GUC_check_errdetail("It must begin with \"https://\".");
		return false;
	}

	n = strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");
	if (n > 0 && host[n] == ':')
	{
		size_t		digits = strspn(host + n + 1, "0123456789");

		n += digits >= 1 && digits <= 5 ? digits + 1 : 0;
	}
	if (n == 0 || host[n] != '\0')
	{
		GUC_check_errdetail("It must be a host name with or without a port, and nothing after it.");
		return false;
	}
	port = strchr(host, ':');
	if (port != NULL &&
		(strtol(port + 1, NULL, 10) < 1 || strtol(port + 1, NULL, 10) > 65535))
	{
		GUC_check_errdetail("The port must be 1 to 65535.");
		return false;
	}
	return true;
}

/* Empty, or a path that does not depend on the current folder. */
static bool
check_absolute(char **newval, void **extra, GucSource source)
{
	if (**newval != '\0' && !is_absolute_path(*newval))
	{
		GUC_check_errdetail("The path must be absolute.");
		return false;
	}
	return true;
}

/* A reason that fits into a line of the log. */
static bool
check_maintenance(char **newval, void **extra, GucSource source)
{
	if (strlen(*newval) > 200 || strpbrk(*newval, "\n\r") != NULL)
	{
		GUC_check_errdetail("The reason must be one line of at most 200 bytes.");
		return false;
	}
	if (**newval != '\0' && (*newval)[strspn(*newval, " \t")] == '\0')
	{
		GUC_check_errdetail("The reason must say something.");
		return false;
	}
	return true;
}

/*
 * secret.c
 *		Secret keys of merchants: from a file into one header, and nowhere else.
 *
 * Owns the memory that holds them: one page per merchant, locked into RAM and
 * left out of cores as far as the system allows, wiped before it is given
 * back.  libcurl makes copies of a header while it sends it, so wiping is not
 * complete; that the process cannot be dumped is what counts.
 *
 * A key that was read is kept until pay_secret_forget (a reload); that one
 * could not be read is not remembered, so that a file put in place later is
 * found by the next try.  No message contains anything from within a file.
 *
 * A merchant may have two keys at once, while one takes the other's place: a
 * call goes on with the one that it was first sent with, since a PSP that sees
 * another key sees another call.  The key before is looked for once, and found
 * again by a reload.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <openssl/sha.h>

#include "common/base64.h"
#include "miscadmin.h"

#include "guc.h"
#include "secret.h"

#define MAX_MERCHANT	63
#define MAX_HEADER		(32 + (PAY_MAX_SECRET + 1 + 2) / 3 * 4)
#define MAX_PATH		(MAXPGPATH + MAX_MERCHANT + sizeof(PREVIOUS) + 1)

/* No merchant's name has a dot in it. */
#define PREVIOUS		".previous"

#define HALF	((PAY_FINGERPRINT_SIZE - 1) / 2)

typedef struct Secret
{
	struct Secret *next;
	char		merchant[MAX_MERCHANT + 1];
	bool		is_previous;
	bool		is_live;
	char		fingerprint[PAY_FINGERPRINT_SIZE];
	char		header[MAX_HEADER]; /* "" when there is no key before */
} Secret;

static Secret *secrets = NULL;

static Secret *current_key(const char *merchant, char **problem);
static Secret *previous_key(const char *merchant);
static Secret *find(const char *merchant, bool is_previous);
static bool is_merchant_name(const char *merchant);
static Secret *load(const char *merchant, bool is_previous, const char *path,
					const char **why);
static const char *check_key(const char *secret);
static bool has_host(const char *url, const char *host);
static Secret *remember(const char *merchant, bool is_previous,
						const char *secret);
static bool write_header(Secret *key, const char *secret);
static void write_fingerprint(Secret *key);
static void write_digest(const char *text, char *to);

void
pay_secret_protect_process(void)
{
#ifdef PR_SET_DUMPABLE
	(void) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

void
pay_secret_look(const char *merchant, PaySecretKeys *keys)
{
	char	   *problem;
	Secret	   *key = current_key(merchant, &problem);
	Secret	   *previous = previous_key(merchant);

	if (key == NULL)
		pfree(problem);
	keys->fingerprint = key ? key->fingerprint : NULL;
	keys->previous = previous ? previous->fingerprint : NULL;
	keys->has_live = (key && key->is_live) || (previous && previous->is_live);
	keys->has_test = (key && !key->is_live) || (previous && !previous->is_live);
}

const char *
pay_secret_authorization(const char *merchant, const char *fingerprint,
						 bool only, char **problem)
{
	Secret	   *previous = fingerprint ? previous_key(merchant) : NULL;
	Secret	   *key;

	if (previous != NULL && strcmp(previous->fingerprint, fingerprint) == 0)
		return previous->header;
	key = current_key(merchant, problem);
	if (key == NULL)
		return NULL;
	if (only && (fingerprint == NULL ||
				 strcmp(key->fingerprint, fingerprint) != 0))
	{
		*problem = psprintf("merchant \"%s\" has another secret key than a moment ago",
							merchant);
		return NULL;
	}
	return key->header;
}

/* The key that new calls are sent with; NULL, and why. */
static Secret *
current_key(const char *merchant, char **problem)
{
	char		folder[MAXPGPATH];
	char		path[MAX_PATH];
	const char *why;
	Secret	   *key = find(merchant, false);

	if (key != NULL)
		return key;

	if (!is_merchant_name(merchant))
	{
		*problem = psprintf("merchant \"%s\" has no name that can be a file's",
							merchant);
		return NULL;
	}
	why = pay_secret_folder(folder);
	if (why != NULL)
	{
		*problem = psprintf("merchant \"%s\" has no secret key: payments.secret_dir %s",
							merchant, why);
		return NULL;
	}

	snprintf(path, sizeof(path), "%s/%s", folder, merchant);
	key = load(merchant, false, path, &why);
	if (key == NULL)
		*problem = psprintf("merchant \"%s\" has no secret key: file \"%s\" %s",
							merchant, path, why);
	return key;
}

/*
 * The key before it; NULL as a rule.  That there is none is remembered, since
 * every call asks; that one cannot be used is said once.
 */
static Secret *
previous_key(const char *merchant)
{
	char		folder[MAXPGPATH];
	char		path[MAX_PATH];
	const char *why;
	Secret	   *key = find(merchant, true);

	if (key != NULL)
		return key->header[0] ? key : NULL;
	if (!is_merchant_name(merchant) || pay_secret_folder(folder) != NULL)
		return NULL;

	snprintf(path, sizeof(path), "%s/%s" PREVIOUS, folder, merchant);
	key = load(merchant, true, path, &why);
	if (key != NULL)
		return key;
	if (access(path, F_OK) == 0)
		ereport(WARNING,
				(errmsg("previous secret key of merchant \"%s\" is not used",
						merchant),
				 errdetail("File \"%s\" %s.", path, why),
				 errhidestmt(true)));
	(void) remember(merchant, true, NULL);
	return NULL;
}

static Secret *
find(const char *merchant, bool is_previous)
{
	for (Secret *known = secrets; known != NULL; known = known->next)
	{
		if (known->is_previous == is_previous &&
			strcmp(known->merchant, merchant) == 0)
			return known;
	}
	return NULL;
}

/* What the table's constraint says too; here a file's name is made of it. */
static bool
is_merchant_name(const char *merchant)
{
	size_t		len = strlen(merchant);

	return len >= 1 && len <= MAX_MERCHANT &&
		strspn(merchant, "abcdefghijklmnopqrstuvwxyz0123456789_-") == len &&
		merchant[0] != '_' && merchant[0] != '-';
}

/*
 * The folder, without links.  Below the data directory a key would travel with
 * every base backup, and a restored copy could charge.
 */
const char *
pay_secret_folder(char *folder)
{
	char		data[MAXPGPATH];
	char	   *resolved;
	size_t		len;

	if (pay_guc_secret_dir[0] == '\0')
		return "is not set";

	resolved = realpath(pay_guc_secret_dir, NULL);
	if (resolved == NULL)
		return "cannot be reached";
	strlcpy(folder, resolved, MAXPGPATH);
	free(resolved);

	resolved = realpath(DataDir, NULL);
	if (resolved == NULL)
		return "cannot be compared with the data directory";
	strlcpy(data, resolved, MAXPGPATH);
	free(resolved);

	len = strlen(data);
	if (strncmp(folder, data, len) == 0 &&
		(folder[len] == '/' || folder[len] == '\0'))
		return "lies in the data directory";
	return NULL;
}

/* Read, check and keep a key.  Returns NULL, and what is wrong. */
static Secret *
load(const char *merchant, bool is_previous, const char *path,
	 const char **why)
{
	char		secret[PAY_MAX_SECRET + 2];
	Secret	   *key = NULL;

	*why = pay_secret_read_file(path, secret);
	if (*why == NULL)
		*why = check_key(secret);
	if (*why == NULL)
	{
		key = remember(merchant, is_previous, secret);
		if (key == NULL)
			*why = "cannot be kept: out of memory";
	}
	explicit_bzero(secret, sizeof(secret));
	return key;
}

const char *
pay_secret_read_file(const char *path, char *secret)
{
	int			fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	const char *why;
	ssize_t		len = 0;

	if (fd < 0)
		return errno == ENOENT ? "does not exist" :
			errno == ELOOP ? "is a symbolic link" : "cannot be opened";

	if (fstat(fd, &st) != 0)
		why = "cannot be looked at";
	else
		why = pay_secret_check_file(&st);
	if (why == NULL)
	{
		len = read(fd, secret, PAY_MAX_SECRET + 1);
		if (len < 0)
			why = "cannot be read";
		else if (len > PAY_MAX_SECRET)
			why = "is too long";
	}
	close(fd);
	if (why != NULL)
		return why;

	while (len > 0 && (secret[len - 1] == '\n' || secret[len - 1] == '\r'))
		len--;
	secret[len] = '\0';
	return NULL;
}

/* The rule that the server has for its own private key. */
const char *
pay_secret_check_file(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "is not a regular file";
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return "belongs to neither the server's user nor root";
	if (st->st_uid == geteuid() ? (st->st_mode & 077) != 0 :
		(st->st_mode & 037) != 0)
		return "can be read by others: its mode must be 0600 or less, or 0640 or less if root owns it";
	if (st->st_size > PAY_MAX_SECRET)
		return "is too long";
	return NULL;
}

/*
 * (test|live)_[g]sk_..., and a live key only in a cluster that is labelled so,
 * and for Toss's own host.
 */
static const char *
check_key(const char *secret)
{
	const char *rest = secret + strlen("test_");

	if (strncmp(secret, "test_", 5) != 0 && strncmp(secret, "live_", 5) != 0)
		return "does not hold a secret key";
	if (*rest == 'g')
		rest++;
	if (strncmp(rest, "sk_", 3) != 0)
		return "does not hold a secret key";
	rest += 3;
	if (*rest == '\0' ||
		rest[strspn(rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] != '\0')
		return "does not hold a secret key";

	if (secret[0] == 'l' && pay_guc_environment != PAY_ENVIRONMENT_LIVE)
		return "holds a live key, and payments.environment is \"test\"";
	if (secret[0] == 'l' && !has_host(pay_guc_toss_url, PAY_TOSS_LIVE_HOST))
		return "holds a live key, and payments.toss_url names another host than Toss's";
	return NULL;
}

/* Is the host of an origin (see the setting's check) this one? */
static bool
has_host(const char *url, const char *host)
{
	const char *start = url + strlen("https://");
	size_t		len = strlen(host);

	return pg_strncasecmp(start, host, len) == 0 &&
		(start[len] == '\0' || start[len] == ':');
}

/*
 * Keep the header that a key makes; the newest stands first.  A secret of NULL
 * is remembered as none.
 */
static Secret *
remember(const char *merchant, bool is_previous, const char *secret)
{
	Secret	   *new = mmap(NULL, sizeof(Secret), PROT_READ | PROT_WRITE,
						   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (new == MAP_FAILED)
		return NULL;
	(void) mlock(new, sizeof(Secret));
#ifdef MADV_DONTDUMP
	(void) madvise(new, sizeof(Secret), MADV_DONTDUMP);
#endif

	strlcpy(new->merchant, merchant, sizeof(new->merchant));
	new->is_previous = is_previous;
	if (secret != NULL)
	{
		if (!write_header(new, secret))
		{
			munmap(new, sizeof(Secret));
			return NULL;
		}
		new->is_live = secret[0] == 'l';
		write_fingerprint(new);
	}
	new->next = secrets;
	secrets = new;
	return new;
}

/* The key is the user's name; the colon ends it, the password is empty. */
static bool
write_header(Secret *key, const char *secret)
{
	static const char prefix[] = "Authorization: Basic ";
	char		user[PAY_MAX_SECRET + 2];
	int			len;

	snprintf(user, sizeof(user), "%s:", secret);
	strlcpy(key->header, prefix, sizeof(key->header));
	len = pg_b64_encode((const void *) user, strlen(user), key->header + strlen(prefix),
						sizeof(key->header) - strlen(prefix) - 1);
	explicit_bzero(user, sizeof(user));
	if (len >= 0)
		key->header[strlen(prefix) + len] = '\0';
	return len >= 0;
}

static void
write_fingerprint(Secret *key)
{
	write_digest(key->header, key->fingerprint);
	write_digest(pay_guc_toss_url, key->fingerprint + HALF);
}

/* The first bytes of a digest, in HALF letters */
static void
write_digest(const char *text, char *to)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *) text, strlen(text), digest);
	for (int i = 0; i < HALF / 2; i++)
		snprintf(to + 2 * i, 3, "%02x", digest[i]);
}

const char *
pay_secret_difference(const char *was, const char *now)
{
	bool		key = now == NULL || strncmp(was, now, HALF) != 0;
	bool		address = now != NULL && strlen(was) > HALF &&
	strcmp(was + HALF, now + HALF) != 0;

	if (key && address)
		return "with another secret key and at another address";
	return key ? "with another secret key" : address ? "at another address" : NULL;
}

void
pay_secret_forget(void)
{
	while (secrets != NULL)
	{
		Secret	   *old = secrets;

		secrets = old->next;
		explicit_bzero(old, sizeof(Secret));
		munmap(old, sizeof(Secret));
	}
}

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

#define MAX_SECRET		200
#define MAX_MERCHANT	63
#define MAX_HEADER		(32 + (MAX_SECRET + 1 + 2) / 3 * 4)

typedef struct Secret
{
	struct Secret *next;
	char		merchant[MAX_MERCHANT + 1];
	char		header[MAX_HEADER];
} Secret;

static Secret *secrets = NULL;

static bool is_merchant_name(const char *merchant);
static const char *find_folder(char *folder);
static const char *read_secret(const char *path, char *secret);
static const char *check_file(const struct stat *st);
static const char *check_key(const char *secret);
static bool has_host(const char *url, const char *host);
static bool remember(const char *merchant, const char *secret);

void
pay_secret_protect_process(void)
{
#ifdef PR_SET_DUMPABLE
	(void) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

const char *
pay_secret_authorization(const char *merchant, char **problem)
{
	char		folder[MAXPGPATH];
	char		path[MAXPGPATH + MAX_MERCHANT + 2];
	char		secret[MAX_SECRET + 2];
	const char *why;

	for (Secret *known = secrets; known != NULL; known = known->next)
	{
		if (strcmp(known->merchant, merchant) == 0)
			return known->header;
	}

	if (!is_merchant_name(merchant))
	{
		*problem = psprintf("merchant \"%s\" has no name that can be a file's",
							merchant);
		return NULL;
	}
	why = find_folder(folder);
	if (why != NULL)
	{
		*problem = psprintf("merchant \"%s\" has no secret key: payments.secret_dir %s",
							merchant, why);
		return NULL;
	}

	snprintf(path, sizeof(path), "%s/%s", folder, merchant);
	why = read_secret(path, secret);
	if (why == NULL)
		why = check_key(secret);
	if (why == NULL && !remember(merchant, secret))
		why = "cannot be kept: out of memory";
	explicit_bzero(secret, sizeof(secret));
	if (why != NULL)
	{
		*problem = psprintf("merchant \"%s\" has no secret key: file \"%s\" %s",
							merchant, path, why);
		return NULL;
	}
	return secrets->header;
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
static const char *
find_folder(char *folder)
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

/*
 * Read a file into secret (MAX_SECRET + 2 bytes), without the end of its line.
 * Returns NULL, or what is wrong.
 */
static const char *
read_secret(const char *path, char *secret)
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
		why = check_file(&st);
	if (why == NULL)
	{
		len = read(fd, secret, MAX_SECRET + 1);
		if (len < 0)
			why = "cannot be read";
		else if (len > MAX_SECRET)
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
static const char *
check_file(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "is not a regular file";
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return "belongs to neither the server's user nor root";
	if (st->st_uid == geteuid() ? (st->st_mode & 077) != 0 :
		(st->st_mode & 037) != 0)
		return "can be read by others: its mode must be 0600 or less, or 0640 or less if root owns it";
	if (st->st_size > MAX_SECRET)
		return "is too long";
	return NULL;
}

/* (test|live)_[g]sk_..., and a live key for Toss's own host only. */
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

/* Keep the header that a key makes; the newest stands first. */
static bool
remember(const char *merchant, const char *secret)
{
	static const char prefix[] = "Authorization: Basic ";
	Secret	   *new = mmap(NULL, sizeof(Secret), PROT_READ | PROT_WRITE,
						   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char		user[MAX_SECRET + 2];
	int			len;

	if (new == MAP_FAILED)
		return false;
	(void) mlock(new, sizeof(Secret));
#ifdef MADV_DONTDUMP
	(void) madvise(new, sizeof(Secret), MADV_DONTDUMP);
#endif

	/* The key is the user's name; the colon ends it, the password is empty. */
	snprintf(user, sizeof(user), "%s:", secret);
	strlcpy(new->merchant, merchant, sizeof(new->merchant));
	strlcpy(new->header, prefix, sizeof(new->header));
	len = pg_b64_encode((const void *) user, strlen(user), new->header + strlen(prefix),
						sizeof(new->header) - strlen(prefix) - 1);
	explicit_bzero(user, sizeof(user));
	if (len < 0)
	{
		munmap(new, sizeof(Secret));
		return false;
	}
	new->header[strlen(prefix) + len] = '\0';

	new->next = secrets;
	secrets = new;
	return true;
}

char *
pay_secret_fingerprint(const char *merchant)
{
	char	   *problem;
	const char *header = pay_secret_authorization(merchant, &problem);
	unsigned char digest[SHA256_DIGEST_LENGTH];
	char	   *text;

	if (header == NULL)
	{
		pfree(problem);
		return NULL;
	}

	text = psprintf("%s\n%s", header, pay_guc_toss_url);
	SHA256((const unsigned char *) text, strlen(text), digest);
	explicit_bzero(text, strlen(text));
	pfree(text);

	text = palloc(17);
	for (int i = 0; i < 8; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	return text;
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

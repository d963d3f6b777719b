/*
 * secret_security.c
 *		Security keys of merchants, by which Toss signs some webhooks.
 *
 * In files beside the secret keys, under the same rules.  They are read when a
 * signature is to be checked, which is seldom, so nothing is kept.  One that is
 * there and cannot be used is told, and is as good as none.
 */
#include "postgres.h"

#include <unistd.h>

#include "secret.h"
#include "secret_security.h"

/* No merchant's name has a dot in it. */
static const char *const suffixes[PAY_SECURITY_KEYS] = {
	".security", ".security.previous"
};

int
pay_secret_security(const char *merchant, PaySecurityKey keys[PAY_SECURITY_KEYS])
{
	char		folder[MAXPGPATH];
	int			n = 0;

	if (pay_secret_folder(folder) != NULL)
		return 0;
	for (int i = 0; i < PAY_SECURITY_KEYS; i++)
	{
		char		secret[PAY_MAX_SECRET + 2];
		char	   *path = psprintf("%s/%s%s", folder, merchant, suffixes[i]);
		const char *why = pay_secret_read_file(path, secret);

		if (why == NULL &&
			(strlen(secret) != PAY_SECURITY_KEY_SIZE - 1 ||
			 strspn(secret, "0123456789abcdefABCDEF") != PAY_SECURITY_KEY_SIZE - 1))
			why = "does not hold a security key";
		if (why == NULL)
			strlcpy(keys[n++], secret, PAY_SECURITY_KEY_SIZE);
		else if (access(path, F_OK) == 0)
			ereport(WARNING,
					(errmsg("security key of merchant \"%s\" is not used",
							merchant),
					 errdetail("File \"%s\" %s.", path, why),
					 errhidestmt(true)));
		explicit_bzero(secret, sizeof(secret));
		pfree(path);
	}
	return n;
}

/*
 * worker_merchant.c
 *		The merchants that this worker knows, and with which keys their calls are
 *		sent.
 *
 * The table is a small one, and is read whole.  A key is looked at once a turn,
 * when one of the merchant's calls is met.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "worker.h"

typedef struct Merchant
{
	char		name[NAMEDATALEN];
	PayMerchantKeys keys;		/* of the turn that is named */
	uint64		turn;
} Merchant;

static int64 *ids = NULL;		/* in order */
static Merchant *merchants = NULL;	/* the same, in the same order */
static int	n_merchants = 0;
static bool known = false;
static uint64 turn_no = 0;

static const PayMerchantKeys *keys_of(Merchant *merchant);
static int	compare_ids(const void *a, const void *b);

/* A turn begins: keys are looked at anew. */
void
pay_worker_merchant_turn(void)
{
	turn_no++;
}

/* There is one that is not known. */
void
pay_worker_merchant_unknown(void)
{
	known = false;
}

/*
 * Read the table if that is needed, or anyway; in a transaction.  Returns how many
 * were read, with their ids, which live until the next time.
 */
int
pay_worker_merchant_learn(PayWorker *worker, bool again, const int64 **read_ids)
{
	MemoryContext context = worker->context;
	PayMerchant *read;
	int64	   *new_ids;
	Merchant   *new;
	int			n;

	*read_ids = ids;
	if (known && !again)
		return 0;
	n = pay_psp_queue_merchants(&read);
	new_ids = MemoryContextAlloc(context, sizeof(int64) * Max(n, 1));
	new = MemoryContextAllocZero(context, sizeof(Merchant) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		new_ids[i] = read[i].id;
		strlcpy(new[i].name, read[i].name, NAMEDATALEN);
	}
	if (ids != NULL)
	{
		pfree(ids);
		pfree(merchants);
	}
	*read_ids = ids = new_ids;
	merchants = new;
	n_merchants = n;
	known = true;
	return n;
}

/*
 * Without a fingerprint when nobody knows the merchant: sending will fail, and
 * say why.
 */
const PayMerchantKeys *
pay_worker_merchant_keys(int64 merchant_id)
{
	static const PayMerchantKeys none = {NULL, NULL, true};
	int64	   *found = n_merchants == 0 ? NULL :
	bsearch(&merchant_id, ids, n_merchants, sizeof(int64), compare_ids);

	return found == NULL ? &none : keys_of(&merchants[found - ids]);
}

/* Those that have a key and may charge now.  palloc'ed. */
int
pay_worker_merchant_chargeable(int64 **merchant_ids)
{
	int			n = 0;

	*merchant_ids = palloc(sizeof(int64) * Max(n_merchants, 1));
	for (int i = 0; i < n_merchants; i++)
	{
		const PayMerchantKeys *keys = keys_of(&merchants[i]);

		if (keys->fingerprint != NULL && keys->may_charge)
			(*merchant_ids)[n++] = ids[i];
	}
	return n;
}

static const PayMerchantKeys *
keys_of(Merchant *merchant)
{
	if (merchant->turn != turn_no)
	{
		pay_worker_keys_of(merchant->name, &merchant->keys);
		merchant->turn = turn_no;
	}
	return &merchant->keys;
}

static int
compare_ids(const void *a, const void *b)
{
	int64		left = *(const int64 *) a;
	int64		right = *(const int64 *) b;

	return left < right ? -1 : left > right;
}

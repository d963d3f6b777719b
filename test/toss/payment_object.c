/*-------------------------------------------------------------------------
 *
 * payment_object.c
 *	  The Payment object of API version 2022-11-16.
 *
 * Writes one version of a payment with every documented field, null where it
 * does not apply.  The text depends on nothing but the payment's fixed
 * properties and the version, which is what makes replays exact.  Details
 * that only the card company or the bank would know (numbers, approval
 * codes) are derived from the payment key.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <string.h>

#include "simulator.h"

typedef enum MethodForm
{
	METHOD_CARD,
	METHOD_VIRTUAL_ACCOUNT,
	METHOD_EASY_PAY,
	METHOD_MOBILE_PHONE,
	METHOD_TRANSFER,
	METHOD_GIFT_CERTIFICATE
} MethodForm;

struct Method
{
	const char *name;			/* as answered */
	const char *sdk_name;		/* as the browser's SDK calls it */
	MethodForm	form;
	int			minimum;		/* KRW */
};

static const Method methods[] = {
	{"카드", "CARD", METHOD_CARD, 100},
	{"가상계좌", "VIRTUAL_ACCOUNT", METHOD_VIRTUAL_ACCOUNT, 200},
	{"간편결제", "EASY_PAY", METHOD_EASY_PAY, 100},
	{"휴대폰", "MOBILE_PHONE", METHOD_MOBILE_PHONE, 1},
	{"계좌이체", "TRANSFER", METHOD_TRANSFER, 200},
	{"문화상품권", "CULTURE_GIFT_CERTIFICATE", METHOD_GIFT_CERTIFICATE, 1},
	{"도서문화상품권", "BOOK_GIFT_CERTIFICATE", METHOD_GIFT_CERTIFICATE, 1},
	{"게임문화상품권", "GAME_GIFT_CERTIFICATE", METHOD_GIFT_CERTIFICATE, 1},
	{"해외간편결제", "FOREIGN_EASY_PAY", METHOD_EASY_PAY, 1},
};

static const char *const status_names[] = {
	[STATUS_READY] = "READY",
	[STATUS_IN_PROGRESS] = "IN_PROGRESS",
	[STATUS_WAITING_FOR_DEPOSIT] = "WAITING_FOR_DEPOSIT",
	[STATUS_DONE] = "DONE",
	[STATUS_CANCELED] = "CANCELED",
	[STATUS_PARTIAL_CANCELED] = "PARTIAL_CANCELED",
	[STATUS_ABORTED] = "ABORTED",
	[STATUS_EXPIRED] = "EXPIRED",
};

/* Finds a payment method by its Korean or its SDK name; or NULL. */
const Method *
sim_method_find(const char *name)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
	{
		if (strcmp(methods[i].name, name) == 0 ||
			strcmp(methods[i].sdk_name, name) == 0)
			return &methods[i];
	}
	return NULL;
}

/* Does the money of this method come after the confirm, as a deposit? */
bool
sim_method_is_deposit(const Method *method)
{
	return method->form == METHOD_VIRTUAL_ACCOUNT;
}

Amount
sim_method_minimum(const Method *method)
{
	return (Amount) method->minimum * AMOUNT_SCALE;
}

const char *
sim_status_name(Status status)
{
	return status_names[status];
}

/* True from the moment the confirm was executed. */
static bool
is_executed(Status status)
{
	return status == STATUS_DONE || status == STATUS_WAITING_FOR_DEPOSIT ||
		status == STATUS_CANCELED || status == STATUS_PARTIAL_CANCELED;
}

/*
 * The clock time of the last DONE up to a version; 0 if there was none, or it was
 * taken back.
 */
static int64_t
approved_at(const Payment *payment, int version)
{
	for (; version >= 0; version--)
	{
		if (payment->versions[version].status == STATUS_WAITING_FOR_DEPOSIT)
			return 0;
		if (payment->versions[version].status == STATUS_DONE)
			return payment->versions[version].clock_time;
	}
	return 0;
}

/* Appends the n-th eight made-up digits of a payment. */
static void
add_digits(Text *out, const Payment *payment, int which)
{
	uint64_t	state = payment->seed + (uint64_t) which;

	sim_text_format(out, "%08d",
					(int) (sim_random_next(&state) % 100000000));
}

static void
add_time(Text *out, const char *name, int64_t time)
{
	sim_text_add(out, name);
	if (time == 0)
		sim_text_add(out, "null");
	else
		sim_clock_write(out, time);
}

static void
add_amount(Text *out, const char *name, Amount amount)
{
	sim_text_add(out, name);
	sim_amount_write(out, amount);
}

static void
write_card(Text *out, const Payment *payment, Amount amount,
		   const Distortion *distortion)
{
	sim_text_add(out, "\"card\":{\"issuerCode\":\"71\",\"acquirerCode\":\"71\","
				 "\"number\":\"12345678****000*\","
				 "\"installmentPlanMonths\":0,\"isInterestFree\":false,"
				 "\"interestPayer\":null,\"approveNo\":\"");
	add_digits(out, payment, 1);
	sim_text_add(out, "\",\"useCardPoint\":false,\"cardType\":\"");
	sim_text_add(out, distortion->unknown_fields ? "새카드종류" : "신용");
	sim_text_add(out, "\",\"ownerType\":\"개인\",\"acquireStatus\":\"");
	sim_text_add(out, distortion->unknown_fields ? "NEW_STATUS" : "READY");
	add_amount(out, "\",\"amount\":", amount);
	sim_text_add(out, "},");
}

static void
write_virtual_account(Text *out, const Payment *payment, bool expired)
{
	sim_text_add(out, "\"virtualAccount\":{\"accountType\":\"일반\","
				 "\"accountNumber\":\"X");
	add_digits(out, payment, 2);
	sim_text_add(out, "11\",\"bankCode\":\"20\",\"customerName\":\"김토스\","
				 "\"depositorName\":null,\"dueDate\":");
	sim_clock_write(out, payment->due_at);
	sim_text_add(out, ",\"refundStatus\":\"NONE\",\"expired\":");
	sim_text_add(out, expired ? "true" : "false");
	sim_text_add(out, ",\"settlementStatus\":\"INCOMPLETED\","
				 "\"refundReceiveAccount\":null},");
}

/*
 * Writes the objects of all methods: the payment's own, once executed, and
 * null for the others.
 */
static void
write_method(Text *out, const Payment *payment, const Version *state,
			 Amount amount, const Distortion *distortion)
{
	bool		executed = is_executed(state->status);
	MethodForm	form = payment->method->form;

	if (executed && form == METHOD_CARD)
		write_card(out, payment, amount, distortion);
	else
		sim_text_add(out, "\"card\":null,");
	if (executed && form == METHOD_VIRTUAL_ACCOUNT)
		write_virtual_account(out, payment, state->account_expired);
	else
		sim_text_add(out, "\"virtualAccount\":null,");
	sim_text_add(out, executed && form == METHOD_TRANSFER ?
				 "\"transfer\":{\"bankCode\":\"20\","
				 "\"settlementStatus\":\"INCOMPLETED\"}," :
				 "\"transfer\":null,");
	sim_text_add(out, executed && form == METHOD_MOBILE_PHONE ?
				 "\"mobilePhone\":{\"customerMobilePhone\":\"01012345678\","
				 "\"settlementStatus\":\"INCOMPLETED\",\"receiptUrl\":"
				 "\"https://dashboard.tosspayments.com/receipt/mobile\"}," :
				 "\"mobilePhone\":null,");
	sim_text_add(out, "\"giftCertificate\":");
	if (executed && form == METHOD_GIFT_CERTIFICATE)
	{
		sim_text_add(out, "{\"approveNo\":\"");
		add_digits(out, payment, 3);
		sim_text_add(out, "\",\"settlementStatus\":\"INCOMPLETED\"},");
	}
	else
		sim_text_add(out, "null,");
	sim_text_add(out, "\"easyPay\":");
	if (executed && form == METHOD_EASY_PAY)
	{
		add_amount(out, "{\"provider\":\"토스페이\",\"amount\":", amount);
		sim_text_add(out, ",\"discountAmount\":0},");
	}
	else
		sim_text_add(out, "null,");
}

/* The key of a movement of a payment. */
void
sim_payment_transaction_key(char out[40], const Payment *payment,
							int transaction)
{
	uint64_t	state = payment->seed + 16 + (uint64_t) transaction;

	strcpy(out, "txrd_a01k0000000000000000000000");
	sim_random_alnum(out + 9, strlen(out) - 9, &state);
}

static void
write_transaction_key(Text *out, const Payment *payment, int transaction)
{
	char		key[40];

	sim_payment_transaction_key(key, payment, transaction);
	sim_text_add_json(out, key);
}

void
sim_payment_write_method_name(Text *out, const Payment *payment)
{
	sim_text_add_json(out, payment->method->name);
}

/* Every cancel up to a version. */
static void
write_cancels(Text *out, const Payment *payment, int version)
{
	bool		any = false;

	sim_text_add(out, "\"cancels\":");
	for (int i = 0; i <= version; i++)
	{
		const Version *state = &payment->versions[i];

		if (state->canceled == 0)
			continue;
		sim_text_add(out, any ? "," : "[");
		any = true;
		add_amount(out, "{\"cancelAmount\":", state->canceled);
		sim_text_add(out, ",\"cancelReason\":");
		sim_text_add_json(out, state->reason);
		sim_text_add(out, ",\"taxFreeAmount\":0,\"taxExemptionAmount\":0");
		add_amount(out, ",\"refundableAmount\":", state->balance);
		sim_text_add(out, ",\"easyPayDiscountAmount\":0,\"canceledAt\":");
		sim_clock_write(out, state->clock_time);
		sim_text_add(out, ",\"transactionKey\":");
		write_transaction_key(out, payment, state->transaction);
		sim_text_add(out, ",\"receiptKey\":null,\"cancelStatus\":\"DONE\","
					 "\"cancelRequestId\":null}");
	}
	sim_text_add(out, any ? "]," : "null,");
}

/* What proves a DEPOSIT_CALLBACK: "ps_" and 28 letters and digits. */
void
sim_payment_secret(char out[64], const Payment *payment)
{
	uint64_t	state = payment->seed + 8;

	memcpy(out, "ps_", 3);
	sim_random_alnum(out + 3, 28, &state);
	out[31] = '\0';
}

static void
write_secret(Text *out, const Payment *payment, bool executed)
{
	char		secret[64];

	if (!executed || payment->method->form != METHOD_VIRTUAL_ACCOUNT)
	{
		sim_text_add(out, "\"secret\":null,");
		return;
	}
	sim_payment_secret(secret, payment);
	sim_text_format(out, "\"secret\":\"%s\",", secret);
}

static void
write_money(Text *out, Amount total, Amount balance, const char *currency)
{
	Amount		vat = sim_amount_vat(balance, currency);

	sim_text_add(out, ",\"currency\":");
	sim_text_add_json(out, currency);
	add_amount(out, ",\"totalAmount\":", total);
	add_amount(out, ",\"balanceAmount\":", balance);
	add_amount(out, ",\"suppliedAmount\":", balance - vat);
	add_amount(out, ",\"vat\":", vat);
	sim_text_add(out, ",\"taxFreeAmount\":0,\"taxExemptionAmount\":0");
}

static void
write_identity(Text *out, const Payment *payment,
			   const Distortion *distortion)
{
	sim_text_add(out, "{");
	if (distortion->unknown_fields)
		sim_text_add(out, "\"newField\":{\"list\":[1,2.5,null,{\"a\":[]}],"
					 "\"text\":\"\\u00e9\\ud83d\\ude00\"},\"newNumber\":1e-3,");
	if (distortion->duplicate_keys)
		sim_text_add(out, "\"totalAmount\":1,\"orderId\":\"duplicate\",");
	sim_text_add(out, "\"mId\":");
	sim_text_add_json(out, payment->mid);
	sim_text_add(out, ",\"paymentKey\":");
	sim_text_add_json(out, distortion->key ? "tgen_of_another_payment" :
					  payment->key);
	sim_text_add(out, ",\"orderId\":");
	sim_text_add_json(out, distortion->order ? "ORDER-OF-ANOTHER-BUYER" :
					  payment->order->id);
	sim_text_add(out, ",\"orderName\":");
	sim_text_add_json(out, payment->order_name);
}

static void
write_failure(Text *out, const Code *failure)
{
	sim_text_add(out, "\"failure\":");
	if (failure != NULL)
		sim_code_write(out, failure);
	else
		sim_text_add(out, "null");
	sim_text_add(out, ",");
}

static void
write_links(Text *out, const Payment *payment, bool executed)
{
	if (executed)
		sim_text_format(out, "\"receipt\":{\"url\":"
						"\"https://dashboard.tosspayments.com/receipt/"
						"redirection?transactionId=%s&ref=PX\"},",
						payment->key);
	else
		sim_text_add(out, "\"receipt\":null,");
	sim_text_format(out, "\"checkout\":{\"url\":"
					"\"https://api.tosspayments.com/v1/payments/%s/checkout\"}",
					payment->key);
}

/* Appends the object as it was at a version, distorted if a fault says so. */
void
sim_payment_write(Text *out, const Payment *payment, int version,
				  const Distortion *distortion)
{
	static const Distortion truth;
	const Version *state = &payment->versions[version];
	bool		executed = is_executed(state->status);
	bool		chosen = state->status != STATUS_READY &&
		state->status != STATUS_EXPIRED;
	Amount		total = payment->amount;

	if (distortion == NULL)
		distortion = &truth;
	if (distortion->amount)
		total += AMOUNT_SCALE;

	write_identity(out, payment, distortion);
	sim_text_add(out, ",\"status\":");
	sim_text_add_json(out, distortion->status ? "NEW_STATUS" :
					  distortion->canceled ? "CANCELED" :
					  sim_status_name(state->status));
	add_time(out, ",\"requestedAt\":", payment->requested_at);
	add_time(out, ",\"approvedAt\":", approved_at(payment, version));
	sim_text_add(out, executed ? ",\"useEscrow\":false" :
				 ",\"useEscrow\":null");
	sim_text_add(out, ",\"cultureExpense\":false,\"lastTransactionKey\":");
	if (executed)
		write_transaction_key(out, payment, state->transaction);
	else
		sim_text_add(out, "null");
	sim_text_add(out, ",");
	write_method(out, payment, state, total, distortion);
	sim_text_add(out, "\"cashReceipt\":null,\"cashReceipts\":null,"
				 "\"discount\":null,");
	if (distortion->cancels)
		sim_text_add(out, "\"cancels\":null,");
	else
		write_cancels(out, payment, version);
	write_secret(out, payment, executed);
	sim_text_add(out, distortion->unknown_fields ? "\"type\":\"NEW_TYPE\"," :
				 "\"type\":\"NORMAL\",");
	write_failure(out, state->failure);
	sim_text_add(out, "\"country\":\"KR\",\"isPartialCancelable\":true,");
	write_links(out, payment, executed);
	write_money(out, total, distortion->amount ? total : state->balance,
				distortion->currency ? "USD" : payment->currency);
	sim_text_add(out, ",\"method\":");
	sim_text_add_json(out, chosen ? payment->method->name : NULL);
	sim_text_add(out, ",\"version\":\"2022-11-16\",\"metadata\":null");
	if (distortion->duplicate_keys)
		sim_text_add(out, ",\"status\":\"ABORTED\"");
	sim_text_add(out, "}");
}

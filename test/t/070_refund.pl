# Refunds from end to end: in full, in part, over several sellers, one after the
# other, and what the books, the wallets and those who listen know of it.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PaymentsTest;
use Test::More;

my $shop = PaymentsTest->new(conf => "payments.sweep_interval = 1s\n");
$shop->sql('SELECT payments.set_seller(1, 0.1), payments.set_seller(2, 0.035)');

# In full
my $order = $shop->order(15000);
is($shop->sql("SELECT payments.confirm('$order->{order_id}', '$order->{payment_key}', 15000)"), 'EXECUTING', 'confirmed');
is($shop->wait_for($order), 'SUCCESS', 'paid');
my $refund = $shop->refund($order, idempotency_key => q('all of it'));
is($shop->wait_for_refund($order, $refund), 'SUCCESS', 'refunded');
is($shop->refund($order, idempotency_key => q('all of it')), $refund, 'asked for again, it is the same refund');
is($shop->sql("SELECT concat_ws(' ', status, psp_status, refunded_amount, refunding_amount, is_refunded)
	FROM payments.payment WHERE order_id = '$order->{order_id}'"), 'SUCCESS CANCELED 15000 0 t', 'the payment says so');
is($shop->sql("SELECT string_agg(kind, ' ' ORDER BY id) FROM payments.event WHERE order_id = '$order->{order_id}'"),
	'payment.confirmed payment.completed refund.requested refund.succeeded', 'and those who listen were told');
is($shop->sql("SELECT balance FROM payments.wallet WHERE seller_id = 2"), '0', 'the seller gave it back');
is($shop->sql("SELECT string_agg(concat_ws(' ', from_status, to_status, actor), ', ' ORDER BY id)
	FROM payments.refund_history WHERE refund_id = $refund"),
	'REQUESTED EXECUTING ' . $shop->sql('SELECT session_user') . ', EXECUTING SUCCESS payments worker', 'its history');

# Several lines, two sellers with commissions, in three parts at once
my $cart = $shop->sql(q(SELECT order_id FROM payments.checkout(9, '[{"seller_id": 1, "amount": 10000},
	{"seller_id": 2, "amount": 3333}, {"seller_id": 1, "amount": 1}]')));
$order = $shop->toss('POST', '/pay', { orderId => $cart, amount => 13334 });
$order = { order_id => $cart, payment_key => $order->{paymentKey}, amount => 13334 };
$shop->confirm($order);
is($shop->wait_for($order), 'SUCCESS', 'a cart is paid');
$shop->fault($order, on => 'cancel', kind => 'hang', after => 'done');
my ($part, $line, $rest) = split /\n/, $shop->sql(qq(
	BEGIN;
	SELECT payments.refund('$cart', 'one of the parts', 1000);
	SELECT payments.refund('$cart', 'a line', payment_order_id => (SELECT id FROM payments.payment_order
		WHERE order_id = '$cart' AND line_no = 2));
	SELECT payments.refund('$cart', 'the rest');
	COMMIT));
$shop->poll(sub { $shop->toss('GET', '/health')->{waiting} > 0 }, 'a cancel is at the PSP');
is($shop->sql("SELECT string_agg(refund_status::text, ' ' ORDER BY id) FROM payments.refund WHERE order_id = '$cart'"),
	'EXECUTING REQUESTED REQUESTED', 'one goes, the others wait for their turns');
$shop->release;
is($shop->wait_for_refund($order, $rest), 'SUCCESS', 'the last one');
is($shop->sql("SELECT string_agg(concat_ws(' ', refund_status, amount), ', ' ORDER BY id) FROM payments.refund
	WHERE order_id = '$cart'"), 'SUCCESS 1000, SUCCESS 3083, SUCCESS 9251', 'all of them');
is($shop->sql("SELECT concat_ws(' ', psp_status, refunded_amount, is_refunded) FROM payments.payment WHERE order_id = '$cart'"),
	'PARTIAL_CANCELED 13334 t', 'fully refunded is judged by the balance');
is($shop->sql('SELECT sum(balance) FROM payments.wallet'), '0', 'nothing is left with the sellers');
is($shop->sql("SELECT sum(e.amount) FROM payments.ledger_entry e JOIN payments.ledger_account a ON a.id = e.account_id
	WHERE a.code LIKE 'platform:%' OR a.code LIKE 'psp:%'"), '0', 'nor with the platform, nor with the PSP');
my @cancels = grep { $_->{path} =~ /\Q$order->{payment_key}\E\/cancel$/ } $shop->requests;
is(scalar @cancels, 3, 'three requests');

# What was not paid, or is not there, is not refunded
my $open = $shop->order(1000);
my ($code) = $shop->{node}->psql($shop->{databases}[0], "SELECT payments.refund('$open->{order_id}', 'x')");
isnt($code, 0, 'an order that is not paid');
($code) = $shop->{node}->psql($shop->{databases}[0], "SELECT payments.refund('$cart', 'once more')");
isnt($code, 0, 'nothing is left');

# What is cancelled elsewhere meanwhile is noticed, by the balance that goes with
# the request, and nothing of ours happens.
$order = $shop->order(9000);
$shop->confirm($order);
is($shop->wait_for($order), 'SUCCESS', 'paid');
$shop->toss('POST', '/cancel', { paymentKey => $order->{payment_key}, amount => 100 });
$refund = $shop->refund($order, amount => 500);
is($shop->wait_for_refund($order, $refund), 'FAILURE', 'the balance is another one');
is($shop->sql("SELECT concat_ws(' ', failure_code, (SELECT refunding_amount FROM payments.payment p WHERE p.order_id = r.order_id))
	FROM payments.refunds r WHERE refund_id = $refund"), 'NOT_MATCHES_REFUNDABLE_AMOUNT 0', 'and that is the reason');
is($shop->sql("SELECT sum(pending) FROM payments.wallet"), '0', 'nothing stays reserved');

# A secret key that does not work keeps it waiting, until it works.
$order = $shop->order(7000);
$shop->confirm($order);
is($shop->wait_for($order), 'SUCCESS', 'paid');
$shop->fault($order, on => 'cancel', kind => 'refuse', code => 'UNAUTHORIZED_KEY');
$refund = $shop->refund($order);
$shop->poll_sql("SELECT meaning FROM payments.psp_answer WHERE order_id = '$order->{order_id}' AND operation = 'cancel'",
	'misconfigured', 'the key is refused');
is($shop->wait_for_refund($order, $refund, 0), 'EXECUTING', 'the refund waits');
# Not by the schedule, which is of minutes.
$shop->poll(sub {
		$shop->sql("UPDATE payments.psp_call_queue SET due_at = clock_timestamp()
			WHERE order_id = '$order->{order_id}' AND state = 'P' AND due_at > clock_timestamp() + '1 s'");
		return $shop->wait_for_refund($order, $refund, 1) ne 'EXECUTING';
	}, 'it comes to an end', 180);
is($shop->wait_for_refund($order, $refund, 0), 'SUCCESS', 'and is done when the key works');

# Refunds whose answers take a while, in which the worker claims and settles a lot
# of all kinds: each answer is understood at once.
my @given = $shop->orders(60, 3000);
$shop->confirm(@given);
$shop->wait_until_quiet;
my $before = $shop->sql('SELECT coalesce(max(id), 0) FROM payments.psp_call');
$shop->settings(delayMs => 20, delayJitterMs => 200);
for my $i (0 .. $#given)
{
	$shop->refund($given[$i], amount => 100);
	$shop->confirm($shop->order(1000 + $i)) if $i % 2;
}
$shop->wait_until_quiet;
is($shop->sql(qq(SELECT string_agg(DISTINCT code, ', ') FROM payments.psp_answer
	WHERE call_id > $before AND operation = 'cancel')), 'CANCEL_DONE', 'answers that took a while are understood');
is($shop->sql("SELECT count(*) FROM payments.psp_answer WHERE call_id > $before AND operation = 'query'"), 0, 'nothing is asked');
$shop->settings(delayMs => 0, delayJitterMs => 0);

$shop->wait_until_quiet;
$shop->books_agree;
$shop->{node}->stop;
done_testing();

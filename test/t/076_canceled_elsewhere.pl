# Somebody cancels payments in the PSP's dashboard: the next answer that shows the
# payment shows it, and it is booked as what it is, once, with or without room.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PaymentsTest;
use Test::More;

my $shop = PaymentsTest->new;
$shop->sql('SELECT payments.set_seller(s, 0.1) FROM generate_series(1, 10) s');

sub paid
{
	my ($amount) = @_;
	my $order = $shop->order($amount);

	$shop->confirm($order);
	is($shop->wait_for($order), 'SUCCESS', 'paid');
	return $order;
}

sub cancel_elsewhere
{
	my ($order, $amount, $reason) = @_;
	$shop->toss('POST', '/cancel', { paymentKey => $order->{payment_key},
		defined $amount ? (amount => $amount) : (), defined $reason ? (reason => $reason) : () });
}

sub refunds_of
{
	my ($order) = @_;
	return $shop->sql("SELECT string_agg(concat_ws(' ', origin, status, amount, failure_code), ', ' ORDER BY refund_id)
		FROM payments.refunds WHERE order_id = '$order->{order_id}'");
}

# A look is enough: a person's, or whoever's had reason to look
my $order = paid(9000);
cancel_elsewhere($order, 1000);
$shop->sql("SELECT payments.retry('$order->{order_id}')");
$shop->poll(sub { refunds_of($order) eq 'psp SUCCESS 1000' }, 'a look shows it');
$shop->sql("SELECT payments.retry('$order->{order_id}')");
cancel_elsewhere($order);
$shop->wait_until_quiet;
$shop->sql("SELECT payments.retry('$order->{order_id}')");
$shop->poll(sub { refunds_of($order) eq 'psp SUCCESS 1000, psp SUCCESS 8000' }, 'another one shows the rest');
is($shop->sql("SELECT concat_ws(' ', status, psp_status, is_refunded) FROM payments.payment WHERE order_id = '$order->{order_id}'"),
	'SUCCESS PARTIAL_CANCELED t', 'all of it is back');

# A part of it: our own refund had another balance in mind, and is not executed
$order = paid(9000);
cancel_elsewhere($order, 100);
my $refund = $shop->refund($order, amount => 500);
is($shop->wait_for_refund($order, $refund), 'FAILURE', 'the balance was another one');
is(refunds_of($order), 'application FAILURE 500 NOT_MATCHES_REFUNDABLE_AMOUNT, psp SUCCESS 100', 'the cancel is booked');
is($shop->sql("SELECT concat_ws(' ', refunded_amount, refunding_amount) FROM payments.payment WHERE order_id = '$order->{order_id}'"),
	'100 0', 'it counts as given back');
is($shop->sql("SELECT string_agg(kind, ' ' ORDER BY id) FROM payments.event WHERE order_id = '$order->{order_id}' AND kind LIKE 'refund.%'"),
	'refund.requested refund.failed refund.recorded', 'and those who listen were told');
is($shop->sql("SELECT concat_ws(' ', requested_by, reason, length(transaction_key) > 10) FROM payments.refunds
	WHERE order_id = '$order->{order_id}' AND origin = 'psp'"), 'PSP 대시보드 취소 t', 'why, in the words of who did it');
$refund = $shop->refund($order);
is($shop->wait_for_refund($order, $refund), 'SUCCESS', 'the rest is ours');
is(refunds_of($order), 'application FAILURE 500 NOT_MATCHES_REFUNDABLE_AMOUNT, psp SUCCESS 100, application SUCCESS 8900', 'to the last won');

# One under the reason of ours that is done: executed twice, or copied by a person
$order = paid(9000);
$refund = $shop->refund($order, amount => 500);
is($shop->wait_for_refund($order, $refund), 'SUCCESS', 'ours');
my $reason = $shop->sql("SELECT concat(reason, ' [rf:', token, ']') FROM payments.refund WHERE order_id = '$order->{order_id}'");
cancel_elsewhere($order, 500, $reason);
$shop->sql("SELECT payments.retry('$order->{order_id}')");
$shop->poll(sub { refunds_of($order) eq 'application SUCCESS 500, psp SUCCESS 500' }, 'a look shows the other one');
is($shop->sql("SELECT refunded_amount FROM payments.payment WHERE order_id = '$order->{order_id}'"), 1000, 'both are booked');

# All of it, while ours waits
$order = paid(9000);
cancel_elsewhere($order);
$refund = $shop->refund($order, amount => 500);
is($shop->wait_for_refund($order, $refund), 'FAILURE', 'nothing is left');
is(refunds_of($order), 'application FAILURE 500 ALREADY_CANCELED_PAYMENT, psp SUCCESS 9000', 'all of it is booked');

# Two of ours, of which one has still room beside it, and one has not
my @cases = ([ 500, 'SUCCESS' ], [ 2000, 'FAILURE' ]);
for my $case (@cases)
{
	my $order = $case->[2] = paid(9000);
	$shop->fault($order, on => 'cancel', kind => 'hang', after => 'unchanged');
	push @$case, $shop->refund($order, amount => 1000), $shop->refund($order, amount => 8000);
}
$shop->poll(sub { $shop->toss('GET', '/health')->{waiting} == @cases }, 'the first of each is at the PSP');
cancel_elsewhere($_->[2], $_->[0]) for @cases;
$shop->release;
for my $case (@cases)
{
	my ($amount, $second, $order, $first, $waiting) = @$case;
	is($shop->wait_for_refund($order, $first), 'FAILURE', "$amount elsewhere: the one under way is refused");
	is($shop->wait_for_refund($order, $waiting), $second, "$amount elsewhere: the one behind it");
	is(refunds_of($order), $second eq 'SUCCESS'
		? 'application FAILURE 1000 NOT_MATCHES_REFUNDABLE_AMOUNT, application SUCCESS 8000, psp SUCCESS 500'
		: 'application FAILURE 1000 NOT_MATCHES_REFUNDABLE_AMOUNT, application FAILURE 8000 CANCELED_ELSEWHERE, psp SUCCESS 2000',
		"$amount elsewhere: all of them");
}

# What a wallet does not have it owes: the money is gone.
$order = paid(4000);
my $seller = $shop->sql("SELECT seller_id FROM payments.payment_order WHERE order_id = '$order->{order_id}'");
my $had = $shop->sql("SELECT balance FROM payments.wallet WHERE seller_id = $seller");
$shop->sql("UPDATE payments.wallet SET balance = 1000 WHERE seller_id = $seller");
cancel_elsewhere($order, 3000);
$refund = $shop->refund($order, amount => 1);
is($shop->wait_for_refund($order, $refund), 'FAILURE', 'one of ours shows it');
is($shop->sql("SELECT concat_ws(' ', balance, pending, may_owe, (SELECT debt FROM payments.seller_debts d WHERE d.seller_id = w.seller_id))
	FROM payments.wallet w WHERE seller_id = $seller"), '-1700 0 t 1700', 'the debt is visible');
$shop->sql("UPDATE payments.wallet SET balance = balance + $had - 1000 WHERE seller_id = $seller");

$shop->wait_until_quiet;
is($shop->sql('SELECT sum(pending) FROM payments.wallet'), '0', 'nothing stays reserved');
$shop->books_agree;
$shop->{node}->stop;
done_testing();

# The same idempotency key is answered differently the second time: the first answer
# is lost, nothing could be looked up, and the second one refuses, or is about
# another payment, amount, currency or order, or says CANCELED.  What becomes of an
# order, or a refund, follows from what Toss shows of it; while that contradicts
# itself the order is UNKNOWN and comes before a person, and nothing is booked.
use strict;
use warnings;

use Audit;
use JSON::PP;
use PaymentsTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $shop = PaymentsTest->new(conf => "payments.sweep_interval = 1s\n");
$shop->wait_for_worker;

my %anew = (anew => JSON::PP::true);
my $merchants = 0;

# An order whose merchant has no other: a circuit breaker is of one merchant.
sub lone_order
{
	my $merchant = 'merchant' . ++$merchants;
	$shop->write_secret($merchant, $PaymentsTest::secret);
	$shop->sql("SELECT payments.set_merchant('$merchant', 'test_ck_simulator0only')");
	return $shop->order(1000, merchant => $merchant);
}

# The first answer is lost, behind the execution, and Toss does not let us look.
sub lose_first
{
	my ($order, $operation) = @_;
	$shop->fault($order, on => $operation, kind => 'reset-after');
	$shop->fault($order, on => 'query', kind => 'refuse', code => 'FORBIDDEN_CONSECUTIVE_REQUEST');
}

# As evidence has it: [meaning, suspect] of each answer
sub evidence
{
	my ($order, $operation) = @_;
	return $shop->sql("SELECT string_agg(meaning || CASE WHEN suspect THEN '!' ELSE '' END, ', ' ORDER BY call_id, attempt_no)
		FROM payments.psp_answer WHERE order_id = '$order->{order_id}' AND operation = '$operation'");
}

sub same_key_twice
{
	my ($order, $name, $path) = @_;
	my @keys = map { $_->{idempotencyKey} } grep { $_->{path} =~ $path } arrivals($shop, $order, 'POST');
	ok(@keys >= 2 && $keys[0] eq $keys[1], "$name: one key, twice");
}

sub captured { return $shop->psp_books($_[0]) }

# A person wants it looked at.  The webhook of the cancel may have the worker at
# it just then, and a call in flight cannot be pushed.
sub look_at
{
	my ($order) = @_;

	$shop->poll(sub { eval { $shop->sql("SELECT payments.retry('$order->{order_id}')"); 1 } }, 'it can be looked at');
	return;
}

#
# The second answer lies, or has forgotten; Toss shows the truth to a query
#

# [the second answer, what it means: ! is suspect]
my @second = (
	[ { kind => 'plain', %anew }, 'uncertain' ],		# ALREADY_PROCESSED_PAYMENT
	[ { kind => 'refuse', code => 'ALREADY_PROCESSING_REQUEST', %anew }, 'uncertain' ],
	[ { kind => 'refuse', code => 'REJECT_CARD_PAYMENT', %anew }, 'refused' ],
	[ { kind => 'refuse', code => 'NOT_FOUND_PAYMENT_SESSION', %anew }, 'refused' ],
	[ { kind => 'refuse', code => 'FORBIDDEN_REQUEST', %anew }, 'refused' ],
	[ { kind => 'wrong-key' }, 'uncertain!' ],
	[ { kind => 'wrong-order' }, 'uncertain!' ],
	[ { kind => 'wrong-amount' }, 'uncertain!' ],
	[ { kind => 'wrong-currency' }, 'uncertain!' ],
	[ { kind => 'unknown-status' }, 'uncertain' ],
	[ { kind => 'canceled' }, 'uncertain' ]);
for (@second)
{
	my ($fault) = @$_;
	my $order = $_->[2] = lone_order();
	lose_first($order, 'confirm');
	$shop->fault($order, on => 'confirm', %$fault);
}
$shop->confirm(map { $_->[2] } @second);
for (@second)
{
	my ($fault, $meaning, $order) = @$_;
	my $name = join ' ', 'confirm:', grep { defined } @$fault{qw(kind code)};

	is($shop->wait_for($order), 'SUCCESS', "$name: paid, as Toss shows it");
	is(evidence($order, 'confirm'), "no answer, $meaning", "$name: what was answered");
	is(evidence($order, 'query'), 'lookup failed, approved', "$name: and decided by a query");
	same_key_twice($order, $name, qr/confirm$/);
	is(captured($order), 'payment.captured 1000', "$name: booked once");
	is(scalar(grep { $_->{orderId} eq $order->{order_id} } $shop->charges), 1, "$name: charged once");
}
is($shop->sql("SELECT count(*) FROM payments.psp_answer WHERE suspect"), 4, 'an answer about something else is marked');

#
# All that Toss says of it from then on is about something else
#

my @lies = map { { kind => $_, order => lone_order() } } qw(wrong-key wrong-order wrong-amount wrong-currency);
for (@lies)
{
	lose_first($_->{order}, 'confirm');
	$shop->fault($_->{order}, on => 'any', kind => $_->{kind}, count => 1000);
}
$shop->confirm(map { $_->{order} } @lies);
my $ids = join ',', map { "'$_->{order}{order_id}'" } @lies;
$shop->poll(sub {
		$shop->sql("UPDATE payments.psp_call_queue SET due_at = clock_timestamp() WHERE state = 'P' AND order_id IN ($ids)");
		return $shop->sql("SELECT count(*) FROM payments.psp_call_queue WHERE state = 'D' AND order_id IN ($ids)") == @lies;
	}, 'those come before a person');
for (@lies)
{
	my $order = $_->{order};
	is($shop->status($order), 'UNKNOWN', "$_->{kind}, always: UNKNOWN");
	is(captured($order), '', "$_->{kind}, always: nothing is booked");
	is($shop->sql("SELECT string_agg(alert, ' ' ORDER BY alert) FROM payments.alerts WHERE subject = '$order->{order_id}'"),
		'answer_suspect call_dead', "$_->{kind}, always: alerts");
}
$shop->toss('POST', '/faults/clear', {});
$shop->sql("SELECT payments.retry(order_id) FROM payments.psp_call_queue WHERE order_id IN ($ids)");
is($shop->wait_for($_->{order}), 'SUCCESS', "$_->{kind}: paid when Toss shows it") for @lies;

#
# It was really canceled in between, in the dashboard
#

my ($replayed, $forgotten) = map { lone_order() } 1 .. 2;
for ($replayed, $forgotten)
{
	$shop->fault($_, on => 'confirm', kind => 'reset-after');
	$shop->fault($_, on => 'query', kind => 'refuse', code => 'FORBIDDEN_CONSECUTIVE_REQUEST');
}
$shop->fault($forgotten, on => 'confirm', kind => 'plain', %anew);
$shop->confirm($replayed, $forgotten);
for my $order ($replayed, $forgotten)
{
	$shop->poll(sub { grep { $_->{orderId} eq $order->{order_id} } $shop->charges }, 'it is charged');
	$shop->toss('POST', '/cancel', { paymentKey => $order->{payment_key} });
}

# The key repeats what was true: it is paid, and was given back when somebody looks.
is($shop->wait_for($replayed), 'SUCCESS', 'DONE from the key, of what is canceled: it was paid');
look_at($replayed);
$shop->poll(sub { captured($replayed) eq 'payment.captured 1000, payment.refunded -1000' }, 'and is given back when somebody looks');

# The key is forgotten, and the query shows the cancel: neither state is the truth.
$shop->poll_sql("SELECT string_agg(alert, ' ') FROM payments.alerts WHERE subject = '$forgotten->{order_id}'", 'call_dead',
	'CANCELED behind a lost answer comes before a person');
is($shop->status($forgotten), 'UNKNOWN', 'and is UNKNOWN');
is(captured($forgotten), '', 'nothing is booked');
is($shop->sql("SELECT payments.resolve('$forgotten->{order_id}', 'succeeded', 'it was paid, and canceled', 1000, '$forgotten->{payment_key}')"),
	'SUCCESS', 'the person says so');
look_at($forgotten);
$shop->poll(sub { captured($forgotten) eq 'payment.captured 1000, payment.refunded -1000' }, 'and the cancel is booked');

#
# Refunds: the first cancel was executed, its answer is lost
#

my @refunds = (
	[ { kind => 'plain', %anew } ],		# NOT_MATCHES_REFUNDABLE_AMOUNT, or ALREADY_CANCELED_PAYMENT
	[ { kind => 'refuse', code => 'REFUND_REJECTED', %anew } ],
	[ { kind => 'refuse', code => 'NOT_FOUND_PAYMENT', %anew } ],
	[ { kind => 'wrong-key' } ], [ { kind => 'wrong-amount' } ], [ { kind => 'no-cancel' } ], [ { kind => 'canceled' } ]);
my @cases;
for my $amount (300, 1000)
{
	push @cases, map { { fault => $_->[0], amount => $amount, order => lone_order() } } @refunds;
}
$shop->confirm(map { $_->{order} } @cases);
$shop->wait_for($_->{order}) for @cases;
for (@cases)
{
	lose_first($_->{order}, 'cancel');
	$shop->fault($_->{order}, on => 'cancel', %{ $_->{fault} });
	$_->{refund} = $shop->refund($_->{order}, amount => $_->{amount});
}
for (@cases)
{
	my $order = $_->{order};
	my $name = join ' ', "refund of $_->{amount}:", grep { defined } @{ $_->{fault} }{qw(kind code)};

	is($shop->wait_for_refund($order, $_->{refund}), 'SUCCESS', "$name: done, as Toss shows it");
	same_key_twice($order, $name, qr/cancel$/);
	is(scalar(grep { $_->{kind} eq 'cancel' && $_->{orderId} eq $order->{order_id} } $shop->charges), 1, "$name: once");
	is(captured($order), "payment.captured 1000, payment.refunded -$_->{amount}", "$name: booked once");
}

ok($shop->wait_until_quiet, 'nothing is open');
audit($shop, 'answers');
$shop->{node}->stop;
done_testing();

# A look asks Toss about a payment whose order is final: it changes no order,
# stands in no refund's way for long, and survives the worker.
use strict;
use warnings;

use PaymentsTest;
use Test::More;

my $shop = PaymentsTest->new;
$shop->wait_for_worker;

sub paid
{
	my $order = $shop->order(15000);
	$shop->confirm($order);
	is($shop->wait_for($order), 'SUCCESS', 'paid');
	return $order;
}

sub look { my ($order) = @_; $shop->sql("SELECT payments.retry('$order->{order_id}', 'is it so?')") }

sub looks
{
	my ($order) = @_;
	return $shop->sql("SELECT string_agg(concat_ws(' ', a.operation, a.meaning, a.action), ', ' ORDER BY c.id, a.attempt_no)
		FROM payments.psp_call c JOIN payments.psp_answer a ON a.call_id = c.id
		WHERE c.order_id = '$order->{order_id}' AND c.operation = 'look'");
}

# Nothing has happened
my $order = paid();
my $before = $shop->sql("SELECT p FROM payments.payment p WHERE order_id = '$order->{order_id}'");
my $events = $shop->sql('SELECT count(*) FROM payments.event');
look($order);
$shop->wait_until_quiet;
is(looks($order), 'query approved learn', 'Toss was asked, once');
is($shop->sql("SELECT p FROM payments.payment p WHERE order_id = '$order->{order_id}'"), $before, 'the order is as it was');
is($shop->sql('SELECT count(*) FROM payments.event'), $events, 'nobody was told anything');
is($shop->sql("SELECT note FROM payments.operator_action WHERE order_id = '$order->{order_id}'"), 'is it so?', 'but who asked');
is(scalar(grep { $_->{method} eq 'POST' } $shop->requests_of($order)), 1, 'nothing but the confirm was posted');
like($shop->sql("SELECT string_agg(story, ' / ' ORDER BY at) FROM payments.explain('$order->{order_id}')"),
	qr(call queued: look at the payment / look, attempt 1: query.* / look, attempt 1: HTTP 200 .*approved.* -> learn / now SUCCESS: final$), 'and the story tells it');

# What was cancelled elsewhere shows; a refund waits for the look's end, not longer
$order = paid();
$shop->fault($order, on => 'query', kind => 'hang');
look($order);
$shop->poll_sql("SELECT state FROM payments.open_calls WHERE order_id = '$order->{order_id}'", 'in flight', 'a look is under way');
is($shop->sql("SELECT concat_ws(' ', operation, next_operation, kind) FROM payments.open_calls"), 'look query look', 'it is seen');
my $again = eval { $shop->{node}->safe_psql('shop', "SELECT payments.retry('$order->{order_id}')"); 1 };
ok(!$again, 'one at a time');
my $refund = $shop->refund($order, amount => 1000);
is($shop->sql("SELECT status FROM payments.refunds WHERE refund_id = $refund"), 'REQUESTED', 'a refund waits behind it');
$shop->release;
is($shop->wait_for_refund($order, $refund), 'SUCCESS', 'and goes when it has ended');
look($order);
$shop->wait_until_quiet;
is(looks($order), 'query approved learn, query canceled learn', 'the next look shows our own cancel');
is($shop->sql("SELECT concat_ws(' ', status, psp_status, refunded_amount) FROM payments.payment WHERE order_id = '$order->{order_id}'"),
	'SUCCESS PARTIAL_CANCELED 1000', 'which is booked once');

# The worker dies with a look under way: it is asked again, and ends once.
$order = paid();
$shop->fault($order, on => 'query', kind => 'hang');
look($order);
$shop->poll_sql("SELECT state FROM payments.open_calls WHERE order_id = '$order->{order_id}'", 'in flight', 'a look is under way');
my $pid = $shop->worker('pid');
kill 'KILL', $pid;
$shop->poll(sub { ($shop->{node}->psql('shop', 'SELECT 1'))[0] == 0 }, 'the server comes back');
$shop->wait_for_other_worker($pid);
$shop->release;
$shop->wait_until_quiet;
is(looks($order), 'query approved learn', 'it ended once');

# Answers that show nothing do not end it at once; a garbled one neither
$order = paid();
$shop->fault($order, on => 'query', kind => $_) for qw(html502 wrong-amount reset-before);
look($order);
$shop->wait_until_quiet;
like(looks($order), qr/^query \w+ ?\w* query, query \w+ ?\w* query, query \w+ ?\w* query, query approved learn$/, 'it asks until it is shown something') || diag(looks($order));
is($shop->status($order), 'SUCCESS', 'the order is final all the while');

# Nothing is asked about what nobody confirmed
my $open = $shop->order(1000);
my (undef, undef, $error) = $shop->{node}->psql('shop', "\\set VERBOSITY sqlstate\nSELECT payments.retry('$open->{order_id}')");
like($error, qr/PY017/, 'there is no payment to look at');
is($shop->sql("SELECT count(*) FROM payments.alerts WHERE alert = 'payment_contradicted'"), 0, 'nothing contradicts');

$shop->wait_until_quiet;
$shop->books_agree;
$shop->{node}->stop;
done_testing();

# A payment is judged only with the key it was sent with.  The confirm was
# executed and its answer lost; then the file holds another merchant's key, to
# whom Toss says "not found".  That must never end in FAILURE, nor send the
# confirm again, however much time passes.
use strict;
use warnings;

use PaymentsTest;
use Test::More;

my $other = 'test_sk_another0merchant00000000000';
my $shop = PaymentsTest->new(simulator => { secret => "$other:othershop" });
$shop->wait_for_worker;

my $order = $shop->order(15000);
$shop->fault($order, kind => 'reset-after', on => 'confirm');
$shop->fault($order, kind => 'hang', on => 'any', count => 100);
$shop->confirm($order);
$shop->poll(sub { $shop->status($order) eq 'UNKNOWN' }, 'the answer is lost');
is(scalar($shop->charges), 1, 'the buyer is charged');

$shop->write_secret('default', $other);
$shop->{node}->reload;
$shop->toss('POST', '/faults/clear', {});
$shop->release;
my $confirms = grep { $_->{method} eq 'POST' } $shop->requests_of($order);

# Beyond the window and its grace; every answer is asked for at once.
$shop->sql("UPDATE payments.psp_call_queue SET first_sent_at = first_sent_at - interval '20 min'");
$shop->poll(sub {
		$shop->sql(q(UPDATE payments.psp_call_queue SET due_at = now(), phase = 'X'
			WHERE state = 'P'));
		$shop->sql("SELECT payments.retry('$order->{order_id}')
			FROM payments.open_calls WHERE state = 'pending'");
		$shop->sql("SELECT count(*) >= 4 FROM payments.psp_answer
			WHERE meaning = 'open' AND code = 'NOT_FOUND_PAYMENT'") eq 't';
	}, 'it was not found, again and again');
is($shop->status($order), 'UNKNOWN', 'that proves nothing');
is(scalar(grep { $_->{method} eq 'POST' } $shop->requests_of($order)),
	$confirms, 'and the confirm is not sent with another key');

# With its own key the truth comes out.
$shop->write_secret('default', $PaymentsTest::secret);
$shop->{node}->reload;
$shop->sql("SELECT payments.retry('$order->{order_id}')");
is($shop->wait_for($order), 'SUCCESS', 'with its own key it is found');
$shop->books_agree;

# A confirm whose window has passed is asked about, not sent.
$order = $shop->order(7000);
$shop->fault($order, kind => 'reset-before', on => 'confirm', count => 1);
$shop->fault($order, kind => 'hang', on => 'query', count => 1);
$shop->confirm($order);
$shop->poll(sub { $shop->status($order) eq 'UNKNOWN' }, 'no answer');
$shop->sql("BEGIN; UPDATE payments.psp_call_queue SET first_sent_at = first_sent_at - interval '11 min',
	next_operation = 'C', due_at = now() WHERE state = 'P'; COMMIT");
$shop->sql("SELECT payments.retry('$order->{order_id}') FROM payments.open_calls
	WHERE order_id = '$order->{order_id}' AND state = 'pending'");
$shop->poll(sub { grep { $_->{method} eq 'GET' } $shop->requests_of($order) },
	'it is asked about');
is(scalar(grep { $_->{method} eq 'POST' } $shop->requests_of($order)),
	1, 'behind the window nothing is sent');

# A turn that fails does not forget what it was woken for.
$order = $shop->order(3000);
my $session = $shop->{node}->background_psql('shop');
$session->query_safe('BEGIN; LOCK TABLE payments.psp_attempt IN SHARE ROW EXCLUSIVE MODE');
$shop->confirm($order);
sleep 2;
$session->query_safe('COMMIT');
is($shop->wait_for($order, 10), 'SUCCESS', 'a call is found again soon');

# Locked orders hold up nobody else, however many they are.
my @locked = $shop->orders(30, 1000);
my @free = $shop->orders(30, 1000);
$shop->fault($_, kind => 'hang', on => 'confirm') for @locked, @free;
$shop->confirm(@locked, @free);
$shop->poll(sub { $shop->worker('in_flight') >= 60 }, 'all are in flight');
$session->query_safe('BEGIN; SELECT FROM payments.payment_event WHERE order_id IN ('
	  . join(', ', map { "'$_->{order_id}'" } @locked) . ') FOR UPDATE');
$shop->release;
ok($shop->poll_sql("SELECT count(*) FROM payments.payment WHERE status = 'SUCCESS'
	AND order_id IN (" . join(', ', map { "'$_->{order_id}'" } @free) . ')', 30),
	'those that are free are settled');
is($shop->worker('state'), 'running', 'and the worker runs');
$session->query_safe('COMMIT');
is($shop->wait_for($_), 'SUCCESS', 'a locked one follows') for $locked[0], $locked[29];
$session->quit;

done_testing();

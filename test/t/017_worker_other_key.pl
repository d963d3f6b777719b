# A payment is judged only with the key it was sent with.  The confirm was
# executed and its answer lost; then the file holds another merchant's key, to
# whom Toss says "not found".  That must never end in FAILURE, nor send the
# confirm again, however much time passes.
use strict;
use warnings;

use PaymentsTest;
use Test::More;

my $other = 'test_sk_another0merchant00000000000';
my $shop = PaymentsTest->new(simulator => { secret => "$other:othershop" }, conf => "payments.sweep_interval = 1s\n");
$shop->wait_for_worker;

# Change the open calls, make them due, and wake the worker: by another order,
# which the other merchant's key cannot pay.
sub nudge
{
	my ($change) = @_;
	$shop->sql("UPDATE payments.psp_call_queue SET due_at = now(), $change WHERE state = 'P'");
	$shop->confirm($shop->order(100));
}

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

# Beyond the window and its grace, found closed once already: with the right
# key the next "not found" would be the end.
for my $asked (1 .. 3)
{
	nudge(q(first_sent_at = now() - interval '20 min', phase = 'X'));
	$shop->poll(sub {
			$shop->sql("SELECT count(*) >= $asked FROM payments.psp_answer
				WHERE code = 'NOT_FOUND_PAYMENT'") eq 't';
		}, "it was not found, $asked times");
}
is($shop->status($order), 'UNKNOWN', 'that proves nothing');
is(scalar(grep { $_->{method} eq 'POST' } $shop->requests_of($order)),
	$confirms, 'and the confirm is not sent with another key');

# People are told, and what to do about it.
my $how = 'asked with another secret key than it was sent with';
like($shop->sql("SELECT string_agg(story, E'\n') FROM payments.explain('$order->{order_id}')"),
	qr/query.*\n.*attempt \d+: HTTP 404 .*: open \(NOT_FOUND_PAYMENT, $how\) -> query\n/, 'the story says that it was asked with another key');
my $sent_as = $shop->sql("SELECT sent_as FROM payments.psp_call_queue WHERE order_id = '$order->{order_id}'");
$shop->sql("UPDATE payments.psp_call_queue SET sent_as = overlay(sent_as PLACING '0000000000000000' FROM 17) WHERE order_id = '$order->{order_id}'");
my $was = $shop->sql("SELECT max(attempt_no) FROM payments.psp_answer WHERE order_id = '$order->{order_id}'");
nudge("phase = 'X'");
$shop->poll(sub { $shop->sql("SELECT max(attempt_no) > $was FROM payments.psp_answer WHERE order_id = '$order->{order_id}'") eq 't' }, 'it is asked again');
like($shop->sql("SELECT detail FROM payments.psp_answer WHERE order_id = '$order->{order_id}' ORDER BY attempt_no DESC LIMIT 1"),
	qr/^asked with another secret key and at another address than it was sent with$/, 'or with another key, and elsewhere');
$shop->sql("UPDATE payments.psp_call_queue SET state = 'D', due_at = 'infinity' WHERE order_id = '$order->{order_id}'");
like($shop->sql("SELECT string_agg(story, E'\n') FROM payments.explain('$order->{order_id}')"),
	qr/now UNKNOWN: a confirm may have been executed, and nothing has decided that\nnext: a person decides: payments.retry, or payments.resolve; the last answer was open, NOT_FOUND_PAYMENT, asked with another /,
	'whoever has to decide sees why');
like($shop->sql("SELECT what_to_do FROM payments.stuck_orders WHERE order_id = '$order->{order_id}'"),
	qr/^it was asked with another .*: put that back, then payments.retry$/, 'and what to do');
$shop->sql("UPDATE payments.psp_call_queue SET state = 'P', sent_as = '$sent_as' WHERE order_id = '$order->{order_id}'");

# With its own key the truth comes out.
$shop->write_secret('default', $PaymentsTest::secret);
$shop->{node}->reload;
nudge('failures = 0');
is($shop->wait_for($order), 'SUCCESS', 'with its own key it is found');
$shop->wait_until_quiet;
$shop->books_agree;

# A confirm whose window has passed is asked about, not sent.
$order = $shop->order(7000);
$shop->fault($order, kind => 'reset-before', on => 'confirm', count => 1);
$shop->fault($order, kind => 'hang', on => 'query', count => 1);
$shop->confirm($order);
$shop->poll(sub { $shop->status($order) eq 'UNKNOWN' }, 'no answer');
nudge(q(first_sent_at = now() - interval '11 min', next_operation = 'C'));
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
$shop->poll(sub { 60 <= grep { !defined $_->{answeredUs} } $shop->requests },
	'all have arrived');
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

# A virtual account: its call leaves the queue until the deposit is asked about.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use Test::More;

my $shop = PaymentsTest->new(conf => q(
payments.sweep_interval = 3600
));
$shop->wait_for_worker;

sub row
{
	my ($order) = @_;
	return $shop->sql("SELECT status || ', ' || state || ', ' || next_operation || ', ' || attempts || ', ' || failures
		FROM payments.open_calls JOIN payments.payment USING (order_id) WHERE order_id = '$order->{order_id}'");
}

sub places
{
	return $shop->sql('SELECT (SELECT count(*) FROM payments.psp_call_queue) || \' in the queue, \'
		|| (SELECT count(*) FROM payments.psp_call_deposit) || \' waiting\'');
}

sub all_wait
{
	my ($n) = @_;
	return $shop->poll(sub { places() eq "0 in the queue, $n waiting" }, "$n wait for a deposit");
}

my @orders = $shop->orders(20, 1000, method => 'VIRTUAL_ACCOUNT');
$shop->confirm(@orders);
ok(all_wait(20), 'issued accounts leave the queue');
is(row($orders[0]), 'EXECUTING, waits for a deposit, query, 1, 0', 'open_calls shows them');
is($shop->sql("SELECT count(*) FROM payments.psp_call_deposit d JOIN payments.psp_call c ON c.id = d.call_id
	WHERE d.order_id = c.order_id AND d.due_at BETWEEN now() + '4 min' AND now() + '5 min'
		AND d.sent_as IS NOT NULL AND d.first_sent_at IS NOT NULL"), 20, 'due in five minutes, with what is known of them');
like($shop->sql("SELECT story FROM payments.explain('$orders[0]{order_id}')"),
	qr/the buyer has not paid into it\nnext: a query at/, 'so does the story of the order');
is($shop->sql('SELECT count(*) FROM payments.verify() WHERE NOT holds'), 0, 'all invariants hold');

# Asked about by hand: still waiting, then paid.
$shop->sql("SELECT payments.retry('$orders[0]{order_id}')");
$shop->poll(sub { row($orders[0]) eq 'EXECUTING, waits for a deposit, query, 2, 0' }, 'asked and back');
ok(all_wait(20), 'no deposit yet');
$shop->toss('POST', '/deposit', { paymentKey => $orders[0]{payment_key} });
$shop->sql("SELECT payments.retry('$orders[0]{order_id}')");
$shop->poll_sql("SELECT payments.status('$orders[0]{order_id}')", 'SUCCESS', 'the deposit is found');
is($shop->sql("SELECT string_agg(operation || ' ' || action, ', ' ORDER BY attempt_no) FROM payments.psp_answer
	WHERE order_id = '$orders[0]{order_id}'"), 'confirm await deposit, query await deposit, query succeed', 'by queries only');

# By itself, when it is time: the worker knows of some from their results, of
# others because it reads the table when it starts.
$shop->toss('POST', '/deposit', { paymentKey => $_->{payment_key} }) for @orders[ 1 .. 9 ];
$shop->sql("UPDATE payments.psp_call_deposit SET due_at = now() + '2 s'");
kill 'TERM', $shop->worker('pid');
ok($shop->poll_sql("SELECT count(*) FROM payments.payment WHERE status = 'SUCCESS'", 10), 'deposits are found when due');
ok(all_wait(10), 'the others go on waiting');

# A crash on the way: in one place or the other, never in both or none.
$shop->settings(randomFaults => { rate => 1, kinds => ['hang'] });
$shop->sql("SELECT payments.retry('$_->{order_id}')") for @orders[ 10 .. 19 ];
$shop->poll(sub { $shop->worker('in_flight') == 10 }, 'ten queries are in flight');
is(places(), '10 in the queue, 0 waiting', 'they are in the queue meanwhile');
kill_worker($shop);
$shop->settings(randomFaults => undef);
$shop->release;
ok(all_wait(10), 'the next run asks again');
is($shop->sql('SELECT count(*) FROM payments.verify() WHERE NOT holds'), 0, 'all invariants hold');

$shop->toss('POST', '/deposit', { paymentKey => $_->{payment_key} }) for @orders[ 10 .. 19 ];
$shop->sql("SELECT payments.retry('$_->{order_id}')") for @orders[ 10 .. 19 ];
ok($shop->poll_sql("SELECT count(*) FROM payments.payment WHERE status = 'SUCCESS'", 20), 'all are paid');
is(places(), '0 in the queue, 0 waiting', 'and nothing is open');
$shop->{node}->stop;
done_testing();

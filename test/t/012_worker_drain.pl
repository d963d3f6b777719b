# A worker that is told to stop waits a little for what is in flight, records
# the rest as unanswered, and the next one finds out what became of it.
use strict;
use warnings;

use PaymentsTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $shop = PaymentsTest->new(conf => "payments.shutdown_drain = 2s\n");
$shop->wait_for_worker;

sub in_flight
{
	my ($n) = @_;
	return $shop->poll_sql('SELECT in_flight FROM payments.worker_status',
		$n, "in flight: $n");
}

sub answers_of
{
	my ($order) = @_;
	return $shop->sql("SELECT string_agg(operation || ' ' || transport, ', '
			ORDER BY attempt_no)
		FROM payments.psp_answer WHERE order_id = '$order->{order_id}'");
}

# An answer that comes within the drain is saved by the worker that asked.
my $order = $shop->order(1000);
$shop->fault($order, kind => 'slow', on => 'confirm', delayMs => 1000);
my $pid = $shop->wait_for_other_worker(0);
$shop->confirm($order);
in_flight(1);
$shop->sql("SELECT pg_terminate_backend($pid)");
$shop->wait_for_other_worker($pid);
is($shop->status($order), 'SUCCESS', 'saved before the next worker ran');
is(answers_of($order), 'confirm answered', 'by the one that asked');

# One that comes later is asked for.
my ($late, $queued) = $shop->orders(2, 1000);
$shop->fault($late, kind => 'slow', on => 'confirm', delayMs => 6000);
$pid = $shop->worker('pid');
$shop->confirm($late);
in_flight(1);
my $start = time();
$shop->sql("SELECT pg_terminate_backend($pid)");
$shop->confirm($queued);
$shop->wait_for_other_worker($pid);
cmp_ok(time() - $start, '>', 1.5, 'the drain is waited for');
cmp_ok(time() - $start, '<', 5, 'and no longer');
is($shop->wait_for($queued), 'SUCCESS', 'the next worker takes what is queued');
is($shop->wait_for($late), 'SUCCESS', 'and finds out about the late one');
like(answers_of($late), qr/^confirm no answer, /,
	'which was recorded as unanswered');

# A second SIGTERM skips the wait.
$order = $shop->order(1000);
$shop->fault($order, kind => 'slow', on => 'confirm', delayMs => 3000);
$pid = $shop->worker('pid');
$shop->configure('payments.shutdown_drain' => '30s');
$shop->confirm($order);
in_flight(1);
sleep 0.3;
$start = time();
$shop->sql("SELECT pg_terminate_backend($pid)");
sleep 0.2;
$shop->sql("SELECT pg_terminate_backend($pid)");
$shop->wait_for_other_worker($pid);
cmp_ok(time() - $start, '<', 2.5, 'told twice it does not wait');
is($shop->wait_for($order), 'SUCCESS', 'which loses nothing');

# A fast shutdown of the server with calls in flight, and the start after it.
$shop->configure('payments.shutdown_drain' => '1s');
my @orders = $shop->orders(20, 1000);
$shop->fault($_, kind => 'slow', on => 'confirm', delayMs => 4000) for @orders;
$shop->confirm(@orders);
in_flight(20);
$start = time();
$shop->{node}->stop('fast');
cmp_ok(time() - $start, '<', 6, 'a fast shutdown takes no longer than it must');
$shop->{node}->start;
$shop->wait_for_worker;
is($shop->sql(q(SELECT count(*) FROM payments.psp_call_queue WHERE state = 'S')),
	0, 'nothing is left in flight');
ok($shop->wait_until_quiet, 'all come to an end');

# The worker is killed: the whole server restarts, and nothing is lost.
@orders = $shop->orders(20, 1000);
$shop->fault($_, kind => 'slow', on => 'confirm', delayMs => 2000) for @orders;
$shop->confirm(@orders);
in_flight(20);
kill 'KILL', $shop->worker('pid');
$shop->poll(sub {
		my ($status) = $shop->{node}->psql('shop', 'SELECT 1');
		return $status == 0;
	}, 'the server is back');
$shop->wait_for_worker;
ok($shop->wait_until_quiet, 'all come to an end');
is($shop->sql("SELECT count(*) FROM payments.payment WHERE status <> 'SUCCESS'"),
	0, 'all are paid');

$shop->books_agree;
$shop->{node}->stop;
done_testing();

# A worker that is told to stop waits a little for what is in flight, records
# the rest as unanswered, and the next one finds out what became of it.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use Test::More;
use Time::HiRes qw(sleep time);

# Far longer than anything here takes on a busy machine, and less than the
# longest drain, and than an answer that hangs is waited for (a minute).
my $soon = 25;

my $shop = PaymentsTest->new(conf => "payments.shutdown_drain = 30s\n");
$shop->wait_for_worker;

sub is_in_flight
{
	my ($n) = @_;
	return $shop->poll_sql('SELECT in_flight FROM payments.worker_status',
		$n, "in flight: $n");
}

# Confirm orders that are not answered until the simulator is told to.
sub hang
{
	my (@orders) = @_;
	$shop->fault($_, kind => 'hang', on => 'confirm') for @orders;
	$shop->confirm(@orders);
	return is_in_flight(scalar @orders);
}

# Tell the worker to stop, and wait until it has heard.
sub stop_worker
{
	my ($pid) = @_;
	$shop->sql("SELECT pg_terminate_backend($pid)");
	return $shop->wait_for_worker('stopping');
}

# Change the drain, for the worker that comes next.
sub set_drain
{
	my ($drain) = @_;
	my $pid = $shop->worker('pid');

	$shop->configure('payments.shutdown_drain' => $drain);
	$shop->poll_sql('SHOW payments.shutdown_drain', $drain);
	$shop->sql("SELECT pg_terminate_backend($pid)");
	return $shop->wait_for_other_worker($pid);
}

sub attempts_of
{
	my ($order) = @_;
	return $shop->sql("SELECT string_agg(operation || ' ' || transport, ', '
			ORDER BY attempt_no)
		FROM payments.psp_answer WHERE order_id = '$order->{order_id}'");
}

# An answer that comes within the drain is saved by the worker that asked.
my $order = $shop->order(1000);
my $pid = $shop->wait_for_other_worker(0);
hang($order);
stop_worker($pid);
$shop->release;
$shop->wait_for_other_worker($pid);
is($shop->status($order), 'SUCCESS', 'saved before the next worker ran');
is(attempts_of($order), 'confirm answered', 'by the one that asked');

# A second SIGTERM skips the wait.
$order = $shop->order(1000);
$pid = $shop->worker('pid');
hang($order);
my $start = time();
stop_worker($pid);
$shop->sql("SELECT pg_terminate_backend($pid)");
$shop->wait_for_other_worker($pid);
cmp_ok(time() - $start, '<', $soon, 'told twice it does not wait');
$shop->release;
is($shop->wait_for($order), 'SUCCESS', 'which loses nothing');

# An answer that comes later is asked for.
$pid = set_drain('2s');
my ($late, $queued) = $shop->orders(2, 1000);
hang($late);
$start = time();
$shop->sql("SELECT pg_terminate_backend($pid)");
$shop->confirm($queued);
$shop->wait_for_other_worker($pid);
cmp_ok(time() - $start, '>', 1.9, 'the drain is waited for');
cmp_ok(time() - $start, '<', $soon, 'and no longer');
is($shop->wait_for($queued), 'SUCCESS', 'the next worker takes what is queued');
$shop->release;
is($shop->wait_for($late), 'SUCCESS', 'and finds out about the late one');
like(attempts_of($late), qr/^confirm no answer, /,
	'which was recorded as unanswered');

# A fast shutdown of the server with calls in flight, and the start after it.
set_drain('1s');
my @orders = $shop->orders(20, 1000);
hang(@orders);
$start = time();
$shop->{node}->stop('fast');
cmp_ok(time() - $start, '<', $soon, 'a fast shutdown takes no longer than it must');
$shop->{node}->start;
$shop->wait_for_worker;
is(($shop->log =~ /has started: run \d+, calls left in flight: (\d+)/g)[-1], 0, 'nothing is left in flight');
$shop->release;
ok($shop->wait_until_quiet, 'all come to an end');

# The worker is killed: the whole server restarts, and nothing is lost.
@orders = $shop->orders(20, 1000);
hang(@orders);
kill_worker($shop);
$shop->wait_for_worker;
$shop->release;
ok($shop->wait_until_quiet, 'all come to an end');
is($shop->sql("SELECT count(*) FROM payments.payment WHERE status <> 'SUCCESS'"),
	0, 'all are paid');

$shop->books_agree;
$shop->{node}->stop;
done_testing();

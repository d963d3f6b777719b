# How long a server takes to stop and to start again while the PSP holds an
# answer back: never longer than the drain and what the server itself needs, in
# any mode, and whatever else goes on.
use strict;
use warnings;

use PaymentsTest;
use Test::More;
use Time::HiRes qw(sleep time);

# The server itself needs half a second, on a quiet machine; an answer that is held
# back would be waited for a minute.
my $drain = 1;
my $server = 10;
my $shop = PaymentsTest->new(
	databases => [ 'shop', 'branch' ],
	conf => "payments.shutdown_drain = ${drain}s\n");
my $node = $shop->{node};
my $branch = bless { %$shop, databases => ['branch'] }, 'PaymentsTest';
$_->wait_for_worker for $shop, $branch;

# The answers are held until the simulator is told to let them go.
sub hang
{
	my ($n, $where) = @_;
	$where //= $shop;
	my @orders = $where->orders($n, 1000);
	$shop->fault($_, kind => 'hang', on => 'confirm', delayMs => 600_000) for @orders;
	$where->confirm(@orders);
	for my $order (@orders)
	{
		$shop->poll(sub { grep { $_->{method} eq 'POST' } $where->requests_of($order) }, 'it has left');
	}
	$shop->poll(sub { $where->worker('in_flight') >= $n }, "in flight: $n");
	return @orders;
}

sub seconds_of
{
	my ($do) = @_;
	my $start = time();
	$do->();
	return time() - $start;
}

sub ends_well
{
	my ($name, @orders) = @_;
	$shop->release;
	my @lost = grep { $shop->wait_for($_) ne 'SUCCESS' } @orders;
	is(scalar @lost, 0, "$name: every payment succeeds");
}

# Stopped in each mode, and started at once with the answers still held back.
for my $case ([ fast => $drain, $drain + $server ], [ smart => $drain, $drain + $server ], [ immediate => 0, $server ])
{
	my ($mode, $least, $most) = @$case;
	my @orders = hang(10);
	my @other = hang(3, $branch);
	my $took = seconds_of(sub { $node->stop($mode) });

	cmp_ok($took, '>=', $least - 0.05, "stop -m $mode waits for answers") if $least > 0;
	cmp_ok($took, '<', $most, sprintf('stop -m %s took %d ms', $mode, 1000 * $took));
	$took = seconds_of(sub { $node->start; $shop->wait_for_worker; });
	cmp_ok($took, '<', 30, sprintf('after stop -m %s the worker runs in %d ms', $mode, 1000 * $took));
	my $new = $shop->order(1000);
	$shop->confirm($new);
	is($shop->wait_for($new), 'SUCCESS', 'and pays, while answers are still held back');
	ends_well("stop -m $mode", @orders);
	ok($branch->wait_until_quiet, "stop -m $mode: of the other database, too");
}

# A fast stop asks once.  That nothing is in flight costs nothing.
my $took = seconds_of(sub { $node->stop('fast') });
cmp_ok($took, '<', $server, sprintf('with nothing in flight: %d ms', 1000 * $took));
$node->start;
$shop->wait_for_worker;

# Somebody has locked the order whose answer comes in during the drain.
my ($order) = hang(1);
my $locker = $node->background_psql('shop');
$locker->query_safe("BEGIN; SELECT FROM payments.payment_event WHERE order_id = '$order->{order_id}' FOR UPDATE");
my $releaser = fork() // die;
if ($releaser == 0) { sleep 0.5; $shop->release; require POSIX; POSIX::_exit(0) }
$took = seconds_of(sub { $node->stop('fast') });
waitpid $releaser, 0;
cmp_ok($took, '<', $drain + $server, sprintf('with a lock on its order: %d ms', 1000 * $took));
eval { $locker->quit };
$node->start;
$shop->wait_for_worker;
ends_well('a lock', $order);

# An old client, from before a reload, and a new one; both wait for answers.
my @former = hang(3);
$shop->configure('payments.connect_timeout' => '4s');
sleep 0.5;
my @current = hang(4);
$took = seconds_of(sub { $node->stop('fast') });
cmp_ok($took, '<', $drain + $server, sprintf('with two clients: %d ms', 1000 * $took));
$node->start;
$shop->wait_for_worker;
ends_well('two clients', @former, @current);

# The PSP does not even accept the connection.
$shop->settings(down => JSON::PP::true);
my @down = $shop->orders(5, 1000);
$shop->confirm(@down);
sleep 0.5;
$took = seconds_of(sub { $node->stop('fast') });
cmp_ok($took, '<', $drain + $server, sprintf('with the PSP down: %d ms', 1000 * $took));
$shop->settings(down => JSON::PP::false);
$node->start;
$shop->wait_for_worker;
ends_well('the PSP down', @down);

# The worker is ended by pg_terminate_backend, again and again.
my @orders = hang(5);
for my $round (1 .. 3)
{
	my $pid = $shop->wait_for_other_worker(0);
	$took = seconds_of(sub {
			$shop->sql("SELECT pg_terminate_backend($pid)");
			$shop->wait_for_other_worker($pid);
		});
	cmp_ok($took, '<', $drain + 2 * $server, sprintf('pg_terminate_backend: the next worker after %d ms', 1000 * $took));
}
ends_well('pg_terminate_backend', @orders);

# Who waits for a payment is ended: waiting changes nothing.
my ($waited) = $shop->orders(1, 1000);
$shop->fault($waited, kind => 'hang', on => 'confirm', delayMs => 600_000);
my $client = $node->background_psql('shop', on_error_stop => 0);
my $client_pid = $client->query_safe('SELECT pg_backend_pid()');
$client->query_until(qr/begun/, "\\echo begun\nCALL payments.pay('$waited->{order_id}', '$waited->{payment_key}', 1000, '60 s', NULL);\n");
$shop->poll(sub { $shop->worker('in_flight') == 1 }, 'in flight');
$shop->sql("SELECT pg_terminate_backend($client_pid)");
eval { $client->quit };
is($shop->status($waited), 'EXECUTING', 'who waited is gone, and the payment goes on');
ends_well('a client that is ended', $waited);

$shop->wait_until_quiet;
$branch->wait_until_quiet;
is($shop->toss('GET', '/summary?orders=0')->{chargedMoreThanOnce}, 0, 'nobody was charged twice');
for my $books ($shop, $branch)
{
	is($books->sql(q(SELECT string_agg(invariant, ', ') FROM payments.verify() WHERE NOT holds)), '', 'all invariants hold');
}
$node->stop;
done_testing();

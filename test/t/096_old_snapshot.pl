# Somebody reads for hours: while a snapshot is held that is as old as the run, all
# dead rows of the queue, the balances and the wallets stay, whoever holds it.  The
# worker goes on, and a payment hardly costs it more in the end than in the
# beginning.  The queue grows by what it has seen meanwhile, and no further when
# the reader is gone.  The short form takes seconds, make slow a minute.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

my $is_long = is_long('slow');
my $seconds = $is_long ? 60 : 10;
my $shop = PaymentsTest->new(conf => "fsync = off\nautovacuum_naptime = 1s\npayments.sweep_interval = 1s\n");
my $node = $shop->{node};
$shop->wait_for_worker;
my $pid = $shop->worker('pid');
$shop->settings(auto => 'auto_');

# Time of the worker's own, in ms.  What others do on the machine is no part of it.
sub worker_ms
{
	my @stat = split ' ', PostgreSQL::Test::Utils::slurp_file("/proc/$pid/stat") =~ s/.*\) //r;
	return 1000 * ($stat[11] + $stat[12]) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

sub queue_size { return $shop->sql(q(SELECT pg_total_relation_size('payments.psp_call_queue'))) }

# Sell for so long, so that the worker always has something to do.  Returns a row
# for each piece: payments, seconds, ms of the worker.
sub sell
{
	my ($for) = @_;
	my $end = time() + $for;
	my @rows;

	while (time() < $end)
	{
		my ($start, $ms) = (time(), worker_ms());
		$shop->sql(q(SELECT count(payments.confirm(c.order_id, 'auto_' || c.order_id, 1000))
			FROM generate_series(1, 200) i, LATERAL payments.checkout(i,
				jsonb_build_array(jsonb_build_object('seller_id', i % 10 + 1, 'amount', 1000))) c));
		$shop->wait_until_quiet;
		push @rows, [ 200, time() - $start, worker_ms() - $ms ];
	}
	return @rows;
}

# Of the first or last so many rows: µs of the worker for a payment, and payments
# a second
sub of
{
	my (@rows) = @_;
	my @sum = (0, 0, 0);
	for my $row (@rows) { $sum[$_] += $row->[$_] for 0 .. 2 }
	return (1000 * $sum[2] / $sum[0], $sum[0] / $sum[1]);
}

sell(2);
my @readers = map { $node->background_psql($_) } 'shop', 'postgres';
$_->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class') for @readers;
my $before = queue_size();
my @rows = sell($seconds);
my $grown = queue_size() - $before;
my $n = int(@rows / ($is_long ? 10 : 3)) || 1;
my ($first, $first_rate) = of(@rows[ 0 .. $n - 1 ]);
my ($last, $last_rate) = of(@rows[ -$n .. -1 ]);
my $calls = 200 * @rows;
diag(sprintf "%d payments; the worker's time for one: %.0f us at first, %.0f us at last; %.0f/s, %.0f/s; %.0f bytes of queue a call",
	$calls, $first, $last, $first_rate, $last_rate, $grown / $calls);
is($shop->sql(q(SELECT count(*) FROM payments.psp_call_queue)), 0, 'all are settled');
cmp_ok($last, '<', 2 * $first, 'a payment does not cost much more in the end');
cmp_ok($grown, '<', 600 * $calls + 1_000_000, 'the queue grows by no more than it has seen');
$_->quit for @readers;

# What was kept is used again, when they have gone indeed.
$shop->poll_sql(q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()), 0);
my @sizes = map { $shop->sql('VACUUM payments.psp_call_queue'); sell(2); queue_size() } 1 .. 2;
cmp_ok($sizes[1], '<=', $sizes[0] + 200_000, 'when the reader is gone the queue grows no more');
is($shop->worker('pid'), $pid, 'by one worker');
is($shop->sql(q(SELECT string_agg(invariant, ', ') FROM payments.verify() WHERE NOT holds)), '', 'the invariants hold');
$node->stop;
done_testing();

# Somebody reads for hours: while a snapshot is held that is as old as the run, all
# dead rows of the queue, the orders, the balances and the wallets stay, whoever holds
# it.  The worker goes on, and a payment costs no more in the end than in the
# beginning: no more entries of indexes and pages are visited for each row that dies.
# The queue grows by what it has seen meanwhile, and no further when the reader is
# gone.  The short form takes seconds, make slow a minute or two.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use Test::More;
use Time::HiRes qw(time);

# Nobody vacuums but the test: who visits what is counted.
my $shop = PaymentsTest->new(conf => "fsync = off\nautovacuum = off\npayments.sweep_interval = 1h\n");
my $node = $shop->{node};
my $sold = 0;
$shop->wait_for_worker;
my $pid = $shop->worker('pid');
$shop->settings(auto => 'auto_');

sub queue_size { return $shop->sql(q(SELECT pg_total_relation_size('payments.psp_call_queue'))) }

# Sell 200, and wait without visiting the tables.
sub sell
{
	$shop->sql(q(SELECT count(payments.confirm(c.order_id, 'auto_' || c.order_id, 1000))
		FROM generate_series(1, 200) i, LATERAL payments.checkout(i,
			jsonb_build_array(jsonb_build_object('seller_id', i % 10 + 1, 'amount', 1000))) c));
	$sold += 200;
	$shop->poll_sql(q(SELECT sum(value) FROM payments.worker_stats WHERE counter = 'actions' AND label = 'succeed'), $sold, 'all are paid');
}

sub sell_for
{
	my $end = time() + shift;
	sell() while time() < $end;
}

# Of each table in which rows die: how many did, and visits.  All sessions have told.
sub counts
{
	$shop->poll_sql(q(SELECT n_tup_ins || ' ' || n_tup_del FROM pg_stat_user_tables
		WHERE relid = 'payments.psp_call_queue'::regclass), "$sold $sold");
	return { map { my ($table, @n) = split /\|/; $table => \@n } split /\n/, $shop->sql(q(
		SELECT s.relname, s.n_tup_upd + s.n_tup_del, s.seq_tup_read + io.heap_blks_hit + io.heap_blks_read +
			(SELECT sum(i.idx_tup_read) FROM pg_stat_user_indexes i WHERE i.relid = s.relid)
		FROM pg_stat_user_tables s JOIN pg_statio_user_tables io USING (relid)
		WHERE s.schemaname = 'payments' AND s.relname IN
			('ledger_balance', 'payment_event', 'payment_order', 'psp_call_queue', 'wallet'))) };
}

# Visits for each row that dies, by table, of the next payments.
sub visits
{
	$shop->sql('VACUUM ANALYZE');
	sell();
	my $before = counts();
	sell() for 1 .. 4;
	my $after = counts();
	return map { $_ => ($after->{$_}[1] - $before->{$_}[1]) / ($after->{$_}[0] - $before->{$_}[0]) } keys %$after;
}

# What is empty at the beginning is filled in any order, and an index reads from the
# end: so nothing is.
sell_for(2);
$shop->sql('VACUUM FULL payments.wallet');
my @readers = map { $node->background_psql($_) } 'shop', 'postgres';
$_->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class') for @readers;
my ($size, $start, $n) = (queue_size(), time(), $sold);
my %first = visits();

# A sweep reads what is dead in any case: not while visits are counted.
$shop->configure('payments.sweep_interval' => '1s');
sell() for 1 .. (is_long('slow') ? 100 : 25);
$shop->configure('payments.sweep_interval' => '1h');
sell_for(2);
my %last = visits();
my $calls = $sold - $n;
my $grown = queue_size() - $size;
my %cost = map { $_ => sprintf '%s: %.2f at first, %.2f at last', $_, $first{$_}, $last{$_} } sort keys %last;
diag("$_") for "$calls payments in " . int(time() - $start) . " s; visits for a row that dies:", sort values %cost;
is(join('; ', map { $cost{$_} } grep { $last{$_} > 1.5 * $first{$_} + 2 } sort keys %last), '',
	'a payment costs no more in the end');
is($shop->sql(q(SELECT count(*) FROM payments.psp_call_queue)), 0, 'all are settled');
cmp_ok($grown, '<', 600 * $calls + 1_000_000, 'the queue grows by no more than it has seen');
$_->quit for @readers;

# What was kept is used again, when they have gone indeed.
$shop->poll_sql(q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()), 0);
my @sizes = map { $shop->sql('VACUUM payments.psp_call_queue'); sell_for(2); queue_size() } 1 .. 2;
cmp_ok($sizes[1], '<=', $sizes[0] + 200_000, 'when the reader is gone the queue grows no more');
is($shop->worker('pid'), $pid, 'by one worker');
is($shop->sql(q(SELECT string_agg(invariant, ', ') FROM payments.verify() WHERE NOT holds)), '', 'the invariants hold');
$node->stop;
done_testing();

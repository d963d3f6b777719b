# Of several workers one reconciles, and behind a start that may have cost the
# books something all of them wait for it.  Another number of workers is no such
# start.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use Test::More;

my $shop = PaymentsTest->new(
	conf => "payments.reconcile_interval = 1d\npayments.request_timeout = 2s\npayments.sweep_interval = 1h\npayments.shutdown_drain = 500ms\n");
my $starts = "SELECT count(*) FROM payments.reconciliation WHERE cause = 'start'";

sub workers
{
	my ($n) = @_;
	$shop->configure('payments.workers_per_database' => $n);
	return all_say($n, 'running', "$n workers run");
}

# All are in this state, for this reason
sub all_say
{
	my ($n, $state, $what) = @_;
	return $shop->poll_sql("SELECT string_agg(concat_ws(' ', shard, shards, state, substr(reason, 1, 42)), ', ' ORDER BY shard) FROM payments.worker_status",
		join(', ', map { "$_ $n $state" } 0 .. $n - 1), $what);
}

# An order of each of three shards
sub orders_of_each
{
	my %of;
	while (keys %of < 3)
	{
		my $order = $shop->order(1000);
		$of{ $shop->sql("SELECT (hashtext('$order->{order_id}') & 2147483647) % 3") } = $order;
	}
	return map { $of{$_} } 0 .. 2;
}

sub hold_list { $shop->toss('POST', '/fault', { kind => 'hang', on => 'transactions', any => JSON::PP::true, count => 1000 }) }
sub release_list { $shop->toss('POST', '/faults/clear', {}); $shop->release }

# More workers than before
$shop->wait_for_worker;
hold_list();
workers(3);
is($shop->sql($starts), 0, 'other workers: no look at the list');
my @orders = orders_of_each();
$shop->confirm(@orders);
ok($shop->wait_until_quiet, 'and charges go on');
workers(1);
workers(3);
is($shop->sql($starts), 0, 'nor when there are fewer, and more again');

# A crash
kill_process($shop, $shop->sql('SELECT pid FROM payments.worker_status WHERE shard = 1'));
server_is_back($shop);
all_say(3, 'running charges wait until the books were compared', 'a crash: all wait');
is($shop->sql("$starts AND ended_at IS NULL"), 1, 'for one run');
@orders = orders_of_each();
$shop->confirm(@orders);
sleep 3;
is(scalar(map { arrivals($shop, $_, 'POST') } @orders), 0, 'nobody is charged meanwhile');
release_list();
ok($shop->wait_until_quiet, 'then all are');
is(join(' ', map { $shop->status($_) } @orders), 'SUCCESS SUCCESS SUCCESS', 'and paid');
all_say(3, 'running', 'nothing is complained of any more');
is($shop->sql(q(SELECT count(DISTINCT e.shard) || ' ' || min(e.shard) FROM payments.reconciliation r JOIN payments.worker_epoch e USING (epoch))),
	'1 0', 'the first worker has read the list');
$shop->books_agree;
$shop->{node}->stop;
done_testing();

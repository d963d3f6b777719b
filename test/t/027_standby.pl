# A standby reads and sends nothing.  A claim that has to wait for a standby is
# not sent.  After a promotion the new primary asks about what was in flight.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use PostgreSQL::Test::Cluster;
use Test::More;
use Time::HiRes qw(sleep time);

my $shop = PaymentsTest->new(
	init => { allows_streaming => 1 },
	conf => "payments.shutdown_drain = 300ms\npayments.request_timeout = 5s\n");
my $primary = $shop->{node};
$shop->wait_for_worker;
my $first = $shop->order(1000);
$shop->confirm($first);
is($shop->wait_for($first), 'SUCCESS', 'a payment');

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);

# The standby.
is($standby->safe_psql('shop', "SELECT status FROM payments.payment
	WHERE order_id = '$first->{order_id}'"), 'SUCCESS', 'a standby answers the view');
is($standby->safe_psql('shop', "SELECT payments.status('$first->{order_id}')"),
	'SUCCESS', 'and the function');
is($standby->safe_psql('shop', "SELECT payments.wait_for('$first->{order_id}', '5 s')"),
	'SUCCESS', 'wait_for too');
is($standby->safe_psql('shop', 'SELECT count(*) FROM payments.verify() WHERE NOT holds'),
	0, 'and verify');
is($standby->safe_psql('shop', q(SELECT count(*) FROM pg_stat_activity
	WHERE backend_type LIKE 'payments%')), 0, 'it has no worker and no launcher');
my $order = $shop->order(1000);
my (undef, undef, $err) = $standby->psql('shop', $shop->confirm_sql($order));
like($err, qr/read-only|recovery/, 'it takes no orders');

# Claims that wait for a standby that is not there: nothing may be sent.  It is
# the claim that shall wait, not the upkeep of the ledger before it: that goes
# away, and writes nothing, while somebody else has the row of its mark.
my $upkeep;
sub claim_waits
{
	my @orders = $shop->orders(3, 1000);
	my $arrived = scalar $shop->requests;

	$upkeep = $primary->background_psql('shop');
	$upkeep->query_safe('BEGIN; SELECT FROM payments.ledger_horizon FOR UPDATE');
	$primary->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'\n");
	$primary->reload;
	$shop->poll_sql('SHOW synchronous_standby_names', 'nobody');
	sleep 0.5;
	$shop->sql(join ';', 'SET synchronous_commit = local', 'BEGIN',
		(map { $shop->confirm_sql($_) } @orders), 'COMMIT');
	$shop->poll_sql(q(SELECT query FROM pg_stat_activity
			WHERE backend_type = 'payments worker' AND wait_event = 'SyncRep'),
		'payments: save results: 0, claim calls: 256 at most', 'the claim waits for the standby');
	sleep 0.5;
	is(scalar $shop->requests, $arrived, 'a claim that is not safe is not sent');
	return @orders;
}
sub nobody_waits
{
	$primary->append_conf('postgresql.conf', "synchronous_standby_names = ''\n");
	$primary->reload;
	$upkeep->quit;
}

my $arrived = scalar $shop->requests;
my @orders = claim_waits();
$shop->sql(q(SELECT pg_cancel_backend(pid) FROM pg_stat_activity
	WHERE backend_type = 'payments worker'));
sleep 0.5;
is(scalar $shop->requests, $arrived, 'a cancel does not make it sent');
nobody_waits();
ok(settled($shop, @orders), 'when it is safe it is sent');
is(join(' ', map { scalar arrivals($shop, $_, 'POST') } @orders), '1 1 1', 'once');

# The worker is told to stop, or dies, between claim and sending.
for ([ 'SIGTERM', 'TERM' ], [ 'kill -9', 'KILL' ])
{
	my ($name, $signal) = @$_;
	@orders = claim_waits();
	my $pid = $shop->worker('pid');
	kill $signal, $pid;
	nobody_waits();
	$shop->wait_for_other_worker($pid);
	ok(settled($shop, @orders), "$name between claim and sending: all come to an end");
	is(join(' ', map { $shop->status($_) } @orders), 'SUCCESS SUCCESS SUCCESS', "$name: paid");
	# who was told knows that nothing was sent; who found it asks
	my $told = $signal eq 'TERM';
	is(scalar(grep { answers_of($shop, $_) =~ /^confirm not sent, / } @orders),
		$told ? 3 : 0, "$name: it is written down that nothing was sent, if it is known");
	is(join(' ', map { ($shop->requests_of($_))[0]{method} } @orders),
		$told ? 'POST POST POST' : 'GET GET GET',
		"$name: the next run asks first, unless nothing was sent");
}
audit($shop, 'claims that wait', secrets => 0);

# Promotion, with calls in flight: executed and not answered, and lost.
$primary->wait_for_catchup($standby);
@orders = ($order, $shop->orders(5, 1000));
$shop->fault($_, kind => 'hang', on => 'confirm', after => 'done') for @orders[ 0 .. 2 ];
$shop->fault($_, kind => 'hang', on => 'confirm', after => 'unchanged') for @orders[ 3 .. 5 ];
$shop->confirm(@orders);
in_flight($shop, 6);
$primary->wait_for_catchup($standby);
$arrived = scalar $shop->requests;
my $epoch = $shop->worker('epoch');
$primary->stop('immediate');
$standby->promote;
my $promoted = time();
$shop->{node} = $standby;
$shop->wait_for_worker;
is($shop->worker('epoch'), $epoch + 1, 'the promoted server begins a run');
$shop->toss('POST', '/faults/clear', {});
ok($shop->poll(sub { $shop->requests > $arrived }, 'it asks'), 'it asks');
cmp_ok(time() - $promoted, '>', 4.5, 'when requests of the old primary must have ended');
$shop->release;
ok(settled($shop, @orders), 'all come to an end');
is(join(' ', map { $shop->status($_) } @orders), join(' ', ('SUCCESS') x 6), 'paid');
for my $one (@orders)
{
	my @after = grep { $_->{number} > $arrived } $shop->requests_of($one);
	is($after[0]{method}, 'GET', 'asked first');
}
$first = $shop->order(1000);
$shop->confirm($first);
is($shop->wait_for($first), 'SUCCESS', 'business goes on');
audit($shop, 'promotion');

$standby->stop;
done_testing();

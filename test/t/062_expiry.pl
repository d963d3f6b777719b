# An order that nobody confirms ends by itself: FAILURE, EXPIRED, told once.  Not
# one that is being confirmed, nor what this database cannot know about; and one
# that cannot be ended does not stop the others.
use strict;
use warnings;

use PaymentsTest;
use Test::More;

my $shop = PaymentsTest->new(conf => "payments.sweep_interval = 1s\n");
$shop->wait_for_worker;

my $told = qr/cannot end an order that nobody confirmed in time/;
my $n = 0;

# Check out so many that are to be confirmed within this time.
sub check_out
{
	my ($many, $expires_in, $merchant) = @_;
	my $first = $n + 1;
	$n += $many;
	my @ids = map { sprintf 'expiry-%04d', $_ } $first .. $n;
	$shop->sql(join ';', map {
		"SELECT payments.checkout(1, '[{\"seller_id\": 1, \"amount\": 100}, {\"seller_id\": 2, \"amount\": 50}]',
			order_id => '$_', expires_in => '$expires_in', merchant => '@{[ $merchant // 'default' ]}')" } @ids);
	return @ids;
}

sub states
{
	my (@ids) = @_;
	return $shop->sql("SELECT string_agg(state, ', ' ORDER BY state) FROM (SELECT count(*) || ' ' || concat_ws(' ', status, failure_code) AS state
		FROM payments.payment WHERE order_id IN (@{[ join ', ', map { qq('$_') } @ids ]}) GROUP BY status, failure_code) s");
}

sub become
{
	my ($states, $what, @ids) = @_;
	return ok($shop->poll(sub { states(@ids) eq $states }, $what), $what) || diag(states(@ids));
}

# Many, and some that are not meant
my @late = check_out(200, '1 us');
my @open = check_out(3, '1 hour');
my $paid = $shop->order(1000);
$shop->confirm($paid);
is($shop->wait_for($paid), 'SUCCESS', 'one is paid');
become('200 FAILURE EXPIRED', 'what nobody confirmed in time has ended', @late);
is(states(@open), '3 NOT_STARTED', 'what has time left is open');
is($shop->sql("SELECT count(*) || ' ' || count(DISTINCT order_id) FROM payments.event WHERE kind = 'payment.failed'"), '200 200', 'told once each');
is($shop->sql("SELECT count(DISTINCT xid) FROM payments.event WHERE kind = 'payment.failed'"), 200, 'each in a transaction of its own');
is($shop->sql("SELECT string_agg(DISTINCT actor, ', ') FROM payments.payment_order_history WHERE order_id LIKE 'expiry-%'"), 'payments worker', 'by the worker');

# Somebody waits for it
my ($awaited) = check_out(1, '2 s');	# or it is over already
is($shop->sql("SELECT payments.wait_for('$awaited', '$PaymentsTest::timeout s')"), 'FAILURE', 'who waits is told');

# It is being confirmed: it is passed over, and ends when the confirm is undone.
# The confirm begins while there is time, and waits until there is none.
my ($racing) = check_out(1, '1 hour');
my $over = 'UPDATE payments.payment_event SET expires_at = clock_timestamp() WHERE order_id IN';
my ($holder, $session) = map { $shop->{node}->background_psql($shop->{databases}[0]) } 1 .. 2;
$holder->query_safe("BEGIN; SELECT FROM payments.payment_event WHERE order_id = '$racing' FOR UPDATE");
$session->query_until(qr/begun/, "\\echo begun\nBEGIN; SELECT payments.confirm('$racing', 'key_racing', 150);\n");
$shop->poll(sub { $shop->sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%key_racing%'") }, 'it waits');
$holder->query_safe("$over ('$racing')");
$holder->query_safe('COMMIT');
$holder->quit;
is($session->query_safe('SELECT 1'), "EXECUTING\n1", 'a confirm that was in time');
my ($other) = check_out(1, '1 us');
become('1 FAILURE EXPIRED', 'another one ends meanwhile', $other);
is(states($racing), '1 NOT_STARTED', 'what is being confirmed is passed over');
$session->query_safe('ROLLBACK');
become('1 FAILURE EXPIRED', 'and ends when that is undone', $racing);

# Lines that somebody has locked: the order cannot be ended, the others are.
my ($locked, @others) = check_out(5, '1 hour');
$session->query_safe("BEGIN; SELECT count(*) FROM (SELECT FROM payments.payment_order WHERE order_id = '$locked' FOR UPDATE) l");
$shop->sql("$over ('$locked')");
$shop->sql("$over (@{[ join ', ', map { qq('$_') } @others ]})");
become('4 FAILURE EXPIRED', 'those behind one that cannot be ended are', @others);
$shop->poll(sub { $shop->log =~ $told }, 'and people are told');
is(states($locked), '1 NOT_STARTED', 'it is as it was');
my $order = $shop->order(1000);
$shop->confirm($order);
is($shop->wait_for($order), 'SUCCESS', 'payments go through');
$session->query_safe('COMMIT');
become('1 FAILURE EXPIRED', 'it ends when it can be', $locked);
$session->quit;

# A merchant who may not be charged from here: what is not known here may be
# known elsewhere.
$shop->configure('payments.test_keys_need_arming' => 'on');
$shop->wait_for_worker('disarmed');
my @disarmed = check_out(2, '1 us');
$shop->sql("SELECT payments.set_merchant('other', 'test_ck_other')");
my @nokey = check_out(2, '1 us', 'other');
become('2 FAILURE EXPIRED', 'those of a merchant without a key end', @nokey);
is(states(@disarmed), '2 NOT_STARTED', 'those of one who may not be charged stay');
$shop->sql("SELECT payments.arm('the test')");
$shop->wait_for_worker;
my @armed = check_out(2, '1 us');
become('2 FAILURE EXPIRED', 'those of after the arming end', @armed);
is(states(@disarmed), '2 NOT_STARTED', 'those of before stay for people');
is($shop->sql("SELECT count(*) FROM payments.payment WHERE is_expired"), 2, 'who see them');
my $alert = q(SELECT subject || ': ' || detail FROM payments.alerts WHERE alert = 'checkouts_not_ended');
is($shop->sql($alert), '', 'and are told after a while');
$shop->sql("UPDATE payments.payment_event SET expires_at = now() - CASE order_id WHEN '$disarmed[0]' THEN interval '12 min' ELSE interval '11 min' END WHERE order_id IN ('$disarmed[0]', '$disarmed[1]')");
is($shop->sql($alert), "$disarmed[0]: nobody confirmed them in time, and they have not ended after 10 minutes: 2", 'namely of how many');
$shop->sql("SELECT payments.fail('$_', 'EXPIRED', 'Toss does not know it')") for @disarmed;

# A run that was in another history: as after a promotion
$shop->sql(q(INSERT INTO payments.worker_epoch (epoch, started_at, system_identifier, shard, shards, timeline)
	SELECT max(epoch) + 1, now(), min(system_identifier), 0, 1, 1000 FROM payments.worker_epoch));
my @lost = check_out(2, '1 us');
my $pid = $shop->worker('pid');
kill 'TERM', $pid;
$shop->wait_for_other_worker($pid);
my @young = check_out(2, '1 us');
become('2 FAILURE EXPIRED', 'those of this run end', @young);
is(states(@lost), '2 NOT_STARTED', 'those of before stay');
$shop->sql("SELECT payments.fail('$_', 'EXPIRED', 'Toss does not know it')") for @lost;

# Killed while it is at it: none is ended twice, none is left.
my @many = check_out(300, '1 us');
$shop->poll(sub { states(@many) =~ /FAILURE/ }, 'some end');
kill 'KILL', $shop->worker('pid');
$shop->poll(sub { ($shop->{node}->psql('shop', 'SELECT 1'))[0] == 0 }, 'the server comes back');
become('300 FAILURE EXPIRED', 'all end', @many);
is($shop->sql("SELECT count(*) - count(DISTINCT order_id) FROM payments.event WHERE kind = 'payment.failed'"), 0, 'none is told twice');
$shop->books_agree;
$shop->{node}->stop;
done_testing();

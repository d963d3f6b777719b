# Which calls the worker claims, and when: what its memory has no room for is
# read from the table, a locked row comes later, and one merchant's backlog does
# not delay another's call.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use Test::More;
use Time::HiRes qw(sleep time);

# The sweep would hide what is lost: it comes once an hour here.
my $shop = PaymentsTest->new(conf => q(
payments.sweep_interval = 3600
));
$shop->settings(auto => 'auto_', keepRequests => \0);
$shop->write_secret('other', $PaymentsTest::secret);
$shop->sql("SELECT payments.set_merchant('other', 'test_ck_simulator0only')");
$shop->wait_for_worker;

# n confirmed orders of a merchant, in one transaction
sub queue
{
	my ($merchant, $n, $sellers) = @_;
	return $shop->sql(qq(SELECT string_agg(order_id, ',') FROM (
		SELECT c.order_id, payments.confirm(c.order_id, 'auto_' || c.order_id, c.amount)
		FROM generate_series(1, $n) i, LATERAL payments.checkout(i,
			jsonb_build_array(jsonb_build_object('seller_id', i % 10 + 1, 'amount', 1000)),
			merchant => '$merchant') c) orders));
}

sub open_calls
{
	my ($merchant) = @_;
	return $shop->sql("SELECT count(*) FROM payments.open_calls WHERE merchant = '$merchant'");
}

sub hints
{
	return $shop->sql(q(SELECT string_agg(label || ' ' || value, ', ' ORDER BY label)
		FROM payments.worker_stats WHERE database = 'shop' AND counter = 'hints'));
}

# Far more in one transaction than it gives hints of.
is(hints(), 'lost 0, taken 0', 'no hint yet');
queue('default', 500);
ok($shop->wait_until_quiet, 'a large transaction is read from the table');
is(hints(), 'lost 436, taken 64', 'what it had no hints for is counted');

# More than the ring holds, while the worker does not listen.
my $session = $shop->{node}->background_psql('shop', on_error_stop => 1);
my $pid = $shop->worker('pid');
kill 'STOP', $pid;
queue('default', 60) for 1 .. 75;		# each gives hints of all its calls
is(open_calls('default'), 4500, '4500 calls are queued');
kill 'CONT', $pid;
ok($shop->wait_until_quiet, 'those that the ring lost are read from the table');
is(hints(), 'lost 840, taken 4160', 'and counted');

# A webhook does not wait for the end of a backlog.
my ($paid, $key) = split /\|/, $shop->sql('SELECT order_id, payment_key FROM payments.payment_event LIMIT 1');
queue('default', 3000);
is($shop->sql(qq(SELECT payments.receive_webhook('{"eventType": "PAYMENT_STATUS_CHANGED", "data": {
	"orderId": "$paid", "paymentKey": "$key", "status": "DONE"}}', '{}'))), 'accepted', 'a webhook comes in');
$shop->poll_sql('SELECT count(*) FROM payments.webhook_queue', 0);
cmp_ok(open_calls('default'), '>', 0, 'it is looked at before the backlog ends');
ok($shop->wait_until_quiet, 'which it does');

# A locked row is left and comes later, without anybody knocking.
kill 'STOP', $pid;
my ($held, $free) = split /,/, queue('default', 2);
$session->query_safe("BEGIN; SELECT FROM payments.psp_call_queue
	WHERE order_id = '$held' FOR UPDATE");
kill 'CONT', $pid;
is($shop->sql("SELECT payments.wait_for('$free', '60 s')"), 'SUCCESS', 'a free row is claimed');
is($shop->sql("SELECT payments.status('$held')"), 'EXECUTING', 'a locked one is not');
$session->query_safe('COMMIT');
is($shop->sql("SELECT payments.wait_for('$held', '60 s')"), 'SUCCESS', 'until it is free');

# A hint that comes true later than it says.
kill 'STOP', $pid;
my $later = queue('default', 1);
my $due = $shop->sql("UPDATE payments.psp_call_queue SET due_at = clock_timestamp() + '2 s'
	WHERE order_id = '$later' RETURNING due_at");
kill 'CONT', $pid;
is($shop->sql("SELECT payments.wait_for('$later', '60 s')"), 'SUCCESS', 'a call is claimed');
is($shop->sql("SELECT claimed_at >= '$due' FROM payments.psp_attempt WHERE order_id = '$later'"), 't',
	'when it is due, and not before');

# One merchant has a backlog that its answers hold up; another one has not.  The
# first answers hang until that one has committed, so that nothing is claimed
# while it does.
$shop->configure('payments.max_in_flight' => 8);
$shop->poll_sql('SHOW payments.max_in_flight', 8);
$shop->settings(delayMs => 100, randomFaults => { rate => 1, kinds => ['hang'] });
queue('default', 1500);
$shop->poll(sub { $shop->toss('GET', '/health')->{waiting} >= 8 && $shop->worker('in_flight') >= 8 }, 'its first calls hang');
my $claimed = $shop->sql('SELECT count(*) FROM payments.psp_attempt');
my $order = queue('other', 1);
is($shop->sql('SELECT count(*) FROM payments.psp_attempt'), $claimed, 'there is no room');
$shop->settings(randomFaults => undef);
$shop->release;
is($shop->sql("SELECT payments.wait_for('$order', '60 s')"), 'SUCCESS', 'it is served');
cmp_ok(open_calls('default'), '>', 750, 'before the backlog is worked off');
my $ahead = $shop->sql(qq(SELECT count(*) FROM payments.psp_attempt a
	WHERE a.claimed_at BETWEEN (SELECT created_at FROM payments.psp_call WHERE order_id = '$order')
		AND (SELECT claimed_at FROM payments.psp_attempt WHERE order_id = '$order')
	AND a.order_id <> '$order'));
cmp_ok($ahead, '<=', 8, 'no more than a turn was claimed before it');

# The next run finds what it has never heard of.
$shop->settings(delayMs => 0);
$shop->configure('payments.max_in_flight' => 256);
kill_process($shop, $pid);
ok($shop->wait_until_quiet, 'a new run reads everything');

$session->quit;
$shop->books_agree;
$shop->{node}->stop;
done_testing();

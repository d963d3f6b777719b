# Several merchants: limits, pauses that the PSP asks for, circuit breakers, and
# calls that were never sent and expire.
use strict;
use warnings;

use PaymentsTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $shop = PaymentsTest->new(conf => q(
payments.sweep_interval = 1
));
$shop->settings(auto => 'auto_');
$shop->write_secret('other', $PaymentsTest::secret);
$shop->sql("SELECT payments.set_merchant('other', 'test_ck_simulator0only')");
$shop->wait_for_worker;

# n confirmed orders of a merchant, in one transaction
sub queue
{
	my ($merchant, $n, $expires_in) = @_;
	$expires_in //= '30 min';
	return split /,/, $shop->sql(qq(SELECT string_agg(order_id, ',') FROM (
		SELECT c.order_id, payments.confirm(c.order_id, 'auto_' || c.order_id, c.amount)
		FROM generate_series(1, $n) i, LATERAL payments.checkout(i,
			jsonb_build_array(jsonb_build_object('seller_id', i % 10 + 1, 'amount', 1000)),
			merchant => '$merchant', expires_in => '$expires_in') c) orders));
}

sub wait_for { return $shop->sql("SELECT payments.wait_for('$_[0]', '60 s')") }

sub stats
{
	my ($merchant, $column) = @_;
	return $shop->sql("SELECT $column FROM payments.merchant_stats WHERE merchant = '$merchant'");
}

sub limits
{
	my ($merchant, @limits) = @_;
	$shop->sql(sprintf "SELECT payments.set_merchant_limits(%s)", join ', ', "'$merchant'", @limits);
}

# What the attempts of these orders were, in order
sub attempts
{
	my $orders = join "','", @_;
	return $shop->sql("SELECT coalesce(string_agg(operation, ' ' ORDER BY claimed_at, attempt_no), '')
		FROM payments.psp_attempt WHERE order_id IN ('$orders')");
}

# How long after the confirm a call was first sent, in seconds
sub delay
{
	return $shop->sql("SELECT extract(epoch FROM min(a.claimed_at) - min(c.created_at))
		FROM payments.psp_call c JOIN payments.psp_attempt a ON a.call_id = c.id WHERE c.order_id = '$_[0]'");
}

# One merchant's limit holds up nobody else, and changes while it runs.
wait_for(queue('default', 1));
limits('other', 'NULL', 60, 1, "'a contract'");
my @slow = queue('other', 4);
my ($quick) = queue('default', 1);
is(wait_for($quick), 'SUCCESS', 'another merchant is served');
cmp_ok(delay($quick), '<', 1, 'at once: ' . delay($quick) . ' s');
is(wait_for($slow[2]), 'SUCCESS', 'the limited one is, too');
cmp_ok($shop->sql("SELECT extract(epoch FROM max(claimed_at) - min(claimed_at)) FROM payments.psp_attempt
	WHERE order_id IN ('$slow[0]', '$slow[1]', '$slow[2]')"), '>', 1.9, 'one a second');
limits('other', 'NULL', 1);
my @stuck = queue('other', 5);
sleep 3.5;
# on a slow machine there was time for a token, and it is still there
cmp_ok(scalar(() = attempts(@stuck) =~ /confirm/g), '<=', 1, 'a limit counts at once');
is($shop->sql("SELECT count(*) FROM payments.alerts WHERE alert = 'merchant_throttled'"), 0, 'who waits for a moment is no alert');
isnt(stats('other', 'starved_since'), '', 'but it is to be seen');
limits('other');
is(wait_for($stuck[4]), 'SUCCESS', 'and so does its end');
is($shop->sql("SELECT merchant || ': ' || became || ', ' || note FROM payments.operator_action
	WHERE note IS NOT NULL"), 'other: in flight default, 60 a minute, burst 1, a contract', 'it is written down');

# So many on the wire, and no more.
limits('other', 2);
$shop->settings(delayMs => 200);
my @few = queue('other', 100);
my $most = 0;
for (1 .. 20)
{
	my $now = $shop->sql("SELECT count(*) FROM payments.psp_call_queue WHERE state = 'S'");
	$most = $now if $now > $most;
	sleep 0.02;
}
is($most, 2, 'two on the wire');
$shop->poll(sub { stats('other', 'in_flight') == 2 }, 'the view says so');
$shop->settings(delayMs => 0);
limits('other');
$shop->wait_until_quiet;
is(stats('other', 'in_flight'), 0, 'and then none');

# Retry-After
$shop->settings(retryAfterSeconds => 4);
$shop->sql("SELECT payments.checkout(1, '[{\"seller_id\": 1, \"amount\": 1000}]', order_id => 'refused-429')");
$shop->toss('POST', '/fault', { orderId => 'refused-429', on => 'confirm', kind => 'refuse', code => 'TOO_MANY_REQUESTS' });
$shop->sql("SELECT payments.confirm('refused-429', 'auto_refused-429', 1000)");
$shop->poll(sub { stats('default', 'throttled') == 1 }, 'the PSP asks to wait');
my ($waits) = queue('default', 1);
my ($goes) = queue('other', 1);
is(wait_for($goes), 'SUCCESS', 'another merchant does not wait');
cmp_ok(delay($goes), '<', 1, 'at all: ' . delay($goes) . ' s');
is(attempts($waits), '', 'the one that was asked to does');
is(wait_for($waits), 'SUCCESS', 'until it is time');
cmp_ok(delay($waits), '>', 2.5, 'and not earlier: ' . delay($waits) . ' s');
$shop->sql("SELECT payments.retry('refused-429')");
is(wait_for('refused-429'), 'SUCCESS', 'what was refused is sent again');

# A person ends a pause, when his transaction commits.
sub resume { return $shop->sql("SELECT payments.resume_merchant('$_[0]', 'the PSP called')") }
sub resumed
{
	return $shop->sql("SELECT count(*) || ' ' || coalesce(max(regexp_replace(was, ' [0-9].*', '') || ', ' || became || ', ' || note), '')
		FROM payments.operator_action WHERE action = 'resume_merchant'");
}
is(resume('default'), 'f', 'nothing holds the merchant back');
$shop->settings(retryAfterSeconds => 60);
$shop->sql("SELECT payments.checkout(1, '[{\"seller_id\": 1, \"amount\": 1000}]', order_id => 'refused-60')");
$shop->toss('POST', '/fault', { orderId => 'refused-60', on => 'confirm', kind => 'refuse', code => 'TOO_MANY_REQUESTS' });
$shop->sql("SELECT payments.confirm('refused-60', 'auto_refused-60', 1000)");
$shop->poll(sub { stats('default', 'throttled') == 2 }, 'the PSP asks to wait for a minute');
$shop->settings(retryAfterSeconds => 4);
my ($paused) = queue('default', 1);
$shop->sql("BEGIN; SELECT payments.resume_merchant('default'); ROLLBACK");
$shop->sql("BEGIN; SAVEPOINT s; SELECT payments.resume_merchant('default'); ROLLBACK TO s; SAVEPOINT s; RELEASE s; COMMIT");
(undef, undef, my $refusal) = $shop->{node}->psql('shop',
	"BEGIN; SELECT payments.resume_merchant('default'); PREPARE TRANSACTION 'resumed'");
like($refusal, qr/cannot PREPARE a transaction that has resumed a merchant/, 'nobody can prepare that');
sleep 1.5;
isnt(stats('default', 'paused_until'), '', 'what is rolled back ends nothing');
is(attempts($paused), '', 'and nothing is sent');
is(resumed(), '0 ', 'nor written down');
$shop->sql("BEGIN; SAVEPOINT s; SELECT payments.resume_merchant('default', 'the PSP called'); RELEASE s; COMMIT");
$shop->poll(sub { $shop->sql("SELECT payments.status('$paused')") eq 'SUCCESS' }, 'a pause that is ended holds up nobody', 10);
is(stats('default', 'paused_until'), '', 'and is not seen any more');
is(resumed(), '1 paused until, resumed, the PSP called', 'who ended it is written down');
is(resume('default'), 'f', 'nothing is left to be ended');
is(resumed(), '1 paused until, resumed, the PSP called', 'and nothing more is written down');
$shop->sql("SELECT payments.retry('refused-60')");
is(wait_for('refused-60'), 'SUCCESS', 'what the PSP has put off comes when it is told to');

# A breaker
$shop->settings(down => \1);
my @failing = queue('default', 8);
$shop->poll(sub { stats('default', 'breaker') ne 'closed' }, 'the breaker opens');
is($shop->sql("SELECT severity || ' ' || subject FROM payments.alerts WHERE alert = 'breaker_open'"), 'critical default', 'which is an alert');
is(stats('other', 'breaker'), 'closed', 'of this merchant alone');
like($shop->sql('SELECT payments.metrics()'), qr/payments_breaker_open\{database="shop",merchant="default"\} 1/, 'and a metric');
my $opened = $shop->sql('SELECT clock_timestamp()');
my @waiting = queue('default', 5);
$shop->poll(sub { $shop->sql("SELECT count(*) FROM payments.psp_attempt
	WHERE claimed_at > '$opened' AND order_id <> ''") >= 2 }, 'it probes');
is($shop->sql("SELECT string_agg(DISTINCT a.operation, ' ') FROM payments.psp_attempt a
	JOIN payments.psp_call c ON c.id = a.call_id WHERE a.claimed_at > '$opened' AND c.merchant = 'default'"), 'query', 'with queries only');
is($shop->sql("SELECT count(*) FROM payments.psp_attempt a WHERE operation = 'confirm'
	AND order_id IN ('" . join("','", @waiting) . "')"), 0, 'and charges nobody');
$shop->settings(down => \0);
is(wait_for($_), 'SUCCESS', 'afterwards it is paid') for @failing, @waiting;
is(stats('default', 'breaker'), 'closed', 'the breaker closes');
my %charged;
$charged{ $_->{orderId} // '' }++ for $shop->charges;
is(join(' ', grep { ($charged{$_} // 0) > 1 } @failing, @waiting), '', 'nobody is charged twice');

# A person closes it: what waits does not wait for the next probe.
$shop->settings(down => \1);
my @broken = queue('other', 8);
$shop->poll(sub { $shop->sql("SELECT next_probe_at > now() + '6 s' FROM payments.merchant_stats WHERE merchant = 'other'") eq 't' },
	'the next probe is far away');
my @kept = queue('other', 5);
$shop->settings(down => \0);
is(attempts(@kept), '', 'nothing goes before it');
is(resume('other'), 't', 'a person closes the breaker');
$shop->poll(sub { $shop->sql("SELECT count(*) FROM payments.payment WHERE status = 'SUCCESS'
	AND order_id IN ('" . join("','", @kept) . "')") == 5 }, 'all goes at once', 5);
is(attempts(@kept), join(' ', ('confirm') x 5), 'without a query');
is(stats('other', 'breaker'), 'closed', 'and it stays closed');
is($shop->sql("SELECT was FROM payments.operator_action WHERE action = 'resume_merchant' AND merchant = 'other'"), 'breaker open',
	'which is written down, too');
is(wait_for($_), 'SUCCESS', 'what had failed is paid') for @broken;

# A key that is refused opens it with the first order.
$shop->write_secret('other', 'test_sk_simulator0only0000000000001');
$shop->{node}->reload;
sleep 0.5;
my @refused = queue('other', 1);
$shop->poll(sub { stats('other', 'breaker') ne 'closed' }, 'a wrong key opens it');
@refused = queue('other', 3);
sleep 3;
unlike(attempts(@refused), qr/confirm/, 'and spoils no more orders');
$shop->write_secret('other', $PaymentsTest::secret);
$shop->{node}->reload;
is(wait_for($_), 'SUCCESS', 'with the right one they are paid') for @refused;

# Expiry: of what was never sent, and of nothing else.
limits('other', 'NULL', 1);
wait_for((queue('other', 1))[0]);
my ($late) = queue('other', 1, '2 s');
is(wait_for($late), 'FAILURE', 'a call that was never sent expires');
is(attempts($late), '', 'without an attempt');
is($shop->sql("SELECT DISTINCT failure_code FROM payments.payment_order WHERE order_id = '$late'"), 'EXPIRED_UNSENT', 'and says so');
is($shop->sql("SELECT string_agg(kind, ' ' ORDER BY id) FROM payments.event WHERE order_id = '$late'"), 'payment.failed', 'to everybody');

# Against a claim: whoever locks the call first wins.
my $claim = $shop->{node}->background_psql('shop', on_error_stop => 1);
my ($claimed) = queue('other', 1, '2 s');
$claim->query_safe("BEGIN; WITH free AS (SELECT call_id FROM payments.psp_call_queue WHERE order_id = '$claimed'
	AND state = 'P' FOR NO KEY UPDATE SKIP LOCKED)
	UPDATE payments.psp_call_queue q SET state = 'S', attempt_no = 1, epoch = 1, first_sent_at = now()
	FROM free f WHERE q.call_id = f.call_id");
sleep 3.5;
is($shop->sql("SELECT payments.status('$claimed')"), 'EXECUTING', 'a call that is being claimed does not expire');
$claim->query_safe('COMMIT');
sleep 2.5;
is($shop->sql("SELECT payments.status('$claimed')"), 'EXECUTING', 'nor one that is');
$shop->sql("UPDATE payments.psp_call_queue SET state = 'P', next_operation = 'Q' WHERE order_id = '$claimed'");
sleep 2.5;
is($shop->sql("SELECT payments.status('$claimed')"), 'EXECUTING', 'nor one of which an attempt was begun');

my ($held) = queue('other', 1, '2 s');
$claim->query_safe("BEGIN; SELECT FROM payments.payment_order WHERE order_id = '$held' FOR UPDATE");
$shop->poll_sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'payments%' AND wait_event_type = 'Lock'", 1,
	'an expiry holds the call');
is($shop->sql("SELECT count(*) FROM (SELECT FROM payments.psp_call_queue WHERE order_id = '$held'
	AND state = 'P' FOR NO KEY UPDATE SKIP LOCKED) f"), 0, 'which cannot be claimed then');
$claim->query_safe('COMMIT');
is(wait_for($held), 'FAILURE', 'and expires');
$claim->quit;

# What was queued before the place to charge from changed was perhaps sent there.
my ($elsewhere) = queue('other', 1, '2 s');
$shop->sql("SELECT payments.disarm('moving')");
my ($there_late) = queue('other', 1, '2 s');
sleep 4.5;
is($shop->status({ order_id => $elsewhere }), 'EXECUTING', 'a call from before an arming does not expire');
is($shop->status({ order_id => $there_late }), 'EXECUTING', 'nor one from shortly behind it, by this clock');

limits('other');
ok($shop->wait_until_quiet, 'everything else is paid');
is($shop->sql("SELECT count(*) FROM payments.payment_order o JOIN payments.psp_attempt a USING (order_id)
	WHERE o.failure_code = 'EXPIRED_UNSENT'"), 0, 'nothing that was sent has expired');
$shop->books_agree;
$shop->{node}->stop;
done_testing();

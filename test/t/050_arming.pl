# A charge goes out only while the database is armed: a row that says so, and a
# token outside the data directory.  Everything else waits, visibly, and is not
# lost; what is in doubt is asked about all the same.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $shop = PaymentsTest->new(
	conf => "payments.test_keys_need_arming = on\npayments.sweep_interval = 1s\n");
my $node = $shop->{node};
my $token = "$shop->{secret_dir}/arming." . $shop->sql(q(SELECT system_identifier || '.' || oid
	FROM pg_control_system(), pg_database WHERE datname = current_database()));

sub posts { return scalar grep { $_->{method} eq 'POST' } $shop->requests }
sub gets { return scalar grep { $_->{method} eq 'GET' } $shop->requests }

# What people see, and that it is so: orders are taken, and nothing is sent.
sub is_disarmed
{
	my ($why, $name) = @_;
	my $before = posts();
	my $reason;

	ok($shop->wait_for_worker('disarmed'), "$name: disarmed");
	$shop->poll(sub { ($reason = $shop->worker('reason')) =~ $why }, "$name: says why")
	  or diag($reason);
	my $order = $shop->order(1000);
	$shop->confirm($order);
	sleep 1.5;
	is($shop->sql("SELECT state || ' ' || attempts FROM payments.open_calls
			WHERE order_id = '$order->{order_id}'"), 'waits for arming 0', "$name: the call waits");
	is($shop->status($order), 'EXECUTING', "$name: nothing is decided");
	is(posts(), $before, "$name: no charge is sent");
	return $order;
}

sub is_armed
{
	my ($name, @orders) = @_;
	ok($shop->wait_for_worker, "$name: armed");
	is($shop->wait_for($_), 'SUCCESS', "$name: what waited is paid") for @orders;
	my $order = $shop->order(1000);
	$shop->confirm($order);
	is($shop->wait_for($order), 'SUCCESS', "$name: business goes on");
	return;
}

# Never armed.
my $waiting = is_disarmed(qr/never armed/, 'at first');
ok(!-e $token, 'there is no token');

# A backlog that waits does not stand in the way of queries, and costs no turns.
my @backlog = $shop->orders(300, 100);
$shop->confirm(@backlog);
sleep 1;
my $turns = $shop->worker('turns');
sleep 4;
cmp_ok($shop->worker('turns') - $turns, '<', 20, 'waiting costs a turn a second or so');

# arm(): rolled back it is nothing.
my ($status, $out, $err) = $node->psql('shop', "BEGIN; SELECT payments.arm('x'); ROLLBACK");
is($status, 0, 'arm can be rolled back');
is($shop->sql('SELECT count(*) FROM payments.arming'), 0, 'and leaves no row');
ok(-e $token, 'but a token');
is((stat $token)[2] & 07777, 0600, 'of the server alone');
push my @orders, is_disarmed(qr/never armed/, 'rolled back');

# Killed before the commit, the same.
my $session = $node->background_psql('shop');
my $pid = $session->query_safe('SELECT pg_backend_pid()');
$session->query_safe("BEGIN; SELECT payments.arm('about to die')");
kill_process($shop, $pid);
eval { $session->quit };
push @orders, is_disarmed(qr/never armed/, 'killed before the commit');

# Armed.
$shop->sql("SELECT payments.arm('go live')");
is_armed('arm', $waiting, @orders);
is($shop->wait_for($_), 'SUCCESS', 'the backlog is paid') for @backlog[ 0, 299 ];
ok($shop->wait_until_quiet, 'all of it');
is($shop->sql('SELECT action, reason FROM payments.arming'), 'arm|go live', 'recorded');
my @new = glob "$token*";
is("@new", $token, 'one file, whole');
my $text = slurp_file($token);
like($text, qr/^[0-9a-f]{64}\n[0-9A-F]{16} [0-9]{20}\n$/, 'a token and a mark');
my ($random) = $text =~ /^(\w+)/;
is($shop->sql("SELECT count(*) FROM payments.arming WHERE arming::text LIKE '%$random%'"), 0,
	'the token itself is in no row');
is($shop->sql("SELECT encode(sha256('$random'), 'hex') = token_sha256 FROM payments.arming"), 't', 'a digest is');

# A restart, and a crash of the server, change nothing.
$node->restart;
is_armed('restart');
$node->stop('immediate');
$node->start;
is_armed('crash');
like($shop->log, qr/sends only queries: not armed/, 'the log says when it is not');

# Armed again while it is: the token stays, so a rollback does no harm.
$shop->sql("BEGIN; SELECT payments.arm('again'); ROLLBACK");
is_armed('rolled back again');

# disarm(): from its commit on nothing is claimed; what is in doubt is asked.
my ($doubtful, $lost) = $shop->orders(2, 1000);
$shop->fault($doubtful, kind => 'reset-after', on => 'confirm');
$shop->fault($_, kind => 'reset-before', on => 'confirm', count => 1) for $lost;
$shop->fault($_, kind => 'hang', on => 'query') for $doubtful, $lost;
$shop->confirm($doubtful, $lost);
$shop->poll(sub { $shop->status($doubtful) eq 'UNKNOWN' && $shop->status($lost) eq 'UNKNOWN' },
	'two in doubt');
$shop->sql("SELECT payments.disarm('an incident')");
my $posts = posts();
$waiting = is_disarmed(qr/disarmed it: an incident/, 'disarm');
$shop->toss('POST', '/faults/clear', {});
$shop->release;
$node->psql('shop', "SELECT payments.retry('$_->{order_id}')") for $doubtful, $lost;
is($shop->wait_for($doubtful), 'SUCCESS', 'what was executed is found out');
sleep 3;
is($shop->status($lost), 'UNKNOWN', 'what was not is not sent again');
is(posts(), $posts, 'queries only');
cmp_ok(gets(), '>', 1, 'and more than one');
$shop->sql("SELECT payments.arm('over')");
is_armed('after disarm', $waiting, $lost);

# A fencing script takes the token away: from then on nothing leaves.
rename $token, "$token.away" or die;
$waiting = is_disarmed(qr/arming\.\d+\.\d+" does not exist/, 'no token');
rename "$token.away", $token;
is_armed('the token is back', $waiting);
chmod 0644, $token;
$waiting = is_disarmed(qr/can be read by others/, 'a token that others can read');
chmod 0600, $token;
is_armed('its mode is right', $waiting);

# Another one in its place is final: it comes back in vain.
system('cp', '-p', $token, "$token.old");
open(my $file, '+<', $token) or die;
print $file '0' x 64;
close $file;
$waiting = is_disarmed(qr/token is another one|disarmed it: the token is another one/, 'another token');
$shop->poll_sql('SELECT actor, reason FROM payments.arming ORDER BY id DESC LIMIT 1',
	'payments worker|the token is another one than it was armed with', 'that is recorded');
rename "$token.old", $token;
push @orders, is_disarmed(qr/payments worker disarmed it/, 'the old one is back');
$shop->sql("SELECT payments.arm('found out')");
is_armed('armed anew', $waiting, $orders[-1]);

# Killed between token and commit, while armed but fenced: not armed.
unlink $token;
$shop->wait_for_worker('disarmed');
$session = $node->background_psql('shop');
$pid = $session->query_safe('SELECT pg_backend_pid()');
$session->query_safe("BEGIN; SELECT payments.arm('about to die')");
ok(-e $token, 'there is a token again');
sleep 2;
is($shop->sql('SELECT reason FROM payments.arming ORDER BY id DESC LIMIT 1'), 'found out',
	'the worker does not judge while somebody arms');
kill_process($shop, $pid);
eval { $session->quit };
$waiting = is_disarmed(qr/token is another one/, 'killed before the commit, fenced');
$shop->sql("SELECT payments.arm('at last')");
is_armed('at last', $waiting);

# Where there is no place for a token, nothing can be armed.
$shop->configure('payments.secret_dir' => '');
sleep 0.5;
($status, $out, $err) = $node->psql('shop', "SELECT payments.arm('x')");
like($err, qr/there is no place for the token: payments.secret_dir is not set/, 'no folder');
$shop->configure('payments.secret_dir' => $shop->{secret_dir});

# Test keys arm themselves.
$shop->sql("SELECT payments.disarm('the rehearsal is over')");
$waiting = is_disarmed(qr/rehearsal is over/, 'before');
$shop->configure('payments.test_keys_need_arming' => 'off');
is_armed('test keys', $waiting);
($status, $out, $err) = $node->psql('shop', "SELECT payments.arm('x')");
like($err, qr/nothing to arm in a test environment.*payments.environment to "live"/s,
	'and there is nothing to arm');

# A live key is refused in a cluster that is labelled test; labelled live it
# waits for being armed.  Neither sends a byte; the address is none that answers.
$shop->sql(q(SELECT payments.set_merchant('live', 'live_ck_live0000')));
$shop->write_secret('live', 'live_sk_' . 'a' x 20);
$shop->configure('payments.toss_url' => 'https://api.tosspayments.com:9');
my $live = $shop->sql(q(SELECT order_id FROM payments.checkout(1,
	'[{"seller_id": 1, "amount": 500}]', merchant => 'live')));
my $made = $shop->toss('POST', '/pay', { orderId => $live, amount => 500 });
$shop->sql("SELECT payments.confirm('$live', '$made->{paymentKey}', 500)");
$shop->poll(sub { $shop->worker('reason') =~ /live key, and payments.environment is "test"/ },
	'a live key is refused in a test environment');
is($shop->sql(qq(SELECT string_agg(DISTINCT transport, ' ') FROM payments.psp_answer
	WHERE order_id = '$live')), 'not sent', 'nothing is sent with it');
$shop->configure('payments.environment' => 'live');
$shop->wait_for_worker('disarmed');
my $attempts = $shop->sql("SELECT count(*) FROM payments.psp_attempt WHERE order_id = '$live'");
sleep 3;
is($shop->sql("SELECT count(*) FROM payments.psp_attempt WHERE order_id = '$live'"), $attempts,
	'in a live one it waits for being armed');
like($shop->worker('reason'), qr/^not armed, charges wait: .*disarmed it: the rehearsal is over/,
	'and says so');

# Another merchant's test key goes on beside it.
$shop->configure('payments.toss_url' => $shop->{url});
sleep 0.5;
my $beside = $shop->order(700);
$shop->confirm($beside);
is($shop->wait_for($beside), 'SUCCESS', 'a test key beside a live one goes on');
is($shop->sql("SELECT payments.status('$live')"), 'EXECUTING', 'the other waits');

$shop->books_agree(undef, open => 1);
$node->stop;
done_testing();

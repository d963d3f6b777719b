# The launcher keeps one worker per listed database, says why when it cannot,
# and is in nobody's way.
use strict;
use warnings;

use PaymentsTest;
use Staged;
use Test::More;
use Time::HiRes qw(sleep time);

my $staged = Staged->new;
$staged->add('payments--0.1--9.9.sql', '');
$staged->add('payments--9.9--0.1.sql', '');
my $shop = PaymentsTest->new(
	databases => [ 'shop', 'branch' ],
	conf => "max_worker_processes = 8\n" . $staged->conf);
my $node = $shop->{node};

sub state_of
{
	my ($database) = @_;
	return $node->safe_psql('shop', "SELECT state FROM payments.worker_status
		WHERE database = '$database'");
}

sub reason_of
{
	my ($database) = @_;
	return $node->safe_psql('shop', "SELECT reason FROM payments.worker_status
		WHERE database = '$database'");
}

sub state_becomes
{
	my ($database, $state, $name) = @_;
	ok($shop->poll(sub { state_of($database) eq $state }, "$database $state"),
		$name);
}

sub worker_pids
{
	return $node->safe_psql('shop', q(SELECT string_agg(datname || ' ' || pid,
			', ' ORDER BY datname)
		FROM pg_stat_activity WHERE backend_type = 'payments worker'));
}

# Two databases, each with its own worker and books.
state_becomes('shop', 'running', 'the first database is served');
state_becomes('branch', 'running', 'and the second');
my $order = $shop->order(1000);
$shop->confirm($order);
is($shop->wait_for($order), 'SUCCESS', 'payments go on in one');
is($node->safe_psql('branch', 'SELECT count(*) FROM payments.psp_attempt'), 0,
	'and do not show in the other');

# Taken off the list, put on it again.
my $pid = $shop->worker('pid');
$shop->configure('payments.databases' => 'shop');
$shop->poll(sub { state_of('branch') eq '' }, 'the second worker is stopped');
is($shop->worker('pid'), $pid, 'the first is left alone');
$shop->configure('payments.databases' => 'shop, branch');
state_becomes('branch', 'running', 'it starts again');
$shop->configure('payments.databases' => 'branch');
$shop->configure('payments.databases' => 'branch, shop');
state_becomes('shop', 'running', 'off and on in a moment');

# A list that is too long, or no list, changes nothing.
$shop->configure('payments.databases' => 'a,b,c,d,e,f,g,h,i');
sleep 0.5;
like($shop->log, qr/serves at most 8 databases/, 'nine databases are refused');
state_becomes('shop', 'running', 'and the list is as before');

# Databases that are not there, or have no extension.
$shop->configure('payments.databases' => 'shop, branch, later');
$shop->poll(sub { reason_of('later') eq 'the database does not exist' },
	'a database that is missing is named');
is(state_of('later'), 'waiting', 'and waited for');
$node->safe_psql('postgres', 'CREATE DATABASE later');
$shop->install('later');
my $start = time();
state_becomes('later', 'running', 'until it has the extension');
cmp_ok(time() - $start, '<', 20, 'which is noticed at once');

$node->safe_psql('later', 'DROP EXTENSION payments CASCADE');
$shop->poll(sub { reason_of('later') =~ /does not have the extension/ },
	'without the extension there is no worker');
my $queued = q(SELECT count(*) FROM pg_stat_activity
	WHERE backend_type = 'payments worker' AND datname = 'later');
ok($shop->poll(sub { $node->safe_psql('postgres', $queued) == 0 }, 'no worker'),
	'that could be in the way');
$shop->install('later');
state_becomes('later', 'running', 'it comes back with the extension');
$node->safe_psql('later', 'DROP EXTENSION payments CASCADE');
$shop->configure('payments.databases' => 'shop, branch');
$shop->poll(sub { !defined state_of('later') || state_of('later') eq '' },
	'and goes with the setting');
$node->safe_psql('postgres', 'DROP DATABASE later');
ok(1, 'the database can be dropped');

# Another version of the extension than the library's.
$node->safe_psql('branch', q(
	SELECT payments.set_merchant('default', 'test_ck_simulator0only')));
my $here = bless { %$shop, databases => ['branch'] }, 'PaymentsTest';
$node->safe_psql('branch', "ALTER EXTENSION payments UPDATE TO '9.9'");
my ($branch_order) = $here->order(1000);
$here->confirm($branch_order);
$shop->poll(sub { reason_of('branch') =~ /version 9\.9, the library 0\.1/ },
	'a worker does not touch a schema it does not know');
is($here->status($branch_order), 'EXECUTING', 'confirm works all the same');
$node->safe_psql('branch', "ALTER EXTENSION payments UPDATE TO '0.1'");
$here->confirm($here->order(1000));
ok($here->wait_until_quiet, 'and goes on when it knows it again');

# Nobody is in the way of other databases, also with calls in flight.
my $slow = $shop->order(1000);
$shop->fault($slow, kind => 'hang', on => 'confirm');
$shop->confirm($slow);
$shop->poll(sub { $shop->worker('in_flight') == 1 }, 'in flight');
$node->safe_psql('postgres', 'CREATE DATABASE other');
$start = time();
$node->safe_psql('postgres', 'DROP DATABASE other');
cmp_ok(time() - $start, '<', 20, 'DROP DATABASE of another one is not held up');
is($shop->status($slow), 'EXECUTING', 'by the call, which goes on');
$shop->release;
is($shop->wait_for($slow), 'SUCCESS', 'to its end');

# No room for workers.
$node->append_conf('postgresql.conf', "max_worker_processes = 3\n");
$node->restart;
$shop->poll(sub {
		my $reasons = $shop->sql(
			q(SELECT string_agg(reason, ' ') FROM payments.worker_status));
		return $reasons =~ /raise max_worker_processes/;
	}, 'without a free process the reason is shown');
$order = $shop->order(1000);
$shop->confirm($order);
ok($order, 'the shop stays open');

# The launcher is killed softly: it comes back and takes over.
$node->append_conf('postgresql.conf', "max_worker_processes = 8\n");
$node->restart;
state_becomes('shop', 'running', 'with room again');
state_becomes('branch', 'running', 'both');
is($shop->wait_for($order), 'SUCCESS', 'the call that waited is made');
my $pids = worker_pids();
my ($launcher) = grep { /payments launcher/ } split /\n/,
  `ps -o pid=,args= --ppid @{[ $node->{_pid} ]}`;
my ($launcher_pid) = $launcher =~ /(\d+)/;
kill 'TERM', $launcher_pid;
$shop->poll(sub { `ps -o args= --ppid $node->{_pid}` !~ /payments launcher/ },
	'the launcher is gone');
$order = $shop->order(1000);
$shop->confirm($order);
is($shop->wait_for($order), 'SUCCESS', 'workers do without it');
$shop->poll(sub { `ps -o args= --ppid $node->{_pid}` =~ /payments launcher/ },
	'it comes back');
sleep 0.5;
is(worker_pids(), $pids, 'and takes the workers over');
$shop->configure('payments.databases' => 'shop');
$shop->poll(sub { worker_pids() !~ /branch/ }, 'it can stop them');

# Settings that decide where money goes are the administrator's.
for my $setting (qw(databases secret_dir toss_url toss_ca_file))
{
	my (undef, undef, $err) =
	  $node->psql('shop', "SET payments.$setting = ''");
	like($err, qr/cannot be changed now/, "a session cannot set $setting");
}
$node->safe_psql('shop', 'CREATE ROLE clerk');
my (undef, undef, $err) =
  $node->psql('shop', 'SET ROLE clerk; SHOW payments.secret_dir');
like($err, qr/must be superuser|permission denied/, 'nor see the folder of secrets');
for my $url ('http://localhost', 'https://', 'https://me@host',
	'https://host/path', 'https://host?x', 'https://host:', 'https://host:port',
	'https://host:0', 'https://host:65536')
{
	(undef, undef, $err) =
	  $node->psql('shop', "ALTER SYSTEM SET payments.toss_url = '$url'");
	like($err, qr/invalid value for parameter "payments.toss_url"/,
		"not a place to send to: $url");
}

# Two databases share the simulator, so its books are those of both.
$shop->wait_until_quiet;
is($shop->toss('GET', '/summary?orders=0')->{chargedMoreThanOnce}, 0,
	'nobody was charged twice');
is($shop->sql(q(SELECT count(*) FROM payments.verify() WHERE NOT holds)), 0,
	'all invariants hold');
$node->stop;
done_testing();

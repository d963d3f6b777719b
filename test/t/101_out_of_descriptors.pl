# Out of descriptors, connections or background workers: calls wait, nothing that
# was not sent counts as failed, the reason is to be seen, and all goes on by itself.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use Shortage;
use Test::More;
use Time::HiRes qw(sleep);

my $shortage = Shortage->new;
my $shop = $shortage->shop(conf => q(
max_connections = 12
superuser_reserved_connections = 2
max_worker_processes = 3
max_parallel_workers = 3
payments.sweep_interval = 1s
));
my $node = $shop->{node};
$shop->wait_for_worker;

# What a process may open: no number from this one on
sub limit
{
	my ($pid, $n) = @_;
	system('prlimit', "--pid=$pid", "--nofile=$n:") == 0 or die "prlimit: $?\n";
}

sub statuses
{
	return $shop->sql(q(SELECT string_agg(status || ' ' || n, ', ' ORDER BY status)
		FROM (SELECT status, count(*) AS n FROM payments.payment GROUP BY status) s));
}

# While it is short of them: calls wait, and the worker idles.
sub waits
{
	my ($pid, $expected, $name) = @_;
	my $sent = () = $shop->requests;
	my ($cpu, $sleeps) = (Shortage::cpu($pid), Shortage::sleeps($pid));
	my $said = length $shop->log;

	sleep 3;
	cmp_ok(Shortage::cpu($pid) - $cpu, '<', 1, "$name: it does not work itself to death");
	cmp_ok(Shortage::sleeps($pid) - $sleeps, '<', 400, "$name: nor does it try again and again");
	my $lines = () = substr($shop->log, $said) =~ /WARNING: /g;
	cmp_ok($lines, '<', 10, "$name: nor say so");
	is(statuses(), $expected, "$name: calls wait");
	is(scalar(() = $shop->requests), $sent, "$name: nothing was sent");
}

# No descriptor at all, neither for files nor for sockets
my $pid = $shop->worker('pid');
my ($limit) = split ' ', `prlimit --pid=$pid --nofile --output=SOFT --noheadings`;
my @orders = $shop->orders(30, 1000);
limit($pid, 3);
$shop->confirm(@orders);
$shop->wait_for_worker('holding');
like($shop->worker('reason'), qr/^SQLSTATE 53000: .*Too many open files/, 'it says why it holds');
waits($pid, 'EXECUTING 30', 'no descriptors');
limit($pid, $limit);
$shop->wait_until_quiet;
is(statuses(), 'SUCCESS 30', 'with descriptors all are paid');
is($shop->worker('pid'), $pid, 'by the same worker');
is($shop->sql('SELECT count(*) FROM payments.alerts'), 0, 'no alert is left');

# No socket: claims can be written, and nothing can be sent.  A worker without
# connections, for one that it has it would use.
kill 'TERM', $pid;
$pid = $shop->wait_for_other_worker($pid);
$shortage->set(no_sockets => 1);
$shop->confirm(my @others = $shop->orders(30, 1000));
$shop->poll(sub { $shop->worker("coalesce(reason, '')") ne '' }, 'there is a reason');
is($shop->worker('reason'), 'there are no file descriptors left for a connection', 'which it is');
$shop->poll(sub { $shop->sql("SELECT count(*) FROM payments.alerts WHERE alert = 'breaker_open'") == 1 }, 'and an alert');
waits($pid, 'EXECUTING 30, SUCCESS 30', 'no sockets');
is($shop->sql("SELECT string_agg(DISTINCT transport || ' ' || meaning, ', ') FROM payments.psp_answer
	WHERE order_id = '$others[0]{order_id}'"), 'not sent not sent', 'that is known not to have been');
$shortage->set(no_sockets => 0);
$shop->poll(sub {
		$shop->sql(q(SELECT payments.retry(order_id) FROM payments.psp_call_queue WHERE due_at > clock_timestamp() + '1 s'));
		return $shop->sql('SELECT count(*) FROM payments.psp_call_queue') == 0;
	}, 'calls come to an end');
is(statuses(), 'SUCCESS 60', 'with sockets all are paid');
is($shop->worker('pid'), $pid, 'by the same worker');
is(scalar(grep { $_->{method} eq 'POST' } $shop->requests), 60, 'each was sent once');

# All connections are taken: the worker needs none of those, nor does the next.
my @idle;
push @idle, $node->background_psql('shop') for 1 .. 8;
my $session = $idle[0];
my $order = $shop->order(1000);
$session->query_safe($shop->confirm_sql($order));
push @idle, $node->background_psql('shop') for 1 .. 4;
my ($refused) = $node->psql('shop', 'SELECT 1');
isnt($refused, 0, 'nobody gets in');
$session->query_safe("SELECT payments.wait_for('$order->{order_id}', '60 s')");
kill 'TERM', $pid;
my $next;
$shop->poll(sub { $next = $session->query_safe(q(SELECT pid FROM payments.worker_status
	WHERE database = 'shop' AND state = 'running')); return $next && $next != $pid }, 'another worker runs');
my ($last) = $session->query_safe("SELECT payments.status('$order->{order_id}')");
is($last, 'SUCCESS', 'paid without a connection to spare');
$_->quit for @idle;

# All background workers are: one that left cannot come back, and says why.
$shop->configure('payments.databases' => '');
$shop->poll(sub { ($shop->worker('state') // '') eq '' }, 'no worker');
my $setting = $shop->sql('SHOW server_version_num') >= 160000 ? 'debug_parallel_query' : 'force_parallel_mode';
$session = $node->background_psql('shop');
$session->query_until(qr/begun/, "SET $setting = on; SET max_parallel_workers_per_gather = 1;\n\\echo begun\nSELECT pg_sleep(6);\n");
$shop->poll(sub { $shop->sql(q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'parallel worker')) == 1 }, 'a background worker is taken');
$shop->configure('payments.databases' => 'shop');
$order = $shop->order(1000);
$shop->confirm($order);
$shop->poll(sub { $shop->worker("concat_ws(': ', state, reason)") eq
	'waiting: no free background worker: raise max_worker_processes' }, 'none is free: it says so');
is($shop->status($order), 'EXECUTING', 'and the call waits');
is($shop->wait_for($order), 'SUCCESS', 'it is paid when one is');
$session->quit;

is($shop->toss('GET', '/summary?orders=0')->{chargedMoreThanOnce}, 0, 'nobody was charged twice');
audit($shop, 'in the end', secrets => 0);
$node->stop;
done_testing();

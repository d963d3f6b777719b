# Several workers of a database divide its orders: each order has one worker, and
# keeps it.  When their number changes, or one of them ends, is frozen or finds
# no room, nothing is lost and nothing is sent twice.
use strict;
use warnings;

use PaymentsTest;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

# No sweep comes to help.
my $shop = PaymentsTest->new(
	databases => [ 'shop', 'branch' ],
	conf => "max_worker_processes = 12\npayments.sweep_interval = 1h\npayments.shutdown_drain = 500ms\n");
my $node = $shop->{node};
my $branch = bless { %$shop, databases => ['branch'] }, 'PaymentsTest';
my $all = 'SELECT string_agg(concat_ws(\' \', shard, shards, state, reason), \', \' ORDER BY shard)
	FROM payments.worker_status WHERE database = current_database()';

sub workers
{
	my ($n, $where) = @_;
	$where //= $shop;
	$shop->configure('payments.workers_per_database' => $n);
	return $where->poll_sql($all, join(', ', map { "$_ $n running" } 0 .. $n - 1), "$n workers run");
}

sub pid_of { my ($shard) = @_; return $shop->sql("SELECT pid FROM payments.worker_status WHERE database = 'shop' AND shard = $shard") }

sub shard_of
{
	my ($order, $n) = @_;
	return $shop->sql("SELECT (hashtext('$order->{order_id}') & 2147483647) % $n");
}

sub hang { my (@orders) = @_; $shop->fault($_, kind => 'hang', on => 'confirm', after => 'done') for @orders }

sub confirms_of { my ($order) = @_; return scalar grep { $_->{method} eq 'POST' } $shop->requests_of($order) }

# Who claimed what is of another shard than his own
my $strangers = q(SELECT count(*) FROM payments.psp_attempt a JOIN payments.worker_epoch e USING (epoch)
	WHERE (hashtext(a.order_id) & 2147483647) % e.shards <> e.shard);

#
# Three workers: each has its own orders, and hears of them by itself.
#
workers(1);
workers(3);
my @orders = $shop->orders(90, 1000);
$shop->confirm($_) for @orders[ 0 .. 9 ];
$shop->sql('BEGIN; ' . join('; ', map { $shop->confirm_sql($_) } @orders[ 10 .. 89 ]) . '; COMMIT');
ok($shop->wait_until_quiet, 'all are paid');
is($shop->sql($strangers), 0, 'each by the worker of its shard');
is($shop->sql(q(SELECT count(DISTINCT e.shard) FROM payments.psp_attempt a JOIN payments.worker_epoch e USING (epoch) WHERE e.shards = 3)),
	3, 'and each worker had some');
is($shop->sql("SELECT sum(settled) FROM payments.worker_status WHERE database = 'shop'"), 90, 'they count apart');
is($node->safe_psql('shop', q(SELECT string_agg(application_name, ', ' ORDER BY application_name)
		FROM pg_stat_activity WHERE backend_type = 'payments worker' AND datname = 'shop')),
	join(', ', map { "payments worker, shard $_ of 3" } 0 .. 2), 'and have names');

# The share of each
$shop->configure('payments.max_in_flight' => 5);
@orders = $shop->orders(30, 1000);
hang(@orders);
$shop->confirm(@orders);
$shop->poll_sql("SELECT string_agg(in_flight::text, ' ' ORDER BY shard) FROM payments.worker_status WHERE database = 'shop'",
	'2 2 1', 'payments.max_in_flight is that of all together');
$shop->poll(sub { $shop->release; $shop->sql('SELECT count(*) FROM payments.psp_call_queue') == 0 }, 'they go on');
$shop->configure('payments.max_in_flight' => 256);

# One ends, and the others are left alone; or the server goes down with it.
my @pids = map { pid_of($_) } 0 .. 2;
kill 'TERM', $pids[1];
$shop->poll(sub { my $now = pid_of(1); $now && $now != $pids[1] }, 'one that ends comes back');
is(join(' ', map { pid_of($_) } 0, 2), join(' ', @pids[ 0, 2 ]), 'and is missed by nobody');
@orders = $shop->orders(30, 1000);
$shop->fault($_, kind => 'slow', on => 'confirm', delayMs => 1000) for @orders;
$shop->confirm(@orders);
$shop->poll_sql("SELECT sum(in_flight) > 20 FROM payments.worker_status WHERE database = 'shop'", 't', 'in flight');
kill 'KILL', pid_of(2);
$shop->poll_sql($all, join(', ', map { "$_ 3 running" } 0 .. 2), 'after kill -9 of one of them all are back');
ok($shop->wait_until_quiet, 'and all is paid');
is($shop->sql($strangers), 0, 'by the same shards');

#
# Their number changes under load.
#
my $loader = fork() // die;
if ($loader == 0)
{
	my $end = time() + 12;
	while (time() < $end)
	{
		my @some = $shop->orders(8, 1000);
		$shop->fault($some[0], kind => 'slow', on => 'confirm', delayMs => 1500);
		$shop->fault($some[1], kind => 'reset-after', on => 'confirm');
		$shop->confirm(@some);
	}
	POSIX::_exit(0);
}
sleep 2;
for my $n (1, 3, 2, 1) { workers($n); sleep 1.5 }
waitpid $loader, 0;
is($?, 0, 'the load ran through');
ok($shop->wait_until_quiet, 'all comes to an end');
$shop->books_agree('1 to 3 to 2 to 1', log => 0);
is($shop->sql(q(SELECT count(DISTINCT shards) FROM payments.worker_epoch)), 3, 'three divisions');

#
# An old worker is frozen, for longer than anything lasts, while others divide
# the calls anew: what it has sent stays its own, the rest is theirs.
#
for my $n (1, 4)
{
	workers(2);
	my @of_one = grep { shard_of($_, 2) == 1 } $shop->orders(16, 1000);
	hang(@of_one);
	$shop->confirm(@of_one);
	$shop->poll_sql("SELECT in_flight FROM payments.worker_status WHERE database = 'shop' AND shard = 1",
		scalar @of_one, 'the second has them in flight');
	my $frozen = pid_of(1);
	my $epoch = $shop->sql("SELECT epoch FROM payments.worker_status WHERE database = 'shop' AND shard = 1");
	kill 'STOP', $frozen;
	$shop->configure('payments.workers_per_database' => $n);
	$shop->poll_sql("SELECT count(*) FROM payments.worker_status WHERE database = 'shop' AND shards = $n AND state = 'running'",
		$n == 1 ? 1 : 3, "2 to $n: the others begin without the frozen one");
	like($shop->sql("SELECT concat_ws(' ', state, shard, shards, pid) FROM payments.worker_status WHERE database = 'shop' AND pid = $frozen"),
		qr/ 1 2 $frozen$/, "2 to $n: which is still to be seen");
	my @new = grep { $n == 1 || shard_of($_, $n) != 1 } $shop->orders(12, 1000);
	$shop->confirm(@new);
	$shop->poll_sql('SELECT count(*) FROM payments.psp_call_queue', scalar @of_one, "2 to $n: they pay what is new");
	sleep 3;					# longer than a new run waits for what was left behind
	is($shop->sql("SELECT count(*) FROM payments.psp_call_queue WHERE state = 'S' AND epoch = $epoch"),
		scalar @of_one, "2 to $n: and leave alone what is not theirs");
	is(scalar(map { $shop->requests_of($_) } @of_one), scalar @of_one, "2 to $n: nobody asks about it");
	$shop->release;
	kill 'CONT', $frozen;
	ok($shop->wait_until_quiet, "2 to $n: it saves its answers when it goes on");
	is($shop->sql("SELECT string_agg(DISTINCT concat_ws(' ', action, a.epoch = $epoch), ', ') FROM payments.psp_answer
			JOIN payments.psp_attempt a USING (call_id, attempt_no) WHERE a.order_id IN ("
			. join(', ', map { "'$_->{order_id}'" } @of_one) . ')'), 'succeed t', "2 to $n: which count");
	workers($n);
	is($shop->sql("SELECT count(*) FROM payments.worker_status WHERE pid = $frozen"), 0, "2 to $n: and it is gone");
}

# The same, and it cannot save them: who divides the calls now asks about them.
workers(2);
my @left = grep { shard_of($_, 2) == 1 } $shop->orders(16, 1000);
hang(@left);
$shop->confirm(@left);
$shop->poll_sql("SELECT in_flight FROM payments.worker_status WHERE database = 'shop' AND shard = 1", scalar @left, 'in flight');
my $frozen = pid_of(1);
kill 'STOP', $frozen;
$shop->configure('payments.workers_per_database' => 1);
$shop->poll_sql("SELECT shards FROM payments.worker_status WHERE database = 'shop' AND shard = 0 AND state = 'running'", 1, 'one worker');
my $locker = $node->background_psql('shop');
$locker->query_safe('BEGIN; LOCK TABLE payments.psp_answer');
kill 'CONT', $frozen;
$shop->poll_sql("SELECT count(*) FROM payments.worker_status WHERE database = 'shop'", 1, 'the old one ends, and cannot say anything');
$locker->query_safe('ROLLBACK');
$locker->quit;
$shop->release;
ok($shop->wait_until_quiet, 'what it has left is asked about');
is(join(' ', map { confirms_of($_) } @left), join(' ', (1) x @left), 'and not sent again');
is(join(' ', map { $shop->status($_) } @left), join(' ', ('SUCCESS') x @left), 'and is paid');
$shop->books_agree('frozen', log => 0);

#
# The other database has workers, and shards, of its own.  The simulator's books
# are those of both from here on.
#
workers(2, $branch);
my @theirs = $branch->orders(24, 700);
my @ours = $shop->orders(24, 700);
$branch->confirm(@theirs);
$shop->confirm(@ours);
ok($_->wait_until_quiet, "$_->{databases}[0] is served") for $shop, $branch;
is($_->sql($strangers), 0, "$_->{databases}[0]: each order by the worker of its shard") for $shop, $branch;
is($branch->sql('SELECT count(DISTINCT order_id) FROM payments.psp_attempt'), 24, 'and of its database');

#
# No room for all of them
#
workers(2);
$node->append_conf('postgresql.conf', "max_worker_processes = 4\n");
$node->restart;
my $none = 'no free background worker: raise max_worker_processes';
for ($shop, $branch)
{
	$_->poll_sql($all, "0 2 running, 1 2 waiting $none", "$_->{databases}[0]: the first worker has room, and the second says why not");
}
is($shop->sql(q(SELECT concat_ws(': ', alert, subject, detail) FROM payments.alerts)),
	"worker_down: shop, shard 1 of 2: waiting: $none", 'which is an alert');
@orders = $shop->orders(16, 1000);
$shop->confirm(@orders);
my @wait = grep { shard_of($_, 2) == 1 } @orders;
$shop->poll_sql('SELECT count(*) FROM payments.psp_call_queue', scalar @wait, 'the first one pays its own');
ok(@wait > 0, 'the others wait');
workers(1);
ok($shop->wait_until_quiet, 'for a number that there is room for');
$shop->configure('payments.workers_per_database' => 9);
sleep 0.5;
like($shop->log, qr/9 is outside the valid range for parameter "payments.workers_per_database"/, 'nine are too many');

is($shop->toss('GET', '/summary?orders=0')->{chargedMoreThanOnce}, 0, 'nobody was charged twice');
is($_->sql(q(SELECT count(*) FROM payments.verify() WHERE NOT holds)), 0, 'all invariants hold') for $shop, $branch;
$node->stop;
done_testing();

# A full disk loses nothing and doubles nothing: the worker keeps the answers that
# it cannot save, sends nothing new, says so, and goes on when there is space; and
# so does a server that went down because its log found none.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use Shortage;
use Test::More;
use Time::HiRes qw(sleep);

my $shortage = Shortage->new;
my $shop = $shortage->shop(init => { extra => ['--wal-segsize=1'] }, conf => q(
payments.shutdown_drain = 200ms
payments.request_timeout = 60s
wal_recycle = off
min_wal_size = 2MB
autovacuum = off
));
$shop->wait_for_worker;

# So many orders whose answers wait at the PSP
sub hang
{
	my ($n) = @_;
	my @orders = $shop->orders($n, 1000);
	$shop->toss('POST', '/fault', { kind => 'hang', on => 'confirm', after => 'done', any => JSON::PP::true, count => $n });
	$shop->confirm(@orders);
	in_flight($shop, $n);
	return @orders;
}

sub paid
{
	my $ids = join ',', map { "'$_->{order_id}'" } @_;
	return "SELECT count(*) FROM payments.payment WHERE order_id IN ($ids) AND status = 'SUCCESS'";
}

# Answers come, and no table can grow.
my @orders = hang(150);
my $pid = $shop->worker('pid');
$shortage->full(Shortage::BASE);
$shop->release;
ok($shop->wait_for_worker('holding'), 'the worker holds');
like($shop->worker('reason'), qr/^SQLSTATE 53100: could not extend file /, 'and says why');
is($shop->sql(q(SELECT string_agg(alert || ' ' || severity, ', ') FROM payments.alerts WHERE alert LIKE 'worker%')),
	'worker_holding critical', 'so does an alert');

my ($cpu, $sleeps, $refused, $sent) =
  (Shortage::cpu($pid), Shortage::sleeps($pid), $shortage->get('refused'), scalar $shop->requests);
sleep 3.2;
cmp_ok(Shortage::cpu($pid) - $cpu, '<', 1, 'it does not work itself to death');
cmp_ok(Shortage::sleeps($pid) - $sleeps, '<', 60, 'nor does it try again and again');
cmp_ok($shortage->get('refused'), '>', $refused, 'but it tries');
is(scalar $shop->requests, $sent, 'nothing is sent');
is($shop->worker('pid'), $pid, 'the worker lives');
my $said = () = $shop->log =~ /payments worker cannot save results/g;
cmp_ok($said, '<=', 10, 'the log is told now and then');
is($shop->sql("SELECT count(*) FROM payments.payment WHERE status = 'FAILURE'"), 0, 'nobody is told that it failed');

$shortage->full(0);
$shop->wait_until_quiet;
is($shop->sql(paid(@orders)), 150, 'with space all are paid');
is($shop->worker('pid'), $pid, 'by the same worker');
is(scalar $shop->requests, $sent, 'from the answers that it had kept');
is($shop->worker('state'), 'running', 'it runs');
is($shop->sql('SELECT count(*) FROM payments.alerts'), 0, 'no alert is left');

# One that has to leave with such answers: the next asks, when it can.
@orders = hang(60);
$pid = $shop->worker('pid');
$shortage->full(Shortage::BASE);
$shop->release;
$shop->wait_for_worker('holding');
kill 'TERM', $pid;
$shop->poll(sub { $shop->worker('pid') != $pid }, 'it leaves');
sleep 1;
$shortage->full(0);
all_are_paid('a worker that was told to stop');

# A worker that dies takes the server down: recovery has to write what there is no
# room for.  So does the log, when there is none for its next file.
@orders = hang(40);
$pid = $shop->worker('pid');
$shortage->full(Shortage::BASE);
$shop->release;
$shop->wait_for_worker('holding');
kill 'KILL', $pid;
$shop->poll(sub { !is_alive($pid) }, 'it is dead');
comes_back();
all_are_paid('a worker that died');

@orders = hang(40);
$shortage->full(Shortage::PG_WAL);
$shop->release;
$shop->{node}->psql('postgres', q(SELECT pg_switch_wal(), pg_logical_emit_message(true, 'fill', repeat('x', 3000000))));
ok($shop->poll(sub { $shop->log =~ /PANIC:  could not write to file "pg_wal/ }, 'a panic'), 'there is no space for the log');
comes_back();
all_are_paid('a log without space');

# With space, by itself or, when it has given up, because somebody starts it
sub comes_back
{
	my $node = $shop->{node};

	sleep 1;
	$shortage->full(0);
	$shop->poll(sub {
			my ($status) = eval { $node->psql('postgres', 'SELECT 1') };
			return !is_alive($node->{_pid}) || (defined $status && $status == 0);
		}, 'it is up or down');
	return if is_alive($node->{_pid});
	note('it was down');
	$shortage->with(sub { start_again($shop) });
}

sub all_are_paid
{
	my ($name) = @_;

	$shop->wait_for_worker;
	$shop->wait_until_quiet;
	is($shop->sql(paid(@orders)), @orders, "$name: all are paid");
}

is($shop->toss('GET', '/summary?orders=0')->{chargedMoreThanOnce}, 0, 'nobody was charged twice');
audit($shop, 'in the end', log => 0, secrets => 0);
$shop->{node}->stop;
done_testing();

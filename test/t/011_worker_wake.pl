# Every way in which a call can be committed reaches the worker, at once where
# that can be, and an idle worker does nothing at all.
use strict;
use warnings;

use PaymentsTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

# The sweep would hide a lost wake-up: it comes once an hour here.
my $shop = PaymentsTest->new(conf => q(
payments.sweep_interval = 3600
max_prepared_transactions = 10
));
$shop->wait_for_worker;

# The first looks are over when the counter stands still.
sub turns_in
{
	my ($seconds) = @_;
	my $before = $shop->worker('turns');
	sleep $seconds;
	return $shop->worker('turns') - $before;
}
$shop->poll(sub { turns_in(1.5) == 0 }, 'the worker comes to rest');
is(turns_in(3), 0, 'an idle worker takes no turn');

# One after the other, each into a sleeping worker.
for my $order ($shop->orders(20, 1000))
{
	$shop->confirm($order);
	is($shop->wait_for($order), 'SUCCESS', 'each wakes it');
}

# Many sessions, so that commits fall between its looks.
my @orders = $shop->orders(400, 1000);
my @files;
for my $i (0 .. 3)
{
	my $file = PostgreSQL::Test::Utils::tempdir() . "/confirm.sql";
	append_to_file($file, join('', map { $shop->confirm_sql($_) . ";\n" }
		  @orders[ $i * 100 .. $i * 100 + 99 ]));
	push @files, $file;
}
my @sessions = map {
	IPC::Run::start(['psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-f', $_,
		'-d', $shop->{node}->connstr('shop')], '>', \my $out)
} @files;
$_->finish for @sessions;
ok($shop->wait_until_quiet, 'no commit of four sessions is missed');

# Transactions that end in other ways.
my ($kept, $undone, $nested, $prepared, $rolled_back) = $shop->orders(5, 1000);
$shop->sql('BEGIN; ' . $shop->confirm_sql($undone) . '; ROLLBACK');
$shop->sql('BEGIN; SAVEPOINT a; ' . $shop->confirm_sql($undone)
	  . '; ROLLBACK TO a; ' . $shop->confirm_sql($kept) . '; COMMIT');
is($shop->wait_for($kept), 'SUCCESS', 'behind a savepoint rolled back');
$shop->sql('BEGIN; SAVEPOINT a; SAVEPOINT b; ' . $shop->confirm_sql($nested)
	  . '; RELEASE b; RELEASE a; COMMIT');
is($shop->wait_for($nested), 'SUCCESS', 'inside released savepoints');
is($shop->status($undone), 'NOT_STARTED', 'what was undone is undone');

# wait_for knows a call that only this transaction has queued, and no longer
# once its savepoint was rolled back.
my ($status, $out, $err) = $shop->{node}->psql('shop', 'BEGIN; '
	  . $shop->confirm_sql($undone)
	  . "; SELECT payments.wait_for('$undone->{order_id}', '5 s')");
like($err, qr/commit/i, 'waiting for what is not committed is an error');
($status, $out, $err) = $shop->{node}->psql('shop', 'BEGIN; SAVEPOINT a; '
	  . $shop->confirm_sql($undone) . '; ROLLBACK TO a; '
	  . "SELECT payments.wait_for('$undone->{order_id}', '0.1 s')");
is($err, '', 'but not when it was undone');

# Two phases: COMMIT PREPARED can tell nobody.
$shop->sql('BEGIN; ' . $shop->confirm_sql($prepared)
	  . "; PREPARE TRANSACTION 'kept'");
$shop->sql('BEGIN; ' . $shop->confirm_sql($rolled_back)
	  . "; PREPARE TRANSACTION 'dropped'");
sleep 2;
is($shop->status($prepared), 'NOT_STARTED', 'prepared is not committed');
my $turns = $shop->worker('turns');
ok($shop->poll(sub { $shop->worker('turns') >= $turns + 3 }, 'three turns'),
	'the worker looks again and again meanwhile');
$shop->sql("COMMIT PREPARED 'kept'");
is($shop->wait_for($prepared), 'SUCCESS', 'COMMIT PREPARED is found');
$shop->sql("ROLLBACK PREPARED 'dropped'");
$shop->poll(sub { turns_in(2.5) == 0 }, 'the worker comes to rest again');
is(turns_in(3), 0, 'and looks no more when none is prepared');

# A prepared transaction that a restart inherits.
my $inherited = $shop->order(1000);
$shop->sql('BEGIN; ' . $shop->confirm_sql($inherited)
	  . "; PREPARE TRANSACTION 'inherited'");
$shop->{node}->restart;
$shop->wait_for_worker;
$shop->sql("COMMIT PREPARED 'inherited'");
is($shop->wait_for($inherited), 'SUCCESS', 'also after a restart');

# Many waiters for one order.
my $order = $shop->order(1000);
$shop->fault($order, kind => 'slow', on => 'confirm', delayMs => 1000);
my @outs;
@sessions = map {
	my $n = $_;
	$outs[$n] = '';
	IPC::Run::start(['psql', '-XqAt', '-c',
		"SELECT payments.wait_for('$order->{order_id}', '20 s')",
		'-d', $shop->{node}->connstr('shop')], '>', \$outs[$n])
} 0 .. 4;
$shop->confirm($order);
$_->finish for @sessions;
is(join('', @outs), "SUCCESS\n" x 5, 'everybody who waits is told');

$shop->books_agree;
$shop->{node}->stop;
done_testing();

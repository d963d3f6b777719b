# Commands on whole databases: those on other databases are not held up by calls
# in flight; those on a served one send its workers away and let them come back,
# whatever becomes of the command; and what is in the books is not dropped.
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
	databases => [ 'shop', 'branch', 'third' ],
	conf => "payments.shutdown_drain = 2s\nmax_prepared_transactions = 5\n"
	  . "max_worker_processes = 12\n" . $staged->conf);
my $node = $shop->{node};
my $branch = bless { %$shop, databases => ['branch'] }, 'PaymentsTest';

sub status_of
{
	my ($database, $column) = @_;
	return $node->safe_psql('branch', "SELECT coalesce(CAST($column AS text), '')
		FROM payments.worker_status WHERE database = '$database'");
}

sub runs
{
	my ($database, $name) = @_;
	ok($shop->poll(sub { status_of($database, 'state') eq 'running' }, "$database runs"), $name);
}

# Orders whose confirm is under way; their answers come when they are released.
sub in_flight
{
	my ($n) = @_;
	my @orders = $shop->orders($n, 1000);
	$shop->fault($_, kind => 'hang', on => 'confirm', delayMs => 600_000) for @orders;
	$shop->confirm(@orders);
	$shop->poll(sub { $shop->worker('in_flight') == $n }, "in flight: $n");
	return @orders;
}

sub answers_of
{
	my ($order) = @_;
	return $shop->sql("SELECT string_agg(operation || ' ' || transport, ', ' ORDER BY attempt_no)
		FROM payments.psp_answer WHERE order_id = '$order->{order_id}'");
}

sub fails
{
	my ($database, $sql, $error, $name) = @_;
	my ($status, undef, $said) = $node->psql($database, $sql);
	isnt($status, 0, "$name: fails");
	like($said, $error, $name);
	return $said;
}

# How long it takes, in seconds, and that it succeeds.
sub takes
{
	my ($database, $sql) = @_;
	my $start = time();
	my ($status, undef, $said) = $node->psql($database, $sql);
	is($status, 0, $sql) or diag($said);
	return time() - $start;
}

# Let the answers come when the worker has been told to go, and do not wait for that.
sub release_while_it_stops
{
	my $pid = fork() // die "could not fork: $!";

	return $pid if $pid;
	my $end = time() + $PaymentsTest::timeout;
	sleep 0.02 while time() < $end && (eval { status_of('shop', 'state') } // '') ne 'stopping';
	eval { $shop->release };
	require POSIX;
	POSIX::_exit(0);
}

# The drain, for those workers that start from now on.
sub set_drain
{
	my ($drain) = @_;
	$shop->configure('payments.shutdown_drain' => $drain);
	$shop->poll_sql('SHOW payments.shutdown_drain', $drain);
	return;
}

sub worker_pid { return status_of($_[0], 'pid') }

runs($_, "$_ is served") for qw(shop branch third);

# Who holds a database and sits in its transaction does so for a minute; what
# comes of it is at the end of this test.
my $sitter = $node->background_psql('postgres');
my $sits_since = time();
$sitter->query_safe('BEGIN');
$sitter->query('ALTER DATABASE third RENAME TO fourth');
$shop->poll(sub { status_of('third', 'reason') =~ /^held by ALTER DATABASE RENAME of process \d+$/ },
	'that a database is held is shown');
is(status_of('third', 'state'), 'waiting', 'no worker is there meanwhile');

# Another database: nobody waits, and nothing is disturbed.
my @slow = in_flight(20);
my $pid = worker_pid('shop');
my @times;
for (1 .. 5)
{
	$node->safe_psql('postgres', 'CREATE DATABASE other');
	push @times, takes('postgres', 'DROP DATABASE other');
}
my ($best) = sort { $a <=> $b } @times;
cmp_ok($best, '<=', 1, sprintf('DROP of another database with calls in flight takes %d ms', 1000 * $best));
takes('postgres', 'CREATE DATABASE other');
takes('postgres', 'ALTER DATABASE other RENAME TO another');
takes('postgres', 'CREATE DATABASE other TEMPLATE another');
takes('postgres', "DROP DATABASE $_") for qw(other another);
is(worker_pid('shop'), $pid, 'the worker is left alone');

# DROP of a served one, with calls in flight and books: refused at once.
for my $force ('', ' WITH (FORCE)')
{
	my $said = fails('postgres', "DROP DATABASE shop$force", qr/DROP DATABASE is refused for database "shop"/,
		"what is served is not dropped$force");
	like($said, qr/Take it out of payments.databases/, 'and it is said how it could be');
}
is(worker_pid('shop'), $pid, 'that does not stop the worker');
is($shop->worker('in_flight'), 20, 'nor its calls');

# As a template.  What is in flight is waited for as long as at a shutdown, and
# comes to an end when the worker is back.
my $took = takes('postgres', 'CREATE DATABASE copy TEMPLATE shop');
cmp_ok($took, '>', 1.9, 'a template is copied when the drain is over');
cmp_ok($took, '<', 30, sprintf('which took %d ms', 1000 * $took));
like(answers_of($slow[0]), qr/^confirm no answer/, 'calls are recorded as unanswered');
runs('shop', 'the worker comes back');
isnt(worker_pid('shop'), $pid, 'another one');
is($node->safe_psql('copy', q(SELECT count(*) FROM payments.psp_call_queue WHERE state = 'S')),
	0, 'the copy has nothing in flight');
$shop->release;
is($shop->wait_for($slow[0]), 'SUCCESS', 'the payments succeed');

# An answer that comes in time is saved before the command runs.
set_drain('30s');
my ($order) = in_flight(1);
my $releaser = release_while_it_stops();
$took = takes('postgres', 'CREATE DATABASE copy2 TEMPLATE shop');
waitpid $releaser, 0;
is($node->safe_psql('copy2', "SELECT payments.status('$order->{order_id}')"), 'SUCCESS',
	'the copy has the answer that was under way');
is(answers_of($order), 'confirm answered', 'which was asked for once');
takes('postgres', "DROP DATABASE $_") for qw(copy copy2);

# A command that fails for others' sake: it was held, and is released.  The
# other database goes on all the time.
my $visitor = $node->background_psql('shop');
my $holder = $node->background_psql('postgres', on_error_stop => 0);
$holder->query_until(qr/begun/, "\\echo begun\nALTER DATABASE shop RENAME TO store;\n");
$shop->poll(sub { status_of('shop', 'reason') =~ /^held by ALTER DATABASE RENAME/ }, 'held');
$order = $branch->order(1000);
$branch->confirm($order);
is($branch->wait_for($order), 'SUCCESS', 'other databases are served meanwhile');
$holder->query('SELECT 1');
like($holder->{stderr}, qr/is being accessed by other users/, 'the command fails');
runs('shop', 'the worker comes back');
$holder->{stderr} = '';

# A holder that is cancelled, or ended.
for my $end ('pg_cancel_backend', 'pg_terminate_backend')
{
	my $victim = $node->background_psql('postgres', on_error_stop => 0);
	my $victim_pid = $victim->query_safe('SELECT pg_backend_pid()');
	$victim->query_until(qr/begun/, "\\echo begun\nCREATE DATABASE copy TEMPLATE shop;\n");
	$shop->poll(sub { status_of('shop', 'reason') eq "held by CREATE DATABASE of process $victim_pid" }, 'held');
	$node->safe_psql('branch', "SELECT $end($victim_pid)");
	runs('shop', "$end of the holder lets the worker come back");
	eval { $victim->quit };
}
$visitor->quit;
$holder->quit;

# Who may not run the command does not stop the worker.
$node->safe_psql('postgres', q(CREATE ROLE passer LOGIN CREATEDB; CREATE ROLE owner LOGIN CREATEDB;
	ALTER DATABASE branch OWNER TO owner));
$pid = worker_pid('shop');
for my $sql ('DROP DATABASE shop', 'ALTER DATABASE shop RENAME TO x',
	'ALTER DATABASE shop SET TABLESPACE pg_default', 'CREATE DATABASE x TEMPLATE shop')
{
	fails('postgres', "SET ROLE passer; $sql", qr/must be owner|permission denied/, $sql);
}
fails('shop', "SET ROLE passer; ALTER EXTENSION payments UPDATE TO '9.9'", qr/must be owner/, 'ALTER EXTENSION');
fails('postgres', 'BEGIN; DROP DATABASE shop', qr/cannot run inside a transaction block/, 'what cannot run');
fails('shop', 'ALTER DATABASE shop RENAME TO x', qr/current database cannot be renamed/, 'what cannot be from inside');
is(worker_pid('shop'), $pid, 'the worker was left alone');
fails('postgres', 'SET ROLE owner; ALTER DATABASE branch RENAME TO x', qr/ALTER DATABASE is refused for database "branch"/,
	'an owner cannot get a database off the list by its name');

# RENAME, and back.
my $queued;
my ($status, undef, $said) = $node->psql('postgres', 'ALTER DATABASE shop RENAME TO store');
is($status, 0, 'a served database can be renamed') or diag($said);
like($said, qr/no worker serves database "shop" under its new name "store"/, 'with a warning');
$shop->poll(sub { status_of('shop', 'reason') eq 'the database does not exist' }, 'the worker has no database');
my $store = bless { %$shop, databases => ['store'] }, 'PaymentsTest';
($queued) = $store->order(1000);
$store->confirm($queued);
$shop->configure('payments.databases' => 'store, branch, third');
is($store->wait_for($queued), 'SUCCESS', 'under the new name it is served when the list has it');
$node->safe_psql('postgres', 'ALTER DATABASE store RENAME TO shop');
$shop->configure('payments.databases' => 'shop, branch, third');
runs('shop', 'back again');

# SET TABLESPACE
my $folder = PostgreSQL::Test::Utils::tempdir;
$node->safe_psql('postgres', "CREATE TABLESPACE elsewhere LOCATION '$folder'");
$took = takes('postgres', 'ALTER DATABASE shop SET TABLESPACE elsewhere');
runs('shop', sprintf('moved in %d ms', 1000 * $took));
$order = $shop->order(1000);
$shop->confirm($order);
is($shop->wait_for($order), 'SUCCESS', 'and goes on');

# With nothing in flight the worker says what is in the books.
fails('postgres', 'DROP DATABASE shop', qr/is refused for database "shop"/, 'books are kept');
runs('shop', 'and the worker comes back');
$node->safe_psql('postgres', 'CREATE DATABASE empty');
$node->safe_psql('empty', 'CREATE EXTENSION payments');
$shop->configure('payments.databases' => 'shop, branch, third, empty');
ok($shop->poll(sub { status_of('empty', 'state') eq 'holding' }, 'empty holds'), 'an empty database is served');
$took = takes('postgres', 'DROP DATABASE empty');
cmp_ok($took, '<', 20, sprintf('and may be dropped: %d ms', 1000 * $took));
$shop->poll(sub { status_of('empty', 'reason') eq 'the database does not exist' }, 'which the worker says');
$shop->configure('payments.databases' => 'shop, branch, third');

# ALTER EXTENSION waits for what is in flight, too.
($order) = in_flight(1);
$releaser = release_while_it_stops();
$shop->sql("ALTER EXTENSION payments UPDATE TO '9.9'");
waitpid $releaser, 0;
is(answers_of($order), 'confirm answered', 'the answer was saved before');
$shop->poll(sub { $shop->worker('reason') =~ /version 9\.9, the library 0\.1/ }, 'the worker compares versions');
is($shop->status($order), 'SUCCESS', 'nothing is lost');
$shop->sql("ALTER EXTENSION payments UPDATE TO '0.1'");
runs('shop', 'the worker comes back with the version');

# One that is prepared holds nothing: the worker runs with the old version, is
# surprised by the new one, and says what it leaves behind.
$shop->sql(q(BEGIN; ALTER EXTENSION payments UPDATE TO '9.9'; PREPARE TRANSACTION 'update'));
runs('shop', 'an update that is prepared does not show yet');
($order) = in_flight(1);
my $call = $shop->sql("SELECT call_id FROM payments.psp_call_queue WHERE order_id = '$order->{order_id}'");
$shop->sql(q(COMMIT PREPARED 'update'));
$shop->confirm($shop->order(1000));
$shop->poll(sub { $shop->worker('reason') =~ /version 9\.9/ }, 'the version changes under it');
like($shop->log, qr/leaves 1 calls without a result: the extension has version 9\.9.*?Calls: $call\./s,
	'the log names the call that is left');
$shop->sql("ALTER EXTENSION payments UPDATE TO '0.1'");
$shop->release;
is($shop->wait_for($order), 'SUCCESS', 'and the next run finds out about it');

# A minute is over: the worker waits for the server's lock, like anybody.
ok($shop->poll(sub { status_of('third', 'state') eq 'starting' }, 'the hold ends', 90), 'a hold does not last for ever');
cmp_ok(time() - $sits_since, '>', 59, 'but for a minute');
like($shop->log, qr/no longer keeps the worker away from database "third"/, 'which is logged');

# It can be stopped in that, too.
$shop->configure('payments.databases' => 'shop, branch');
ok($shop->poll(sub { status_of('third', 'state') eq '' }, 'the worker that waits is stopped'), 'also while it waits');
$shop->configure('payments.databases' => 'shop, branch, third');
$sitter->query('ROLLBACK');
$sitter->quit;
runs('third', 'it runs when the command is undone');

# Maintenance mode: the guard lets DROP pass, but not while outcomes are unknown.
$shop->wait_until_quiet;
set_drain('2s');
(my $unknown) = in_flight(1);
$shop->toss('POST', '/settings', { down => JSON::PP::true });
$node->append_conf('postgresql.conf', "payments.maintenance = 'to be dropped'\n");
$node->restart;
$shop->wait_for_worker('holding');
$said = fails('postgres', 'DROP DATABASE shop', qr/database "shop" may have payments whose outcome is unknown/,
	'with an outcome that is unknown');
like($said, qr/There are some in payments\.open_calls/, 'with the reason');
like($said, qr/WITH \(FORCE\)/, 'and the way out');
$shop->wait_for_worker('holding');
takes('postgres', 'DROP DATABASE shop WITH (FORCE)');
takes('postgres', 'DROP DATABASE branch');
takes('postgres', 'DROP DATABASE third');
$node->stop;
done_testing();

# Why no worker runs, or why it sends nothing, is to be seen: the reasons that
# no other test comes across.  014 has those of a database that is not there or
# has no extension, 013 those of keys, 015 and 030 those of holding, 040 that of
# arming, 045 that of a command on the database.
use strict;
use warnings;

use PaymentsTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $shop = PaymentsTest->new(databases => [ 'shop', 'branch' ], conf => "payments.shutdown_drain = 30s\n");
my $node = $shop->{node};
my $branch = bless { %$shop, databases => ['branch'] }, 'PaymentsTest';
$_->wait_for_worker for $shop, $branch;

sub branch_is
{
	my ($state, $reason, $name) = @_;
	my $got = '';

	$shop->poll(sub {
			$got = $shop->sql(q(SELECT state || ': ' || coalesce(reason, '')
				FROM payments.worker_status WHERE database = 'branch'));
			return $got =~ /^$state: $reason$/;
		}, $name) ? pass($name) : diag("got: $got");
}

# It is told to stop, and waits for answers.
my $order = $branch->order(1000);
$shop->fault($order, kind => 'hang', on => 'confirm');
$branch->confirm($order);
$shop->poll(sub { $branch->worker('in_flight') == 1 }, 'in flight');
$shop->configure('payments.databases' => 'shop');
branch_is('stopping', 'was told to stop', 'a worker that stops says so');
$shop->release;
$shop->configure('payments.databases' => 'shop, branch');
branch_is('running', '', 'it is back');
is($branch->wait_for($order), 'SUCCESS', 'and nothing was lost');

# The database takes no connections.
$node->safe_psql('postgres', 'ALTER DATABASE branch ALLOW_CONNECTIONS false');
$node->safe_psql('postgres', q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity
	WHERE backend_type = 'payments worker' AND datname = 'branch'));
branch_is('waiting', 'the database does not accept connections', 'a database that takes no connections');
$node->safe_psql('postgres', 'ALTER DATABASE branch ALLOW_CONNECTIONS true');
branch_is('running', '', 'it is back when they are allowed');

# Runs that end with an error, one after the other: the pauses grow.
my $locker = $node->background_psql('branch');
$locker->query_safe('BEGIN; LOCK TABLE payments.worker_epoch');
my $before = () = $shop->log =~ /exited with exit code 1/g;
$node->safe_psql('postgres', q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity
	WHERE backend_type = 'payments worker' AND datname = 'branch'));
branch_is('waiting', q(ended with an error: see the server's log), 'an error that ended the worker');
branch_is('waiting', q(crash loop: \d+ runs in a row ended with an error: see the server's log), 'one after the other');
my $after = () = $shop->log =~ /exited with exit code 1/g;
cmp_ok($after - $before, '<', 8, 'not too often');
$locker->query_safe('ROLLBACK');
$locker->quit;
branch_is('running', '', 'it is back by itself');
$order = $branch->order(1000);
$branch->confirm($order);
is($branch->wait_for($order), 'SUCCESS', 'and pays');

# The extension is dropped and created anew, in one transaction.
$node->safe_psql('postgres', 'CREATE DATABASE fresh');
$shop->configure('payments.databases' => 'shop, branch, fresh');
$shop->install('fresh');
my $fresh = bless { %$shop, databases => ['fresh'] }, 'PaymentsTest';
$fresh->wait_for_worker;
$node->safe_psql('fresh', 'BEGIN; DROP EXTENSION payments; CREATE EXTENSION payments; COMMIT');
$node->safe_psql('fresh', q(SELECT payments.set_merchant('default', 'test_ck_simulator0only')));
$order = $fresh->order(1000);
$fresh->confirm($order);
is($fresh->wait_for($order), 'SUCCESS', 'an extension that was created anew is served');
like($shop->log, qr/for database "fresh" stops: the extension was created anew/, 'by another run');

$_->wait_until_quiet for $shop, $branch, $fresh;
is($shop->toss('GET', '/summary?orders=0')->{chargedMoreThanOnce}, 0, 'nobody was charged twice');
$node->stop;
done_testing();

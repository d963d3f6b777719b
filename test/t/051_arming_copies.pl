# Whatever became a copy of an armed database, or was put back to an earlier
# state, sends no charge by itself: it asks, says why, and waits to be armed.
# All of them have the keys, the settings and a way to the PSP.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $shop = PaymentsTest->new(
	databases => ['shop'],
	init => { allows_streaming => 1, has_archiving => 1 },
	conf => "payments.test_keys_need_arming = on\npayments.sweep_interval = 1s\n"
	  . "payments.request_timeout = 3s\npayments.shutdown_drain = 100ms\n");
my $node = $shop->{node};
$shop->wait_for_worker('disarmed');
$shop->sql("SELECT payments.arm('go live')");
$shop->wait_for_worker;
my $paid = $shop->order(1000);
$shop->confirm($paid);
is($shop->wait_for($paid), 'SUCCESS', 'the original charges');

# In every copy: one order in doubt, which was executed, one whose confirm was
# lost, and one that nobody has sent yet.
my ($executed, $lost) = $shop->orders(2, 1000);
$shop->fault($executed, kind => 'hang', on => 'confirm', after => 'done');
$shop->fault($lost, kind => 'hang', on => 'confirm', after => 'unchanged');
$shop->confirm($executed, $lost);
in_flight($shop, 2);
serve('');
my $unsent = $shop->order(1000);
$shop->confirm($unsent);

# Which databases the original serves from now on
sub serve
{
	my ($databases) = @_;
	$node->append_conf('postgresql.conf', "payments.databases = '$databases'\n");
	$node->reload;
	return $shop->poll(sub { $shop->sql('SELECT count(*) FROM payments.worker_status')
			== split /,/, $databases }, 'workers');
}

sub posts { return scalar grep { $_->{method} eq 'POST' } $shop->requests }

# The shop as another server sees it.
sub on
{
	my ($server, $database) = @_;
	return bless { %$shop, node => $server, databases => [ $database // 'shop' ] }, 'PaymentsTest';
}

# A copy that has these orders, or none: why it is not armed, and what it does.
sub only_asks
{
	my ($copy, $why, $name, %options) = @_;
	my $before = posts();
	my $charged = $copy->toss('GET', "/payments/$lost->{payment_key}")->{status} eq 'DONE';	# by another that was armed
	my $reason;

	$copy->wait_for_worker('disarmed');
	$reason = $copy->worker('reason');
	like($reason, $why, "$name: says why");
	if ($options{has_orders} // 1)
	{
		is($copy->wait_for($executed), 'SUCCESS', "$name: finds out what was executed");
		$copy->poll(sub { $copy->sql("SELECT count(*) FROM payments.psp_answer
				WHERE order_id = '$lost->{order_id}' AND operation = 'query' AND transport = 'answered'") > 0 },
			"$name: asks about what was lost");
		is($copy->status($lost) eq 'SUCCESS', $charged, "$name: and does not send it again");
		is($copy->status($unsent), 'EXECUTING', "$name: leaves what was not sent");
	}
	my $new = $copy->order(500);
	$copy->confirm($new);
	sleep 1.5;
	is($copy->sql("SELECT state || ' ' || attempts FROM payments.open_calls
			WHERE order_id = '$new->{order_id}'"), 'waits for arming 0', "$name: new orders wait, too");
	is(posts(), $before, "$name: not one charge is sent");

	# for good: also when it has run for a while, and was started again
	$copy->{node}->restart unless $options{no_restart};
	$copy->wait_for_worker('disarmed');
	sleep 1;
	is(posts(), $before, "$name: nor after a restart");
	return $new;
}

# Armed by a person, the copy is a server like any other.
sub goes_live
{
	my ($copy, $name, @orders) = @_;
	$copy->sql("SELECT payments.arm('$name')");
	$copy->wait_for_worker;
	is($copy->wait_for($_), 'SUCCESS', "$name: armed, it charges") for @orders;
	return;
}

sub start_beside
{
	my ($name, %options) = @_;
	my $copy = PostgreSQL::Test::Cluster->new($name);
	$copy->init_from_backup($node, 'base', %{ $options{init} // {} });
	$copy->append_conf('postgresql.conf', "payments.databases = 'shop'\n" . ($options{conf} // ''));
	$copy->start;
	return $copy;
}

# Another folder with the same keys in it.
sub other_folder
{
	my $folder = PostgreSQL::Test::Utils::tempdir;
	chmod 0700, $folder;
	system('cp', '-p', "$shop->{secret_dir}/default", $folder);
	return $folder;
}

my $data = $node->data_dir;
my $saved = PostgreSQL::Test::Utils::tempdir . '/saved';

$node->stop('immediate');
system('cp', '-a', $data, $saved);
$node->start;
$node->backup('base');
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$saved.dump", 'shop' ], 'a dump');
$node->stop('immediate');
$shop->toss('POST', '/faults/clear', {});
$shop->release;
my $token = (glob "$shop->{secret_dir}/arming.*")[0];
my $token_before = slurp_file($token);

# A base backup that is started beside the original, with the same folder.
my $copy = start_beside('beside');
only_asks(on($copy), qr/another data directory/, 'beside, the same folder');
is(slurp_file($token), $token_before, 'it leaves the token alone');
$copy->stop;

# With another folder, but a copy of the token in it.
my $folder = other_folder();
system('cp', '-p', $token, $folder);
$copy = start_beside('copied_token', conf => "payments.secret_dir = '$folder'\n");
only_asks(on($copy), qr/another data directory/, 'beside, with a copy of the token');
$copy->stop;

# A dump, restored elsewhere and here.
$copy = PostgreSQL::Test::Cluster->new('restored');
$copy->init;
$copy->append_conf('postgresql.conf', (slurp_file("$data/postgresql.conf") =~
	s/^(?:port|unix_socket_directories|archive_\w+|listen_addresses) ?=.*$//mgr) . "payments.databases = 'shop'\n");
$copy->start;
$copy->safe_psql('postgres', 'CREATE DATABASE shop');
$copy->command_ok([ 'pg_restore', '-d', $copy->connstr('shop'), "$saved.dump" ], 'restored');
my $new = only_asks(on($copy), qr/another cluster/, 'a dump restored elsewhere');
goes_live(on($copy), 'a dump restored elsewhere', $new);
$copy->stop;

# A point-in-time recovery.
$copy = start_beside('pitr', init => { has_restoring => 1 },
	conf => "recovery_target = 'immediate'\nrecovery_target_action = 'promote'\n");
$copy->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
only_asks(on($copy), qr/another timeline/, 'a point-in-time recovery');
$copy->stop;

# The original goes on, and then is put back in its place, file by file: nothing
# differs but the time.
$node->start;
serve('shop');
$shop->wait_for_worker;
is($shop->wait_for($_), 'SUCCESS', 'the original has been armed all the while') for $unsent, $lost, $executed;
$node->stop('immediate');
system("find '$data' -mindepth 1 -maxdepth 1 ! -name PG_VERSION -exec rm -rf {} +");
system('cp', '-a', '--', glob("$saved/*"), $data);
unlink "$data/postmaster.pid";
$node->start;
serve('shop');
$new = only_asks($shop, qr/put back to an earlier state/, 'put back', has_orders => 0);
is($shop->sql("SELECT actor FROM payments.arming ORDER BY id DESC LIMIT 1"), 'payments worker', 'recorded');
goes_live($shop, 'put back', $new, $lost, $unsent);

# A dump restored in the place of the original: the same server, and the very
# same database, token and all, but what it knows is of another time.
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$saved.here", 'shop' ], 'a dump of the armed');
serve('');
$node->append_conf('postgresql.conf', "payments.maintenance = 'restore'\n");
$node->restart;
$node->safe_psql('shop', 'DROP EXTENSION payments CASCADE');
$node->append_conf('postgresql.conf', "payments.maintenance = ''\n");
$node->restart;
$node->command_ok([ 'pg_restore', '-d', $node->connstr('shop'), "$saved.here" ], 'restored in its place');
serve('shop');
$new = only_asks($shop, qr/restored from a dump/, 'restored in its place', has_orders => 0);
goes_live($shop, 'restored in its place', $new);

# CREATE DATABASE TEMPLATE, and a dump restored beside the original, both while
# the original runs on.
serve('');
$unsent = $shop->order(1000);
$shop->confirm($unsent);
$node->safe_psql('postgres', 'CREATE DATABASE clone TEMPLATE shop');
$node->safe_psql('postgres', 'CREATE DATABASE again');
$node->command_ok([ 'pg_restore', '-d', $node->connstr('again'), "$saved.dump" ], 'restored beside');
serve('clone, again');
only_asks(on($node, 'clone'), qr/another database/, 'a clone', has_orders => 0);
is(on($node, 'clone')->status($unsent), 'EXECUTING', 'a clone leaves what was not sent');
only_asks(on($node, 'again'), qr/another database/, 'a dump restored beside', has_orders => 0);

# Armed as well, it takes nothing away from the original.
$new = on($node, 'clone')->order(1000);
on($node, 'clone')->confirm($new);
goes_live(on($node, 'clone'), 'a clone', $new);
serve('shop, clone');
is($shop->wait_for($unsent), 'SUCCESS', 'the original is armed all the while');

# Two that share a folder: who is armed last has the token, and the other stops.
$node->backup('base2');
$copy = PostgreSQL::Test::Cluster->new('twin');
$copy->init_from_backup($node, 'base2');
$copy->start;
my $twin = on($copy);
$twin->wait_for_worker('disarmed');
goes_live($twin, 'a twin');
ok($shop->wait_for_worker('disarmed'), 'the original stops');
like($shop->worker('reason'), qr/the token is another one/, 'since its token is gone');
$new = $shop->order(1000);
$shop->confirm($new);
sleep 1.5;
is($shop->status($new), 'EXECUTING', 'it charges nobody');
my $theirs = $twin->order(1000);
$twin->confirm($theirs);
is($twin->wait_for($theirs), 'SUCCESS', 'the twin does');
$copy->stop;
goes_live($shop, 'the original again', $new);

is($shop->toss('GET', '/summary?orders=0')->{chargedMoreThanOnce}, 0, 'nobody was charged twice');
$node->stop;
done_testing();

# Behind a start that may have cost the books something (a crash, a promotion, a
# restored dump) nobody is charged before the books were compared with Toss's
# list; or a time has passed, and that is said.  Other starts wait for nothing.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $shop = PaymentsTest->new(
	init => { allows_streaming => 1 },
	conf => "payments.reconcile_interval = 1d\npayments.request_timeout = 2s\npayments.sweep_interval = 1s\n");
my $node = $shop->{node};
$shop->wait_for_worker;

my $starts = "SELECT count(*) FROM payments.reconciliation WHERE cause = 'start'";

# The list hangs from now on.
sub hold_list { $shop->toss('POST', '/fault', { kind => 'hang', on => 'transactions', any => JSON::PP::true, count => 1000 }) }
sub release_list { $shop->toss('POST', '/faults/clear', {}); $shop->release }

# While the list hangs an order waits, and says so; then it is charged, behind
# the last page.
sub waits_for_list
{
	my ($name) = @_;
	my $order = $shop->order(1000);
	$shop->poll(sub { (eval { $shop->confirm($order) } // '') eq 'EXECUTING' }, "$name: confirmed");
	$shop->poll(sub { (eval { $shop->worker('reason') } // '') =~ /books were compared with the PSP's list: merchant "default"/ },
		"$name: it says that charges wait") or die "nobody waits";
	# more than one: of a worker that was killed the simulator may not know it yet
	$shop->poll(sub { $shop->toss('GET', '/health')->{waiting} > 0 }, "$name: the list hangs");
	is($shop->worker('state'), 'running', "$name: while it runs");
	is(scalar arrivals($shop, $order, 'POST'), 0, "$name: the order waits");
	release_list();
	is($shop->wait_for($order), 'SUCCESS', "$name: then it is charged");
	my ($post) = arrivals($shop, $order, 'POST');
	my @pages = grep { $_->{path} =~ m{^/v1/transactions} } $shop->requests;
	my $pages = $shop->sql(q(SELECT count(*) FROM payments.reconciliation_page WHERE reconciliation_id =
		(SELECT max(id) FROM payments.reconciliation WHERE cause = 'start' AND state = 'C')));
	cmp_ok($pages, '>', 1, "$name: the list was read");
	cmp_ok((grep { $_->{number} < $post->{number} } @pages), '>=', $pages, "$name: first");
	$shop->poll(sub { $shop->worker('reason') eq '' }, "$name: nothing is complained of any more");
	return $order;
}

# The first start of all has no books that could lack anything.
my $order = $shop->order(1000);
$shop->confirm($order);
is($shop->wait_for($order, 30), 'SUCCESS', 'the first start: charged at once');
is($shop->sql($starts), 0, 'without a look at the list');
my $dump = PostgreSQL::Test::Utils::tempdir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, 'shop' ], 'a dump');
my $lost = $shop->order(3000);

# A worker that ends, and the next one: nothing is lost by that.
hold_list();
my $pid = $shop->worker('pid');
$shop->sql("SELECT pg_terminate_backend($pid)");
$shop->wait_for_other_worker($pid);
$order = $shop->order(1000);
$shop->confirm($order);
is($shop->wait_for($order, 30), 'SUCCESS', 'another worker: charged at once');
is($shop->sql($starts), 0, 'another worker: without a look at the list');
release_list();

# A crash.
hold_list();
kill_worker($shop);
server_is_back($shop);
waits_for_list('a crash');
is($shop->sql($starts), 1, 'a crash: one run');

# A crash while the run behind a crash is open: it is still waited for.
hold_list();
kill_backend($shop);
server_is_back($shop);
$shop->poll_sql("SELECT count(*) FROM payments.reconciliation WHERE cause = 'start' AND state = 'S'", 1, 'the list is asked for');
kill_worker($shop);
server_is_back($shop);
# what the dead asked for hangs on, and would be counted
$shop->release;
waits_for_list('a crash in it');

# A list that cannot be read: nobody waits for ever.
$shop->toss('POST', '/fault', { kind => 'refuse', on => 'transactions', any => JSON::PP::true, code => 'FORBIDDEN_REQUEST', count => 1000 });
$node->append_conf('postgresql.conf', "payments.reconcile_wait = 3s\n");
$node->stop('immediate');
my $begun = time();
$node->start;
$order = $shop->order(1000);
$shop->confirm($order);
is($shop->wait_for($order), 'SUCCESS', 'a list that cannot be read: charged in the end');
cmp_ok(time() - $begun, '>=', 3, 'after reconcile_wait');
like($shop->log, qr/WARNING:  payments worker for database "shop" charges for merchant "default" again, before its books were compared/,
	'and the log has it');
$shop->configure('payments.reconcile_wait' => 0);
$node->restart('immediate');
hold_list();
$order = $shop->order(1000);
$shop->confirm($order);
is($shop->wait_for($order, 30), 'SUCCESS', 'reconcile_wait = 0: charged at once');
$shop->configure('payments.reconcile_wait' => 120);
release_list();
$shop->poll_sql("$starts AND ended_at IS NULL", 0, 'the list can be read again: all runs end');

# A dump that is put into the place of what it was made of, in a server that
# goes on; and its key comes later.
$shop->confirm($lost);
is($shop->wait_for($lost), 'SUCCESS', 'an order behind the dump');
hold_list();
rename "$shop->{secret_dir}/default", "$shop->{secret_dir}/moved";
$node->safe_psql('postgres', 'CREATE DATABASE new_shop');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('new_shop'), '-f', $dump ], 'restored');
$node->safe_psql('postgres', "ALTER DATABASE shop RENAME TO old_shop;\nALTER DATABASE new_shop RENAME TO shop");
$shop->wait_for_worker;
$shop->poll_sql("$starts AND ended_at IS NULL", 1, 'a dump in its place: one run');
rename "$shop->{secret_dir}/moved", "$shop->{secret_dir}/default";
$node->reload;
waits_for_list('a dump in its place');
is($shop->sql('SELECT order_id, what FROM payments.foreign_payments WHERE amount = 3000'), "$lost->{order_id}|unknown payment",
	'a dump in its place: what it lacks is known by then');

# A promotion.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
$node->stop('immediate');
hold_list();
$standby->promote;
$shop->{node} = $standby;
waits_for_list('a promotion');
$standby->stop;
done_testing();

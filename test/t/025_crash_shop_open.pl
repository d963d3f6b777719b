# A worker that is away stops nobody from selling, and what was sold meanwhile
# is sent when it returns.  Clients that commit without waiting for the disk
# can lose an order in a crash, but never one that was sent.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $shop = PaymentsTest->new(conf => q(
wal_writer_delay = 10s
payments.request_timeout = 20s
));
$shop->wait_for_worker;

# Not served.
$shop->configure('payments.databases' => '');
$shop->poll(sub { $shop->sql('SELECT count(*) FROM payments.worker_status') == 0 },
	'no worker');
my @orders = $shop->orders(40, 1000);
my $start = time();
is($shop->confirm(@orders), 'EXECUTING', 'without a worker confirm works');
cmp_ok(time() - $start, '<', 30, 'and does not wait for one');
is($shop->wait_for($orders[0], 1), 'EXECUTING', 'wait_for comes back in time');
is($shop->sql("SELECT payments.confirm(order_id, payment_key, amount) FROM payments.payment
	WHERE order_id = '$orders[0]{order_id}'"), 'EXECUTING', 'a repeated confirm is the same');
is(scalar $shop->requests, 0, 'nothing is sent');
$shop->configure('payments.databases' => 'shop');
ok(settled($shop, @orders), 'all are sent when it returns');
is(scalar $shop->requests, 40, 'once each');

# Frozen, with room in nobody's way.
@orders = $shop->orders(20, 1000);
my $pid = $shop->worker('pid');
kill 'STOP', $pid;
is($shop->confirm(@orders), 'EXECUTING', 'nor does a frozen one stop the shop');
is($shop->sql("CALL payments.pay('$orders[0]{order_id}', '$orders[0]{payment_key}', 1000, '1 s', NULL)"),
	'EXECUTING', 'pay comes back in time');
kill 'CONT', $pid;
ok(settled($shop, @orders), 'it goes on when it thaws');
audit($shop, 'away', secrets => 0);

# Nobody waits for the disk, not even by the database's own setting, and the
# WAL writer sleeps.  What was confirmed since is gone after the crash, unless
# the worker has sent it.
$shop->sql('ALTER DATABASE shop SET synchronous_commit = off');
kill_worker($shop);
$shop->wait_for_worker;
for my $round (1 .. 3)
{
	my ($sent, @unsent) = $shop->orders(4, 1000);
	$shop->fault($sent, kind => 'hang', on => 'confirm', after => 'done');
	$shop->sql('CHECKPOINT');
	$shop->confirm($sent);
	in_flight($shop, 1);
	kill_postmaster($shop);
	is($shop->status($sent) =~ /EXECUTING|UNKNOWN|SUCCESS/ ? 'known' : 'lost', 'known',
		"synchronous_commit = off: what was sent is known after a crash");
	recover($shop);
	settled($shop, $sent);
	is($shop->status($sent), 'SUCCESS', 'and ends as it must');

	# to those that were lost the shop says the same again
	$shop->confirm(@unsent);
	kill_postmaster($shop);
	$shop->wait_for_worker;
	$shop->confirm(@unsent);
	ok(settled($shop, @unsent), 'what was lost can be confirmed again');
}
audit($shop, 'synchronous_commit = off');

$shop->{node}->stop;
done_testing();

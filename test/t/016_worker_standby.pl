# With synchronous replication nothing is sent before the standby has the
# claim, whoever tries to end the wait for it.
use strict;
use warnings;

use PaymentsTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $shop = PaymentsTest->new(init => { allows_streaming => 1 });
$shop->wait_for_worker;
my $node = $shop->{node};

sub worker_waits
{
	return $shop->poll_sql(q(SELECT wait_event FROM pg_stat_activity
		WHERE backend_type = 'payments worker'), 'SyncRep',
		'the worker waits for the standby');
}

# The standby is gone.  The shop's own commits do not wait for it here.
my @orders = $shop->orders(4, 1000);
my $confirm = 'SET synchronous_commit = local; ';
$shop->configure('synchronous_standby_names' => 'nobody');
$shop->poll_sql('SHOW synchronous_standby_names', 'nobody');
sleep 0.5;
$shop->sql($confirm . $shop->confirm_sql($orders[0]));
ok(worker_waits(), 'a claim waits for the standby');
sleep 1;
is(scalar(my @none = $shop->requests), 0, 'and is not sent meanwhile');

# pg_cancel_backend breaks that wait in any other session.
my $pid = $node->safe_psql('postgres', q(SELECT pid FROM pg_stat_activity
	WHERE backend_type = 'payments worker'));
for (1 .. 5)
{
	$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
	sleep 0.2;
}
ok(worker_waits(), 'pg_cancel_backend does not end the wait');
is(scalar(@none = $shop->requests), 0, 'nothing is sent');

# pg_terminate_backend does, and the claim is not sent by this worker.
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
$shop->poll(sub { $node->safe_psql('postgres', qq(SELECT count(*)
	FROM pg_stat_activity WHERE pid = $pid)) == 0 }, 'the worker ends');
like($shop->log, qr/canceling the wait for synchronous/,
	'which the server warns of');
is(scalar(@none = $shop->requests), 0, 'nothing was sent');
ok(worker_waits(), 'the next one cannot even begin its run');

# A fast shutdown is not held up.
my $start = time();
$node->stop('fast');
cmp_ok(time() - $start, '<', 30, 'the server can be stopped');
is(scalar(@none = $shop->requests), 0, 'still nothing was sent');

# The standby is not needed any more.
$node->append_conf('postgresql.conf', "synchronous_standby_names = ''\n");
$node->start;
$shop->wait_for_worker;
is($shop->wait_for($orders[0]), 'SUCCESS', 'then the call is made');
$shop->confirm(@orders[ 1 .. 3 ]);
ok($shop->wait_until_quiet, 'and the others');

# It is there, and goes while an answer is awaited: the answer is kept.
$shop->fault($_, kind => 'hang', on => 'confirm') for my $order = $shop->order(1000);
$shop->confirm($order);
$shop->poll(sub { $shop->worker('in_flight') == 1 }, 'in flight');
$shop->configure('synchronous_standby_names' => 'nobody');
$shop->poll_sql('SHOW synchronous_standby_names', 'nobody');
$shop->release;
ok(worker_waits(), 'the result waits for the standby');
$shop->configure('synchronous_standby_names' => '');
is($shop->wait_for($order), 'SUCCESS', 'and is saved when it need not');
is($shop->sql("SELECT string_agg(operation, ', ') FROM payments.psp_answer
	WHERE order_id = '$order->{order_id}'"), 'confirm', 'without asking again');

$shop->books_agree;
$node->stop;
done_testing();

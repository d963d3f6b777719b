# The alerts about the worker come and go, and whoever may only watch sees them,
# the worker's numbers, and nothing else.
use strict;
use warnings;

use PaymentsTest;
use Test::More;
use Time::HiRes qw(sleep);

my $shop = PaymentsTest->new(conf => "payments.sweep_interval = 1s\n");
my $node = $shop->{node};
$shop->wait_for_worker;
$shop->sql(q(CREATE ROLE watcher LOGIN; SELECT payments.grant_to('watcher', 'monitor')));

# What the watcher sees
sub watch
{
	my ($sql) = @_;
	my ($status, $out, $err) = $node->psql('shop', $sql, extra_params => [ '-U', 'watcher' ]);
	return $status == 0 ? $out : $err;
}

sub comes
{
	my ($alerts, $name) = @_;
	my $last;
	ok($shop->poll(sub {
			$last = watch("SELECT string_agg(alert || ' ' || severity, ', ' ORDER BY alert) FROM payments.alerts");
			return $last eq $alerts;
		}, $name), $name) or diag("last: $last");
}

# The watcher has to get in.
$node->append_conf('pg_hba.conf', "local all all trust\n");
$node->reload;

my $order = $shop->order(1000);
$shop->confirm($order);
$shop->wait_for($order);
comes('', 'all is well');
is(watch('SELECT count(*) > 0 FROM payments.worker_stats'), 't', 'counters');
is(watch('SELECT count(*) > 0 FROM payments.worker_histogram'), 't', 'histograms');
is(watch('SELECT state FROM payments.worker_status'), 'running', 'states');
like(watch("SELECT * FROM $_"), qr/permission denied/, "not $_")
  for qw(payments.payment payments.open_calls payments.psp_answer payments.ledger);
like(watch("SELECT payments.retry('$order->{order_id}')"), qr/permission denied/, 'nor does he do anything');

# No key: calls are put off.
unlink "$shop->{secret_dir}/default";
$node->reload;
$order = $shop->order(1000);
$shop->confirm($order);
comes('worker_hindered warning', 'a key is missing');
like(watch('SELECT detail FROM payments.alerts'), qr/^running: merchant "default" has no secret key/, 'says why');
$shop->write_secret('default', $PaymentsTest::secret);
$shop->sql("SELECT payments.retry('$order->{order_id}')");
$shop->wait_for($order);
comes('', 'and is back');

# A right that nobody may have: the worker holds.
$shop->sql('GRANT UPDATE ON payments.wallet TO watcher');
comes('schema_changed critical, worker_holding critical', 'the schema differs');
$shop->sql('REVOKE UPDATE ON payments.wallet FROM watcher');
comes('', 'and is as it was');

# A process that does not move
my $pid = $shop->worker('pid');
kill 'STOP', $pid;
comes('worker_silent critical', 'stopped');
kill 'CONT', $pid;
comes('', 'and goes on');

# No worker
$shop->configure('payments.databases' => '');
comes('worker_down critical', 'not served');
$shop->configure('payments.databases' => 'shop');
comes('', 'served');

$node->stop;
done_testing();

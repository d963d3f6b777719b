# pg_stat_activity says what the worker does and waits for, in words; the log
# says what went wrong, but not everything of a kind, and then how much more
# there was; neither has data in it.
use strict;
use warnings;

use PaymentsTest;
use Test::More;

my $shop = PaymentsTest->new(conf => "payments.shutdown_drain = 30s\npayments.sweep_interval = 1s\n");
my $node = $shop->{node};
$shop->wait_for_worker;

sub shows
{
	my ($expected, $name) = @_;
	my $last = '';
	ok($shop->poll(sub {
			$last = $node->safe_psql('postgres', q(SELECT concat_ws(', ', state, wait_event_type, query)
				FROM pg_stat_activity WHERE backend_type = 'payments worker'));
			return $last =~ $expected;
		}, $name, 30), $name) or diag("last: $last");
}

sub hang
{
	my (@orders) = @_;
	$shop->fault($_, kind => 'hang', on => 'confirm') for @orders;
	$shop->confirm(@orders);
}

shows(qr/^idle, Extension, payments: idle$/, 'nothing to do');

my @orders = $shop->orders(3, 1000);
hang(@orders);
shows(qr/^idle, Extension, payments: wait for answers: 3$/, 'it waits for answers');

# Their results wait for a lock.
my $session = $node->background_psql('shop');
$session->query_safe('BEGIN; LOCK TABLE payments.wallet');
$shop->release;
shows(qr/^active, Lock, payments: save results: \d+, claim calls: \d+ at most$/, 'it saves them');
$session->query_safe('ROLLBACK');
$shop->wait_until_quiet;
shows(qr/payments: idle$/, 'and is idle');

$shop->sql('CREATE ROLE nobody_known; GRANT UPDATE ON payments.wallet TO nobody_known');
shows(qr/^idle, Extension, payments: hold, see worker_status; wait for answers: 0$/, 'it holds');
$shop->sql('REVOKE UPDATE ON payments.wallet FROM nobody_known');
shows(qr/payments: idle$/, 'and goes on');

# Fifteen answers that cannot be applied
@orders = $shop->orders(15, 1000, seller_id => { map { $_ => 99 } 1 .. 15 });
$shop->sql(q(INSERT INTO payments.wallet VALUES (99, 'KRW', 1e18 - 1, 0, 1, now())));
$shop->confirm(@orders);
$shop->poll_sql("SELECT count(*) FROM payments.open_calls WHERE kind = 'quarantined'", 15, 'all are put aside');
is(scalar(() = $shop->log =~ /could not be applied: call \d+ goes into quarantine/g), 10, 'ten are told');
unlike($shop->log, qr/more messages about answers/, 'the rest not yet');

# It drains.
my $order = $shop->order(1000);
hang($order);
shows(qr/payments: wait for answers: 1$/, 'one is in flight');
my $pid = $shop->worker('pid');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
shows(qr/^idle, Extension, payments: drain, then stop; wait for answers: 1$/, 'told to stop it waits for it');
$shop->release;
$shop->wait_for_other_worker($pid);
is($shop->status($order), 'SUCCESS', 'and saves it');
like($shop->log, qr/LOG:  payments worker for database "shop": 5 more messages about answers that could not be applied were left out/,
	'at its end it tells how many there were');

my $log = $shop->log;
is(scalar(grep { $log =~ /\Q$_->{payment_key}\E/ } @orders, $order), 0, 'no payment key is in the log');
$node->stop;
done_testing();

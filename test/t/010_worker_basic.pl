# A payment from checkout to the books, through the worker and over TLS.
use strict;
use warnings;

use PaymentsTest;
use Test::More;

my $shop = PaymentsTest->new;

# The worker is there as soon as the extension is.
ok($shop->wait_for_worker, 'CREATE EXTENSION brings the worker');
is($shop->worker('epoch'), 1, 'its first run');

# One payment.
my $order = $shop->order(15000);
is($shop->confirm($order), 'EXECUTING', 'confirm queues the call');
is($shop->wait_for($order), 'SUCCESS', 'the worker confirms it');
is($shop->sql("SELECT is_payment_done FROM payments.payment_event
	WHERE order_id = '$order->{order_id}'"), 't', 'and completes it');

# What was sent, and what not.
my ($request) = $shop->requests_of($order);
is("$request->{method} $request->{path}", 'POST /v1/payments/confirm',
	'one request');
is($request->{idempotencyKey}, $shop->sql(
		"SELECT idempotency_key FROM payments.psp_call
		 WHERE order_id = '$order->{order_id}'"), 'with its key');

# A round trip in one call.
$order = $shop->order(700);
is($shop->sql("CALL payments.pay('$order->{order_id}',
	'$order->{payment_key}', 700, '10 s', NULL)"), 'SUCCESS',
	'pay does it in one round trip');

# Many, so that turns carry several results and claims.  Their answers come at
# once: while connections are made they come one by one, and each gets a turn.
my @orders = $shop->orders(300, 1000);
$shop->settings(randomFaults => { rate => 1, kinds => ['hang'] });
$shop->confirm(@orders);
$shop->poll(sub { $shop->toss('GET', '/health')->{waiting} == 256 }, 'as many as there may be are in flight');
$shop->settings(randomFaults => undef);
$shop->release;
$shop->wait_until_quiet;
is($shop->sql("SELECT count(*) FROM payments.payment
	WHERE status = 'SUCCESS'"), 302, 'all are paid');

# A refusal.
$order = $shop->order(2000);
$shop->fault($order, kind => 'refuse', on => 'confirm',
	code => 'REJECT_CARD_PAYMENT');
$shop->confirm($order);
is($shop->wait_for($order), 'FAILURE', 'a refusal ends the order');
is($shop->sql("SELECT failure_code FROM payments.payment
	WHERE order_id = '$order->{order_id}'"), 'REJECT_CARD_PAYMENT',
	'with its reason');

# An answer that is lost: the outcome is asked for, nobody pays twice.
$order = $shop->order(3000);
$shop->fault($order, kind => 'reset-after', on => 'confirm');
$shop->confirm($order);
is($shop->wait_for($order), 'SUCCESS', 'a lost answer is found again');

# Counters.
is($shop->worker('settled'), 304, 'settled');
is($shop->worker('quarantined'), 0, 'quarantined');
ok($shop->poll(sub { $shop->worker('in_flight') == 0 }, 'none in flight'), 'in flight');
cmp_ok($shop->worker('turns'), '<', 304, 'turns carry more than one');

# What the server shows of the worker, once it has looked after the ledger.
ok($shop->poll_sql(q(SELECT application_name || ', ' || backend_type || ', ' || state
	FROM pg_stat_activity WHERE backend_type = 'payments worker'),
	'payments worker, payments worker, idle'), 'pg_stat_activity');
is($shop->sql(q(SELECT count(*) FROM pg_stat_activity
	WHERE backend_type = 'payments worker' AND state = 'idle'
		AND (backend_xmin IS NOT NULL OR xact_start IS NOT NULL))),
	0, 'no transaction is held while idle');

$shop->books_agree;
$shop->{node}->stop;
done_testing();

# Sessions that write as a replication role, for which ordinary triggers do not
# fire, beside a running worker: what they queue is sent once, with all that
# belongs to it, or refused; never half of it.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use Test::More;

my $shop = PaymentsTest->new(conf => "max_prepared_transactions = 2\npayments.sweep_interval = 3600s\n");
my $node = $shop->{node};
$shop->wait_for_worker;
my $replica = 'SET session_replication_role = replica; ';

sub refused
{
	my ($sql, $error, $name) = @_;
	my ($status, undef, $said) = $node->psql('shop', "\\set VERBOSITY sqlstate\n$replica$sql", on_error_stop => 1);
	isnt($status, 0, "$name: refused");
	like($said, $error, $name);
}

# All of it as a replica: sold, paid, and given back.
my @ids = split /\n/, $shop->sql($replica . q(
	SELECT c.order_id FROM generate_series(1, 5) i, LATERAL payments.checkout(i,
		'[{"seller_id": 1, "amount": 600}, {"seller_id": 2, "amount": 400}]') c));
my $made = $shop->toss('POST', '/pay/bulk', { orderIds => \@ids, amount => 1000 });
my @orders = map { { order_id => $_->{orderId}, payment_key => $_->{paymentKey}, amount => 1000 } } @{ $made->{payments} };
$shop->sql($replica . $shop->confirm_sql($_)) for @orders[ 0 .. 2 ];
$shop->sql('BEGIN; ' . $shop->confirm_sql($orders[3]) . '; SET LOCAL session_replication_role = replica; COMMIT');
$shop->sql($replica . 'BEGIN; ' . $shop->confirm_sql($orders[4]) . "; PREPARE TRANSACTION 'replica'");
$shop->sql($replica . "COMMIT PREPARED 'replica'");
is($shop->wait_for($_), 'SUCCESS', 'paid, with no sweep to find it') for @orders;
is(scalar(arrivals($shop, $_, 'POST')), 1, 'sent once') for @orders;
is($shop->sql(q(SELECT string_agg(DISTINCT history, '; ') FROM (SELECT string_agg(to_status::text, ' ' ORDER BY h.id) AS history
		FROM payments.payment_order_history h GROUP BY payment_order_id) h)), 'EXECUTING SUCCESS', 'each with its history');
my $refund = $shop->sql($replica . "SELECT payments.refund('$orders[0]{order_id}', 'replica', amount => 300)");
is($shop->wait_for_refund($orders[0], $refund), 'SUCCESS', 'refunded');

# By hand, what a trigger would have refused is refused; and a call that is
# queued without the rest is never sent.
my $order = $shop->order(1000);
my $arrived = scalar $shop->requests;
my $columns = q(order_id, payment_event_id, merchant, operation, payment_key, currency, amount, idempotency_key, request_body, created_at);
refused("UPDATE payments.payment_order SET payment_order_status = 'SUCCESS' WHERE order_id = '$order->{order_id}'",
	qr/PY\d{3}/, 'a result by hand');
refused("UPDATE payments.payment_order SET amount = 1 WHERE order_id = '$order->{order_id}'", qr/PY\d{3}/, 'another amount');
refused("DELETE FROM payments.psp_call", qr/PY\d{3}/, 'calls that go');
refused("UPDATE payments.psp_call SET amount = amount + 1", qr/PY\d{3}/, 'calls that change');
refused("DELETE FROM payments.psp_attempt", qr/PY\d{3}/, 'attempts that go');
refused("INSERT INTO payments.psp_call_queue (call_id, order_id, merchant_id, due_at)
	SELECT 999999, '$order->{order_id}', id, now() FROM payments.merchant", qr/23503/, 'a place in the queue without a call');
refused("INSERT INTO payments.psp_call (id, $columns) SELECT 999999, 'nobody', 999999, merchant, operation, 'no key',
	currency, amount, 'another key', '{}', now() FROM payments.psp_call LIMIT 1", qr/23\d{3}|PY\d{3}/, 'a call without an order');
is($shop->status($order), 'NOT_STARTED', 'none of it did anything');
$shop->confirm($order);
is($shop->wait_for($order), 'SUCCESS', 'and the order can be paid');
is(scalar($shop->requests), $arrived + 1, 'with the only request');

audit($shop, 'as a replica');
$node->stop;
done_testing();

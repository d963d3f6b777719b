# Eight clients, few sellers, the worker between them: the books agree to the
# last won.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $shop = PaymentsTest->new;
my $n = is_long() ? 500 : 40;
$shop->wait_for_worker;
$shop->sql('SELECT payments.set_seller(1, 0.1), payments.set_seller(2, 0.033)');
$shop->settings(auto => 'auto_', delayMs => 5, delayJitterMs => 30);

my $script = PostgreSQL::Test::Utils::tempdir . '/pay.sql';
append_to_file($script, q(
\set one random(1, 3)
\set two random(1, 3)
\set first random(100, 1000000)
\set second random(100, 1000000)
SELECT quote_literal(order_id) AS id, quote_literal('auto_' || order_id) AS key, amount
	FROM payments.checkout(:client_id + 1, jsonb_build_array(
		jsonb_build_object('seller_id', :one, 'amount', :first),
		jsonb_build_object('seller_id', :two, 'amount', :second))) \gset
CALL payments.pay(:id, :key, :amount, '30 s', NULL);
));
$shop->{node}->command_ok([ 'pgbench', '-n', '-c', '8', '-j', '2', '-t', $n, '-f', $script,
		$shop->{node}->connstr('shop') ], 'pgbench');
is($shop->sql("SELECT count(*) FROM payments.payment WHERE status = 'SUCCESS'"), 8 * $n,
	'all are paid');
is($shop->sql('SELECT count(*) FROM payments.wallet'), 3, 'to three sellers');
is($shop->sql(q(SELECT sum(w.balance) - (SELECT sum(amount - commission) FROM payments.payment_order)
	FROM payments.wallet w)), 0, 'whose wallets have all but the commission');
is(scalar $shop->requests, 8 * $n, 'one request each');
audit($shop, 'concurrency');

$shop->{node}->stop;
done_testing();

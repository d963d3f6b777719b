# Eight clients, few sellers, the worker between them, and others who post by
# hand to the accounts that payments are booked on, while an operator freezes
# one and changes the stripes of another: the books agree to the last won, all
# that was paid is booked, and nobody deadlocks.
use strict;
use warnings;

use Audit;
use IPC::Run;
use PaymentsTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $shop = PaymentsTest->new(conf => "deadlock_timeout = 10ms\n");
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

# Postings by hand, until the payments are through
$shop->sql(q(
	CREATE TABLE outcome (key text, code text);
	CREATE SEQUENCE n;
	CREATE FUNCTION post_beside(buyer int, amount int) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		key text := 'beside:' || nextval('n');
	BEGIN
		PERFORM payments.post(key, 'fee', jsonb_build_array(
			jsonb_build_object('account', 'buyer:' || buyer, 'amount', amount),
			jsonb_build_object('account', 'psp:toss', 'amount', - 2 * amount),
			jsonb_build_object('account', 'platform:commission', 'amount', amount)));
		INSERT INTO outcome VALUES (key, 'posted');
	EXCEPTION WHEN SQLSTATE 'PY018' THEN
		INSERT INTO outcome VALUES (key, 'PY018');
	END $$));
my $beside = PostgreSQL::Test::Utils::tempdir . '/beside.sql';
append_to_file($beside, q(
\set buyer random(1, 8)
\set amount random(1, 1000)
SELECT post_beside(:buyer, :amount);
));
my $operate = PostgreSQL::Test::Utils::tempdir . '/operate.sql';
append_to_file($operate, q(
\set stripes random(1, 20)
SELECT payments.set_account_stripes('psp:toss', :stripes, 'load');
SELECT payments.freeze_account('platform:commission', 'load');
\sleep 5 ms
SELECT payments.unfreeze_account('platform:commission', 'load');
\sleep 20 ms
));
$shop->sql(q(SELECT payments.open_account(code) FROM unnest(ARRAY['psp:toss', 'platform:commission']) code));
my @others = map { IPC::Run::start([ 'pgbench', '-n', '-c', $_->[0], '-T', 600, '-f', $_->[1],
		$shop->{node}->connstr('shop') ], '>', \$_->[2], '2>', \$_->[3]) } [ 3, $beside ], [ 1, $operate ];

$shop->{node}->command_ok([ 'pgbench', '-n', '-c', '8', '-j', '2', '-t', $n, '-f', $script,
		$shop->{node}->connstr('shop') ], 'pgbench');
ok($_->pumpable, 'others went on all the time') for @others;
$_->kill_kill for @others;
$shop->poll_sql(q(SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench'), 0, 'the others are gone');
is($shop->sql("SELECT count(*) FROM payments.payment WHERE status = 'SUCCESS'"), 8 * $n,
	'all are paid');
is($shop->sql('SELECT count(*) FROM payments.wallet'), 3, 'to three sellers');
is($shop->sql(q(SELECT sum(w.balance) - (SELECT sum(amount - commission) FROM payments.payment_order)
	FROM payments.wallet w)), 0, 'whose wallets have all but the commission');
is(scalar $shop->requests, 8 * $n, 'one request each');
is($shop->sql(q(SELECT count(*) FROM (SELECT DISTINCT key FROM outcome WHERE code = 'posted') o
		FULL JOIN (SELECT transaction_key FROM payments.ledger_transaction WHERE kind = 'fee') t ON t.transaction_key = o.key
	WHERE o.key IS NULL OR t.transaction_key IS NULL)), 0, 'what was posted by hand is there, and nothing else');
is($shop->sql(q(SELECT string_agg(DISTINCT code, ' ' ORDER BY code) FROM outcome)), 'PY018 posted', 'some was refused');
unlike($shop->log, qr/deadlock detected/, 'nobody deadlocked');
audit($shop, 'concurrency');

$shop->{node}->stop;
done_testing();

# Postings, holds and their ends, freezes, limits, stripes and rebuilds by twelve
# clients at once, on few accounts: nobody deadlocks, no floor is crossed in any
# snapshot, and the cache is in the end what it would be if it were built anew.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('accounts');
my $n = is_long() ? 10000 : 250;
my $script = PostgreSQL::Test::Utils::tempdir . '/accounts.sql';

$node->init;
$node->append_conf('postgresql.conf', "deadlock_timeout = 10ms\nfsync = off\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION payments;
	SELECT payments.open_account('wallet:' || n, 'liability', floor => 0) FROM generate_series(1, 6) n;
	SELECT payments.open_account('shop:' || n, 'asset') FROM generate_series(1, 4) n;
	CREATE TABLE outcome (operation text, code text);
	CREATE TABLE violation (what text);
	CREATE FUNCTION move(VARIADIC moves text[]) RETURNS jsonb LANGUAGE sql AS $$
		SELECT jsonb_agg(jsonb_build_object('account', split_part(m, ' ', 1), 'amount', split_part(m, ' ', 2)::int)) FROM unnest(moves) m
	$$;
	CREATE FUNCTION try(operation text, statement text) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE 'SELECT payments.' || statement;
		INSERT INTO outcome VALUES (operation, 'done');
	EXCEPTION WHEN OTHERS THEN
		INSERT INTO outcome VALUES (operation, SQLSTATE);
	END $$;
	SELECT payments.post('seed:' || n, 'test', move('shop:1 500', format('wallet:%s -500', n))) FROM generate_series(1, 6) n;
});

append_to_file($script, q{
\set a random(1, 6)
\set b random(1, 6)
\set s random(1, 4)
\set amount random(1, 200)
\set key random(1, 1000000000)
\set r random(1, 100)
\if :r <= 35
SELECT try('post', format('post(''p:%s'', ''test'', %L)', :key, move('wallet:' || :a || ' ' || :amount, 'shop:' || :s || ' -' || :amount)));
\elif :r <= 50
SELECT try('post', format('post(''q:%s'', ''test'', %L)', :key, move('shop:' || :s || ' ' || :amount, 'wallet:' || :a || ' -' || :amount,
	'wallet:' || :b || ' ' || :amount, 'wallet:' || :a || ' -' || :amount)));
\elif :r <= 65
SELECT try('hold', format('hold(''h:%s'', ''wallet:%s'', %s, expires_in => ''%s ms'')', :key, :a, :amount, :b * 5));
\elif :r <= 75
SELECT try('post_hold', format('post_hold(%s, ''test'', %L)', id, move(account || ' ' || amount, 'shop:' || :s || ' -' || amount)))
	FROM payments.holds WHERE status = 'open' ORDER BY random() LIMIT 1;
\elif :r <= 82
SELECT try('void_hold', format('void_hold(%s, ''why'')', id)) FROM payments.holds WHERE ended_at IS NULL ORDER BY random() LIMIT 1;
\elif :r <= 86
SELECT try('expire_holds', 'expire_holds()');
\elif :r <= 91
SELECT try('stripes', format('set_account_stripes(''shop:%s'', %s, ''why'')', :s, :key % 8 + 1));
\elif :r <= 95
SELECT try('freeze', format('%s_account(''wallet:%s'', ''why'')', CASE WHEN :key % 3 = 0 THEN 'freeze' ELSE 'unfreeze' END, :a));
\elif :r <= 97
SELECT try('limits', format('set_account_limits(''wallet:%s'', %s, NULL, ''why'')', :a, :key % 50));
\elif :r <= 99
INSERT INTO violation SELECT concat_ws(': ', invariant, counterexample) FROM payments.verify() WHERE NOT holds;
\else
SELECT try('rebuild', 'rebuild_balances()');
\endif
});
$node->command_ok([ 'pgbench', '-n', '-c', '12', '-j', '2', '-t', $n, '--random-seed=3', '-f', $script,
		$node->connstr('postgres') ], 'pgbench');

is($node->safe_psql('postgres', 'SELECT DISTINCT what FROM violation'), '', 'the books were right in every snapshot');
is($node->safe_psql('postgres', q(SELECT DISTINCT operation || ' ' || code FROM outcome
	WHERE code NOT IN ('done', 'PY018', 'PY019', 'PY022') AND operation || code NOT IN ('post_holdPY011'))), '',
	'nothing failed but for a reason of its own');
is($node->safe_psql('postgres', q(SELECT count(DISTINCT operation) FROM outcome WHERE code = 'done')), 9,
	'each operation was done');
is($node->safe_psql('postgres', 'SELECT DISTINCT invariant, counterexample FROM payments.verify() WHERE NOT holds'), '',
	'the books are right in the end');
is($node->safe_psql('postgres', 'SELECT * FROM payments.rebuild_balances()'), '', 'and so is the cache');
is($node->safe_psql('postgres', q(SELECT count(*) FROM payments.ledger_transaction WHERE kind = 'test')),
	$node->safe_psql('postgres', q(SELECT 6 + count(*) FROM outcome WHERE operation = 'post' AND code = 'done')
	) + $node->safe_psql('postgres', q(SELECT count(*) FROM payments.holds WHERE status = 'posted')),
	'what was acknowledged is there, and nothing else');

$node->stop;
done_testing();

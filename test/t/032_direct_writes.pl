# Postings are written without the executor: every index is kept all the same,
# those that a DBA makes meanwhile too, and the rows satisfy the constraints
# that were not asked.
use strict;
use warnings;

use Audit;
use Constraints;
use IPC::Run ();
use PaymentsTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $shop = PaymentsTest->new(preload => 0);
my $script = PostgreSQL::Test::Utils::tempdir . '/post.sql';

$shop->sql('CREATE EXTENSION amcheck');
append_to_file($script, q(
\set n random(1, 1000000000000000000)
\set one random(1, 200)
\set two random(201, 400)
SELECT payments.post_batch(ARRAY['x' || :n::text, 'y' || :n::text], ARRAY['test', 'test'], ARRAY[2, 3],
	ARRAY[format('asset%sd%s', chr(58), :one::int), format('asset%sd%s', chr(58), :two::int),
		format('psp%sd', chr(58)), format('asset%sd%s', chr(58), :one::int), format('asset%sd%s', chr(58), :two::int)],
	ARRAY[5, -5, 7, -3, -4]::numeric[],
	order_ids => CASE WHEN :n::bigint % 2 = 0 THEN ARRAY['order-' || :n::text, NULL] END);
));

# while others post, a DBA makes indexes of every kind, and makes old ones anew
my $posting = start_posting(4);
my %indexes = (
	on_expression => 'ledger_entry ((amount * 2))',
	on_part => "ledger_entry (currency) WHERE amount > 0",
	on_balance => 'ledger_balance (balance)',
	of_hash => 'ledger_transaction USING hash (kind)',
	of_brin => 'ledger_transaction USING brin (recorded_at)',
	of_gin => 'ledger_transaction USING gin (metadata)');
for my $name (sort keys %indexes)
{
	my ($table, $rest) = split / /, $indexes{$name}, 2;
	$shop->sql("CREATE INDEX CONCURRENTLY $name ON payments.$table $rest");
}
$shop->sql('REINDEX INDEX CONCURRENTLY payments.ledger_transaction_transaction_key_key');
$shop->sql('REINDEX TABLE payments.ledger_balance');
$shop->sql('DROP INDEX CONCURRENTLY payments.of_gin');
$shop->sql('VACUUM (FREEZE) payments.ledger_entry');
# rows move, so that what a session remembers of them is wrong
$shop->sql('CLUSTER payments.ledger_balance USING ledger_balance_pkey');
$shop->sql('VACUUM (FULL) payments.ledger_balance');
ok($posting->finish, 'posting went on meanwhile');
cmp_ok($shop->sql('SELECT count(*) FROM payments.ledger_transaction'), '>', 200, 'and wrote a lot');

indexes_are_sound($shop, '^(ledger_|on_)');
is(counted('kind', "kind = 'test'", 'hash'), counted('kind', "kind || '' = 'test'", 'none'), 'the hash index too');

# the constraints that posting does not ask
constraints_hold($shop, '^ledger_');
is($shop->sql('SELECT count(*) FROM payments.verify() WHERE NOT holds'), 0, 'the books are right');

$shop->{node}->stop;
done_testing();

# pgbench in the background
sub start_posting
{
	my ($clients) = @_;

	return IPC::Run::start([ 'pgbench', '-n', '-M', 'prepared', '-c', $clients, '-T', is_long() ? 60 : 8, '-f', $script,
			$shop->{node}->connstr('shop') ], '>', \my $out, '2>', \my $err);
}

sub counted
{
	my ($column, $condition) = @_;

	return $shop->sql("SET enable_seqscan = off; SELECT count(*) FROM payments.ledger_transaction WHERE $condition");
}

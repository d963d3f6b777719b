# A dump is restored into a database that the worker serves already: it waits
# until the restore is over, says so, and takes no number of a row to come.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $shop = PaymentsTest->new(databases => [ 'shop', 'copy', 'empty' ], conf => "payments.sweep_interval = 1s\n");
my $node = $shop->{node};
$node->safe_psql('empty', 'DROP EXTENSION payments CASCADE');
$node->safe_psql('copy', 'DROP EXTENSION payments CASCADE');

$shop->wait_for_worker;
my @orders = $shop->orders(5, 1000);
$shop->confirm(@orders);
settled($shop, @orders);
$shop->sql("SELECT payments.post('key 1', 'manual.correction',
	'[{\"account\": \"asset:a\", \"amount\": 5}, {\"account\": \"asset:b\", \"amount\": -5}]')");
$shop->configure('payments.databases' => 'copy, empty');
$shop->poll_sql("SELECT count(*) FROM payments.worker_status WHERE database = 'shop'", 0, 'the original is left alone');

my $file = PostgreSQL::Test::Utils::tempdir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $file, 'shop' ], 'a dump');
my $before = contents($node, 'shop');

# The pieces of the dump, each with what the worker must say behind it.
my $dump = slurp_file($file) =~ s/^\\(?:un)?restrict .*\n//mgr;
my ($made, $rows, $numbers) = $dump =~ /\A(.*?)(^COPY .*?)(^SELECT pg_catalog\.setval.*)\z/ms
  or die 'not the dump that was expected';
my ($first_rows, $more_rows) = $rows =~ /\A(.*?^COPY payments\.payment_event .*?^\\\.\n)(.*)\z/ms
  or die 'not the rows that were expected';
my ($most_numbers, $last_number) = $numbers =~ /\A(.*)(^SELECT pg_catalog\.setval\([^)]*, true\);\n.*)\z/ms
  or die 'not the numbers that were expected';
my $settings = join '', $made =~ /^SET .*\n|^SELECT pg_catalog\.set_config.*\n/mg;
my $waits = qr/^holding a dump is being restored: table \w+ has rows/;

my $looked = 0;

# Restore a piece; wait for a worker that began to look behind it, and ended.
sub piece
{
	my ($sql, $says, $name) = @_;
	is($node->psql('copy', $settings . $sql, on_error_stop => 1), 0, $name);
	ok($shop->poll(sub { status_of('copy') =~ $says }, "$name: $says"), "$name: the worker waits");
	return;
}

sub status_of
{
	my ($database) = @_;
	return $node->safe_psql('shop', "SELECT concat_ws(' ', state, reason) FROM payments.worker_status WHERE database = '$database'");
}

piece($made, qr/^holding there is neither a merchant nor an account yet$/, 'the extension');
is($node->safe_psql('copy', 'SELECT count(*) FROM payments.worker_epoch'), 0, 'and has not begun');
piece($first_rows, $waits, 'some rows');
piece($more_rows, $waits, 'all rows');
piece($most_numbers, $waits, 'most numbers');
is(contents($node, 'copy'), $before, 'it has written nothing');
piece($last_number, qr/^running/, 'the last number');

is($node->safe_psql('copy', 'SELECT count(*) FROM payments.verify() WHERE NOT holds'), 0, 'the books are good');

# A database that has nothing gets its worker with its first merchant.
$node->safe_psql('empty', 'CREATE EXTENSION payments');
ok($shop->poll(sub { status_of('empty') =~ /^holding there is neither/ }, 'nothing to do'), 'an empty one has none');
$node->safe_psql('empty', "SELECT payments.set_merchant('default', 'test_ck_simulator0only')");
ok($shop->poll(sub { status_of('empty') =~ /^running/ }, 'it comes'), 'the first merchant brings it');

# How the server looks at sequences depends on what it knows of its catalogs.
$node->safe_psql('copy', 'VACUUM ANALYZE');
$shop->configure('payments.databases' => 'empty');
$shop->poll_sql("SELECT count(*) FROM payments.worker_status WHERE database = 'copy'", 0, 'gone');
$shop->configure('payments.databases' => 'copy, empty');
ok($shop->poll(sub { status_of('copy') =~ /^running/ }, 'it comes'), 'it begins where catalogs were analyzed, too');

# One without a merchant is there, and can be told to go.
$node->safe_psql('postgres', 'CREATE DATABASE next');
$shop->configure('payments.databases' => 'copy, empty, next');
$node->safe_psql('next', 'CREATE EXTENSION payments');
ok($shop->poll(sub { status_of('next') =~ /^holding there/ }, 'nothing to do'), 'another empty one');
$node->safe_psql('next', 'BEGIN; DROP EXTENSION payments; CREATE EXTENSION payments; COMMIT');
like($node->safe_psql('next', "SELECT payments.set_merchant('default', 'test_ck_simulator0only'); SELECT 'set'"), qr/set/, 'created anew');
ok($shop->poll(sub { status_of('next') =~ /^running/ }, 'it comes'), 'and served');

done_testing();

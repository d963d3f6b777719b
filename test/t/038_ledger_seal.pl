# Seals: whatever is changed past all guards in ledger transactions that are
# sealed, however consistently, is reported by verify; what goes on all day, a
# dump and its restore among it, raises no alarm.  The digests are computed here
# a second time, by what the reference says about them.
use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use JSON::PP;
use PaymentsTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $shop = PaymentsTest->new(conf => "payments.sweep_interval = 1s\n", init => { extra => [] });
my $node = $shop->{node};
my $json = JSON::PP->new->utf8;
my $n = 0;

# Texts with what could be taken for lengths, and with what is longer than it looks
$shop->sql(q(
	SELECT payments.post('first', 'fee', '[{"account": "asset:a", "amount": 1500}, {"account": "revenue:a", "amount": -1500}]',
		description => 'of 5:five and -', metadata => '{"b": [1, null], "a": "2:x"}', order_id => '3:abc');
	SELECT payments.post('둘째', 'fee', '[{"account": "asset:a", "amount": 7}, {"account": "revenue:a", "amount": -7},
		{"account": "asset:a:USD", "amount": 1.50, "currency": "USD"}, {"account": "asset:b:USD", "amount": -1.5, "currency": "USD"}]',
		effective_at => '1999-12-31 23:59:59.999999+00', description => '계정 이체');
	SELECT payments.reverse(id, 'mistake') FROM payments.ledger_transactions WHERE transaction_key = 'first'));
post(40);
all_sealed('the worker seals what is posted');
is(offences(), '', 'and verify finds it so');
digests_are_right('digests are what the reference says');
my ($no, $digest) = split /\|/, $shop->sql('SELECT no, digest FROM payments.ledger_seal ORDER BY no DESC LIMIT 1');
like($shop->log, qr/has sealed the ledger: seal $no, up to ledger transaction \d+, digest $digest/, 'the log has the digest');

# Sealed is what is final: not what is drawn and not committed yet, nor what
# comes after that.
my $slow = $node->background_psql('shop');
$slow->query_safe(q(BEGIN; SELECT payments.post('slow', 'fee', '[{"account": "asset:a", "amount": 1}, {"account": "asset:c", "amount": -1}]')));
post(3);
$shop->sql('SELECT payments.seal_ledger()') for 1 .. 4;
is($shop->sql("SELECT max(upto_id) < (SELECT min(id) FROM payments.ledger_transaction
	WHERE id > (SELECT upto_id FROM payments.ledger_seal WHERE no = $no)) FROM payments.ledger_seal"), 't',
	'what is posted beside an open transaction waits');
$slow->query_safe('COMMIT');
$slow->quit;
all_sealed('and is sealed after it, what came late with it');
is(offences(), '', 'without a gap');

# Idle, nothing is written.
my $before = $shop->sql('SELECT count(*) FROM payments.ledger_seal');
sleep 3;
is($shop->sql('SELECT count(*) FROM payments.ledger_seal'), $before, 'nothing new, no seal');
digests_are_right('all digests');

# A bit at a time
$shop->sql("ALTER SYSTEM SET payments.databases = ''; SELECT pg_reload_conf()");
$shop->poll_sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'payments worker'", 0, 'the worker leaves');
post(30);
$shop->sql('SELECT payments.write_snapshots()') for 1 .. 3;
is($shop->sql('SELECT payments.seal_ledger(7)'), 8, 'a ledger transaction is not cut');
is($shop->sql('SELECT payments.seal_ledger(1000)'), 52, 'the rest');
is($shop->sql('SELECT payments.seal_ledger()'), 0, 'and no more');
my (undef, undef, $error) = $node->psql('shop', 'SELECT payments.seal_ledger(0)');
like($error, qr/max_entries is out of range/, 'none at a time is an error');
for my $sql ('UPDATE payments.ledger_seal SET entries = 0', 'DELETE FROM payments.ledger_seal', 'TRUNCATE payments.ledger_seal')
{
	(undef, undef, $error) = $node->psql('shop', $sql);
	like($error, qr/its rows never change|which are kept/, $sql);
}

# A dump has the seals, and its restore goes on with them.
my $dump = PostgreSQL::Test::Utils::tempdir . '/dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, 'shop' ], 'a dump');
$node->safe_psql('postgres', 'CREATE DATABASE copy');
$node->command_ok([ 'pg_restore', '-e', '-d', $node->connstr('copy'), $dump ], 'its restore');
is($node->safe_psql('copy', 'SELECT checked, problem FROM payments.check_seals()'),
	$shop->sql('SELECT count(*) || $$|$$ FROM payments.ledger_transaction'), 'the copy is sealed as it was');
$node->safe_psql('copy', q(SELECT payments.post('copied', 'fee', '[{"account": "asset:a", "amount": 1}, {"account": "asset:c", "amount": -1}]')));
$node->safe_psql('copy', 'SELECT payments.seal_ledger()') for 1 .. 3;
is($node->safe_psql('copy', 'SELECT checked, problem FROM payments.check_seals()'),
	$shop->sql('SELECT count(*) + 1 || $$|$$ FROM payments.ledger_transaction'), 'and goes on');
is($node->safe_psql('copy', q(SELECT string_agg(invariant, ', ') FROM payments.verify() WHERE NOT holds)), '', 'soundly');

# Without the library a superuser switches the guards off, changes rows so that
# they agree with each other, and switches the guards on again.
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->restart;
my $of_first = q(transaction_id = (SELECT id FROM payments.ledger_transaction WHERE transaction_key = 'first'));
my %forgeries = (
	'another text' => q(UPDATE payments.ledger_transaction SET description = 'of 5:five and 0' WHERE transaction_key = 'first'),
	'no text' => q(UPDATE payments.ledger_transaction SET description = NULL WHERE transaction_key = 'first'),
	'another key' => q(UPDATE payments.ledger_transaction SET transaction_key = 'First' WHERE transaction_key = 'first'),
	'another day' => q(UPDATE payments.ledger_transaction SET effective_at = effective_at - interval '1 microsecond' WHERE transaction_key = 'up:3'),
	'another recording' => q(UPDATE payments.ledger_transaction SET recorded_at = recorded_at - interval '1 day' WHERE transaction_key = 'up:3'),
	'other metadata' => q(UPDATE payments.ledger_transaction SET metadata = '{"b": [1, null], "a": "2:y"}' WHERE transaction_key = 'first'),
	'another order' => q(UPDATE payments.ledger_transaction SET order_id = '3:abd' WHERE transaction_key = 'first';
		UPDATE payments.ledger_entry SET order_id = '3:abd' WHERE ) . $of_first,
	'no link' => q(UPDATE payments.ledger_transaction SET reverses_id = NULL WHERE kind = 'reversal'),
	'other amounts' => q(UPDATE payments.ledger_entry SET amount = amount * 2 WHERE transaction_id IN (
			SELECT id FROM payments.ledger_transaction WHERE transaction_key = 'up:3');
		SELECT count(*) FROM payments.rebuild_balances()),
	'other accounts' => q(UPDATE payments.ledger_entry SET account_id = (SELECT id FROM payments.ledger_account WHERE code = 'asset:c')
			WHERE transaction_id IN (SELECT id FROM payments.ledger_transaction WHERE transaction_key = 'up:3') AND amount > 0;
		SELECT count(*) FROM payments.rebuild_balances()),
	'accounts change names' => q(UPDATE payments.ledger_account SET code = 'asset:d' WHERE code = 'asset:c'),
	'all gone' => q(DELETE FROM payments.ledger_entry WHERE transaction_id IN (
			SELECT id FROM payments.ledger_transaction WHERE transaction_key = 'up:3');
		DELETE FROM payments.ledger_transaction WHERE transaction_key = 'up:3';
		SELECT count(*) FROM payments.rebuild_balances()),
	'one more' => q(INSERT INTO payments.ledger_transaction (id, transaction_key, kind, effective_at, recorded_at)
			VALUES (-5, 'old', 'fee', now(), now());
		INSERT INTO payments.ledger_entry (transaction_id, account_id, entry_no, entry_count, currency, amount)
			SELECT -5, account_id, entry_no, entry_count, currency, amount FROM payments.ledger_entry
			WHERE transaction_id = (SELECT id FROM payments.ledger_transaction WHERE transaction_key = 'up:3');
		SELECT count(*) FROM payments.rebuild_balances()),
	'a seal less' => q(DELETE FROM payments.ledger_seal WHERE no = 2),
	'no first seal' => q(DELETE FROM payments.ledger_seal WHERE no = 1),
	'another seal' => q(UPDATE payments.ledger_seal SET sealed_at = sealed_at + interval '1 second' WHERE no = 2),
	'seals of other sizes' => q(UPDATE payments.ledger_seal SET upto_id = upto_id - 1, transactions = transactions - 1,
		entries = entries - 2 WHERE no = 2));
for my $name (sort keys %forgeries)
{
	is(forge($forgeries{$name}), 'ledger transactions are what they were when they were sealed', "$name: seen by the seals alone");
}
like($shop->sql(q(BEGIN; ALTER TABLE payments.ledger_transaction DISABLE TRIGGER ALL;
	UPDATE payments.ledger_transaction SET description = 'x' WHERE id IN (SELECT min(id) FROM payments.ledger_transaction
		UNION SELECT max(id) FROM payments.ledger_transaction WHERE id <= (SELECT max(upto_id) FROM payments.ledger_seal));
	SELECT problem FROM payments.check_seals(); ROLLBACK)), qr/^seal 1, .* \(and 1 more\)$/, 'two at once');
is(forge(q(SELECT)), '', 'the guards off and on: nothing to see');

# In the files, while the server is down
my $path = $node->data_dir . '/' . $shop->sql(q(CHECKPOINT; SELECT pg_relation_filepath('payments.ledger_transaction')));
my $checksums = $shop->sql('SHOW data_checksums') eq 'on';
$node->stop;
open my $file, '+<:raw', $path or die "cannot open $path: $!";
my $bytes = do { local $/; <$file> };
ok($bytes =~ s/of 5:five/of 6:five/g, 'the text is there');
seek $file, 0, 0;
print $file $bytes;
close $file or die "cannot write $path: $!";
$node->start;
my ($status, $said, $complaint) = $node->psql('shop', q(SELECT invariant FROM payments.verify() WHERE NOT holds));
is($checksums ? $complaint =~ /invalid page/ : $said,
	$checksums ? 1 : 'ledger transactions are what they were when they were sealed', 'an edited file is seen');

$node->stop;
done_testing();

sub post
{
	my ($many) = @_;
	my $first = $n + 1;
	$n += $many;
	$shop->sql("SELECT count(payments.post('up:' || m, 'test', '[{\"account\": \"asset:up\", \"amount\": 1},
		{\"account\": \"revenue:up\", \"amount\": -1}]')) FROM generate_series($first, $n) m");
	return;
}

sub all_sealed
{
	my ($name) = @_;
	return $shop->poll_sql(q(SELECT (SELECT max(id) FROM payments.ledger_transaction)
		<= (SELECT max(upto_id) FROM payments.ledger_seal)), 't', $name);
}

sub offences { return $shop->sql(q(SELECT string_agg(invariant || ': ' || counterexample, E'\n') FROM payments.verify() WHERE NOT holds)) }

# Which invariants do not hold after that, the guards being back
sub forge
{
	my ($sql) = @_;
	my @tables = map { "payments.ledger_$_" } qw(transaction entry account seal);
	my ($status, $said, $complaint) = $node->psql('shop', join('', 'BEGIN;', (map { "ALTER TABLE $_ DISABLE TRIGGER ALL;" } @tables),
			"$sql;", 'SELECT payments.rebuild_snapshots(); SELECT count(*) FROM payments.rearm();',
			q(SELECT '@' || coalesce(string_agg(invariant, ', '), '') FROM payments.verify() WHERE NOT holds; ROLLBACK)),
		on_error_stop => 1);

	diag($complaint) if $status != 0;
	return $said =~ /^@(.*)/m ? $1 : "failed: $complaint";
}

#
# The digests, from the rows as JSON
#

sub digests_are_right
{
	my ($name) = @_;
	my $rows = sub {
		my ($query) = @_;
		return map { $json->decode($_) } split /\n/, $shop->sql("SELECT to_json(ARRAY[$query");
	};
	my $micros = sub { "(extract(epoch FROM $_[0]) * 1000000 - 946684800000000)::bigint::text" };
	my @transactions = $rows->(join(', ', 'id::text', qw(transaction_key kind order_id description metadata::text reverses_id::text),
			$micros->('effective_at'), $micros->('recorded_at')) . ']) FROM payments.ledger_transaction ORDER BY id');
	my @entries = $rows->('e.transaction_id::text, e.entry_no::text, e.entry_count::text, a.code, a.kind, e.currency,'
		  . ' trim_scale(e.amount)::text, e.order_id]) FROM payments.ledger_entry e'
		  . ' JOIN payments.ledger_account a ON a.id = e.account_id ORDER BY e.transaction_id, e.entry_no');
	my ($previous, $after, @ours, @theirs);

	for my $seal ($rows->('no::text, upto_id::text, digest, ' . $micros->('sealed_at') . ']) FROM payments.ledger_seal ORDER BY no'))
	{
		my ($no, $upto, $digest, $sealed_at) = @$seal;
		my $within = sub { (!defined $after || $_->[0] > $after) && $_->[0] <= $upto };
		my @t = grep { $within->() } @transactions;
		my @e = grep { $within->() } @entries;

		my @fields = ('payments.ledger_seal.1', $no, $previous, $upto, $sealed_at,
			(map { ('t', @$_) } @t), (map { ('e', @$_) } @e), scalar @t, scalar @e);
		push @ours, $previous = sha256_hex(join '', map { field($_) } @fields);
		push @theirs, $digest;
		$after = $upto;
	}
	cmp_ok(scalar @ours, '>', 0, 'there are seals');
	is("@ours", "@theirs", $name);
	return;
}

sub field
{
	my ($text) = @_;

	return '-' if !defined $text;
	utf8::encode($text);
	return length($text) . ":$text";
}

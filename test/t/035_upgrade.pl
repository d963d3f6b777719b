# A next version of the extension passes the guard: its script adds a column to
# a guarded table, replaces a function and a trigger, and records the schema.
# Afterwards verify is content, the guard is on as before, and the worker knows
# that it is not the version of its library.
use strict;
use warnings;

use PaymentsTest;
use Staged;
use Test::More;

my $staged = Staged->new;
my $change = q(
	ALTER TABLE payments.ledger_transaction ADD COLUMN approved_by text;
	COMMENT ON COLUMN payments.ledger_transaction.approved_by IS 'Who approved it';
	CREATE OR REPLACE FUNCTION payments.schema_fingerprint() RETURNS text
		LANGUAGE c STABLE SECURITY DEFINER COST 10 SET search_path = pg_catalog, pg_temp
		AS 'MODULE_PATHNAME', 'payments_schema_fingerprint';
	CREATE TABLE payments.approval (id bigint PRIMARY KEY);
	CREATE TRIGGER approval_forbid_change BEFORE UPDATE OR DELETE ON payments.approval
		FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
	REVOKE ALL ON payments.approval FROM PUBLIC;
);
my $end = q(
	SELECT pg_catalog.count(*) FROM payments.rearm();
	SELECT payments.record_schema('0.1.1');
);
$staged->add('payments--0.1--0.1.1.sql', $change . $end);
$staged->add('payments--0.1--0.1.2.sql', $change);
$staged->add('payments--0.1.1--0.1.sql', q(SELECT payments.record_schema('back')));
$staged->add('stranger.control', "default_version = '1'\nrelocatable = true\n");
$staged->add('stranger--1.sql', 'ALTER TABLE payments.ledger_entry DISABLE TRIGGER ALL');

my $shop = PaymentsTest->new(conf => $staged->conf);
my $node = $shop->{node};
$shop->wait_for_worker;
my $order = $shop->order(1000);
$shop->confirm($order);
is($shop->wait_for($order), 'SUCCESS', 'there is something in the books');
my $before = $shop->sql('SELECT payments.schema_fingerprint()');
is($shop->sql('SELECT fingerprint FROM payments.schema_record'), $before, 'CREATE EXTENSION has recorded the schema');
like($shop->log, qr/the schema is as it was recorded, fingerprint $before/, 'and the worker has logged its digest');

# Another extension's script is nobody special.
my (undef, undef, $error) = $node->psql('shop', 'CREATE EXTENSION stranger');
like($error, qr/ALTER TABLE is refused for table payments.ledger_entry/, 'the script of another extension does not pass');

# A script that forgets to record is noticed.
is($shop->sql(q(BEGIN; ALTER EXTENSION payments UPDATE TO '0.1.2';
	SELECT count(*) > 3 FROM payments.schema_problems(); ROLLBACK)), 't', 'a script that records nothing is noticed');

$shop->sql(q(ALTER EXTENSION payments UPDATE TO '0.1.1'));
is(problems(), '', 'after the update the schema is as it was recorded');
is($shop->sql(q(SELECT string_agg(invariant, ', ') FROM payments.verify() WHERE NOT holds)), '', 'and verify is content');
isnt($shop->sql('SELECT payments.schema_fingerprint()'), $before, 'with another fingerprint');
is($shop->sql(q(SELECT string_agg(concat_ws(' ', reason, extension_version), ', ' ORDER BY id) FROM payments.schema_record)),
	'created 0.1, 0.1.1 0.1.1', 'both are on record');
is($shop->sql(q(SELECT tgenabled FROM pg_trigger WHERE tgname = 'approval_forbid_change')), 'A', 'new triggers are armed');
is($shop->sql('SELECT count(*) FROM payments.maintenance_log'), 0, 'all of it without maintenance mode');
(undef, undef, $error) = $node->psql('shop', 'DROP TRIGGER approval_forbid_change ON payments.approval');
like($error, qr/is refused for trigger approval_forbid_change/, 'what is new is guarded, too');
$shop->poll(sub { $shop->worker('reason') =~ /version 0\.1\.1, the library 0\.1/ },
	'the worker waits for the library');

# And back, for this test: the worker goes on.
$shop->sql(q(ALTER EXTENSION payments UPDATE TO '0.1'));
ok($shop->wait_for_worker, 'the worker runs');
$order = $shop->order(1000);
$shop->confirm($order);
is($shop->wait_for($order), 'SUCCESS', 'and sends');
is($shop->sql(q(SELECT string_agg(invariant || ': ' || counterexample, E'\n') FROM payments.verify() WHERE NOT holds)), '', 'verify is content');
$shop->books_agree;

# A fresh database records its own.
$node->safe_psql('postgres', 'CREATE DATABASE fresh');
$node->safe_psql('fresh', 'CREATE EXTENSION payments');
is($node->safe_psql('fresh', 'SELECT payments.schema_fingerprint()'), $before, 'the same version, the same fingerprint');
$node->safe_psql('fresh', 'DROP EXTENSION payments');
ok(1, 'an extension that was never used can be dropped');

$node->stop;
done_testing();

sub problems { return $shop->sql(q(SELECT string_agg(problem, E'\n') FROM payments.schema_problems())) }

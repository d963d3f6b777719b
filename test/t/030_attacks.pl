# Every known way around the rules of the books, by an application, by the owner
# of the tables and by a superuser: each is refused, or verify reports it.  With
# the library preloaded DDL is refused; without, it is reported at least.  What
# people do all day goes on, and raises no false alarm.
use strict;
use warnings;

use Attacks qw(@attacks @harmless $play);
use PaymentsTest;
use PostgreSQL::Test::Utils;
use Test::More;

# The owner of the books need not be a superuser; who makes him owner does it in
# maintenance mode.
my $shop = PaymentsTest->new(conf => "payments.maintenance = 'another owner'\nwal_level = logical\nmax_wal_senders = 4\n");
my $node = $shop->{node};
$shop->sql(q(
	CREATE ROLE shop_app LOGIN;
	CREATE ROLE shop_owner LOGIN NOSUPERUSER;
	SELECT payments.grant_to('shop_app', 'application');
	SELECT payments.grant_to('shop_app', 'operator');
	SELECT payments.set_merchant('default', 'test_ck_x');
	SELECT payments.checkout(7, '[{"seller_id": 1, "amount": 1000}]', order_id => 'an-order');
	SELECT payments.confirm('an-order', 'pay_key', 1000);
	SELECT payments.post('first', 'x', '[{"account": "asset:a", "amount": 5}, {"account": "asset:b", "amount": -5}]')));
$shop->sql('SELECT payments.write_snapshots(); SELECT payments.seal_ledger()') for 1 .. 3;
$shop->sql($play);
$shop->sql(q(GRANT USAGE, CREATE ON SCHEMA play TO shop_app, shop_owner;
	GRANT play_friend TO shop_owner;
	GRANT shop_owner TO shop_app; REVOKE shop_owner FROM shop_app));
like($shop->worker('reason'), qr/^maintenance mode: another owner/, 'the worker says why it sends nothing')
  if $shop->wait_for_worker('holding');
$shop->sql(owner_to('shop_owner'));
is($shop->sql('SELECT count(*) > 10 FROM payments.schema_problems()'), 't', 'the change of owner is seen');
like($shop->sql("SELECT payments.record_schema('another owner')"), qr/^[0-9a-f]{64}$/, 'and recorded');
like($shop->sql('SELECT reason, role, statement, object FROM payments.maintenance_log ORDER BY id LIMIT 1'),
	qr/^another owner\|[^|]+\|\w+ \w+\|\w+ /, 'maintenance leaves a trace');
like($shop->log, qr/payments maintenance \(another owner\): ALTER ROUTINE for function payments/, 'in the log, too');

restart('', 1);
all_attacks('preloaded', 1, qr/^PY0\d\d |^42501 |^2BP01 |^0A000 |^23514 |^2350[35] |^42P13 |^42P17 |^42P16 |^55000 |^42809 /);

# Maintenance has a reason, and begins with a restart.
for my $sql ("SET payments.maintenance = 'me'", q(ALTER SYSTEM SET payments.maintenance = '  '), q(ALTER SYSTEM SET payments.maintenance = E'a\nb'))
{
	my (undef, undef, $refusal) = $node->psql('shop', $sql);
	like($refusal, qr/cannot be changed without restarting|invalid value for parameter/, $sql =~ s/\n/ /r);
}

# What verify sees, the worker sees before it sends anything; and it sends nothing
# until it is over.  An order is what makes it look.
ok($shop->wait_for_worker, 'the worker runs');
$shop->sql('GRANT INSERT ON payments.ledger_entry TO play_friend');
my $order = $shop->order(1000);
$shop->confirm($order);
ok($shop->wait_for_worker('holding'), 'the worker notices a right that nobody should have');
like($shop->worker('reason'), qr/not as it was recorded: extra privilege INSERT on payments.ledger_entry for play_friend/,
	'and says so');
sleep 2;
is(scalar(() = $shop->requests_of($order)), 0, 'nothing is sent');
$shop->sql('REVOKE INSERT ON payments.ledger_entry FROM play_friend');
is($shop->wait_for($order), 'SUCCESS', 'until it is taken away');
ok($shop->wait_for_worker, 'then the worker runs');

# The server announces ANALYZE and VACUUM as it does DDL, and autovacuum takes all
# tables in turn: if the worker looked at the whole schema behind each, calls would
# wait.  It looks behind DDL, and with each sweep.
my $looks = looks();
for my $table (qw(psp_call_queue psp_answer wallet ledger_balance event))
{
	$shop->sql("ANALYZE payments.$table; VACUUM payments.$table");
	my $paid = $shop->order(1000);
	$shop->confirm($paid);
	$shop->wait_for($paid);
}
sleep 2;
cmp_ok(looks() - $looks, '<=', 1, 'ANALYZE and VACUUM are no reason for a look');
$looks = looks();
$shop->sql('CREATE INDEX harmless_idx ON payments.event (occurred_at)');
$shop->confirm($shop->order(1000));
$shop->poll(sub { looks() > $looks }, 'DDL is one');
$shop->sql('DROP INDEX payments.harmless_idx');

# Databases; these cannot be tried in a transaction.  An owner who is not a
# superuser must not take one off the list by its name.
$node->safe_psql('postgres', 'CREATE ROLE play_landlord CREATEDB; ALTER DATABASE shop OWNER TO play_landlord');
my $landlord = 'SET ROLE play_landlord';
for my $sql ('DROP DATABASE shop', 'DROP DATABASE shop WITH (FORCE)', "$landlord; DROP DATABASE shop",
	"$landlord; ALTER DATABASE shop RENAME TO x")
{
	my (undef, undef, $error) = $node->psql('postgres', $sql);
	like($error, qr/is refused for database "shop"/, $sql);
}
$node->safe_psql('postgres', 'ALTER DATABASE shop OWNER TO CURRENT_USER; DROP ROLE play_landlord');
my (undef, undef, $error) = $node->psql('shop', 'CREATE EXTENSION pg_surgery');
like($error, qr/is refused|is not available/, 'an extension that edits pages');

# Other databases are free.
$node->safe_psql('postgres', q(CREATE TABLE t (i int); ALTER TABLE t DISABLE TRIGGER ALL;
	CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING; DROP TABLE t;
	UPDATE pg_class SET relname = relname WHERE relname = 'pg_class'));
pass('elsewhere everything is as ever');

# No false alarm
for my $sql (@harmless)
{
	my ($status, undef, $complaint) = $node->psql('shop', $sql);
	ok($status == 0, $sql) or diag($complaint);
}

# What a REINDEX CONCURRENTLY that failed leaves behind: it is in nobody's way,
# and may go.
my $writer = $node->background_psql('shop');
$writer->query('BEGIN; LOCK TABLE payments.ledger_transaction IN ROW EXCLUSIVE MODE');
my $key_index = 'payments.ledger_transaction_transaction_key_key';
$node->psql('shop', "SET statement_timeout = '1s'; REINDEX INDEX CONCURRENTLY $key_index");
$writer->quit;
$shop->sql("REINDEX INDEX CONCURRENTLY $key_index");
my $again = q(SELECT payments.post('first', 'x', '[{"account": "asset:a", "amount": 5}, {"account": "asset:b", "amount": -5}]'));
is($shop->sql($again), $shop->sql("SELECT id FROM payments.ledger_transaction WHERE transaction_key = 'first'"),
	'half an index does not hide what was posted');
$shop->sql("DROP INDEX ${key_index}_ccnew");
(undef, undef, $error) = $node->psql('shop', "DROP INDEX payments.ledger_transaction_reverses_id_key");
like($error, qr/is refused/, 'half an index may go, a whole one not');
$node->restart;
is($shop->sql('SELECT string_agg(problem, E\'\n\') FROM payments.schema_problems()'), '', 'and the schema is as it was');
is($shop->sql(q(SELECT string_agg(invariant, ', ') FROM payments.verify() WHERE NOT holds)), '', 'verify is content');

# A subscription would write to our tables; which, the publisher says.
$node->safe_psql('postgres', 'CREATE DATABASE target');
$node->safe_psql('target', 'CREATE EXTENSION payments');
my $subscribe = sprintf q(CREATE SUBSCRIPTION books CONNECTION '%s' PUBLICATION books
	WITH (create_slot = false, slot_name = none, enabled = false)), $node->connstr('shop') =~ s/'/''/gr;
(undef, undef, $error) = $node->psql('target', $subscribe);
like($error, qr/CREATE SUBSCRIPTION is refused for table payments.ledger_entry/, 'our tables are no target of a subscription');

# Without the library nothing but triggers refuses; all else is reported.
restart('', 0);
all_attacks('not preloaded', 0, qr/./);
$node->safe_psql('target', $subscribe);
is($node->safe_psql('target', 'SELECT problem FROM payments.schema_problems()'),
	'extra subscription to payments.ledger_entry: state i', 'a subscription is reported');
SKIP:
{
	my ($status) = $node->psql('target', 'DROP SUBSCRIPTION books; CREATE EXTENSION pg_surgery');
	skip 'pg_surgery is not installed', 1 if $status != 0;
	like($node->safe_psql('target', 'SELECT min(problem) FROM payments.schema_problems()'),
		qr/^extra function public.heap_force_\w+.*edits pages/, 'and what edits pages');
}

# Done while nobody looked: the worker finds it at its start.
$shop->sql('ALTER TABLE payments.ledger_entry DISABLE TRIGGER ledger_entry_forbid_change');
restart('', 1);
ok($shop->wait_for_worker('holding'), 'the worker holds from the beginning');
like($shop->worker('reason'), qr/trigger ledger_entry_forbid_change of payments.ledger_entry/, 'and says why');
is($shop->sql(q(SET ROLE shop_app; SELECT left(sqlerrm, 17) FROM (SELECT play.attack('SELECT payments.rearm()') AS sqlerrm) a)),
	'refused: 42501 pe', 'an application may not arm');
is($shop->sql('SELECT * FROM payments.rearm()'),
	'payments.ledger_entry|ledger_entry_forbid_change|DISABLE|ENABLE ALWAYS', 'rearm puts it right');
ok($shop->wait_for_worker, 'and the worker goes on');

$node->stop;
done_testing();

# Everything of the extension to a role; superusers' functions included.
sub owner_to
{
	my ($role) = @_;
	my $all = $shop->sql(qq(
		SELECT string_agg(format('ALTER %s %s OWNER TO $role', x.kind, x.name), '; ') FROM (
			SELECT CASE relkind WHEN 'r' THEN 'TABLE' ELSE 'VIEW' END, oid::regclass::text FROM pg_class
				WHERE relnamespace = 'payments'::regnamespace AND relkind IN ('r', 'v')
			UNION ALL SELECT 'ROUTINE', oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'payments'::regnamespace
			UNION ALL SELECT 'TYPE', oid::regtype::text FROM pg_type t WHERE typnamespace = 'payments'::regnamespace
				AND (typtype = 'e' OR typtype = 'c' AND EXISTS (SELECT FROM pg_class c WHERE c.oid = typrelid AND relkind = 'c'))
			UNION ALL SELECT 'SCHEMA', 'payments') x (kind, name)));
	return $all;
}

sub restart
{
	my ($maintenance, $preload) = @_;

	$node->append_conf('postgresql.conf', "payments.maintenance = '$maintenance'\nshared_preload_libraries = '"
		  . ($preload ? 'payments' : '') . "'\n");
	$node->restart;
	return;
}

# A refusal must have one of the expected SQLSTATEs; with the hooks it must be one.
sub all_attacks
{
	my ($name, $hooks, $expected) = @_;

	for my $role ('shop_app', 'shop_owner', '')
	{
		my $who = $role || 'superuser';

		my @results = try_all($role);

		is(scalar @results, scalar @attacks, "$name, $who: all were tried");
		for my $i (0 .. $#attacks)
		{
			my ($n, $sql, $only) = @{ $attacks[$i] };
			my $as_expected = $only && $role ne 'shop_app' ? $only : $expected;
			my ($refusal) = $results[$i] =~ /^refused: (.*)/;

			# the hooks leave nothing to report but rights, and rows that change by nature
			my $may_pass = !$hooks || $n == 20 || $sql =~ /^GRANT|payments\.ledger_balance|^ALTER SEQUENCE/;

			ok(defined $refusal ? $refusal =~ $as_expected
				: $results[$i] eq 'no right' || $may_pass && $results[$i] =~ /^reported: /,
				"$name, $who, row $n: " . substr($sql =~ s/\s+/ /gr, 0, 100))
			  or diag("$sql\n$results[$i]");
		}
	}
	is($shop->sql(q(SELECT string_agg(counterexample, E'\n') FROM payments.verify() WHERE NOT holds)), '',
		"$name: all of it is undone");
	return;
}

# How often the schema was compared with what was recorded
sub looks
{
	return $shop->sql("SELECT seq_scan + idx_scan FROM pg_stat_all_tables WHERE relid = 'payments.schema_record'::regclass");
}

# In one session; one line of result for each.
sub try_all
{
	my ($role) = @_;
	my $script = join '', map { 'SELECT play.attack($attack$' . $_->[1] . "\$attack\$);\n" } @attacks;
	my ($status, $out, $complaint) = $node->psql('shop',
		($role ? "SET SESSION AUTHORIZATION $role;\n" : '') . $script);

	return split /\n/, $out;
}

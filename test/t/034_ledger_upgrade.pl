# The schema that CREATE EXTENSION makes, that of an older version brought up to
# date, that of a restored dump, and that which pg_upgrade carries over are the
# same, object for object; and the books survive all of it.
use strict;
use warnings;

use LedgerRun;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Staged;
use Test::More;

my $conf = q(
shared_preload_libraries = 'payments'
max_prepared_transactions = 20
log_statement = none
);
my $staged = Staged->new;
$conf .= $staged->conf;
my ($old, $new) = map {
	my $node = PostgreSQL::Test::Cluster->new($_);
	$node->init;
	$node->append_conf('postgresql.conf', $conf);
	$node;
} 'old', 'new';
my $dir = PostgreSQL::Test::Utils::tempdir;

# A version before this one: a view, an index and a function are still missing.
# Its delta makes them, takes them from PUBLIC, and ends like the install script.
my $script = slurp_file("$staged->{folder}/payments--0.1.sql");
my $delta = '';
for (qr/^CREATE INDEX ledger_transaction_order_id_idx .*?;\n/ms,
	qr/^CREATE VIEW payments\.trial_balance .*?^COMMENT ON VIEW payments\.trial_balance .*?;\n/ms,
	qr/^CREATE FUNCTION payments\.set_seller\(.*?^COMMENT ON FUNCTION payments\.set_seller\(.*?;\n/ms)
{
	$script =~ s/($_)// or BAIL_OUT("the install script has no $_");
	$delta .= $1;
}
$delta .= join "\n", $script =~ /^(REVOKE .*)$/mg, '';
$delta .= slurp_file($_) for glob '../sql/99_*.sql';
$staged->add('payments--0.0.sql', $script);
$staged->add('payments--0.0--0.1.sql', $delta);

# Everything the catalogue says about the extension and its schema, privileges
# also where they are the owner's by default
my $schema = q(
	WITH member AS (SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
		WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'payments')
	SELECT line FROM (
		SELECT 'member: ' || pg_describe_object(classid, objid, 0) FROM member
		UNION ALL SELECT 'comment: ' || pg_describe_object(classoid, objoid, objsubid) || ': ' || description
			FROM pg_description WHERE pg_describe_object(classoid, objoid, objsubid) ~ 'payments'
		UNION ALL SELECT format('relation: %s %s %s owner %s acl %s options %s rls %s', c.oid::regclass, c.relkind, c.relpersistence,
				c.relowner::regrole, coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)), c.reloptions, c.relrowsecurity) FROM pg_class c WHERE c.relnamespace = 'payments'::regnamespace
		UNION ALL SELECT format('column: %s %s %s %s null %s default %s collation %s storage %s acl %s', a.attrelid::regclass, a.attnum, a.attname,
				format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attcollation::regcollation, a.attstorage, a.attacl)
			FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
			WHERE c.relnamespace = 'payments'::regnamespace AND a.attnum > 0
		UNION ALL SELECT format('constraint: %s %s: %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated)
			FROM pg_constraint WHERE connamespace = 'payments'::regnamespace
		UNION ALL SELECT format('index: %s: %s valid %s', indexrelid::regclass, pg_get_indexdef(indexrelid), indisvalid)
			FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = 'payments'::regnamespace
		UNION ALL SELECT format('trigger: %s %s: %s %s', t.tgrelid::regclass, CASE WHEN t.tgisinternal THEN n.conname ELSE t.tgname END,
				CASE WHEN t.tgisinternal THEN t.tgfoid::regproc::text ELSE pg_get_triggerdef(t.oid) END, t.tgenabled)
			FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid LEFT JOIN pg_constraint n ON n.oid = t.tgconstraint
			WHERE c.relnamespace = 'payments'::regnamespace
		UNION ALL SELECT format('function: %s owner %s acl %s', pg_get_functiondef(oid), proowner::regrole, coalesce(proacl, acldefault('f', proowner)))
			FROM pg_proc WHERE pronamespace = 'payments'::regnamespace
		UNION ALL SELECT format('rule: %s %s', ev_class::regclass, pg_get_ruledef(r.oid))
			FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class WHERE c.relnamespace = 'payments'::regnamespace
		UNION ALL SELECT format('policy: %s %s', polrelid::regclass, polname) FROM pg_policy
		UNION ALL SELECT format('type: %s %s acl %s', t.oid::regtype, (SELECT array_agg(enumlabel ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid), coalesce(typacl, acldefault('T', typowner)))
			FROM pg_type t WHERE t.typnamespace = 'payments'::regnamespace
		UNION ALL SELECT format('sequence: %s %s %s %s %s %s', s.seqrelid::regclass, seqtypid::regtype, seqstart, seqincrement, seqcycle,
				(SELECT pg_describe_object(refclassid, refobjid, refobjsubid) FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = s.seqrelid AND deptype = 'a'))
			FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid WHERE c.relnamespace = 'payments'::regnamespace
		UNION ALL SELECT format('dump: %s %s', c::regclass, w) FROM pg_extension, unnest(extconfig, extcondition) AS u (c, w) WHERE extname = 'payments'
		UNION ALL SELECT format('extension: %s %s', extversion, extnamespace::regnamespace) FROM pg_extension WHERE extname = 'payments'
		UNION ALL SELECT format('schema: owner %s acl %s', nspowner::regrole, coalesce(nspacl, acldefault('n', nspowner))) FROM pg_namespace WHERE nspname = 'payments'
	) l (line) ORDER BY line COLLATE "C");

$old->start;
$old->safe_psql('postgres', 'CREATE DATABASE shop');
$old->safe_psql('postgres', "CREATE DATABASE $_") for 'fresh', 'copy';
$old->safe_psql('fresh', 'CREATE EXTENSION payments');
my $fresh = $old->safe_psql('fresh', $schema);
cmp_ok(scalar(split /\n/, $fresh), '>', 500, 'the catalogue says something');

# An old version, used and then brought up to date
$old->safe_psql('shop', q(CREATE EXTENSION payments VERSION '0.0'));
isnt($old->safe_psql('shop', $schema), $fresh, 'the old version is another');
my @steps = ledger_steps();
my $session = $old->background_psql('shop', on_error_stop => 1);
for my $step (@steps)
{
	if ($step->{session}) { $session->query_safe($step->{sql}) }
	elsif ($step->{fails}) { $old->psql('shop', $step->{sql}) }
	else { $step->{answer} = $old->safe_psql('shop', $step->{sql}) }
}
$session->quit;
my $all_rows = ledger_rows_sql($old, 'shop');
my $rows_before = $old->safe_psql('shop', $all_rows);
$old->safe_psql('shop', 'ALTER EXTENSION payments UPDATE');
is(differences($fresh, $old->safe_psql('shop', $schema)), '', 'upgraded: the same schema');
is(differences($rows_before, $old->safe_psql('shop', $all_rows)), '', 'upgraded: every row of every table');

my ($rows, $books, $audit) =
  map { $_->($old, 'shop') } \&ledger_rows_sql, \&ledger_books_sql, \&ledger_audit_sql;
my $old_rows = $old->safe_psql('shop', $rows);
my $old_books = $old->safe_psql('shop', $books);
is($old->safe_psql('shop', $audit), '', 'upgraded: sound');

# A dump
$old->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/dump", 'shop' ], 'dumped');
$old->command_ok([ 'pg_restore', '-e', '-d', $old->connstr('copy'), "$dir/dump" ], 'restored');
is(differences($fresh, $old->safe_psql('copy', $schema)), '', 'restored: the same schema');

# pg_upgrade, to the same version: it treats it like another
$old->safe_psql('postgres', 'DROP DATABASE copy');
$old->stop;
my $bindir = $old->config_data('--bindir');
chdir $dir;
command_ok([ 'pg_upgrade', '--no-sync', '-b', $bindir, '-B', $bindir, '-d', $old->data_dir, '-D', $new->data_dir,
		'-s', $new->host, '-p', $old->port, '-P', $new->port ], 'pg_upgrade');
$new->start;

# It forgets the states of the server's own triggers, those of foreign keys.
like($new->safe_psql('shop', q(SELECT string_agg(problem, E'\n') FROM payments.schema_problems())),
	qr/\A(changed trigger \w+_fkey [^\n]*(\n|\z))+\z/, 'pg_upgrade: foreign keys are not armed');
$new->safe_psql('shop', 'SELECT payments.rearm()');
is(differences($fresh, $new->safe_psql('shop', $schema)), '', 'pg_upgrade: the same schema, once armed');
is(differences($old_rows, $new->safe_psql('shop', $rows)), '', 'pg_upgrade: every row of every table');
is($new->safe_psql('shop', $audit), '', 'pg_upgrade: sound');
my ($nothing, %said) = split /^@ (.*)(?:\n|\z)/m,
  $new->safe_psql('shop', ledger_repeat_sql(\@steps, $#steps) . "\n\\echo @ end");
is(join('', ledger_repeated(\@steps, $#steps, %said)), '', 'pg_upgrade: every key gives the old id');
is(differences($old_books, $new->safe_psql('shop', $books)), '', 'pg_upgrade: and changes nothing');
is($new->safe_psql('shop', $audit), '', 'pg_upgrade: sound after that');
$new->stop;
done_testing();

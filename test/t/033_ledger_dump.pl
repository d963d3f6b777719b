# However a ledger is dumped and restored, and whatever transaction ids the new
# cluster has: every row is there, the books are sound, every key is known, and
# posting goes on with new numbers.  Each way here is one of the manual's, or
# one that an administrator would try.
use strict;
use warnings;

use LedgerRun;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $conf = q(
shared_preload_libraries = 'payments'
max_prepared_transactions = 20
log_statement = none
);

# The old cluster is in its fifth era of transaction ids, the new one in none.
my $old = PostgreSQL::Test::Cluster->new('old');
$old->init;
$old->append_conf('postgresql.conf', $conf);
system_or_bail('pg_resetwal', '-e', 5, '-D', $old->data_dir);
$old->start;
my $new = PostgreSQL::Test::Cluster->new('new');
$new->init;
$new->append_conf('postgresql.conf', $conf);
$new->start;

$old->safe_psql('postgres', 'CREATE DATABASE shop');
$old->safe_psql('shop', 'CREATE EXTENSION payments');
my @steps = ledger_steps();
run_steps();

# A table of the application's that points into the ledger
$old->safe_psql('shop', q(
	CREATE TABLE bill (id bigint PRIMARY KEY, transaction_id bigint REFERENCES payments.ledger_transaction (id), note text);
	INSERT INTO bill SELECT id, id, repeat('note ', 100) FROM payments.ledger_transaction;
	CREATE INDEX bill_note ON bill (note)));

my ($rows, $books, $audit) =
  map { $_->($old, 'shop') } \&ledger_rows_sql, \&ledger_books_sql, \&ledger_audit_sql;
my $not_dumped = $old->safe_psql('shop', q(SELECT string_agg(relname, '|') FROM pg_class c
	WHERE relnamespace = 'payments'::regnamespace AND relkind = 'r' AND NOT EXISTS (
		SELECT FROM pg_extension, unnest(extconfig, extcondition) AS u (relation, condition)
		WHERE u.relation = c.oid AND u.condition !~* '^WHERE false')));
my $old_rows = dumped_rows($old, 'shop');
my $old_books = $old->safe_psql('shop', $books);
my $old_bills = $old->safe_psql('shop', 'SELECT count(*), sum(transaction_id) FROM bill');
my $old_id = $old->safe_psql('shop', 'SELECT max(id) FROM payments.ledger_transaction');

is($old->safe_psql('shop', $audit), '', 'the books are sound');
cmp_ok($old->safe_psql('shop', 'SELECT pg_current_xact_id()'), '>', 4 * 2**32, 'transaction ids are large');
cmp_ok($new->safe_psql('postgres', 'SELECT pg_current_xact_id()'), '<', 2**32, 'and small in the new cluster');

# The steps of both sessions in one go: nothing interferes here.
sub run_steps
{
	my $session = $old->background_psql('shop', on_error_stop => 1);

	for my $step (@steps)
	{
		if ($step->{session}) { $session->query_safe($step->{sql}) }
		elsif ($step->{fails}) { $old->psql('shop', $step->{sql}) }
		else { $step->{answer} = $old->safe_psql('shop', $step->{sql}) }
	}
	$session->quit;
}

# What a dump has to bring: not what can be made anew, nor each copy's own
sub dumped_rows
{
	my ($node, $database) = @_;
	return join '', map { "$_\n" } grep { !/^(?:$not_dumped) / } split /\n/, $node->safe_psql($database, $rows);
}

sub compare
{
	my ($database) = @_;
	my $is = sub { is($_[0], '', "$database: $_[1]") };

	$is->(differences($old_rows, dumped_rows($new, $database)), 'every row of every table');
	$is->($new->safe_psql($database, $audit), 'sound');
	is($new->safe_psql($database, 'SELECT count(*), sum(transaction_id) FROM bill'), $old_bills,
		"$database: the application's rows") if $database !~ /^data/;

	my ($nothing, %said) = split /^@ (.*)(?:\n|\z)/m,
	  $new->safe_psql($database, ledger_repeat_sql(\@steps, $#steps) . "\n\\echo @ end");
	$is->(join('', ledger_repeated(\@steps, $#steps, %said)), 'every key gives the old id');
	$is->(differences($old_books, $new->safe_psql($database, $books)), 'and changes nothing');
	cmp_ok($new->safe_psql($database, q(SELECT payments.post('after the restore', 'run.test',
			'[{"account": "asset:a", "amount": 3}, {"account": "asset:after", "amount": -3}]'))),
		'>', $old_id, "$database: posting goes on");
	$is->($new->safe_psql($database, $audit), 'sound after that');
}

# Restore into a new database: commands that get the option -d, SQL, or code
sub restore
{
	my ($database, @commands) = @_;

	$new->safe_psql('postgres', "CREATE DATABASE $database");
	for my $command (@commands)
	{
		if (ref $command eq 'CODE') { $command->() }
		elsif (!ref $command) { $new->safe_psql($database, $command) }
		else
		{
			my ($program, @options) = @$command;
			$new->command_ok([ $program, '-d', $new->connstr($database), @options ],
				"$database: restored");
		}
	}
	compare($database);
}

my $dir = PostgreSQL::Test::Utils::tempdir;
sub dump_old { my (@options) = @_; $old->command_ok([ 'pg_dump', @options, 'shop' ], "pg_dump @options[0 .. $#options - 2]") }

dump_old('-f', "$dir/plain.sql");
dump_old('-Fc', '-f', "$dir/custom");
dump_old('-Fd', '-j', 2, '-f', "$dir/folder");
dump_old('--inserts', '--rows-per-insert=7', '-f', "$dir/inserts.sql");
dump_old("--section=$_", '-f', "$dir/section-$_.sql") for qw(pre-data data post-data);
dump_old('-a', '-T', 'bill', '-f', "$dir/data.sql");
dump_old('-a', '-T', 'bill', '--disable-triggers', '-f', "$dir/disabled.sql");

# A schema that is asked for by name comes without the extension, hence empty.
dump_old('-n', 'payments', '-f', "$dir/schema.sql");
unlike(slurp_file("$dir/schema.sql"), qr/^COPY/m, 'pg_dump -n payments is no backup');

my @psql = qw(psql -Xq -v ON_ERROR_STOP=1);
my @restore = qw(pg_restore -e);

restore('plain', [ @psql, '-f', "$dir/plain.sql" ]);
restore('one', [ @psql, '-1', '-f', "$dir/plain.sql" ]);
restore('custom', [ @restore, "$dir/custom" ]);
restore('custom_one', [ @restore, '-1', "$dir/custom" ]);
restore('inserts', [ @psql, '-1', '-f', "$dir/inserts.sql" ]);
restore('sections', map { [ @psql, '-f', "$dir/section-$_.sql" ] } qw(pre-data data post-data));
restore('data_only', 'CREATE EXTENSION payments', [ @psql, '-f', "$dir/data.sql" ]);

# A COPY brings all entries at once, INSERTs a few at a time: those of one
# ledger transaction have to come in one transaction.
$new->safe_psql('postgres', 'CREATE DATABASE inserts_apart');
$new->command_fails_like([ @psql, '-f', "$dir/inserts.sql", '-d', $new->connstr('inserts_apart') ],
	qr/is not whole/, 'inserts: not without a transaction around them');

# In parallel: pg_dump writes no dependency between the rows of two tables, only
# between those and their table.  For tables of its own that does not matter,
# their foreign keys come last; those of an extension are there from the start.
# So our rows go one table after the other, and all the rest at once.
my $toc = '';
IPC::Run::run([ 'pg_restore', '-l', '-v', "$dir/custom" ], '>', \$toc);
my @dependencies = $toc =~ /TABLE DATA payments \w+ .*\n;\s+depends on: (.*)\n/g;
cmp_ok(scalar @dependencies, '>', 20, 'parallel: there are tables');
is(join(' ', grep { / / } @dependencies), '', 'parallel: no table waits for the rows of another');
for my $from ('custom', 'folder')
{
	restore("parallel_$from", map { [ @restore, @$_, "$dir/$from" ] }
		['--section=pre-data'], [ '--section=data', '-n', 'payments' ],
		[ '--section=data', '-N', 'payments', '-j', 4 ], [ '--section=post-data', '-j', 4 ]);
}

# Without triggers, also in parallel, the guards come back disarmed.
sub is_disarmed
{
	my ($database) = @_;
	like($new->safe_psql($database, q(SELECT counterexample FROM payments.verify() WHERE NOT holds)),
		qr/ENABLE ALWAYS/, "$database: verify names a guard that is disarmed");
}

for ([ 'data_disabled', 'CREATE EXTENSION payments', [ @psql, '-f', "$dir/disabled.sql" ] ],
	[ 'parallel_disabled', [ @restore, '--section=pre-data', "$dir/custom" ],
		[ @restore, '-a', '--disable-triggers', '-j', 4, "$dir/custom" ] ])
{
	my ($database, @commands) = @$_;
	restore($database, @commands, sub { is_disarmed($database) }, 'SELECT payments.rearm()');
}

$_->stop for $old, $new;
done_testing();

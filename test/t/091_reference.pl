# The reference is complete: every function, argument, view, column, table,
# type, setting and invariant of the extension stands in it, where a reader
# looks for it.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $reference = slurp_file('../doc/reference.md');
my %section = sections($reference);
my $node = PostgreSQL::Test::Cluster->new('reference');

$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'payments'\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION payments');

# Functions have a section that names their arguments; those of triggers and
# the tables are named somewhere.
is_complete('functions', sub { !$section{ $_[0] } },
	q(SELECT proname FROM pg_proc WHERE pronamespace = 'payments'::regnamespace
		AND prorettype <> 'trigger'::regtype));
is_complete('arguments', \&not_in_section,
	q(SELECT proname || ' ' || unnest(proargnames) FROM pg_proc
		WHERE pronamespace = 'payments'::regnamespace AND proname <> 'worker_slots'));
is_complete('views', sub { !$section{ $_[0] } },
	q(SELECT relname FROM pg_class WHERE relnamespace = 'payments'::regnamespace
		AND relkind IN ('v', 'm')));
is_complete('columns of views', \&not_in_section,
	q(SELECT c.relname || ' ' || a.attname FROM pg_class c
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
		WHERE c.relnamespace = 'payments'::regnamespace AND c.relkind IN ('v', 'm')));
is_complete('tables, types and trigger functions', \&is_missing,
	q(SELECT 'payments.' || relname FROM pg_class
		WHERE relnamespace = 'payments'::regnamespace AND relkind IN ('r', 'c')
		UNION SELECT 'payments.' || typname FROM pg_type
		WHERE typnamespace = 'payments'::regnamespace AND typtype IN ('e', 'd')
		UNION SELECT 'payments.' || proname FROM pg_proc
		WHERE pronamespace = 'payments'::regnamespace));
is_complete('settings', \&is_missing,
	q(SELECT name FROM pg_settings WHERE name LIKE 'payments.%'));
is_complete('labels of enums', \&is_missing,
	q(SELECT enumlabel FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid
		WHERE t.typnamespace = 'payments'::regnamespace));
is_complete('invariants', sub { index($reference, $_[0]) < 0 },
	'SELECT invariant FROM payments.verify()');
is_complete('kinds of roles', \&is_missing,
	'SELECT DISTINCT kind FROM payments.privilege');

# The matrix of privileges is the view that grants them.
is(join("\n", sort(matrix())), join("\n", sort(rows(
		q(SELECT kind || ' ' || (regexp_match(object, '^payments\.(\w+)'))[1]
			FROM payments.privilege)))), 'privileges by kind');

# Events: the kinds that the code writes, each in the table and nothing else there.
# The ledger's kinds look the same, and are no events.
my ($events) = $reference =~ /^## Events\n(.*?)^---$/ms;
my %kinds = map { $_ => 1 } map { slurp_file($_) =~ s/^#include.*//mgr =~ /"((?:payment|deposit|refund)\.[a-z]+)"/g }
	glob('../src/*.c');
delete @kinds{qw(payment.captured payment.refunded)};
is(join(' ', sort($events =~ /^\| `([a-z.]+)`/mg)), join(' ', sort keys %kinds), 'kinds of events');

# And nothing in it that is not there
my %there = map { $_ => 1 } rows(
	q(SELECT proname FROM pg_proc WHERE pronamespace = 'payments'::regnamespace
		UNION SELECT relname FROM pg_class WHERE relnamespace = 'payments'::regnamespace));
is(join(' ', grep { !$there{$_} } sort keys %section), '',
	'every section is about something that exists');

done_testing();

# Text of the sections "### payments.NAME"
sub sections
{
	my ($text) = @_;

	return map { /\Apayments\.(\w+)\n(.*?)(?:^---$|^## |\z)/ms ? ($1 => $2) : () }
	  split /^### /m, $text;
}

# "kind object" for each x of the table of privileges, whose columns are kinds
sub matrix
{
	my ($text) = $reference =~ /^## Privileges\n(.*?)^---$/ms;
	my ($head, @lines) = grep { /^\|/ && !/^\|-/ } split /\n/, $text;
	my (undef, undef, @kinds) = split /\s*\|\s*/, $head;
	my @found;

	for my $line (@lines)
	{
		my (undef, $objects, @marks) = split /\s*\|\s*/, $line;

		for my $n (grep { ($marks[$_] // '') eq 'x' } 0 .. $#kinds)
		{
			push @found, map { "$kinds[$n] $_" } $objects =~ /`(\w+)`/g;
		}
	}
	return @found;
}

sub rows
{
	my ($sql) = @_;
	my @rows = split /\n/, $node->safe_psql('postgres', $sql);

	return @rows;
}

# The reference has all that a query lists, but for what the sub objects to.
sub is_complete
{
	my ($what, $objects, $sql) = @_;
	my @rows = rows($sql);

	cmp_ok(scalar @rows, '>', 0, "there are $what");
	is(join(', ', grep { $objects->($_) } @rows), '', "all $what");
	return;
}

sub is_missing
{
	my ($word) = @_;

	return $reference !~ /(?<![\w.])\Q$word\E(?!\w)/;
}

sub not_in_section
{
	my ($name, $word) = split / /, $_[0];

	return ($section{$name} // '') !~ /(?<!\w)\Q$word\E(?!\w)/;
}

# Constraints: asking a server whether rows that were written past the executor
# are what the executor would have let in.
#
#	use Constraints;
#	indexes_are_sound($shop, '^(ledger_|on_)');	# of these names
#	constraints_hold($shop, '^ledger_');			# of these tables
#
# The patterns are regular expressions of SQL, on names without schema.
package Constraints;

use strict;
use warnings;

use Exporter 'import';
use Test::More;

our @EXPORT = qw(indexes_are_sound constraints_hold);

# Needs the extension amcheck, and five indexes at least.
sub indexes_are_sound
{
	my ($shop, $names) = @_;

	is($shop->sql(q(SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
			WHERE relnamespace = 'payments'::regnamespace AND NOT (indisvalid AND indisready))), 0, 'every index is valid');
	is($shop->sql(qq(SELECT count(bt_index_parent_check(i.indexrelid, heapallindexed => true)) > 5
			FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
			WHERE amname = 'btree' AND relnamespace = 'payments'::regnamespace AND relname ~ '$names')),
		't', 'and has every row, amcheck says');
	is($shop->sql(qq(SELECT count(*) FROM pg_class c, verify_heapam(c.oid) v
			WHERE relnamespace = 'payments'::regnamespace AND relname ~ '$names' AND relkind = 'r')), 0, 'tables are sound');
}

# Checks, keys that must not be null, and foreign keys
sub constraints_hold
{
	my ($shop, $tables) = @_;
	my $of_tables = "conrelid IN (SELECT oid FROM pg_class
		WHERE relnamespace = 'payments'::regnamespace AND relname ~ '$tables')";

	for my $constraint (split /\n/, $shop->sql(qq(
		SELECT conrelid::regclass || '|' || conname || '|' || pg_get_expr(conbin, conrelid)
		FROM pg_constraint WHERE contype = 'c' AND $of_tables)))
	{
		my ($table, $name, $expression) = split /\|/, $constraint, 3;
		is($shop->sql("SELECT count(*) FROM $table WHERE NOT ($expression)"), 0, "$name holds");
	}
	for my $column (split /\n/, $shop->sql(qq(
		SELECT format('%s|%I', attrelid::regclass, attname) FROM pg_attribute
		WHERE attnotnull AND attnum > 0 AND NOT attisdropped AND attrelid IN (SELECT oid FROM pg_class
			WHERE relnamespace = 'payments'::regnamespace AND relkind = 'r' AND relname ~ '$tables'))))
	{
		my ($table, $name) = split /\|/, $column;
		is($shop->sql("SELECT count(*) FROM $table WHERE $name IS NULL"), 0, "$table.$name is not null");
	}
	for my $name (split /\n/, $shop->sql("SELECT conname FROM pg_constraint WHERE contype = 'f' AND $of_tables"))
	{
		is(orphans($shop, $name), 0, "$name holds");
	}
}

# Rows of a foreign key's table without their counterpart, looked for by hand
sub orphans
{
	my ($shop, $name) = @_;
	my $query = $shop->sql(qq(
		SELECT format('SELECT count(*) FROM %s a WHERE %s AND NOT EXISTS (SELECT FROM %s b WHERE %s)', conrelid::regclass,
			string_agg(format('a.%I IS NOT NULL', x.attname), ' AND '), confrelid::regclass,
			string_agg(format('a.%I = b.%I', x.attname, y.attname), ' AND '))
		FROM pg_constraint, ROWS FROM (unnest(conkey), unnest(confkey)) k (f, t)
			JOIN pg_attribute x ON true JOIN pg_attribute y ON true
		WHERE conname = '$name' AND x.attrelid = conrelid AND x.attnum = f AND y.attrelid = confrelid AND y.attnum = t
		GROUP BY conrelid, confrelid));

	return $shop->sql($query);
}

1;

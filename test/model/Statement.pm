# Statement: operations of a program as SQL, and answers as the model says them.
#
# Things are named by keys: ids are looked up where they are needed.
package Statement;

use strict;
use warnings;

use JSON::PP;

use Model;

my $json = JSON::PP->new->canonical->allow_nonref;

# How an operation is said
my %texts = (
	post => \&post,
	post_batch => \&post_batch,
	reverse => sub {
		my ($self, $arguments) = @_;
		return sprintf 'SELECT payments.reverse(%s)', join ', ', $self->id_of($arguments->{key}),
		  $self->quote($arguments->{reason}), $arguments->{entries} ? $self->entries($arguments) : ();
	},
	raw => \&raw,
	late => \&late,
	attack => \&attack,
	constraints => sub {
		my ($self, $arguments) = @_;
		return 'SET CONSTRAINTS ALL ' . ($arguments->{immediate} ? 'IMMEDIATE' : 'DEFERRED');
	},
	rebuild_balances => sub { return 'SELECT account, was, "is" FROM payments.rebuild_balances()' },
	balance => sub {
		my ($self, $arguments) = @_;
		my @named = map { "$_ => " . $self->time_of($arguments->{$_}) }
		  grep { defined $arguments->{$_} } qw(as_of known_at);
		return sprintf 'SELECT payments.balance(%s)', join ', ', $self->quote($arguments->{account}), @named;
	},
	verify => sub { return 'SELECT invariant FROM payments.verify() WHERE NOT holds' },
	exception => \&exception,
	block => \&exception,
);

# What its rows mean, when that is not their first column
my %values = (
	post => sub {
		my ($row) = @_;
		my ($before, $id) = @$row;
		return !defined $before ? 'f' : $before == $id ? 't' : "$before became $id";
	},
	post_batch => sub { return join ',', map { $_->[0] ? 't' : 'f' } @_ },
	balance => sub { return Model::thousandths($_[0][0]) },
	rebuild_balances => sub {
		return join ' ', sort map { sprintf '%s=%s>%s', $_->[0], map { Model::thousandths($_) } @$_[ 1, 2 ] } @_;
	},
	verify => sub { return join ', ', sort map { $_->[0] } @_ },
);

sub new
{
	my ($class, $dbh) = @_;
	return bless { dbh => $dbh, times => [] }, $class;
}

sub text
{
	my ($self, $step) = @_;
	my ($name, $arguments) = @$step;
	return $texts{$name}->($self, $arguments);
}

sub value
{
	my ($self, $name, $rows) = @_;
	return $values{$name}->(@$rows);
}

sub post
{
	my ($self, $posting) = @_;
	my $key = $self->quote($posting->{key});
	my $arrays = $posting->{how} eq 'arrays';
	my @more = map { "$_ => " . $self->quote($posting->{$_}) }
	  grep { defined $posting->{$_} } qw(order_id description);

	push @more, 'effective_at => ' . $self->time_of($posting->{effective}) if defined $posting->{effective};
	push @more, 'metadata => ' . $self->json($posting->{metadata}) if defined $posting->{metadata};
	return sprintf 'SELECT before, payments.%s(%s) FROM (SELECT (SELECT id'
	  . ' FROM payments.ledger_transaction WHERE transaction_key = %s) AS before OFFSET 0) AS b',
	  $arrays ? 'post_entries' : 'post',
	  join(', ', $key, $self->quote($posting->{kind}),
		$arrays ? $self->entry_arrays($posting) : $self->entries($posting), @more), $key;
}

sub post_batch
{
	my ($self, $arguments) = @_;
	my @postings = @{ $arguments->{postings} };
	my $texts = sub { my ($field) = @_; return $self->array('text', map { $self->quote($_->{$field}) } @postings) };

	return sprintf 'SELECT was_there FROM payments.post_batch(%s) ORDER BY n', join ', ',
	  $texts->('key'), $texts->('kind'), $self->array('int', map { scalar @{ $_->{entries} } } @postings),
	  $self->entry_arrays(@postings), $texts->('order_id'),
	  $self->array('timestamptz', map { defined $_->{effective} ? $self->time_of($_->{effective}) : 'NULL' } @postings),
	  $texts->('description'), $self->array('jsonb', map { $self->json($_->{metadata}) } @postings);
}

# Accounts, amounts and currencies of all postings; the last may be left out.
sub entry_arrays
{
	my ($self, @postings) = @_;
	my @entries = map { @{ $_->{entries} } } @postings;
	my $named = @postings > 1 || grep { defined $_->[1] } @entries;

	return join ', ', $self->array('text', map { $self->quote($_->[0]) } @entries),
	  $self->array('numeric', map { $_->[2] } @entries),
	  $named ? $self->array('text', map { $self->quote($_->[1] // 'KRW') } @entries) : ();
}

sub array
{
	my ($self, $type, @values) = @_;
	return sprintf 'ARRAY[%s]::%s[]', join(', ', @values), $type;
}

# As JSON; amounts as they stand, since 1.50 is no floating-point number
sub entries
{
	my ($self, $posting) = @_;
	my @objects = map { sprintf '{"account": %s, "amount": %s%s}', $json->encode($_->[0]), $_->[2],
		  defined $_->[1] ? ', "currency": ' . $json->encode($_->[1]) : '' } @{ $posting->{entries} };

	return $self->quote('[' . join(', ', @objects) . ']');
}

# A block of PL/pgSQL that swallows the first error, and says which.  SQL text
# may contain any $name$.
sub exception
{
	my ($self, $arguments) = @_;
	my $body = join "\n", map { '		EXECUTE ' . $self->quote($self->text($_)) . ';' } @{ $arguments->{steps} };

	$body .= "\n		RAISE EXCEPTION 'enough';" if $arguments->{fail};
	return 'DO ' . $self->quote(<<~DO);
	BEGIN
		BEGIN
	$body
			PERFORM set_config('model.state', '00000', false);
		EXCEPTION WHEN OTHERS THEN
			PERFORM set_config('model.state', SQLSTATE, false);
		END;
	END
	DO
}

#
# Rows past the functions
#

my $entry_columns = 'transaction_id, account_id, entry_no, entry_count, currency, amount';

sub header
{
	my ($self, $posting, $id) = @_;
	return sprintf 'INSERT INTO payments.ledger_transaction (id, transaction_key, kind, order_id, description,'
	  . ' effective_at, recorded_at, metadata) SELECT %s, n.at, %s FROM (SELECT clock_timestamp() AS at OFFSET 0) AS n',
	  join(', ', $id, map({ $self->quote($posting->{$_}) } qw(key kind order_id description)),
		defined $posting->{effective} ? $self->time_of($posting->{effective}) : 'n.at'),
	  $self->json($posting->{metadata});
}

# [account, number, count, currency, amount] of the entries, flaw and all
sub numbered
{
	my ($posting) = @_;
	my $flaw = $posting->{flaw};
	my @entries = @{ $posting->{entries} };
	my @rows = map { [ $entries[$_][0], $_ + 1, scalar @entries, $entries[$_][1] // 'KRW', $entries[$_][2] ] } 0 .. $#entries;

	@rows = [ $rows[0][0], 1, 1, @{ $rows[0] }[ 3, 4 ] ] if $flaw eq 'alone';
	$rows[0][4] = 0 if $flaw eq 'zero';
	$rows[-1][1] = 1 if $flaw eq 'twice';
	$rows[0][2]++ if $flaw eq 'count';
	if ($flaw eq 'gap')
	{
		$_->[2]++ for @rows;
		$rows[-1][1]++;
	}
	pop @rows if $flaw eq 'short';
	@rows = reverse @rows if $flaw eq 'last first';
	return @rows;
}

sub row
{
	my ($self, $id, $code, @rest) = @_;
	return sprintf '(%s)', join ', ', $id,
	  sprintf('(SELECT id FROM payments.ledger_account WHERE code = %s)', $self->quote($code)),
	  @rest[ 0, 1 ], $self->quote($rest[2]), $rest[3];
}

sub raw
{
	my ($self, $posting) = @_;
	my $how = $posting->{how};
	my @rows = map { $self->row('new_id', @$_) } numbered($posting);
	my $into = "INTO payments.ledger_entry ($entry_columns)";
	my @statements = "INSERT $into VALUES " . join ', ', @rows;

	@statements = map { "INSERT $into VALUES $_" } @rows if $how eq 'rows';
	@statements = 'MERGE INTO payments.ledger_entry AS e USING (VALUES ' . join(', ', @rows)
	  . ") AS v ($entry_columns) ON false WHEN NOT MATCHED THEN INSERT ($entry_columns)"
	  . ' VALUES (v.transaction_id, v.account_id, v.entry_no, v.entry_count, v.currency, v.amount)'
	  if $how eq 'merge';
	unshift @statements, q(SET LOCAL session_replication_role = 'replica') if $how eq 'replica';
	push @statements, q(SET LOCAL session_replication_role = 'origin') if $how eq 'replica';
	return 'DO ' . $self->quote(sprintf <<~'DO', join ";\n\t", $self->header($posting, 'new_id'), @statements);
	DECLARE
		new_id bigint := nextval('payments.ledger_transaction_id_seq');
	BEGIN
		%s;
	END
	DO
}

# The same by COPY: the statement for the header, COPY, and rows of [account,
# number ...]
sub copy
{
	my ($self, $posting) = @_;
	return ($self->header($posting, q(nextval('payments.ledger_transaction_id_seq'))) . ' RETURNING id',
		"COPY payments.ledger_entry ($entry_columns) FROM STDIN", numbered($posting));
}

sub late
{
	my ($self, $arguments) = @_;
	my ($code, $currency, $amount) = @{ $arguments->{entry} };
	my $n = $arguments->{number};

	return "INSERT INTO payments.ledger_entry ($entry_columns) VALUES "
	  . $self->row($self->id_of($arguments->{key}, 'NULL'), $code, $n, $n, $currency, $amount);
}

sub attack
{
	my ($self, $arguments) = @_;
	my $id = $self->id_of($arguments->{key});
	my %attacks = (
		update => "UPDATE payments.ledger_entry SET amount = amount * 2 WHERE transaction_id = $id",
		delete => "DELETE FROM payments.ledger_entry WHERE transaction_id = $id",
		truncate => 'TRUNCATE payments.ledger_entry',
		header => "UPDATE payments.ledger_transaction SET effective_at = now() WHERE id = $id",
		account => q(UPDATE payments.ledger_account SET currency = 'USD'));

	return $attacks{ $arguments->{how} };
}

#
# Reading the books
#

sub accounts
{
	return q(SELECT a.code, a.kind, a.currency, CASE WHEN count(b.stripe) = min(b.stripes) THEN min(b.stripes) END,
		min(b.state), min(b.floor), min(b.ceiling), sum(b.held), sum(b.balance)
		FROM payments.ledger_account a LEFT JOIN payments.ledger_balance b ON b.account_id = a.id
		GROUP BY a.id);
}

sub transactions
{
	return q(SELECT t.id, t.transaction_key, t.kind, t.order_id, t.description, t.metadata,
		CASE WHEN t.effective_at = t.recorded_at THEN 'now' ELSE extract(epoch FROM t.effective_at)::bigint::text END,
		t.reverses_id, (SELECT string_agg(a.code || ' ' || e.currency || ' ' || e.amount, '|')
			FROM payments.ledger_entry e JOIN payments.ledger_account a ON a.id = e.account_id
			WHERE e.transaction_id = t.id)
		FROM payments.ledger_transaction t);
}

# Rows of those queries as the model's lines
sub lines
{
	my ($self, $kind, $rows) = @_;
	my $line = $kind eq 'accounts' ? \&account_line : \&transaction_line;
	my %by_id = map { $_->[0] => $_ } @$rows;

	return sort map { $json->encode($line->($_, \%by_id)) } @$rows;
}

sub account_line
{
	my ($row) = @_;
	return [ 'account', @$row[ 0 .. 2 ], defined $row->[3] ? $row->[3] + 0 : undef, $row->[4],
		map { defined ? '' . Model::thousandths($_) : undef } @$row[ 5 .. 8 ] ];
}

sub transaction_line
{
	my ($row, $by_id) = @_;
	my (undef, undef, @rest) = @$row;

	return [ 'transaction', key_of($row->[0], $by_id), @rest[ 0 .. 2 ],
		defined $rest[3] ? $json->decode($rest[3]) : undef, $rest[4],
		defined $rest[5] ? key_of($rest[5], $by_id) : undef,
		sort map { s/([\d.-]+)$/Model::thousandths($1)/er } split /\|/, $rest[6] // '' ];
}

# A key without the id that may be in it
sub key_of
{
	my ($id, $by_id) = @_;
	my $key = $by_id->{$id}[1];

	return $key =~ /^reversal:(\d+)$/ ? 'reversal:' . key_of($1, $by_id) : $key;
}

#
# Values
#

sub quote
{
	my ($self, $value) = @_;
	return defined $value ? $self->{dbh}->quote($value) : 'NULL';
}

sub json
{
	my ($self, $value) = @_;
	return defined $value ? $self->quote($json->encode($value)) . '::jsonb' : 'NULL';
}

# The id of a ledger transaction, by a key as the model has it
sub id_of
{
	my ($self, $key, $none) = @_;

	$none //= '999999999999999';
	return sprintf 'coalesce((SELECT id FROM payments.ledger_transaction WHERE reverses_id = %s), %s)',
	  $self->id_of($1, $none), $none
	  if $key =~ /^reversal:(.*)/;
	return sprintf 'coalesce((SELECT id FROM payments.ledger_transaction WHERE transaction_key = %s), %s)',
	  $self->quote($key), $none;
}

# A transaction is over: this is when.
sub tick
{
	my ($self, $time) = @_;
	push @{ $self->{times} }, $time;
	return;
}

# A time of a program: its own, or when a transaction was over
sub time_of
{
	my ($self, $time) = @_;
	my $tick = $time - $Model::NOW;
	my $times = $self->{times};

	return "to_timestamp($time)" if $tick < 0 || $tick >= 100_000_000 || !@$times;
	return $self->quote($times->[ $tick > $#$times ? -1 : $tick ]) . '::timestamptz';
}

1;

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
	rebuild_balances => sub { return 'SELECT account, was, became FROM payments.rebuild_balances()' },
	(map { $_ => call($_, qw(code reason)) } qw(freeze_account unfreeze_account close_account reopen_account)),
	open_account => call('open_account', qw(code kind currency floor ceiling stripes reason)),
	set_account_limits => call('set_account_limits', qw(code floor ceiling reason)),
	set_account_stripes => call('set_account_stripes', qw(code stripes reason)),
	hold => \&hold,
	post_hold => \&post_hold,
	void_hold => sub {
		my ($self, $arguments) = @_;
		return sprintf 'SELECT payments.void_hold(%s, %s)', $self->hold_id($arguments->{hold}),
		  $self->quote($arguments->{reason});
	},
	expire_holds => sub { return "SELECT payments.expire_holds($_[1]{most})" },
	account => sub {
		my ($self, $arguments) = @_;
		return 'SELECT state, mode, held, available FROM payments.accounts WHERE account = '
		  . $self->quote($arguments->{account});
	},
	balance => sub {
		my ($self, $arguments) = @_;
		my @named = map { "$_ => " . $self->time_of($arguments->{$_}) }
		  grep { defined $arguments->{$_} } qw(as_of known_at);
		return sprintf 'SELECT payments.balance(%s)', join ', ', $self->quote($arguments->{account}), @named;
	},
	statement => sub {
		my ($self, $arguments) = @_;
		return sprintf 'SELECT line, debit, credit, balance, at FROM payments.statement(%s, %s, %s, %s, %s)',
		  $self->quote($arguments->{account}), map({ $self->moment($arguments->{$_}) } qw(from to)),
		  $self->quote($arguments->{clock}), $self->moment($arguments->{known_at});
	},
	trial_balance_at => sub {
		my ($self, $arguments) = @_;
		return sprintf 'SELECT account, debits, credits FROM payments.trial_balance_at(%s, %s)',
		  map { $self->moment($arguments->{$_}) } qw(as_of known_at);
	},
	write_snapshots => sub { return "SELECT payments.write_snapshots($_[1]{most})" },
	rebuild_snapshots => sub { return 'SELECT payments.rebuild_snapshots()' },
	seal_ledger => sub { return "SELECT payments.seal_ledger($_[1]{most})" },
	verify => sub { return 'SELECT invariant FROM payments.verify() WHERE NOT holds' },
	exception => \&exception,
	block => \&exception,
);

# What its rows mean, when that is not their first column
my %values = (
	(map { $_ => \&was_there } qw(post hold post_hold)),
	account => sub {
		my ($row) = @_;
		return $row ? join ' ', @$row[ 0, 1 ], map { Model::thousandths($_) } @$row[ 2, 3 ] : '';
	},
	expire_holds => sub { return $_[0][0] },
	post_batch => sub { return join ',', map { $_->[0] ? 't' : 'f' } @_ },
	balance => sub { return Model::thousandths($_[0][0]) },
	rebuild_balances => sub {
		return join ' ', sort map { sprintf '%s=%s>%s', $_->[0],
			map { /balance (-?[\d.]+)/ ? Model::thousandths($1) : $_ } @$_[ 1, 2 ] } @_;
	},
	statement => \&statement,
	trial_balance_at => sub {
		return join ' ', map { join ' ', $_->[0], map { Model::thousandths($_) } @$_[ 1, 2 ] }
		  sort { $a->[0] cmp $b->[0] } @_;
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

# A function whose arguments are named like ours
sub call
{
	my ($function, @names) = @_;

	return sub {
		my ($self, $arguments) = @_;
		return sprintf "SELECT payments.$function(%s)", join ', ', map { $self->quote($arguments->{$_}) } @names;
	};
}

# From the id that was there before, and the one that came back
sub was_there
{
	my ($row) = @_;
	my ($before, $id) = @$row;
	return !defined $before ? 'f' : $before == $id ? 't' : "$before became $id";
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
	  $self->entry_arrays(@postings), 'order_ids => ' . $texts->('order_id'), 'effective_ats => '
	  . $self->array('timestamptz', map { defined $_->{effective} ? $self->time_of($_->{effective}) : 'NULL' } @postings),
	  'descriptions => ' . $texts->('description'),
	  'metadatas => ' . $self->array('jsonb', map { $self->json($_->{metadata}) } @postings);
}

# Accounts, amounts and currencies of all postings; the last may be left out.
sub entry_arrays
{
	my ($self, @postings) = @_;
	my @entries = map { @{ $_->{entries} } } @postings;
	my $named = grep { defined $_->[1] } @entries;

	return join ', ', $self->array('text', map { $self->quote($_->[0]) } @entries),
	  $self->array('numeric', map { $_->[2] } @entries),
	  $named ? 'currencies => ' . $self->array('text', map { $self->quote($_->[1] // 'KRW') } @entries) : ();
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

# A statement has to run from one balance to the other, in the order of time.
sub statement
{
	my ($first, @lines) = @_;
	my $last = pop @lines;
	my ($opening, $at) = (Model::thousandths($first->[3]), '');
	my ($balance, @amounts) = ($opening);

	return 'no opening and closing' if $first->[0] ne 'opening' || $last->[0] ne 'closing';
	for my $line (@lines)
	{
		my ($word, $debit, $credit, $after, $then) = @$line;
		my $amount = defined $debit ? Model::thousandths($debit) : -Model::thousandths($credit);

		push @amounts, $amount;
		return "wrong line at $then" if $word ne 'entry' || ($balance += $amount) != Model::thousandths($after)
		  || $then lt $at;
		$at = $then;
	}
	return join ' ', $opening, (sort { $a <=> $b } @amounts), Model::thousandths($last->[3]);
}

#
# Holds
#

sub hold
{
	my ($self, $arguments) = @_;
	my %expires_in = (soon => "'1 microsecond'", later => "'1 day'");
	my $expires = $arguments->{expires};

	return sprintf 'SELECT before, payments.hold(%s, expires_in => %s, metadata => %s)'
	  . ' FROM (SELECT (SELECT id FROM payments.ledger_hold WHERE hold_key = %s) AS before OFFSET 0) AS b',
	  join(', ', map { "$_->[1] => " . $self->quote($arguments->{ $_->[0] }) } [ key => 'hold_key' ],
		map { [ $_ => $_ ] } qw(account amount currency order_id description)),
	  defined $expires ? $expires_in{$expires} : 'NULL', $self->json($arguments->{metadata}),
	  $self->quote($arguments->{key});
}

sub post_hold
{
	my ($self, $arguments) = @_;
	my $id = $self->hold_id($arguments->{hold});

	return sprintf 'SELECT before, payments.post_hold(%s, %s, %s, %s, %s, %s) FROM (SELECT (SELECT transaction_id'
	  . ' FROM payments.ledger_hold_end WHERE hold_id = %s) AS before OFFSET 0) AS b',
	  $id, $self->quote($arguments->{kind}), $self->entries($arguments),
	  defined $arguments->{effective} ? $self->time_of($arguments->{effective}) : 'NULL',
	  $self->quote($arguments->{description}), $self->json($arguments->{metadata}), $id;
}

sub hold_id
{
	my ($self, $key) = @_;
	return sprintf 'coalesce((SELECT id FROM payments.ledger_hold WHERE hold_key = %s), 999999999999999)', $self->quote($key);
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
	return sprintf q(coalesce((SELECT id FROM payments.ledger_transaction WHERE transaction_key = 'hold:' || %s), %s)),
	  $self->hold_id($1), $none
	  if $key =~ /^hold:(.*)/;
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

sub moment
{
	my ($self, $time) = @_;
	return defined $time ? $self->time_of($time) : 'NULL';
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

# Server: a program against PostgreSQL, step by step beside the model.
#
# Every operation becomes one statement, so that it can stand in a transaction,
# in a savepoint or in a block of PL/pgSQL, and can be written down as a script
# for psql.  What comes back, or fails, has to be what the model says; otherwise
# run() dies with { mismatch => TEXT, at => NUMBER OF THE TRANSACTION }.
package Server;

use strict;
use warnings;

use DBI;
use Digest::SHA qw(sha256_hex);
use Encode qw(encode_utf8);

use Books;
use Model;
use Statement;

# How often each operation succeeded, and failed as it had to
our %met;

# new(DATABASE): sessions in one with nothing in its books.  Transactions take
# turns in them, so that what one remembers becomes old.
sub new
{
	my ($class, $database) = @_;
	my $self = bless { gid => $database, model => Model->new, script => [], at => 0 }, $class;

	for my $n (1 .. 3)
	{
		$self->{dbh} = DBI->connect("dbi:Pg:dbname=$database", '', '',
			{ RaiseError => 0, PrintError => 0, AutoCommit => 1, pg_server_prepare => 0 })
		  // die "cannot connect to $database: $DBI::errstr\n";
		push @{ $self->{sessions} }, $self->{dbh};
		$self->must($_) for 'SET timezone = UTC', 'SET lock_timeout = 20000', 'SET client_min_messages = error';
	}
	$self->{statement} = Statement->new($self->{dbh});
	return $self;
}

# The last transaction of every program
my %finish = (isolation => 'read committed', end => 'commit',
	steps => [ [ rebuild_balances => {} ], [ verify => {} ] ]);

# All transactions of a program.  The accounts are compared after each, the
# books after the last one.
sub run
{
	my ($self, $program) = @_;

	$program = [ @$program, \%finish ];
	for my $i (0 .. $#$program)
	{
		my $n = $i % @{ $self->{sessions} };

		$self->{at} = $i + 1;
		$self->{dbh} = $self->{sessions}[$n];
		push @{ $self->{script} }, "-- session $n";
		$self->transaction($program->[$i]);
		$self->compare('accounts', Books->accounts);
	}
	$self->compare($_, Books->$_) for qw(transactions events holds);
	return $self;
}

# Leaves nothing behind, whatever happened.
sub disconnect
{
	my ($self) = @_;

	$self->send('ROLLBACK');
	$self->send("ROLLBACK PREPARED '$self->{gid}'");
	$_->disconnect for @{ $self->{sessions} };
	return;
}

sub transaction
{
	my ($self, $transaction) = @_;
	my ($first, $second) = split / /, $transaction->{end};
	my $model = $self->{model};

	$model->begin($transaction->{isolation});
	$self->must("BEGIN ISOLATION LEVEL $transaction->{isolation}");
	if (!$self->steps($transaction->{steps}, 1) || $first eq 'rollback')
	{
		$model->end('rollback');
		$self->must('ROLLBACK');
	}
	elsif ($first eq 'commit')
	{
		$self->expect('COMMIT', $model->end('commit'));
	}
	else
	{
		my $states = $model->end($transaction->{end});

		$self->must(uc($second) . " PREPARED '$self->{gid}'")
		  if $self->expect("PREPARE TRANSACTION '$self->{gid}'", $states);
	}
	$self->{statement}->tick($self->must('SELECT clock_timestamp()')->[0][0]);
	return;
}

# Returns whether the transaction can go on.
sub steps
{
	my ($self, $steps, $depth) = @_;
	my $model = $self->{model};

	for my $step (@$steps)
	{
		my ($name, $arguments) = @$step;
		my $mark = $model->mark;

		if ($name eq 'block')
		{
			$self->must("SAVEPOINT s$depth");
			my $ok = $self->steps($arguments->{steps}, $depth + 1);
			if (!$ok || $arguments->{fail})
			{
				$model->back_to($mark);
				$self->must("ROLLBACK TO SAVEPOINT s$depth");
			}
			$self->must("RELEASE SAVEPOINT s$depth");
		}
		elsif ($name eq 'exception')
		{
			my $states = $self->imagine($arguments);
			$self->must($self->{statement}->text($step));
			my $state = $self->must(q(SELECT current_setting('model.state')))->[0][0];
			$self->judge("a block of PL/pgSQL", $states, $state, '');
		}
		else
		{
			return 0 if !$self->operation($name, $arguments);
		}
	}
	return 1;
}

# What the model makes of a block that swallows errors: the SQLSTATEs with
# which it may end early.
sub imagine
{
	my ($self, $arguments) = @_;
	my $model = $self->{model};
	my $mark = $model->mark;

	for my $step (@{ $arguments->{steps} })
	{
		my ($name, $inner) = @$step;

		if ($name eq 'block' || $name eq 'exception') { $self->imagine($inner); next }
		my ($states) = $model->perform($name, $inner);
		next if !@$states;
		$model->back_to($mark);
		return $states;
	}
	return [] if !$arguments->{fail};
	$model->back_to($mark);
	return ['P0001'];
}

# One operation; returns whether it succeeded.
sub operation
{
	my ($self, $name, $arguments) = @_;
	my ($states, $value) = $self->{model}->perform($name, $arguments);
	my $text = $self->{statement}->text([ $name, $arguments ]);
	my $rows = $self->expect($text, $states,
		$name eq 'raw' && $arguments->{how} eq 'copy' ? $arguments : undef);

	$met{$name}{ @$states ? 'failed' : 'succeeded' }++;
	return 0 if !$rows;
	return 1 if !defined $value;
	my $got = $self->{statement}->value($name, $rows);
	$self->mismatch("$text\nreturned \"$got\", the model says \"$value\"") if $got ne $value;
	return 1;
}

#
# Talking to the server
#

# A statement that cannot fail
sub must
{
	my ($self, $text) = @_;
	return $self->expect($text, []);
}

# One that fails with one of these SQLSTATEs, or must not; returns its rows, or
# false when it failed.
sub expect
{
	my ($self, $text, $states, $copy) = @_;
	my ($state, $rows) = $copy ? $self->copy($copy) : $self->send($text);

	push @{ $self->{script} }, "$text;";
	$self->judge($text, $states, $state, $self->{dbh}->errstr // '');
	return $state eq '00000' && $rows;
}

sub judge
{
	my ($self, $text, $states, $state, $message) = @_;

	return if @$states ? grep { $_ eq $state } @$states : $state eq '00000';
	$self->mismatch(sprintf "%s\n%s, the model says %s", $text,
		$state eq '00000' ? 'succeeded' : "failed with $state ($message)",
		@$states ? 'it fails with ' . join ' or ', @$states : 'it succeeds');
	return;
}

sub send
{
	my ($self, $text) = @_;
	my $statement = $self->{dbh}->prepare($text, { pg_direct => 1 });
	my $done = $statement && $statement->execute;
	my $rows = $done && $statement->{NUM_OF_FIELDS} ? $statement->fetchall_arrayref : [];

	return ($done ? '00000' : $self->{dbh}->state, $rows);
}

# Rows by COPY: the header as a statement, then the entries.
sub copy
{
	my ($self, $arguments) = @_;
	my $dbh = $self->{dbh};
	my ($header, $copy, @entries) = $self->{statement}->copy($arguments);
	my ($state, $rows) = $self->send($header);
	my (undef, $accounts) = $self->send('SELECT code, id FROM payments.ledger_account');
	my %id = map { @$_ } @$accounts;

	return $state if $state ne '00000';
	$dbh->do($copy);
	for (@entries)
	{
		my ($code, @rest) = @$_;
		$dbh->pg_putcopydata(join("\t", $rows->[0][0], $id{$code} // '\N', @rest) . "\n");
	}
	return ($dbh->pg_putcopyend ? '00000' : $dbh->state, []);
}

sub mismatch
{
	my ($self, $text) = @_;
	die { mismatch => $text, at => $self->{at} };
}

#
# Comparing
#

# The server's lines of one kind and the model's: the same.
sub compare
{
	my ($self, $kind, $query) = @_;
	my @theirs = Books->lines($kind, $self->must($query));
	my @ours = $self->{model}->$kind;
	my %count;

	$self->{lines}{$kind} = \@theirs;
	return if "@ours" eq "@theirs";
	$count{$_}++ for @ours;
	$count{$_}-- for @theirs;
	$self->mismatch(join "\n", "the $kind are not what the model says (+ server, - model):",
		map { ($count{$_} < 0 ? '+ ' : '- ') . $_ } grep { $count{$_} } sort keys %count);
	return;
}

# A digest of the books as they were compared last
sub digest
{
	my ($self) = @_;
	return substr sha256_hex(encode_utf8(join "\n",
			map { @{ $self->{lines}{$_} } } sort keys %{ $self->{lines} })), 0, 16;
}

1;

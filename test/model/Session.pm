# Session: one client of the concurrent test, a process of its own.
#
# Calls the ledger as fast as it can until its time is over, one call in a
# database transaction, and keeps a journal of what became of each key:
#
#	ack KEY ID			the server said it is there
#	refused KEY STATE	the server said it is not
#	gone KEY			rolled back by ourselves
#	swallowed KEY		so, in a block of PL/pgSQL
#	lost KEY			the connection went away meanwhile: either
#	wrong TEXT			the server said what it must not say
#
# What the calls were for follows from their keys (Intent).
package Session;

use strict;
use warnings;

use DBI;
use IO::Handle;
use JSON::PP;
use Time::HiRes qw(time sleep);

use Intent;

my $json = JSON::PP->new->canonical;

# How often each is drawn, and what does it
my %calls = (
	post => [ 30, \&post_own ],
	post_shared => [ 10, \&post_shared ],
	post_again => [ 5, \&post_again ],
	post_other => [ 2, \&post_other ],
	batch => [ 6, \&post_batch ],
	taken_back => [ 3, \&post_taken_back ],
	exception => [ 3, \&post_behind_exception ],
	rows => [ 5, \&insert_rows ],
	prepared => [ 3, \&post_prepared ],
	slow => [ 1, \&post_slowly ],
	reverse => [ 4, \&reverse ],
	hold => [ 10, \&hold ],
	post_hold => [ 6, \&post_hold ],
	void_hold => [ 2, \&void_hold ],
);

# Seconds after which a statement hangs
my $patience = 30;

# run(database, seed, session, until, journal): until that time
sub run
{
	my (%option) = @_;
	my $self = bless { %option, own => 0, shared => 0, posted => [], held => [] }, __PACKAGE__;
	my @names = map { ($_) x $calls{$_}[0] } sort keys %calls;

	srand $self->{seed} * 1000 + $self->{session};
	open $self->{out}, '>>', $self->{journal} or die "cannot write $self->{journal}: $!\n";
	$self->{out}->autoflush;
	$self->connect;
	$calls{ $names[ rand @names ] }[1]->($self) while time < $self->{until};
	$self->finish_prepared;
	$self->{dbh}->disconnect;
	return;
}

sub connect
{
	my ($self) = @_;
	my $isolation = $self->keeps_snapshot ? 'repeatable read' : 'read committed';

	until ($self->{dbh} = DBI->connect("dbi:Pg:dbname=$self->{database};application_name=model_session", '', '',
		{ RaiseError => 0, PrintError => 0, PrintWarn => 0, AutoCommit => 1, pg_server_prepare => 0 })
		  and $self->{dbh}->do("SET default_transaction_isolation = '$isolation'; SET statement_timeout = '$patience s'"))
	{
		die "the server does not come back\n" if time > $self->{until} + $patience;
		sleep 0.01;
	}
	return;
}

# Every fourth session works in one snapshot a transaction.
sub keeps_snapshot { my ($self) = @_; return $self->{session} % 4 == 3 }

# What may happen to any call: cancelled, terminated, another snapshot needed
sub unlucky
{
	my ($self, $state) = @_;
	return $state =~ /^(?:57014|57P01|lost)$/ || $state eq '40001' && $self->keeps_snapshot;
}

#
# Calls
#

sub post_own
{
	my ($self) = @_;
	my $key = $self->next_key;

	# at times with the zero-sum check at once
	$self->judge_one($key, $self->transaction(rand() < 0.1 ? 'SET CONSTRAINTS ALL IMMEDIATE' : (), post_sql($key)));
	return;
}

# The same keys in every session, at about the same time
sub post_shared
{
	my ($self) = @_;
	my $key = "s:$self->{seed}:" . ++$self->{shared};

	$self->judge_one($key, $self->transaction(post_sql($key)));
	return;
}

# Keys of its own and shared ones in one call, all or none
sub post_batch
{
	my ($self) = @_;
	my @keys = map { $self->next_key } 0 .. rand 4;

	push @keys, map { "s:$self->{seed}:" . ($self->{shared} + $_) } 1 .. 1 + rand 3;
	@keys = reverse @keys if rand() < 0.5;
	my ($state, $rows) = $self->transaction(batch_sql(@keys));
	my %id = map { @$_ } @{ $rows // [] };

	$self->judge($_, $state, $id{$_}) for @keys;
	return;
}

# What was acknowledged is acknowledged again, whatever has become of balances.
sub post_again
{
	my ($self) = @_;
	my $old = $self->{posted}[ rand @{ $self->{posted} } ] // return;
	my ($state, $rows) = $self->transaction(post_sql($old->[0]));

	$self->note('wrong', "$old->[0] posted again: $state")
	  if !$self->unlucky($state) && ($state ne '00000' || $rows->[0][0] != $old->[1]);
	return;
}

# It cannot become something else.
sub post_other
{
	my ($self) = @_;
	my $old = $self->{posted}[ rand @{ $self->{posted} } ] // return;
	my ($state) = $self->transaction(post_sql($old->[0], 'other'));

	$self->note('wrong', "$old->[0] posted with another kind: $state")
	  if !$self->unlucky($state) && $state ne 'PY011';
	return;
}

# In a savepoint that is rolled back; then another takes its place.
sub post_taken_back
{
	my ($self) = @_;
	my ($first, $second) = ($self->next_key, $self->next_key);

	$self->note('gone', $first);
	$self->judge_one($second, $self->transaction('SAVEPOINT s', post_sql($first), 'ROLLBACK TO s',
			post_sql($second)));
	return;
}

# In a block of PL/pgSQL, inside another, that swallows an error; then another takes
# its place.  The block that writes is the one that ends in the error: had it ended
# well and the one around it not, PostgreSQL would let those who wait for its rows
# wait for the whole transaction, although they are free, and whoever takes them
# meanwhile makes a deadlock of it, for any UPDATE (XactLockTableWait).
sub post_behind_exception
{
	my ($self) = @_;
	my ($first, $second) = ($self->next_key, $self->next_key);

	$self->note('gone', $first);
	my ($state, $rows) = $self->transaction(sprintf(
				'DO $do$ BEGIN BEGIN BEGIN PERFORM %s; PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END;'
			  . ' PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END; END $do$', post_sql($first) =~ s/^SELECT //r),
			post_sql($second));
	$self->note('swallowed', $first) if $state eq '00000';
	$self->judge_one($second, $state, $rows);
	return;
}

# Rows past the functions, by INSERT or COPY; when they do not add up, COMMIT
# refuses them, or the INSERT when the check is immediate.
sub insert_rows
{
	my ($self) = @_;
	my $key = "r:$self->{seed}:$self->{session}:" . ++$self->{own};
	my @entries = map { [@$_] } Intent::entries($key);
	my $how = rand() < 0.5 ? 'insert' : 'copy';
	my $flawed = rand() < 0.3;

	$entries[-1][2]++ if $flawed;
	my ($state, $rows) = $self->run_all('BEGIN', rand() < 0.3 ? 'SET CONSTRAINTS ALL IMMEDIATE' : (),
		sprintf(q(INSERT INTO payments.ledger_transaction (id, transaction_key, kind, effective_at, recorded_at, metadata)
			SELECT nextval('payments.ledger_transaction_id_seq'), '%s', '%s', n, n, '%s' FROM (SELECT clock_timestamp() AS n OFFSET 0) AS t),
			$key, $how, metadata(Intent::entries($key))),
		$how eq 'insert' ? rows_sql($key, @entries) : $self->copy_of($key, @entries),
		"SELECT id FROM payments.ledger_transaction WHERE transaction_key = '$key'", 'COMMIT');

	$self->note_fate($key, $state, $rows && $rows->[0][0], $flawed ? qr/^(?:23514|PY023)$/ : qr/^PY023$/);
	$self->note('wrong', "$key does not add up and was taken") if $flawed && $state eq '00000';
	return;
}

my $entry_columns = 'transaction_id, account_id, entry_no, entry_count, currency, amount';

sub rows_sql
{
	my ($key, @entries) = @_;
	my $n = 0;

	return "INSERT INTO payments.ledger_entry ($entry_columns) SELECT t.id, a.id, v.no, "
	  . @entries . ", v.currency, v.amount FROM payments.ledger_transaction t, (VALUES "
	  . join(', ', map { sprintf "('%s', %d, '%s', %s)", $_->[0], ++$n, @$_[ 1, 2 ] } @entries)
	  . ") AS v (code, no, currency, amount) JOIN payments.ledger_account a ON a.code = v.code"
	  . " WHERE t.transaction_key = '$key' ORDER BY v.no";
}

# What run_all calls in place of a statement
sub copy_of
{
	my ($self, $key, @entries) = @_;

	return sub {
		my ($dbh) = @_;
		my ($id) = $dbh->selectrow_array('SELECT id FROM payments.ledger_transaction WHERE transaction_key = ?', undef, $key) // return;
		my $accounts = $self->{accounts} //= $dbh->selectall_arrayref(
			q(SELECT code, id FROM payments.ledger_account WHERE code ~ '^(liability:w|asset:plain):')) // return;
		my %ids = map { @$_ } @$accounts;
		my $n = 0;

		$dbh->do("COPY payments.ledger_entry ($entry_columns) FROM STDIN") || return;
		$dbh->pg_putcopydata(join("\t", $id, $ids{ $_->[0] }, ++$n, scalar @entries, @$_[ 1, 2 ]) . "\n") || return for @entries;
		return $dbh->pg_putcopyend;
	};
}

# So slowly that others have long gone on
sub post_slowly
{
	my ($self) = @_;
	my $key = $self->next_key;

	$self->judge_one($key, $self->transaction(post_sql($key), 'DO $$BEGIN PERFORM pg_sleep(0.2); END$$'));
	return;
}

sub post_prepared
{
	my ($self) = @_;
	my $key = $self->next_key;
	my $dbh = $self->{dbh};
	my ($state, $rows) = $self->run_all('BEGIN', post_sql($key),
		"PREPARE TRANSACTION 'model:$self->{session}:$key'");

	$state = 'lost' if $self->finish_prepared || $dbh != $self->{dbh};
	$self->judge_one($key, $state, $rows);
	return;
}

# Commit what this session prepared, through cancels and lost connections;
# returns whether any had been left behind.
sub finish_prepared
{
	my ($self) = @_;
	my $tries = 0;

	while (1)
	{
		my $gids = $self->{dbh}->selectcol_arrayref('SELECT gid FROM pg_prepared_xacts WHERE gid LIKE ?',
			undef, "model:$self->{session}:%");

		return $tries > 1 if $gids && !@$gids;
		die "what was prepared cannot be committed\n" if $tries++ > 1000;
		$self->{dbh}->do("COMMIT PREPARED '$_'") for $gids ? @$gids : ();
		$self->connect if !$self->{dbh}->ping;
	}
}

sub reverse
{
	my ($self) = @_;
	my $key = "s:$self->{seed}:" . (1 + int rand($self->{shared} || return));
	my @half = rand() < 0.5 ? Intent::half($key) : ();
	my ($state) = $self->transaction(sprintf q(SELECT payments.reverse(id, 'mistake'%s)
		FROM payments.ledger_transaction WHERE transaction_key = '%s'),
		@half ? sprintf(q(, '%s'), entries_json(@half)) : '', $key);

	# halves of odd amounts do not add up, and an account may stand on both sides
	$self->note('wrong', "reversal of $key: $state")
	  if !$self->unlucky($state) && $state !~ /^(?:00000|PY015|PY018|PY019)$/ && !(@half && $state =~ /^(?:23514|PY020)$/);
	return;
}

sub hold
{
	my ($self) = @_;
	my $key = "h:$self->{seed}:" . ++$self->{holds};
	my ($account, $amount, $expires) = Intent::hold($key);
	my ($state, $rows) = $self->transaction(sprintf q(SELECT payments.hold('%s', '%s', %s, expires_in => %s)),
		$key, $account, $amount, defined $expires ? "'$expires'" : 'NULL');

	$self->note_fate($key, $state, $rows && $rows->[0][0]);
	push @{ $self->{held} }, [ $key, $rows->[0][0] ] if $state eq '00000';
	return;
}

# Whoever comes first ends it.
sub post_hold
{
	my ($self) = @_;
	my $hold = pop @{ $self->{held} } // return;
	my (undef, undef, undef, @entries) = Intent::hold($hold->[0]);
	my ($state, $rows) = $self->transaction(sprintf q(SELECT payments.post_hold(%s, 'concurrent', '%s', metadata => '%s')),
		$hold->[1], entries_json(@entries), metadata(@entries));

	$self->note_fate("hold:$hold->[1]", $state, $rows && $rows->[0][0], qr/^PY022$/);
	return;
}

sub void_hold
{
	my ($self) = @_;
	my $hold = pop @{ $self->{held} } // return;
	my ($state) = $self->transaction("SELECT payments.void_hold($hold->[1], 'over')");

	$self->note('wrong', "voiding $hold->[0]: $state")
	  if !$self->unlucky($state) && $state !~ /^(?:00000|PY022)$/;
	return;
}

sub next_key { my ($self) = @_; return "c:$self->{seed}:$self->{session}:" . ++$self->{own} }

sub post_sql
{
	my ($key, $kind) = @_;
	my @entries = Intent::entries($key);

	return sprintf q(SELECT payments.post('%s', '%s', '%s', metadata => '%s')),
	  $key, $kind // 'concurrent', entries_json(@entries), metadata(@entries);
}

sub entries_json
{
	return $json->encode([ map { { account => $_->[0], currency => $_->[1], amount => $_->[2] } } @_ ]);
}

sub batch_sql
{
	my @keys = @_;
	my @intents = map { [ Intent::entries($_) ] } @keys;
	my @entries = map { @$_ } @intents;
	my $array = sub { return 'ARRAY[' . join(', ', map { "'$_'" } @_) . ']' };

	return sprintf 'SELECT transaction_key, id FROM payments.post_batch(%s, %s, %s::int[], %s, %s::numeric[], %s,'
	  . ' metadatas => %s::jsonb[])', $array->(@keys), $array->(('concurrent') x @keys),
	  $array->(map { scalar @$_ } @intents), (map { my $i = $_; $array->(map { $_->[$i] } @entries) } 0, 2, 1),
	  $array->(map { metadata(@$_) } @intents);
}

sub metadata { return $json->encode({ checksum => Intent::checksum(@_) }) }

#
# Database transactions
#

# These statements in one, half of the time without saying BEGIN when there is
# only one.  Returns the SQLSTATE, "lost" when nobody knows, and the rows of
# the last SELECT.
sub transaction
{
	my ($self, @statements) = @_;

	return $self->run_all(@statements) if @statements == 1 && rand() < 0.5;
	return $self->run_all('BEGIN', @statements, 'COMMIT');
}

sub run_all
{
	my ($self, @statements) = @_;
	my $dbh = $self->{dbh};
	my $started = time;
	my $rows;

	for my $i (0 .. $#statements)
	{
		my $statement = ref $statements[$i] ? undef : $dbh->prepare($statements[$i], { pg_direct => 1 });

		if (ref $statements[$i] ? $statements[$i]->($dbh) : $statement && $statement->execute)
		{
			$rows = $statement->fetchall_arrayref if $statements[$i] =~ /^SELECT/;
			next;
		}

		# only the last one can have had an effect without our knowing
		my $state = $dbh->state;
		if (!$dbh->ping)
		{
			$self->connect;
			return $i == $#statements ? 'lost' : '57P01';
		}
		$dbh->do('ROLLBACK') if @statements > 1;
		return time - $started < $patience ? $state : 'hung';
	}
	return ('00000', $rows);
}

# A posting came to this.
sub judge_one
{
	my ($self, $key, $state, $rows) = @_;
	return $self->judge($key, $state, $rows && $rows->[0][0]);
}

sub judge
{
	my ($self, $key, $state, $id) = @_;

	$self->note_fate($key, $state, $id);
	push @{ $self->{posted} }, [ $key, $id ] if $state eq '00000';
	return;
}

# Acknowledged, refused or lost; limits and frozen accounts may refuse, and
# what the caller says.
sub note_fate
{
	my ($self, $key, $state, $id, $also) = @_;

	return $self->note('ack', "$key $id") if $state eq '00000';
	return $self->note('lost', $key) if $state eq 'lost';
	$self->note('refused', "$key $state");
	$self->note('wrong', "$key: $state")
	  if !$self->unlucky($state) && $state !~ /^PY01[89]$/ && !($also && $state =~ $also);
	return;
}

sub note
{
	my ($self, $word, $text) = @_;
	$self->{out}->print("$word $text\n");
	return;
}

1;

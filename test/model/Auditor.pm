# Auditor: what must be true of the books while sessions write to them, and
# afterwards.
#
# watch() is a process that reads snapshot after snapshot; the rest compares the
# rows with the journals of the sessions and with what the keys stand for.  The
# order in which an exact account changed is that of its transactions' commits:
# its balance is locked until each of them is over, so their commit timestamps
# (track_commit_timestamp) rise in that order.  Replayed like that, no limit may
# be crossed after any of them; a hold counts until it ends or its time is over.
#
# Each check returns the offences it found, as lines.
package Auditor;

use strict;
use warnings;

use DBI;
use Time::HiRes qw(time sleep);

use Intent;

my %debit_normal = (asset => 1, expense => 1);

# What must never be seen in any snapshot: a name, and a query whose rows are
# offences.
my @never = (
	[ 'entries add up to zero', q(
		SELECT currency || ' ' || sum(amount) FROM payments.ledger_entry GROUP BY currency HAVING sum(amount) <> 0) ],
	[ 'ledger transactions are whole', q(
		SELECT transaction_id::text FROM payments.ledger_entry
		GROUP BY transaction_id HAVING count(*) <> max(entry_count) OR min(entry_count) <> max(entry_count)) ],
	[ 'balances are the sums of their entries', q(
		SELECT a.code || ' ' || b.balance || ' ' || coalesce(e.amount, 0) FROM payments.ledger_account a
			JOIN (SELECT account_id, sum(balance) AS balance FROM payments.ledger_balance GROUP BY 1) b
				ON b.account_id = a.id
			LEFT JOIN (SELECT account_id, sum(amount) AS amount FROM payments.ledger_entry GROUP BY 1) e
				ON e.account_id = a.id
		WHERE b.balance <> coalesce(e.amount, 0)) ],
	[ 'reading at a time finds every entry', q(
		SELECT a.code FROM payments.ledger_account a
		WHERE payments.balance(a.code, clock_timestamp() + '1 day') <> coalesce((SELECT sum(e.amount)
			FROM payments.ledger_entry e WHERE e.account_id = a.id), 0)) ],
	[ 'limits hold', q(
		SELECT a.code || ' ' || b.balance || ' held ' || b.held FROM payments.ledger_balance b
			JOIN payments.ledger_account a ON a.id = b.account_id
			CROSS JOIN LATERAL (SELECT CASE WHEN a.kind IN ('asset', 'expense') THEN b.balance ELSE - b.balance END) n (balance)
			CROSS JOIN LATERAL (SELECT coalesce(sum(o.amount), 0) AS held FROM payments.ledger_hold_open o
				WHERE o.account_id = a.id AND (o.expires_at > clock_timestamp()) IS NOT FALSE) h
		WHERE n.balance - h.held < b.floor OR n.balance > b.ceiling) ],
	[ 'what is held is the sum of the open holds', q(
		SELECT b.account_id || ' ' || b.held || ' ' || coalesce(h.held, 0) || ' ' || coalesce(o.held, 0)
		FROM (SELECT account_id, sum(held) AS held FROM payments.ledger_balance GROUP BY 1) b
			LEFT JOIN (SELECT account_id, sum(amount) AS held FROM payments.ledger_hold h
				WHERE NOT EXISTS (SELECT FROM payments.ledger_hold_end e WHERE e.hold_id = h.id) GROUP BY 1) h USING (account_id)
			LEFT JOIN (SELECT account_id, sum(amount) AS held FROM payments.ledger_hold_open GROUP BY 1) o USING (account_id)
		WHERE b.held <> coalesce(h.held, 0) OR b.held <> coalesce(o.held, 0)) ],
);

# Read until that time; a line for each offence, and one that counts.
sub watch
{
	my (%option) = @_;
	my $dbh = connection($option{database});
	my ($snapshots, $seen) = (0, 0);

	open my $out, '>', $option{journal} or die "cannot write $option{journal}: $!\n";
	while (time < $option{until})
	{
		$dbh->do('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
		for (@never)
		{
			my ($name, $query) = @$_;
			print $out "wrong snapshot $snapshots: $name: $_\n" for @{ $dbh->selectcol_arrayref($query) };
		}
		my ($n) = $dbh->selectrow_array('SELECT count(*) FROM payments.ledger_transaction');
		print $out "wrong snapshot $snapshots: $n transactions after $seen\n" if $n < $seen;
		$seen = $n;
		$snapshots++;
		$dbh->do('COMMIT');
		sleep 0.02;
	}
	print $out "snapshots $snapshots\n";
	close $out;
	$dbh->disconnect;
	return;
}

sub connection
{
	my ($database) = @_;
	return DBI->connect("dbi:Pg:dbname=$database", '', '', { RaiseError => 1, PrintError => 0, AutoCommit => 1 });
}

# The books as rows, read once everything is quiet
sub new
{
	my ($class, $database, $seed) = @_;
	my $dbh = connection($database);
	my $self = bless { dbh => $dbh, seed => $seed, by_key => {}, by_id => {} }, $class;

	for my $row (@{ $dbh->selectall_arrayref(q(SELECT id, transaction_key AS key, kind, reverses_id,
		metadata ->> 'checksum' AS checksum FROM payments.ledger_transaction), { Slice => {} }) })
	{
		$self->{by_id}{ $row->{id} } = $row;
		push @{ $self->{by_key}{ $row->{key} } }, $row;
	}
	$self->{holds} = $dbh->selectall_hashref(q(SELECT h.hold_key AS key, h.id, a.code, h.amount, e.outcome, e.transaction_id
		FROM payments.ledger_hold h JOIN payments.ledger_account a ON a.id = h.account_id
			LEFT JOIN payments.ledger_hold_end e ON e.hold_id = h.id), 'key');
	push @{ $self->{by_key}{ $_->{key} } }, $_ for values %{ $self->{holds} };
	push @{ $self->{by_id}{ $_->[0] }{entries} }, [ $_->[1], $_->[2], $_->[3] + 0 ]
	  for @{ $dbh->selectall_arrayref(q(SELECT e.transaction_id, a.code, e.currency, e.amount
		FROM payments.ledger_entry e JOIN payments.ledger_account a ON a.id = e.account_id)) };
	return $self;
}

# What was acknowledged is there, under the id that was said.
sub acknowledged
{
	my ($self, $journal) = @_;
	my @offences;

	for my $key (sort keys %{ $journal->{ack} })
	{
		my ($id, @others) = keys %{ $journal->{ack}{$key} };
		my $there = $self->{by_key}{$key};

		push @offences, "$key was acknowledged as $id and @others" if @others;
		push @offences, "$key was acknowledged as $id and is not there"
		  if !$there || !grep { $_->{id} == $id } @$there;
	}
	return @offences;
}

# What was refused, or taken back, left nothing.
sub refused
{
	my ($self, $journal) = @_;

	return map { "$_ was refused and is there" }
	  grep { $self->{by_key}{$_} && !$journal->{ack}{$_} && !$journal->{lost}{$_} }
	  map { sort keys %{ $journal->{$_} } } qw(refused gone);
}

# Every row was meant: its key is ours, once, and its content the key's.
sub meant
{
	my ($self) = @_;
	my @offences;

	for my $key (sort keys %{ $self->{by_key} })
	{
		my ($row, @others) = @{ $self->{by_key}{$key} };

		$self->{kinds}{ $row->{kind} }++ if $row->{kind};
		push @offences, "$key is there " . (1 + @others) . ' times' if @others;
		next if $self->{holds}{$key} || $row->{kind} eq 'reversal';
		my $sum = Intent::checksum(@{ $row->{entries} });
		my $intent = $self->intent($key);

		push @offences, "$key was never meant" if !$intent;
		push @offences, "$key is not what was meant" if $intent && $sum ne $intent;
		push @offences, "$key has a wrong checksum" if $row->{checksum} ne $sum;
	}
	return @offences;
}

# The checksum that a key stands for, if it is ours
sub intent
{
	my ($self, $key) = @_;

	if ($key =~ /^hold:(\d+)$/)
	{
		my ($hold) = grep { $_->{id} == $1 } values %{ $self->{holds} };
		my (undef, undef, undef, @entries) = Intent::hold($hold->{key});

		return Intent::checksum(@entries);
	}
	return Intent::is_ours($key, $self->{seed}) && Intent::checksum(Intent::entries($key));
}

# Holds are what was meant, and a posted one has its transaction.
sub held
{
	my ($self) = @_;
	my @offences;

	for my $hold (values %{ $self->{holds} })
	{
		my ($code, $amount) = Intent::hold($hold->{key});
		my $posted = $self->{by_key}{"hold:$hold->{id}"};

		$self->{outcomes}{ $hold->{outcome} // 'open' }++;
		push @offences, "$hold->{key} is not what was meant"
		  if !Intent::is_ours($hold->{key}, $self->{seed}) || $hold->{code} ne $code || $hold->{amount} != $amount;
		push @offences, "$hold->{key} is not posted exactly when there is a transaction"
		  if !$posted != (($hold->{outcome} // '') ne 'posted');
	}
	return @offences;
}

# Reversals are mirror images or halves, one of each.
sub reversals
{
	my ($self) = @_;
	my (%reversed, @offences);

	for my $row (grep { $_->{reverses_id} } values %{ $self->{by_id} })
	{
		my $old = $self->{by_id}{ $row->{reverses_id} };
		my @mirror = map { [ @$_[ 0, 1 ], -$_->[2] ] } @{ $old->{entries} };

		push @offences, "$old->{key} was reversed twice" if $reversed{ $old->{id} }++;
		push @offences, "$old->{key} was reversed into something else"
		  if !grep { Intent::checksum(@$_) eq Intent::checksum(@{ $row->{entries} }) }
		  \@mirror, [ Intent::half($old->{key}) ];
	}
	$self->{reversals} = keys %reversed;
	return @offences;
}

# No limit was crossed after any commit.
sub prefixes
{
	my ($self) = @_;
	my @offences;

	for my $row (@{ $self->{dbh}->selectall_arrayref(q(
		SELECT a.code, a.kind, extract(epoch FROM c.at) * 1000000, sum(c.amount), sum(c.held)
		FROM payments.ledger_account a
			JOIN (SELECT account_id, pg_xact_commit_timestamp(xmin) AS at, amount, 0 AS held FROM payments.ledger_entry
				UNION ALL SELECT account_id, pg_xact_commit_timestamp(xmin), 0, amount FROM payments.ledger_hold
				UNION ALL SELECT h.account_id, least(pg_xact_commit_timestamp(e.xmin), h.expires_at), 0, - h.amount
					FROM payments.ledger_hold h LEFT JOIN payments.ledger_hold_end e ON e.hold_id = h.id
					WHERE least(pg_xact_commit_timestamp(e.xmin), h.expires_at) <= clock_timestamp()) c
				ON c.account_id = a.id
		GROUP BY a.code, a.kind, c.at ORDER BY a.code, c.at)) })
	{
		my ($code, $kind, $at, $amount, $held) = @$row;
		my ($floor, $ceiling) = @{ $Intent::limits{$code} // next };
		my $now = $self->{balance}{$code} += $debit_normal{$kind} ? $amount : -$amount;

		$held = $self->{held}{$code} += $held;
		$self->{steps}++;
		push @offences, "$code at $at: $now, of which $held is held"
		  if defined $floor && $now - $held < $floor || defined $ceiling && $now > $ceiling;
	}
	return @offences;
}

sub invariants
{
	my ($self) = @_;
	return map { join ': ', @$_ }
	  @{ $self->{dbh}->selectall_arrayref('SELECT invariant, counterexample FROM payments.verify() WHERE NOT holds') };
}

sub count
{
	my ($self, $table) = @_;
	return $self->{dbh}->selectrow_array("SELECT count(*) FROM payments.$table");
}

sub deadlocks
{
	my ($self) = @_;
	return map { "$_ deadlocks" } grep { $_ > 0 } @{ $self->{dbh}->selectcol_arrayref(
		'SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()') };
}

1;

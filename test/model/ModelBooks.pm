# ModelBooks: the rest of the model: rows written past the functions, and what
# is read.
package Model;

use strict;
use warnings;

our $NOW;

#
# Rows written past the functions
#

# Header and entries by INSERT or COPY, perhaps with a flaw.  The cache of
# balances does not hear of them.
sub raw
{
	my ($self, $arguments) = @_;
	my $flaw = $arguments->{flaw} // '';
	my $entries = entries($arguments);
	my $session = $self->{session};
	my %states;

	pop @$entries if $flaw eq 'short';
	for my $entry (@$entries)
	{
		my $account = $self->{accounts}{ $entry->[0] };

		$states{23502} = 1 if !$account;
		$states{23503} = 1 if $account && $account->{currency} ne $entry->[1];
	}
	$states{23505} = 1 if $self->{transactions}{ $arguments->{key} } || $flaw eq 'twice';
	$states{23514} = 1 if $flaw =~ /^(?:alone|zero)$/
	  || $session->{immediate} && $flaw =~ /^(?:unbalanced|gap|count|last first)$/;
	return [ sort keys %states ] if %states;
	$self->set($session, 'broken', 1) if $flaw =~ /^(?:unbalanced|gap|count)$/;
	$self->set($session, 'short', 1) if $flaw eq 'short';
	$self->write($arguments, raw => 1, entries => $entries);
	$self->count_raw($_) for @$entries;
	return [];
}

# One more entry for a transaction that is there.
sub late
{
	my ($self, $arguments) = @_;
	my $old = $self->{transactions}{ $arguments->{key} } or return ['23502'];

	return ['23505'] if $arguments->{number} <= @{ $old->{entries} };
	return ['23514'] if $self->{session}{immediate};
	$self->set($self->{session}, 'broken', 1);
	$self->set($old, 'entries', [ @{ $old->{entries} }, @{ entries({ entries => [ $arguments->{entry} ] }) } ]);
	$self->count_raw($old->{entries}[-1]);
	return [];
}

# An entry counts, though no cache knows.
sub count_raw
{
	my ($self, $entry) = @_;
	my $account = $self->{accounts}{ $entry->[0] };

	$self->set($account, 'balance', $account->{balance} + $entry->[2]);
	return;
}

# UPDATE, DELETE and TRUNCATE, where there is something; the server refuses
# to truncate while triggers wait, unless the library does first.
sub attack
{
	my ($self, $arguments) = @_;
	my $there = $arguments->{how} eq 'account' ? %{ $self->{accounts} }
	  : $self->{transactions}{ $arguments->{key} };

	return [ 'PY010', '55006' ] if $arguments->{how} eq 'truncate';
	return [ $there ? 'PY010' : () ];
}

# Returns [account, was, is] of those that were wrong.
sub rebuild_balances
{
	my ($self) = @_;
	return ['25001'] if $self->{isolation} ne 'read committed';
	my @wrong = grep { $_->{cached} != $_->{balance} } values %{ $self->{accounts} };
	my $report = join ' ', sort map { "$_->{code}=$_->{cached}>$_->{balance}" } @wrong;

	$self->set($_, 'cached', $_->{balance}) for @wrong;
	return ([], $report);
}

#
# Reading
#

sub balance
{
	my ($self, $arguments) = @_;
	my ($code, $as_of, $known_at) = ($arguments->{account}, map { $self->moment($_) } @$arguments{qw(as_of known_at)});
	my $account = $self->{accounts}{$code} or return ['PY012'];
	my $sum = 0;

	return ([], $account->{cached}) if !defined $as_of && !defined $known_at;
	for my $transaction (values %{ $self->{transactions} })
	{
		next if defined $as_of && $transaction->{effective} > $as_of;
		next if defined $known_at && $transaction->{recorded} > $known_at;
		$sum += $_->[2] for grep { $_->[0] eq $code } @{ $transaction->{entries} };
	}
	return ([], $sum);
}

# Every entry of an account on one clock, from a moment up to before another:
# what it opened with, the entries, what it closed with
sub statement
{
	my ($self, $arguments) = @_;
	my ($code, $clock) = @$arguments{qw(account clock)};
	my ($from, $to, $known_at) = map { $self->moment($_) } @$arguments{qw(from to known_at)};
	my ($opening, @states, @lines) = (0);

	push @states, '22023' if $clock !~ /^(?:effective|recorded)$/ || defined $from && defined $to && $from > $to;
	push @states, 'PY012' if !$self->{accounts}{$code};
	return \@states if @states;
	for my $transaction (values %{ $self->{transactions} })
	{
		my $at = $transaction->{$clock};
		my @amounts = map { $_->[2] } grep { $_->[0] eq $code } @{ $transaction->{entries} };

		next if defined $known_at && $transaction->{recorded} > $known_at;
		next if defined $to && !is_before($at, $to);
		if (defined $from && is_before($at, $from)) { $opening += $_ for @amounts }
		else { push @lines, @amounts }
	}
	my $closing = $opening;
	$closing += $_ for @lines;
	return ([], join ' ', $opening, (sort { $a <=> $b } @lines), $closing);
}

# A moment that a program names; a part of a program may not have come to it.
sub moment
{
	my ($self, $time) = @_;

	return $time if !defined $time || $time < $NOW || $time >= $NOW + 100_000_000;
	return $time < $NOW + $self->{tick} ? $time : $NOW + $self->{tick} - 1;
}

# What happens in a tick is before the moment that ends it.
sub is_before
{
	my ($at, $moment) = @_;
	my $tick = $moment - $NOW;

	return $tick >= 0 && $tick < 100_000_000 ? $at <= $moment : $at < $moment;
}

# Debits and credits of all accounts, as they were
sub trial_balance_at
{
	my ($self, $arguments) = @_;
	my ($as_of, $known_at) = map { $self->moment($_) } @$arguments{qw(as_of known_at)};
	my %sums = map { $_ => [ 0, 0 ] } keys %{ $self->{accounts} };

	for my $transaction (values %{ $self->{transactions} })
	{
		next if defined $as_of && $transaction->{effective} > $as_of;
		next if defined $known_at && $transaction->{recorded} > $known_at;
		$sums{ $_->[0] }[ $_->[2] < 0 ] += abs $_->[2] for @{ $transaction->{entries} };
	}
	return ([], join ' ', map { "$_ $sums{$_}[0] $sums{$_}[1]" } sort keys %sums);
}

# A cache; when it comes and goes, nothing else changes.
sub write_snapshots { return [] }

# They cover what is there and add nothing to it.
sub seal_ledger { return [] }

sub rebuild_snapshots { return [] }

# The invariants that verify() must find broken
sub verify
{
	my ($self) = @_;
	my @broken;

	push @broken, 'balances are the sums of their entries'
	  if grep { $_->{cached} != $_->{balance} } values %{ $self->{accounts} };
	push @broken, 'no account is past its limits, but those that payments books on'
	  if grep { $_->{code} !~ /^(?:psp|buyer|seller|platform):/
		&& is_past({ %$_, held => $self->held_now($_) }) } values %{ $self->{accounts} };
	push @broken, 'a reversal takes back no more than there was'
	  if grep { $_->{reverses} && !$self->is_taken_back($_) } values %{ $self->{transactions} };
	push @broken, 'ledger transactions are whole and add up to zero in every currency'
	  if $self->{session}{broken} || $self->{session}{short};
	return ([], join ', ', sort @broken);
}

# Is a reversal, as it is now, within what is there now? A late entry goes past
# what reverse would have refused.
sub is_taken_back
{
	my ($self, $reversal) = @_;
	my (%left, %taken);

	$left{ $_->[0] } -= $_->[2] for @{ $self->{transactions}{ $reversal->{reverses} }{entries} };
	$taken{ $_->[0] } += $_->[2] for @{ $reversal->{entries} };
	for my $code (keys %taken)
	{
		my $left = $left{$code} // 0;

		return 0 if $taken{$code} * $left < 0 || abs $taken{$code} > abs $left;
	}
	return 1;
}

# The books, without ids and times of day: sorted lines of each kind.
sub accounts
{
	my ($self) = @_;
	my @lines = map { text([ 'account', @$_{qw(code kind currency stripes state)},
			map { defined ? "$_" : undef } @$_{qw(floor ceiling held cached)} ])
	} values %{ $self->{accounts} };

	return sort @lines;
}

sub transactions
{
	my ($self) = @_;
	my @lines;

	for my $transaction (values %{ $self->{transactions} })
	{
		my ($effective, $recorded) = @$transaction{qw(effective recorded)};

		push @lines, text([ 'transaction', @$transaction{qw(key kind order_id description metadata)},
			$effective == $recorded ? 'now' : "$effective", $transaction->{reverses},
			sort map { "@$_" } @{ $transaction->{entries} } ]);
	}
	return sort @lines;
}

1;

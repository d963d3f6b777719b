# Model: what the ledger must do, as simply as it can be said.
#
# Knows accounts, ledger transactions and holds as Perl hashes, and shares
# nothing with the extension.  A step of a program is a name and its
# arguments; perform() returns the SQLSTATEs it may fail with, none when it must
# succeed, and what it must return.  A step that fails changes nothing.
#
# Every change goes through set(), which notes how to take it back: a savepoint
# is a length of that list.
#
# Amounts are integers in thousandths, debit positive.  Times are seconds:
# those that a program gives are far from $NOW, and what happens "now" happens at
# $NOW + the number of transactions so far ("tick").
package Model;

use strict;
use warnings;

use JSON::PP;

our $NOW = 1_750_000_000;
our %digits = (KRW => 0, USD => 2, JPY => 0);

my %kind_of = (
	asset => 'asset', psp => 'asset', expense => 'expense',
	liability => 'liability', buyer => 'liability', seller => 'liability',
	revenue => 'revenue', platform => 'revenue');
my %stripes_of = (psp => 16, platform => 16);
my %is_debit = (asset => 1, expense => 1);

my $json = JSON::PP->new->canonical->allow_nonref;

sub new
{
	my ($class) = @_;
	return bless {
		accounts => {}, transactions => {}, holds => {}, undo => [],
		session => { immediate => 0, broken => 0, short => 0 }, tick => 0
	}, $class;
}

# One step: returns SQLSTATEs (an array) and, when it succeeds, the result.
sub perform
{
	my ($self, $name, $arguments) = @_;
	my $mark = $self->mark;
	my ($states, $value) = $self->$name($arguments);

	$self->back_to($mark) if @$states;
	return ($states, $value);
}

#
# Transactions of the database
#

sub mark { my ($self) = @_; return scalar @{ $self->{undo} } }

sub back_to
{
	my ($self, $mark) = @_;

	while (@{ $self->{undo} } > $mark)
	{
		my ($hash, $key, $there, $old) = @{ pop @{ $self->{undo} } };

		if ($there) { $hash->{$key} = $old }
		else { delete $hash->{$key} }
	}
	return;
}

sub set
{
	my ($self, $hash, $key, $value) = @_;

	push @{ $self->{undo} }, [ $hash, $key, exists $hash->{$key}, $hash->{$key} ];
	$hash->{$key} = $value;
	return;
}

# The end of a transaction, as a program has it: returns SQLSTATEs.
sub end
{
	my ($self, $how) = @_;
	my $broken = $how ne 'rollback' && ($self->{session}{broken} || $self->{session}{short});

	$self->back_to(0) if $how =~ /rollback/ || $broken;
	$self->{undo} = [];
	$self->{session} = { immediate => 0, broken => 0, short => 0 };
	$self->{tick}++;
	return $broken ? ['23514'] : [];
}

# Checked when the last entry arrives, or at the end.
sub constraints
{
	my ($self, $arguments) = @_;

	$self->set($self->{session}, 'immediate', $arguments->{immediate});
	return [] if !$arguments->{immediate} || !$self->{session}{broken};
	return ['23514'];
}

#
# Posting
#

sub post { my ($self, $posting) = @_; return $self->post_all($posting) }

sub post_batch
{
	my ($self, $arguments) = @_;
	return $self->post_all(@{ $arguments->{postings} });
}

# All or nothing, netted per account; returns for each whether it was there.
sub post_all
{
	my ($self, @postings) = @_;
	my %states = map { $_ => 1 } map { $self->faults_of($_) } @postings;
	my (@new, @there);

	return [ sort keys %states ] if %states;
	for my $posting (@postings)
	{
		my $old = $self->{transactions}{ $posting->{key} };

		push @there, $old ? 't' : 'f';
		if (!$old)
		{
			$self->write($posting);
			push @new, $posting;
		}
		elsif ($self->differences($old, $posting)) { $states{PY011} = 1 }
	}
	$states{$_} = 1 for $self->move(map { @{ entries($_) } } @new);
	return ([ sort keys %states ], join ',', @there);
}

# What is wrong with a posting whatever the books say.
sub faults_of
{
	my ($self, $posting) = @_;
	my @states;

	push @states, '22023'
	  if length $posting->{key} < 1 || length $posting->{key} > 200
	  || $posting->{key} =~ /^(?:payment|refund|reversal|hold):/
	  || $posting->{kind} !~ /^[a-z][a-z0-9_.]{0,62}\z/
	  || $posting->{kind} =~ /^payment\./;
	push @states, faults_of_entries($posting);
	push @states, '23514' if unbalanced(entries($posting));
	return @states;
}

sub faults_of_entries
{
	my ($posting) = @_;
	my @states = ('22023') x (@{ $posting->{entries} } < 2);

	for my $entry (@{ entries($posting) })
	{
		my ($code, $currency, $amount) = @$entry;
		my $grain = 10**(3 - ($digits{$currency} // 0));

		push @states, '22023'
		  if $code =~ /^seller:/ || !exists $digits{$currency}
		  || $amount == 0 || $amount % $grain;
		push @states, '22003' if abs $amount >= 10**18;
	}
	return @states;
}

sub unbalanced
{
	my ($entries) = @_;
	my %sum;

	$sum{ $_->[1] } += $_->[2] for @$entries;
	return @$entries < 2 || grep { $_ } values %sum;
}

# Entries as [account, currency, thousandths].
sub entries
{
	my ($posting) = @_;
	return [ map { [ $_->[0], $_->[1] // 'KRW', thousandths($_->[2]) ] }
		  @{ $posting->{entries} } ];
}

sub thousandths
{
	my ($text) = @_;
	my ($sign, $whole, $part) = $text =~ /^(-?)(\d+)(?:\.(\d{1,3}))?$/
	  or die "amount $text";
	my $amount = $whole * 1000 + substr(($part // '') . '000', 0, 3);

	return $sign ? -$amount : $amount;
}

sub write
{
	my ($self, $posting, %more) = @_;

	$self->set($self->{transactions}, $posting->{key}, {
		%$posting{qw(key kind order_id description metadata)},
		entries => $more{entries} // entries($posting), %more,
		effective => $posting->{effective} // $NOW + $self->{tick},
		recorded => $NOW + $self->{tick} });
	return;
}

sub differences
{
	my ($self, $old, $new) = @_;
	my $sorted = sub { join ' ', sort map { "@$_" } @{ $_[0] } };

	return 1 if grep { text($old->{$_}) ne text($new->{$_}) }
	  qw(kind order_id description metadata);
	return 1 if defined $new->{effective} && $new->{effective} != $old->{effective};
	return $sorted->($old->{entries}) ne $sorted->(entries($new));
}

# Canonical text of a value of JSON
sub text { my ($value) = @_; return $json->encode($value) }

# Move the cached balances by these entries, if accounts and limits allow it.
sub move
{
	my ($self, @entries) = @_;
	my (%net, @states);

	for my $entry (@entries)
	{
		my ($code, $currency, $amount) = @$entry;
		my $account = $self->{accounts}{$code} // $self->open_by_code($code);

		push @states, $account if !ref $account;
		push @states, 'PY013' if ref $account && $account->{currency} ne $currency;
		$net{$code} += $amount;
	}
	return @states if @states;

	for my $code (sort keys %net)
	{
		my $account = $self->{accounts}{$code};

		push @states, 'PY018' if $account->{state} ne 'o';
		push @states, 'PY019' if crosses($account, $net{$code});
		$self->set($account, 'cached', $account->{cached} + $net{$code});
		$self->set($account, 'balance', $account->{balance} + $net{$code});
	}
	return @states;
}

# Floor and ceiling are on the normal side, and stop only what moves there.
sub crosses
{
	my ($account, $change) = @_;
	my $side = $is_debit{ $account->{kind} } ? 1 : -1;
	my $after = ($account->{cached} + $change) * $side;

	return 1 if defined $account->{floor} && $change * $side < 0
	  && $after - $account->{held} < $account->{floor};
	return defined $account->{ceiling} && $change * $side > 0
	  && $after > $account->{ceiling};
}

sub open_by_code
{
	my ($self, $code) = @_;
	my ($prefix) = split /:/, $code;
	my ($currency) = $code =~ /:([A-Z]{3})\z/;

	return '22023' if $code !~ /^[a-z][a-z0-9_]*(?::[A-Za-z0-9_.\@-]+)+\z/ || length $code > 128;
	return 'PY012' if !$kind_of{$prefix};
	$currency = 'KRW' if !defined $currency || !exists $digits{$currency};
	$self->set($self->{accounts}, $code, {
		code => $code, kind => $kind_of{$prefix}, currency => $currency,
		stripes => $stripes_of{$prefix} // 1, state => 'o', held => 0,
		cached => 0, balance => 0 });
	return $self->{accounts}{$code};
}

# The mirror image or a part of it, once.
sub reverse
{
	my ($self, $arguments) = @_;
	my $old = $self->{transactions}{ $arguments->{key} };
	my $key = "reversal:$arguments->{key}";
	my $part = $arguments->{entries} && entries($arguments);
	my @states = $part ? faults_of_entries($arguments) : ();

	return \@states if @states;
	return ['PY014'] if !$old;
	return ['PY015'] if $self->{transactions}{$key};
	my @mirror = map { [ $_->[0], $_->[1], -$_->[2] ] } @{ $old->{entries} };
	push @states, 'PY020' if $part && !is_part($part, @mirror);
	push @states, '23514' if unbalanced($part // \@mirror);
	return \@states if @states;
	$self->write({ key => $key, kind => 'reversal', order_id => $old->{order_id},
			description => $arguments->{reason} },
		entries => $part // \@mirror, reverses => $arguments->{key});
	return [ $self->move(@{ $part // \@mirror }) ];
}

# Never the other way, and never more than there is
sub is_part
{
	my ($part, @whole) = @_;
	my %left;

	$left{"$_->[0] $_->[1]"} += $_->[2] for @whole;
	for my $entry (@$part)
	{
		my $left = \$left{"$entry->[0] $entry->[1]"};

		return 0 if !$$left || ($$left < 0) != ($entry->[2] < 0) || abs $entry->[2] > abs $$left;
		$$left -= $entry->[2];
	}
	return 1;
}

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

	for my $entry (@$entries)
	{
		my $account = $self->{accounts}{ $entry->[0] } or return ['23502'];
		return ['23503'] if $account->{currency} ne $entry->[1];
	}
	return ['23505'] if $self->{transactions}{ $arguments->{key} };
	return ['23514'] if $flaw eq 'alone' || $flaw eq 'zero';
	return ['23505'] if $flaw eq 'twice';
	if ($flaw eq 'unbalanced' || $flaw eq 'gap' || $flaw eq 'count')
	{
		return ['23514'] if $session->{immediate};
		$self->set($session, 'broken', 1);
	}
	return ['23514'] if $flaw eq 'last first' && $session->{immediate};
	if ($flaw eq 'short')
	{
		$self->set($session, 'short', 1);
		pop @$entries;
	}
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
# to truncate while triggers wait.
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
	my ($code, $as_of, $known_at) = @$arguments{qw(account as_of known_at)};
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

# The invariants that verify() must find broken
sub verify
{
	my ($self) = @_;
	my @broken;

	push @broken, 'balances are the sums of their entries'
	  if grep { $_->{cached} != $_->{balance} } values %{ $self->{accounts} };
	push @broken, 'ledger transactions are whole and add up to zero in every currency'
	  if $self->{session}{broken} || $self->{session}{short};
	return ([], join ', ', @broken);
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

sub holds { return }

1;

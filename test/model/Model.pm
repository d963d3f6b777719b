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

use ModelAccounts;
use ModelBooks;

our $NOW = 1_750_000_000;
our %digits = (KRW => 0, USD => 2, JPY => 0);

# In thousandths, like all amounts: more is no balance
my $most = 9_223_372_036_854_775_807;

my %kind_of = (
	asset => 'asset', psp => 'asset', expense => 'expense',
	liability => 'liability', buyer => 'liability', seller => 'liability',
	revenue => 'revenue', platform => 'revenue');
my %stripes_of = (psp => 16, platform => 16);

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

sub begin
{
	my ($self, $isolation) = @_;
	$self->{isolation} = $isolation;
	return;
}

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
	$states{$_} = 1 for $self->move([ map { @{ entries($_) } } @new ]);
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

	return 1 if grep { text($old->{$_}) ne text($new->{$_}) }
	  qw(kind order_id description metadata);
	return 1 if defined $new->{effective} && $new->{effective} != $old->{effective};
	return sorted($old->{entries}) ne sorted(entries($new));
}

sub sorted { my ($entries) = @_; return join ' ', sort map { "@$_" } @$entries }

# Canonical text of a value of JSON
sub text { my ($value) = @_; return $json->encode($value) }

# Move the cached balances by these entries, if accounts and limits allow it;
# and release what was held on one.
sub move
{
	my ($self, $entries, $holder, $release) = @_;
	my (%net, @states);

	for my $entry (@$entries)
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
		my $after = $account->{cached} + $net{$code};
		my $released = $holder && $account == $holder ? $release : 0;

		push @states, '22003' if abs $after > $most || abs $net{$code} > $most;
		push @states, 'PY018' if $account->{state} ne 'o';
		$self->end_due($account) if crosses($account, $net{$code}, $released);
		push @states, 'PY019' if crosses($account, $net{$code}, $released);
		$self->set($account, 'held', $account->{held} - $released);
		$self->set($account, 'cached', $after);
		$self->set($account, 'balance', $account->{balance} + $net{$code});
	}
	return @states;
}

# Floor and ceiling are on the normal side, and stop only what moves there.
sub crosses
{
	my ($account, $change, $released) = @_;
	my %after = (%$account, cached => $account->{cached} + $change, held => $account->{held} - $released);
	my ($normal, $before) = (normal(\%after), normal($account));

	return 1 if defined $account->{floor} && $normal - $after{held} < $account->{floor}
	  && $normal - $after{held} < $before - $account->{held};
	return defined $account->{ceiling} && $normal > $account->{ceiling} && $normal > $before;
}

# What a code says about its account; undef what it does not
sub defaults
{
	my ($code) = @_;
	my ($prefix) = split /:/, $code;
	my ($currency) = $code =~ /:([A-Z]{3})\z/;

	$prefix //= '';
	return { prefix => $prefix, kind => $kind_of{$prefix}, stripes => $stripes_of{$prefix} // 1,
		currency => defined $currency && exists $digits{$currency} ? $currency : undef };
}

sub is_code
{
	my ($code) = @_;
	return $code =~ /^[a-z][a-z0-9_]*(?::[A-Za-z0-9_.\@-]+)+\z/ && length $code <= 128;
}

# The mirror image or a part of it, once.  Repeated, it is the one that is there.
sub reverse
{
	my ($self, $arguments) = @_;
	my $old = $self->{transactions}{ $arguments->{key} };
	my $key = "reversal:$arguments->{key}";
	my $part = $arguments->{entries} && entries($arguments);
	my @states = $part ? faults_of_entries($arguments) : ();

	return \@states if @states;
	return ['PY014'] if !$old;
	my @mirror = map { [ $_->[0], $_->[1], -$_->[2] ] } @{ $old->{entries} };
	if (my $there = $self->{transactions}{$key})
	{
		return text($there->{description}) eq text($arguments->{reason})
		  && sorted($there->{entries}) eq sorted($part // \@mirror) ? [] : ['PY015'];
	}
	push @states, 'PY020' if $part && !is_part($part, @mirror);
	push @states, '23514' if unbalanced($part // \@mirror);
	return \@states if @states;
	$self->write({ key => $key, kind => 'reversal', order_id => $old->{order_id},
			description => $arguments->{reason} },
		entries => $part // \@mirror, reverses => $arguments->{key});
	return [ $self->move($part // \@mirror) ];
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

1;

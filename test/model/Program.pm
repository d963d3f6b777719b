# Program: from a seed, database transactions full of operations on the ledger.
#
# A program is a list of transactions, each a hash that JSON can hold:
#
#	isolation	of the transaction
#	steps		[name, arguments] each; see %operations for the names, and
#				block		a savepoint: steps, and whether it is released
#				exception	a block of PL/pgSQL that swallows the first error
#	end			commit, rollback, or either of them after PREPARE
#
# Operations name what they work on by its key, never by an id, so a program
# can be run in part.  The model runs along while one is made, so that what is
# asked for is mostly possible; everything is drawn from the one generator of
# random numbers that the seed starts.
#
# An operation to add: a row of %operations here, a method of Model, a row in
# Server.
package Program;

use strict;
use warnings;
use utf8;

use Model;

my @currencies = qw(KRW USD JPY);
my @names = qw(asset:cash asset:bank liability:wallet:1 liability:wallet:2 buyer:7
  liability:deposit revenue:fee expense:rent psp:toss platform:commission);

# How often each is drawn, and what makes its arguments
my %operations = (
	post => [ 30, \&posting ],
	post_again => [ 8, \&posting_again ],
	post_wrong => [ 6, \&posting_wrong ],
	post_batch => [ 6, \&batch ],
	reverse => [ 5, \&reversal ],
	raw => [ 3, \&raw_rows ],
	late => [ 1, \&late_entry ],
	attack => [ 1, \&attack_on_rows ],
	constraints => [ 2, sub { { immediate => draw(2) } } ],
	rebuild_balances => [ 0, sub { {} } ],
	balance => [ 3, \&balance_at ],
	verify => [ 0.3, sub { {} } ],
);

# make(SEED, N): a program of n transactions.
sub make
{
	my ($seed, $n) = @_;
	my $self = bless { model => Model->new, serial => 0, seed => $seed }, __PACKAGE__;
	my @program;

	srand $seed;
	push @program, $self->transaction for 1 .. $n;
	return \@program;
}

# One transaction, which the model performs at once.
sub transaction
{
	my ($self) = @_;
	my $end = pick((('commit') x 16), 'rollback', 'prepare commit', 'prepare rollback');
	my ($steps, $ok) = $self->steps(chance(0.7) ? 1 : 1 + draw(6), 0);

	$self->{model}->end($ok ? $end : 'rollback');
	return {
		isolation => pick((('read committed') x 4), 'repeatable read', 'serializable'),
		steps => $steps, end => $end };
}

# n steps, or fewer when one fails that nothing catches; and whether all went
# well.
sub steps
{
	my ($self, $n, $depth) = @_;
	my $model = $self->{model};
	my @steps;

	while (@steps < $n)
	{
		if ($depth < 3 && chance(0.12))
		{
			my $mark = $model->mark;
			my $fail = chance(0.3) ? 1 : 0;
			my ($inner, $ok) = $self->steps(1 + draw(4), $depth + 1);

			$model->back_to($mark) if $fail || !$ok;
			push @steps, nest($inner, $fail);
			next;
		}
		my ($name, $arguments) = $self->operation;
		my ($states) = $model->perform($name, $arguments);
		my $caught = @$states && chance(0.8);

		push @steps, $caught ? nest([ [ $name, $arguments ] ], 0) : [ $name, $arguments ];
		return (\@steps, 0) if @$states && !$caught;
	}
	return (\@steps, 1);
}

# A savepoint, or a block of PL/pgSQL
sub nest
{
	my ($steps, $fail) = @_;
	return [ pick('block', 'exception'), { steps => $steps, fail => $fail } ];
}

sub operation
{
	my ($self) = @_;

	while (1)
	{
		my $name = weighted(map { $_ => $operations{$_}[0] } sort keys %operations);
		my $arguments = $operations{$name}[1]->($self) // next;

		$name =~ s/^(post|reverse)_(?:again|wrong)$/$1/;
		return ($name, $arguments);
	}
}

#
# Arguments
#

sub posting
{
	my ($self) = @_;

	return {
		how => pick('json', 'arrays'), key => $self->new_key, kind => pick(qw(sale fee payout.weekly transfer)),
		entries => $self->entries,
		order_id => chance(0.3) ? 'order-' . draw(20) : undef,
		effective => chance(0.6) ? effective() : undef,
		description => chance(0.2) ? pick('lunch', q(it's "so"), '계정 이체') : undef,
		metadata => chance(0.3) ? { n => draw(1000), note => pick('a', 'b') } : undef };
}

sub new_key { my ($self) = @_; return "k:$self->{seed}:" . ++$self->{serial} }

# Balanced in each of one to three currencies
sub entries
{
	my ($self) = @_;
	my $wanted = chance(0.7) ? 2 : chance(0.7) ? 3 + draw(3) : 2 + draw(19);
	my @used = splice @{ [ shuffled(@currencies) ] }, 0, weighted(1 => 8, 2 => 2, 3 => 1);
	my @entries;

	for my $currency (@used)
	{
		my $n = int($wanted / @used);
		my @codes = map { code(pick(@names), $currency) } 1 .. ($n < 2 ? 2 : $n);
		my $rest = 0;

		for my $i (0 .. $#codes)
		{
			my $amount = $i < $#codes ? amount($currency) : -$rest;

			# what would be left for the last one must not be nothing
			$amount += 1000 if $i == $#codes - 1 && $rest + $amount == 0;
			$amount += 1000 if $amount == 0;
			$rest += $amount;
			push @entries, [ $codes[$i], named($currency), decimal($amount) ];
		}
	}
	return chance(0.5) ? \@entries : [ shuffled(@entries) ];
}

# The same again, or with something else in it
sub posting_again
{
	my ($self) = @_;
	my $old = $self->any_transaction(sub { !$_[0]{reverses} && !$_[0]{raw} }) // return;
	my $posting = {
		how => pick('json', 'arrays'), %$old{qw(key kind order_id description metadata)},
		entries => [ map { [ $_->[0], named($_->[1]), decimal($_->[2]) ] } @{ $old->{entries} } ],
		effective => $old->{effective} < $Model::NOW ? $old->{effective} : undef };

	return $posting if chance(0.5);
	my %other = (
		kind => 'other', order_id => 'other', description => 'other',
		metadata => { other => 1 }, effective => effective(),
		order => [ shuffled(@{ $posting->{entries} }) ],
		entries => $self->entries);
	my $field = pick(sort keys %other);
	$posting->{ $field eq 'order' ? 'entries' : $field } = $other{$field};
	return $posting;
}

sub posting_wrong
{
	my ($self) = @_;
	my $posting = $self->posting;
	my $entry = pick(@{ $posting->{entries} });
	my @change = (
		sub { $entry->[2] = decimal(Model::thousandths($entry->[2]) + 1000) },
		sub { $entry->[2] = '0' },
		sub { $entry->[2] .= $entry->[2] =~ /\./ ? '1' : '.5' },
		sub { $entry->[2] = '1000000000000000' },
		sub { $entry->[1] = pick('EUR', 'krw', grep { $_ ne ($entry->[1] // 'KRW') } @currencies) },
		sub { $entry->[0] = pick('unheard:of', 'seller:1', 'asset', 'asset:', 'Asset:x', 'asset:x y') },
		sub { splice @{ $posting->{entries} }, 1 },
		sub { $posting->{key} = pick('', 'payment:1', 'refund:x', 'reversal:1', 'x' x 201) },
		sub { $posting->{kind} = pick('', 'Sale', 'payment.captured', 'a b') });

	pick(@change)->();
	return $posting;
}

# Many at once, some of which were there, or come twice
sub batch
{
	my ($self) = @_;
	my @postings;

	for (1 .. 2 + draw(7))
	{
		my $kind = weighted(new => 10, again => 3, twice => 2, wrong => 0.5);
		my $posting = $kind eq 'again' ? $self->posting_again
		  : $kind eq 'wrong' ? $self->posting_wrong
		  : $kind eq 'twice' && @postings ? { %{ pick(@postings) } }
		  : $self->posting;

		push @postings, $posting // next;
		$posting->{kind} = 'other' if $kind eq 'twice' && chance(0.1);
	}
	return @postings ? { postings => \@postings } : undef;
}

sub reversal
{
	my ($self) = @_;
	my $old = $self->any_transaction(sub { 1 });
	my $arguments = { key => $old && chance(0.9) ? $old->{key} : 'nowhere', reason => 'mistake' };

	$arguments->{entries} = part_of($old) if $old && chance(0.5);
	return $arguments;
}

# A part of what would take a transaction back; sometimes more than that
sub part_of
{
	my ($old) = @_;
	my (%sides, @entries);

	for my $entry (@{ $old->{entries} })
	{
		my ($code, $currency, $amount) = @$entry;
		push @{ $sides{$currency}{ $amount < 0 ? 'debit' : 'credit' } }, $entry;
	}
	for my $currency (sort keys %sides)
	{
		my ($debit, $credit) = map { pick(@{ $sides{$currency}{$_} // [] }) } qw(debit credit);
		my $grain = 10**(3 - $Model::digits{$currency});
		my ($most) = sort { $a <=> $b } map { int(abs($_->[2] // 0) / $grain) } $debit, $credit;
		my $n = $grain * (chance(0.85) ? 1 + draw($most) : $most + 1);

		push @entries, [ $debit->[0], named($currency), decimal($n) ],
		  [ $credit->[0], named($currency), decimal(-$n) ] if $debit && $credit && (!@entries || chance(0.6));
	}
	$_->[2] = $_->[2] =~ /^-(.*)/ ? $1 : "-$_->[2]" for @entries && chance(0.1) ? @entries : ();
	$entries[0][0] = code('asset:cash', $entries[0][1] // 'KRW') if @entries && chance(0.1);
	return \@entries;
}

# Past the functions, on accounts that are there
sub raw_rows
{
	my ($self) = @_;
	my $raw = $self->posting;
	my $entries = $raw->{entries};
	my $flaw = pick((('') x 6), qw(unbalanced gap count short alone zero twice), 'last first');

	return if grep { !$self->{model}{accounts}{ $_->[0] } } @$entries;
	$raw->{how} = pick(qw(insert copy rows merge replica));
	$raw->{how} = pick(qw(insert copy rows)) if $flaw eq 'last first';
	$raw->{flaw} = $flaw;
	$entries->[0][2] = decimal(Model::thousandths($entries->[0][2]) + 1000)
	  if $flaw eq 'unbalanced' && $entries->[0][2] ne '-1';
	return if $flaw eq 'unbalanced' && $entries->[0][2] eq '-1';
	return $raw;
}

sub late_entry
{
	my ($self) = @_;
	my $old = $self->any_transaction(sub { 1 }) // return;

	return { key => $old->{key}, number => @{ $old->{entries} } + draw(2),
		entry => [ @{ $old->{entries}[0] }[ 0, 1 ], '5' ] };
}

sub attack_on_rows
{
	my ($self) = @_;
	my $old = $self->any_transaction(sub { 1 }) // return;

	return { key => $old->{key}, how => pick(qw(update delete truncate header account)) };
}

# Now or then, on either clock
sub balance_at
{
	my ($self) = @_;

	return { account => code(pick(@names, 'asset:none'), pick(@currencies)),
		as_of => chance(0.7) ? $self->moment : undef, known_at => undef };
}

sub moment
{
	my ($self) = @_;
	my $tick = $self->{model}{tick};

	return $tick == 0 || chance(0.5) ? effective() : $Model::NOW + draw($tick);
}

# A transaction of the model that fits, or undef
sub any_transaction
{
	my ($self, $fits) = @_;
	my $all = $self->{model}{transactions};
	my @keys = sort keys %$all;

	for (1 .. (@keys ? 10 : 0))
	{
		my $old = $all->{ pick(@keys) };
		return $old if $fits->($old);
	}
	return;
}

#
# Values
#

sub code
{
	my ($name, $currency) = @_;
	return $currency eq 'KRW' ? $name : "$name:$currency";
}

# KRW need not be said.
sub named { my ($currency) = @_; return $currency eq 'KRW' && chance(0.7) ? undef : $currency }

sub amount
{
	my ($currency) = @_;
	my $grain = 10**(3 - $Model::digits{$currency});
	my $n = 1 + draw(chance(0.9) ? 1000 : 1_000_000_000);

	return $n * $grain * (chance(0.5) ? 1 : -1);
}

sub decimal
{
	my ($amount) = @_;
	my $text = sprintf '%s%d.%03d', $amount < 0 ? '-' : '', abs($amount) / 1000, abs($amount) % 1000;

	$text =~ s/\.?0+$//;
	return $text;
}

# Long ago, or far ahead; never the same second as now
sub effective { return chance(0.9) ? 1_500_000_000 + draw(200_000_000) : 2_000_000_000 + draw(1000) }

sub draw { my ($n) = @_; return int rand $n }

sub chance { my ($p) = @_; return rand() < $p }

sub pick { return $_[ draw(scalar @_) ] }

sub shuffled
{
	my @list = @_;

	for my $i (reverse 1 .. $#list)
	{
		my $j = draw($i + 1);
		@list[ $i, $j ] = @list[ $j, $i ];
	}
	return @list;
}

# weighted(VALUE => WEIGHT, ...)
sub weighted
{
	my @pairs = @_;
	my $total = 0;

	for (my $i = 1; $i < @pairs; $i += 2) { $total += $pairs[$i] }
	my $at = rand $total;
	while (@pairs > 2 && ($at -= $pairs[1]) >= 0) { splice @pairs, 0, 2 }
	return $pairs[0];
}

1;

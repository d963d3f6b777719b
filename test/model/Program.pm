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

use Draw;
use Model;
use ProgramAccounts;

# How often each is drawn, and what makes its arguments
my %operations = (
	post => [ 30, \&posting ],
	post_near => [ 8, \&posting_near ],
	post_huge => [ 0.7, \&posting_of_much ],
	post_again => [ 8, \&posting_again ],
	post_wrong => [ 6, \&posting_wrong ],
	post_batch => [ 6, \&batch ],
	reverse => [ 5, \&reversal ],
	raw => [ 5, \&raw_rows ],
	late => [ 1, \&late_entry ],
	attack => [ 1, \&attack_on_rows ],
	constraints => [ 2, sub { +{ immediate => draw(2) } } ],
	rebuild_balances => [ 2, sub { {} } ],
	open_account => [ 3, \&opening ],
	set_account_limits => [ 3, \&limits ],
	set_account_stripes => [ 2, sub { +{ of_account($_[0]), stripes => pick(1, 1, 2, 16, 64, 65) } } ],
	freeze_account => [ 1, \&of_any_account ],
	unfreeze_account => [ 2, sub { +{ of_account($_[0], 'frozen') } } ],
	close_account => [ 1, sub { +{ of_account($_[0], 'empty') } } ],
	reopen_account => [ 1, sub { +{ of_account($_[0], 'closed') } } ],
	hold => [ 6, \&hold ],
	post_hold => [ 4, \&posting_of_hold ],
	void_hold => [ 2, sub { +{ hold => any_hold($_[0]), reason => pick('over', 'mistake') } } ],
	expire_holds => [ 1, sub { +{ most => pick(1, 2, 1000) } } ],
	account => [ 2, sub { +{ account => code(pick(@names), pick(@currencies)) } } ],
	post_many => [ 0.5, \&posting_of_many ],
	balance => [ 4, \&balance_at ],
	statement => [ 2, \&statement ],
	trial_balance_at => [ 0.5, sub { my ($self) = @_; +{ as_of => $self->moment, known_at => $self->tick } } ],
	write_snapshots => [ 3, sub { +{ most => pick(1, 100, 10000) } } ],
	rebuild_snapshots => [ 0.2, sub { +{} } ],
	seal_ledger => [ 1, sub { +{ most => pick(1, 100, 10000) } } ],
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
	my $isolation = pick((('read committed') x 4), 'repeatable read', 'serializable');

	$self->{model}->begin($isolation);
	my ($steps, $ok) = $self->steps(chance(0.7) ? 1 : 1 + draw(6), 0);
	$self->{model}->end($ok ? $end : 'rollback');
	return { isolation => $isolation, steps => $steps, end => $end };
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
		$self->{depth} = $depth;
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

		# PostgreSQL 15 forgets to take SET CONSTRAINTS back when it was said two
		# levels below the one that fails
		next if $name eq 'constraints' && $self->{depth} > 1;
		my $arguments = $operations{$name}[1]->($self) // next;
		my $mark = $self->{model}->mark;
		my ($states) = $self->{model}->perform($name =~ s/_(?:again|huge|many|near|wrong)$//r, $arguments);

		# what fails anyway is not drawn so often
		$self->{model}->back_to($mark);
		next if @$states && $name ne 'post_wrong' && chance(0.6);
		$name =~ s/_(?:again|huge|many|near|wrong)$//;
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

# So many entries that snapshots have something to sum up
sub posting_of_many
{
	my ($self) = @_;
	my $posting = $self->posting;
	my ($one, $other) = shuffled(@names[ 0 .. 9 ]);
	my @amounts = map { 1 + draw(9) } 1 .. 50 + draw(400);

	$posting->{entries} = [ map { ([ $one, undef, "$_" ], [ $other, undef, "-$_" ]) } @amounts ];
	return $posting;
}

# The largest amounts there are: ten of them are more than a balance can be.
sub posting_of_much
{
	my ($self) = @_;
	my $posting = $self->posting;
	my ($one, $other) = shuffled(pick('asset:cash', 'fund:spare'), 'expense:rent');
	my $n = pick('999999999999999', '999999999999998');

	$posting->{entries} = [ map { ([ $one, undef, $n ], [ $other, undef, "-$n" ]) } 1 .. pick(1, 1, 2, 5) ];
	return $posting;
}

# To the limit of an account, or one step past it
sub posting_near
{
	my ($self) = @_;
	my ($account, $room, $grain) = $self->near_a_limit or return;
	my $posting = $self->posting;
	my $currency = named($account->{currency});
	my $out = $account->{kind} =~ /^(?:asset|expense)$/ ? -$room : $room;
	my $other = pick(grep { $_ ne $account->{code} } map { code($_, $account->{currency}) } @names[ 0 .. 7 ]);

	$posting->{entries} = [ [ $account->{code}, $currency, decimal($out) ], [ $other, $currency, decimal(-$out) ] ];
	return $posting;
}

# An account, how much can go out of it (negative: come in) or a step more, and
# that step.  When nothing can go out, something comes in.
sub near_a_limit
{
	my ($self) = @_;
	my @limited = grep { defined $_->{floor} || defined $_->{ceiling} }
	  map { $self->{model}{accounts}{$_} } sort keys %{ $self->{model}{accounts} };
	my $account = @limited ? pick(@limited) : return;
	my $grain = 10**(3 - $Model::digits{ $account->{currency} });
	my $normal = Model::normal($account);
	my @due = grep { $_->{account} eq $account->{code} } $self->{model}->due_holds;
	my $room = defined $account->{floor} ? $normal - $account->{held} - $account->{floor} : 0;

	$room += $_->{amount} for chance(0.5) ? @due : ();
	$room += pick(-$grain, 0, 0, $grain);
	$room = $normal - $account->{ceiling} + pick(-$grain, 0, $grain)
	  if defined $account->{ceiling} && (!defined $account->{floor} || chance(0.4));
	return ($account, $room > 0 || $room < 0 && defined $account->{ceiling} ? $room : -$grain * (1 + draw(1000)), $grain);
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
	my $arguments = { key => $old && chance(0.9) ? $old->{key} : 'nowhere',
		reason => chance(0.9) ? 'mistake' : 'wish' };

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
		my ($debit, $credit) = map { $_ ? pick(@$_) : undef } @{ $sides{$currency} }{qw(debit credit)};
		my $grain = 10**(3 - $Model::digits{$currency});

		next if !$debit || !$credit || @entries && chance(0.4);
		my ($most) = sort { $a <=> $b } map { int(abs($_->[2]) / $grain) } $debit, $credit;
		my $n = $grain * (chance(0.85) ? 1 + draw($most) : $most + 1);

		push @entries, [ $debit->[0], named($currency), decimal($n) ],
		  [ $credit->[0], named($currency), decimal(-$n) ];
	}
	push @entries, map { [@$_] } @entries if chance(0.2);
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

	my @accounts = map { $self->{model}{accounts}{ $_->[0] } // return } @$entries;
	my $fits = !grep { ($entries->[$_][1] // 'KRW') ne $accounts[$_]{currency} } 0 .. $#accounts;

	# as a replica does, past foreign keys
	$raw->{how} = pick(qw(insert copy rows merge), $fits ? 'replica' : ());
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
		as_of => $self->moment, known_at => $self->tick };
}

sub statement
{
	my ($self) = @_;

	return {
		account => code(pick(@names, 'asset:none'), pick(@currencies)), from => $self->moment, to => $self->moment,
		clock => chance(0.95) ? pick('effective', 'recorded') : 'broken', known_at => $self->tick };
}

# When a transaction so far was over, or nothing
sub tick
{
	my ($self) = @_;
	my $tick = $self->{model}{tick};

	return $tick > 0 && chance(0.5) ? $Model::NOW + draw($tick) : undef;
}

# Some moment on any clock, or nothing
sub moment
{
	my ($self) = @_;
	return chance(0.2) ? undef : $self->tick // effective();
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

1;

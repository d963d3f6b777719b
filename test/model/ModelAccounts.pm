# ModelAccounts: the second half of the model: accounts and holds.
#
# A hold is "due" when it was made to expire at once: the server ends it when
# expire_holds is called, or when somebody needs the money or the account.  All
# others outlive any program.
package Model;

use strict;
use warnings;

my %is_booked = map { $_ => 1 } qw(psp buyer seller platform);

#
# Accounts
#

# Opened with what is given, or with what the code says
sub open_account
{
	my ($self, $arguments) = @_;
	my ($code, @states) = ($arguments->{code});
	my $says = defaults($code);
	my $kind = $arguments->{kind} // $says->{kind};
	my $currency = $arguments->{currency} // $says->{currency} // 'KRW';
	my ($floor, $ceiling) = map { defined $arguments->{$_} ? thousandths($arguments->{$_}) : undef } qw(floor ceiling);
	my $limited = defined $floor || defined $ceiling;
	my $stripes = $arguments->{stripes} // ($limited ? 1 : $says->{stripes});
	my $fixed = $says->{currency} // ($is_booked{ $says->{prefix} } ? 'KRW' : undef);

	push @states, '22023' if !is_code($code);
	push @states, 'PY012' if !defined $kind;
	push @states, '22023' if defined $kind && ($kind !~ /^(?:asset|liability|revenue|expense)$/
		|| defined $says->{kind} && $kind ne $says->{kind});
	push @states, 'PY013' if defined $fixed && $currency ne $fixed;
	push @states, '22023' if faulty_limits($currency, $floor, $ceiling)
	  || $stripes < 1 || $stripes > 64 || $limited && $stripes > 1;
	return \@states if @states;

	my $opened = text([ $kind, $currency, $floor, $ceiling, $stripes ]);
	if (my $old = $self->{accounts}{$code})
	{
		return [ $old->{opened} eq $opened ? () : 'PY011' ];
	}
	return ['PY019'] if ($floor // 0) > 0 || ($ceiling // 0) < 0;
	$self->add_account($code, $kind, $currency, $stripes, floor => $floor, ceiling => $ceiling);
	$self->record($self->{accounts}{$code}, 'opened', $arguments->{reason});
	return [];
}

# By its first posting
sub open_by_code
{
	my ($self, $code) = @_;
	my $says = defaults($code);

	return '22023' if !is_code($code);
	return 'PY012' if !defined $says->{kind};
	return $self->add_account($code, $says->{kind}, $says->{currency} // 'KRW', $says->{stripes});
}

sub add_account
{
	my ($self, $code, $kind, $currency, $stripes, %limits) = @_;

	$self->set($self->{accounts}, $code, {
		code => $code, kind => $kind, currency => $currency, stripes => $stripes, %limits,
		state => 'o', held => 0, cached => 0, balance => 0, events => [],
		opened => text([ $kind, $currency, @limits{qw(floor ceiling)}, $stripes ]) });
	return $self->{accounts}{$code};
}

sub faulty_limits
{
	my ($currency, $floor, $ceiling) = @_;
	return 1 if !exists $Model::digits{$currency};
	my $grain = 10**(3 - $Model::digits{$currency});

	return 1 if grep { defined && $_ % $grain } $floor, $ceiling;
	return defined $floor && defined $ceiling && $floor > $ceiling;
}

sub set_account_limits
{
	my ($self, $arguments) = @_;
	my ($account, @states) = $self->lock_account($arguments);
	return \@states if @states;
	my ($floor, $ceiling) = map { defined $arguments->{$_} ? thousandths($arguments->{$_}) : undef } qw(floor ceiling);

	push @states, 'PY018' if $account->{state} eq 'c';
	push @states, '55000' if $account->{stripes} > 1;
	push @states, '22023' if faulty_limits($account->{currency}, $floor, $ceiling);
	return \@states if @states;
	return [] if !grep { ($_->[0] // '') ne ($_->[1] // '') } [ $floor, $account->{floor} ], [ $ceiling, $account->{ceiling} ];
	$self->set($account, 'floor', $floor);
	$self->set($account, 'ceiling', $ceiling);
	$self->record($account, 'limited', $arguments->{reason});
	return [ is_past($account) ? 'PY019' : () ];
}

# Is an account past its limits, as it stands?
sub is_past
{
	my ($account) = @_;
	my $normal = normal($account);

	return 1 if defined $account->{floor} && $normal - $account->{held} < $account->{floor};
	return defined $account->{ceiling} && $normal > $account->{ceiling};
}

# The balance on the account's normal side
sub normal
{
	my ($account) = @_;
	return $account->{kind} =~ /^(?:asset|expense)$/ ? $account->{cached} : -$account->{cached};
}

sub set_account_stripes
{
	my ($self, $arguments) = @_;
	my ($account, @states) = $self->lock_account($arguments);
	my $stripes = $arguments->{stripes};

	push @states, '22023' if $stripes < 1 || $stripes > 64;
	return \@states if @states;
	push @states, 'PY018' if $account->{state} eq 'c';
	push @states, '55000' if $stripes > 1
	  && ($account->{held} || defined $account->{floor} || defined $account->{ceiling});
	return \@states if @states;
	return [] if $stripes == $account->{stripes};
	$self->set($account, 'stripes', $stripes);
	$self->record($account, 'striped', $arguments->{reason});
	return [];
}

sub freeze_account { my ($self, $arguments) = @_; return $self->change_state($arguments, qw(o f frozen)) }

sub unfreeze_account { my ($self, $arguments) = @_; return $self->change_state($arguments, qw(f o unfrozen)) }

sub close_account { my ($self, $arguments) = @_; return $self->change_state($arguments, qw(o c closed)) }

sub reopen_account { my ($self, $arguments) = @_; return $self->change_state($arguments, qw(c o reopened)) }

sub change_state
{
	my ($self, $arguments, $from, $to, $event) = @_;
	my ($account, @states) = $self->lock_account($arguments);

	return \@states if @states;
	my $change = "$event: $arguments->{reason}";
	return [] if $account->{state} eq $to && ($account->{changed} // '') eq $change;
	return ['PY018'] if $account->{state} ne $from;
	return ['55000'] if $to eq 'c' && ($account->{cached} || $account->{held});
	$self->set($account, 'state', $to);
	$self->set($account, 'changed', $change);
	$self->record($account, $event, $arguments->{reason});
	return [];
}

# The account that an operator names; its due holds end first.
sub lock_account
{
	my ($self, $arguments) = @_;
	my $account = $self->{accounts}{ $arguments->{code} } or return (undef, 'PY012');

	$self->end_due($account);
	return $account;
}

sub record
{
	my ($self, $account, $event, $reason) = @_;
	my $now = text([ 'event', @$account{qw(code)}, $event, @$account{qw(state stripes)},
			map({ defined ? "$_" : undef } @$account{qw(floor ceiling)}), $reason ]);

	$self->set($account, 'events', [ @{ $account->{events} }, $now ]);
	return;
}

#
# Holds
#

sub hold
{
	my ($self, $arguments) = @_;
	my ($key, $code) = @$arguments{qw(key account)};
	my $amount = thousandths($arguments->{amount});
	my ($account, @states) = ($self->{accounts}{$code});

	return ['22023'] if length $key < 1 || length $key > 200 || $code =~ /^seller:/;
	return ['PY012'] if !$account;
	push @states, 'PY013' if ($arguments->{currency} // $account->{currency}) ne $account->{currency};
	push @states, '22023' if $amount <= 0 || $amount % 10**(3 - $Model::digits{ $account->{currency} });
	push @states, '22003' if $amount >= 10**18;
	return \@states if @states;

	my $content = text([ $code, "$amount", @$arguments{qw(order_id description metadata expires)} ]);
	if (my $old = $self->{holds}{$key})
	{
		return $old->{content} eq $content ? ([], 't') : ['PY011'];
	}
	return ['PY018'] if $account->{state} ne 'o';
	return ['55000'] if $account->{stripes} > 1;
	$self->end_due($account) if $account->{held} && lacks($account, $amount);
	return ['PY019'] if lacks($account, $amount);
	$self->set($account, 'held', $account->{held} + $amount);
	$self->set($self->{holds}, $key, { %$arguments, amount => $amount, content => $content,
			due => ($arguments->{expires} // '') eq 'soon', number => ++$self->{hold_number} });
	return ([], 'f');
}

sub lacks
{
	my ($account, $amount) = @_;
	return defined $account->{floor} && normal($account) - $account->{held} - $amount < $account->{floor};
}

# Entries that take from the held account; the rest of the hold is released.
sub post_hold
{
	my ($self, $arguments) = @_;
	my $hold = $self->{holds}{ $arguments->{hold} };
	my $posting = { %$arguments, key => 'x', order_id => $hold && $hold->{order_id} };
	my @states = grep { $_ ne '23514' } $self->faults_of($posting);

	return \@states if @states;
	return ['PY021'] if !$hold;
	$posting->{key} = "hold:$arguments->{hold}";
	my $old = $self->{transactions}{ $posting->{key} };
	push @states, '23514' if unbalanced(entries($posting));
	if ($old)
	{
		push @states, 'PY011' if $self->differences($old, $posting);
		return (\@states, 't');
	}
	return ['PY022'] if $hold->{outcome} || $hold->{due};

	my $taken = 0;
	my $account = $self->{accounts}{ $hold->{account} };
	$taken += $_->[2] for grep { $_->[0] eq $account->{code} } @{ entries($posting) };
	$taken = -$taken if $account->{kind} =~ /^(?:asset|expense)$/;
	push @states, '22023' if $taken <= 0 || $taken > $hold->{amount};
	return \@states if @states;
	$self->write($posting);
	push @states, $self->move(entries($posting), $account, $hold->{amount});
	$self->end_hold($hold, 'posted', $taken);
	return (\@states, 'f');
}

sub void_hold
{
	my ($self, $arguments) = @_;
	my $hold = $self->{holds}{ $arguments->{hold} } or return ['PY021'];

	return [] if ($hold->{outcome} // '') eq 'voided' && $hold->{reason} eq $arguments->{reason};
	return ['PY022'] if $hold->{outcome};
	$self->release($hold, 'voided');
	$self->set($hold, 'reason', $arguments->{reason});
	return [];
}

# The oldest first
sub expire_holds
{
	my ($self, $arguments) = @_;
	my @due = $self->due_holds;

	splice @due, $arguments->{most} if @due > $arguments->{most};
	$self->release($_, 'expired') for @due;
	return ([], scalar @due);
}

sub due_holds
{
	my ($self) = @_;
	return sort { $a->{number} <=> $b->{number} }
	  grep { $_->{due} && !$_->{outcome} } values %{ $self->{holds} };
}

sub end_due
{
	my ($self, $account) = @_;

	return if !$account->{held};
	$self->release($_, 'expired') for grep { $_->{account} eq $account->{code} } $self->due_holds;
	return;
}

sub release
{
	my ($self, $hold, $outcome) = @_;
	my $account = $self->{accounts}{ $hold->{account} };

	$self->set($account, 'held', $account->{held} - $hold->{amount});
	$self->end_hold($hold, $outcome);
	return;
}

sub end_hold
{
	my ($self, $hold, $outcome, $taken) = @_;

	$self->set($hold, 'outcome', $outcome);
	$self->set($hold, 'taken', $taken);
	return;
}

#
# Reading
#

# What is past its time is not held any more, whether that was written or not.
sub held_now
{
	my ($self, $account) = @_;
	my $held = $account->{held};

	$held -= $_->{amount} for grep { $_->{account} eq $account->{code} } $self->due_holds;
	return $held;
}

# State, mode, what is held and what is available, as people see them
sub account
{
	my ($self, $arguments) = @_;
	my $account = $self->{accounts}{ $arguments->{account} } or return ([], '');
	my $held = $self->held_now($account);

	return ([], join ' ', { o => 'open', f => 'frozen', c => 'closed' }->{ $account->{state} },
		$account->{stripes} > 1 ? 'striped' : 'exact', $held,
		normal($account) - $held - ($account->{floor} // 0));
}

sub events
{
	my ($self) = @_;
	return sort map { @{ $_->{events} } } values %{ $self->{accounts} };
}

sub holds
{
	my ($self) = @_;
	my @lines = map { text([ 'hold', @$_{qw(key account)}, "$_->{amount}",
			@$_{qw(order_id description metadata outcome)}, defined $_->{taken} ? "$_->{taken}" : undef,
			$_->{reason} ]) } values %{ $self->{holds} };

	return sort @lines;
}

1;

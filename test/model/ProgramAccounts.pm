# ProgramAccounts: what a program does to accounts and holds.
package Program;

use strict;
use warnings;

use Draw;
use Model;

sub opening
{
	my ($self) = @_;
	my $code = code(pick(@names, 'liability:wallet:1', 'fund:spare', 'odd', 'asset:other'), pick(@currencies));
	my $opening = { code => $code, reason => pick(undef, 'wanted') };

	$opening->{kind} = pick(qw(asset liability revenue expense)) if chance(0.2);
	$opening->{kind} = 'liability' if $code =~ /^(?:fund|liability)/ && chance(0.8);
	$opening->{currency} = pick(@currencies, 'EUR') if chance(0.1);
	$opening->{stripes} = pick(1, 4, 64, 0) if chance(0.2);
	@$opening{qw(floor ceiling)} = bounds() if chance(0.5);
	return $opening;
}

# A floor and a ceiling, or one of them
sub bounds
{
	my ($floor, $ceiling) = (pick(0, 0, -100, -500, 5), pick(0, 500, 5000, 100_000, -1));

	return (chance(0.8) ? $floor : undef, chance(0.3) ? $ceiling : undef);
}

sub limits
{
	my ($self) = @_;
	my ($floor, $ceiling) = bounds();

	return { of_account($self), floor => $floor, ceiling => $ceiling };
}

sub of_any_account { my ($self) = @_; return +{ of_account($self) } }

# An account, of this sort if there is one, and a reason
sub of_account
{
	my ($self, $sort) = @_;
	my $accounts = $self && $self->{model}{accounts};
	my %sorts = (
		frozen => sub { $_->{state} eq 'f' }, closed => sub { $_->{state} eq 'c' },
		empty => sub { $_->{state} eq 'o' && !$_->{cached} && !$_->{held} });
	my @fit = $sort ? grep { $sorts{$sort}->() } map { $accounts->{$_} } sort keys %$accounts : ();

	return (code => @fit && chance(0.9) ? pick(@fit)->{code} : code(pick(@names), pick('KRW', @currencies)),
		reason => pick('audit', 'wish'));
}

sub hold
{
	my ($self) = @_;
	my $old = $self->{model}{holds}{ any_hold($self) };
	my $currency = pick(@currencies);

	return {
		%$old{qw(key account order_id description metadata expires)},
		amount => decimal($old->{amount} + (chance(0.3) ? 1000 : 0)) } if $old && chance(0.2);
	my ($near, $room) = $self->near_a_limit;
	return {
		key => 'h:' . ++$self->{serial}, account => $near->{code}, amount => decimal($room), currency => undef,
		expires => pick(undef, 'later', 'soon', 'soon') } if $near && $room > 0 && chance(0.5);
	return {
		key => 'h:' . ++$self->{serial}, account => code(pick(@names), $currency),
		amount => chance(0.95) ? decimal(abs amount($currency)) : pick('0', '-1', '0.001'),
		currency => pick(undef, undef, $currency, 'USD'), expires => pick(undef, 'later', 'soon', 'soon'),
		order_id => chance(0.3) ? 'order-' . draw(20) : undef,
		description => chance(0.2) ? 'room' : undef, metadata => chance(0.2) ? { n => draw(10) } : undef };
}

sub any_hold
{
	my ($self) = @_;
	my $holds = $self->{model}{holds};
	my @open = grep { !$holds->{$_}{outcome} } sort keys %$holds;

	return chance(0.8) && @open ? pick(@open) : pick('nowhere', sort keys %$holds);
}

# What takes all or some of a hold, or tries to take more
sub posting_of_hold
{
	my ($self) = @_;
	my $key = any_hold($self);
	my $hold = $self->{model}{holds}{$key};
	my $old = $self->{model}{transactions}{"hold:$key"};
	my $posting = $self->posting;

	delete @$posting{qw(key how order_id)};
	$posting->{hold} = $key;
	return $posting if !$hold;
	if ($old && chance(0.8))
	{
		@$posting{qw(kind description metadata)} = @$old{qw(kind description metadata)};
		$posting->{effective} = undef;
		$posting->{entries} = [ map { [ $_->[0], $_->[1], decimal($_->[2]) ] } @{ $old->{entries} } ];
		return $posting;
	}
	my $account = $self->{model}{accounts}{ $hold->{account} };
	my $grain = 10**(3 - $Model::digits{ $account->{currency} });
	my $amount = weighted($hold->{amount} => 4, $hold->{amount} + $grain => 1, $grain * draw($hold->{amount} / $grain) => 5);
	my ($currency) = map { $_ eq 'KRW' ? undef : $_ } $account->{currency};

	$amount ||= $grain;
	$amount = -$amount if $account->{kind} =~ /^(?:asset|expense)$/;
	$posting->{entries} = [
		[ $hold->{account}, $currency, decimal($amount) ],
		[ code(pick(@names[ 0 .. $#names - 1 ]), $account->{currency}), $currency, decimal(-$amount) ] ];
	return $posting;
}

1;

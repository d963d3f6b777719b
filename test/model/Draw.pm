# Draw: values at random, for programs.
package Draw;

use strict;
use warnings;

use Exporter qw(import);

use Model;

our @EXPORT = qw(@currencies @names code named amount decimal effective draw chance pick shuffled weighted);

our @currencies = qw(KRW USD JPY);
our @names = qw(asset:cash asset:bank liability:wallet:1 liability:wallet:2 buyer:7 liability:deposit
  revenue:fee expense:rent psp:toss platform:commission fund:spare);

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

# All from the one generator of random numbers that the seed starts
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

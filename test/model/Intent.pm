# Intent: what a key of the concurrent test stands for.
#
# The content of a posting or a hold follows from its key alone, so whoever
# reads the rows afterwards knows what was meant, and needs no list of what was
# sent.  "c:SEED:SESSION:INDEX" is one session's own posting, "s:SEED:INDEX" is
# posted by all of them; "r:SEED:SESSION:INDEX" is written as rows, past the
# functions, and so moves no balance: what goes to an account comes from it again.
# "h:SEED:INDEX" is a hold that all make, and all try to end.  The metadata of
# postings holds a checksum of the entries.
package Intent;

use strict;
use warnings;

use Digest::MD5 qw(md5);
use Digest::SHA qw(sha256_hex);

our $wallets = 8;

# The account that is frozen now and then, and the one whose stripes change
our $frozen = 'asset:till';
our $changing = 'liability:pool';

# Accounts of a third currency
our @plain = map { "asset:plain:$_:JPY" } 0 .. 9;

# Accounts with limits, on their normal side: [floor, ceiling]
our %limits = (
	(map { wallet($_) => [ 0, undef ] } 0 .. $wallets - 1),
	(map { wallet($_, 'USD') => [ -50, undef ] } 0 .. $wallets - 1),
	'asset:bank' => [ -100_000, 100_000 ]);

sub wallet
{
	my ($n, $currency) = @_;
	return 'liability:w:' . $n % $wallets . ($currency ? ":$currency" : '');
}

# Entries as [account, currency, amount], in whole units.
sub entries
{
	my ($key) = @_;
	return rows($key) if $key =~ /^r:/;
	my ($shape, $from, $to, $size, @more) = unpack 'N*', md5($key) . md5("$key+") . md5("$key++");
	my $n = 1 + $size % 1000;
	my ($a, $b) = (wallet($from), wallet($from + 1 + $to % ($wallets - 1)));
	my @shapes = (
		sub { return ([ $a, 'KRW', $n ], [ $b, 'KRW', -$n ]) },
		sub { return ([ 'psp:toss', 'KRW', 4 * $n ], [ $a, 'KRW', -4 * $n ]) },
		sub { return ([ $a, 'KRW', 2 * $n ], [ 'psp:toss', 'KRW', -2 * $n ]) },
		sub { return ([ $a, 'KRW', 10 * $n ], [ $b, 'KRW', -9 * $n ], [ 'platform:commission', 'KRW', -$n ]) },
		sub {
			my @all = map { [ wallet($_), 'KRW', $_ % 2 ? $n : -$n ] } 0 .. $wallets - 1;
			return $from % 2 ? @all : reverse @all;
		},
		sub {
			return ([ $a, 'KRW', $n ], [ $b, 'KRW', -$n ],
				[ wallet($to, 'USD'), 'USD', 1 + $n % 9 ], [ wallet($to + 1, 'USD'), 'USD', -1 - $n % 9 ]);
		},
		sub {
			my @all = map { [ $plain[$_], 'JPY', $_ % 2 ? $n : -$n ] } 0 .. $#plain;
			return (
				[ $b, 'KRW', -$n ], ($from % 2 ? @all : reverse @all), [ $a, 'KRW', $n ],
				map { ([ wallet($_, 'USD'), 'USD', 1 ], [ wallet($_ + 1, 'USD'), 'USD', -1 ]) } 0 .. 3);
		},
		sub { return ([ 'asset:bank', 'KRW', $n * 20 ], [ $a, 'KRW', -$n * 20 ]) },
		sub { return ([ $a, 'KRW', $n * 20 ], [ 'asset:bank', 'KRW', -$n * 20 ]) },
		sub { return ([ $changing, 'KRW', $n ], [ 'psp:toss', 'KRW', -$n ]) },
		sub { return ([ $b, 'KRW', $n ], [ $changing, 'KRW', 2 * $n ], [ $frozen, 'KRW', -3 * $n ]) },
		sub { return ([ $frozen, 'KRW', $n ], [ $a, 'KRW', -$n ]) },

		# opened by their first posting, by many sessions at once
		sub {
			my @new = map { 'buyer:' . $_ % 2000 } @more[ 0 .. 3 ];
			return ([ $new[0], 'KRW', $n ], [ $new[1], 'KRW', $n ], [ $new[2], 'KRW', -$n ], [ $new[3], 'KRW', -$n ]);
		});

	return $shapes[ $shape % @shapes ]->();
}

# Two to twenty entries in one to three currencies that change no account
sub rows
{
	my ($key) = @_;
	my ($n, $first, $size) = unpack 'N*', md5($key);

	return map {
		my ($account, $currency) = (
			[ wallet($first + $_), 'KRW' ], [ wallet($first + $_, 'USD'), 'USD' ], [ $plain[ ($first + $_) % @plain ], 'JPY' ])[ $_ % 3 ]->@*;
		([ $account, $currency, 1 + $n % 1000 ], [ $account, $currency, -1 - $n % 1000 ])
	} 0 .. $size % 10;
}

# The half of it that takes it back in part
sub half
{
	my ($key) = @_;
	return map { [ @$_[ 0, 1 ], -int($_->[2] / 2) ] } grep { abs $_->[2] > 1 } entries($key);
}

# A hold: account, amount, when it expires, and the entries that end it.
sub hold
{
	my ($key) = @_;
	my ($account, $amount, $expires, $taken) = unpack 'N*', md5($key);
	my $code = wallet($account);

	$amount = 1 + $amount % 500;
	$taken = $taken % 2 ? $amount : 1 + $taken % $amount;
	return ($code, $amount, (undef, '1 day', '20 ms')[ $expires % 3 ],
		[ $code, 'KRW', $taken ], [ 'revenue:fee', 'KRW', -$taken ]);
}

# The same for entries in any order
sub checksum
{
	return substr sha256_hex(join '|', sort map { "@$_" } @_), 0, 16;
}

# Whether a key is one of this seed's
sub is_ours
{
	my ($key, $seed) = @_;
	return $key =~ /^(?:[cr]:\Q$seed\E:\d+:\d+|[sh]:\Q$seed\E:\d+)$/;
}

1;

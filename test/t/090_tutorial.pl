# The tutorial and the chapters on the ledger are true: the sql and sh blocks of
# a page run, in order, in a database of its own, and what they print is what
# the text block behind them says.
#
# A block whose text has a line that begins with "ERROR:" must fail, any other
# must not.  When an SQLSTATE follows, it is compared too.  Before the comparison
# times, durations, how a connection was made or broke, roles that acted, and
# hexadecimal strings of 32 and more digits become one word each; runs of blanks
# and of dashes shrink to one, since they are as wide as the values; and empty
# lines at the end do not count.

use strict;
use warnings;

use IPC::Run qw(run timeout);
use PaymentsTest;
use Test::More;

# Pages, and the databases in which they run
my @pages = (
	[ 'tutorial', 'shop' ],
	[ 'ledger-for-developers', 'ledger_developers' ],
	[ 'ledger-for-accountants', 'ledger_accountants' ],
	[ 'ledger-for-dbas', 'ledger_dbas' ],
);
my $shop = PaymentsTest->new(
	databases => [ map { $_->[1] } @pages ],
	init => { extra => [ '--encoding=UTF8', '--locale=C.UTF-8' ] });
my %command = (
	sql => [qw(psql -X -v ON_ERROR_STOP=1)],
	sh => [qw(bash -euo pipefail -s)],
);

$ENV{PGHOST} = $shop->{node}->host;
$ENV{PGPORT} = $shop->{node}->port;
$ENV{PGTZ} = 'Asia/Seoul';
$ENV{PGCLIENTENCODING} = 'UTF8';
$ENV{TOSS_CONTROL_URL} = $shop->{control};

for (@pages)
{
	my ($page, $database) = @$_;
	my @blocks = read_blocks("../doc/$page.md");

	local $ENV{PGDATABASE} = $database;
	cmp_ok(scalar @blocks, '>', 10, "$page has blocks");
	check_block($page, $_) for @blocks;
}
done_testing();

# Blocks to run: kind, line, code, and text when it is stated.
sub read_blocks
{
	my ($name) = @_;
	my (@found, $block);

	open(my $file, '<', $name) or die "$name: $!\n";
	while (my $line = <$file>)
	{
		if ($block && $line eq "```\n")
		{
			push @found, $block if $command{ $block->{kind} };
			$found[-1]{text} = $block->{code} if $block->{kind} eq 'text';
			undef $block;
		}
		elsif ($block)
		{
			$block->{code} .= $line;
		}
		elsif ($line =~ /^```(\w*)$/)
		{
			$block = { kind => $1, line => $., code => '' };
		}
	}
	die "$name: a block does not end\n" if $block;
	return @found;
}

sub check_block
{
	my ($page, $block) = @_;
	my $may_fail = defined $block->{text} && $block->{text} =~ /^ERROR:/m;
	my $said = '';
	my @command = @{ $command{ $block->{kind} } };

	push @command, '-v', 'VERBOSITY=verbose'
	  if $may_fail && $block->{text} =~ /^ERROR:  [0-9A-Z]{5}:/m;
	my $ended = run(\@command, '<', \$block->{code}, '>&',
		\$said, timeout($PaymentsTest::timeout));
	my $name = "$page, line $block->{line}: $block->{kind}";

	if ($may_fail ? $ended : !$ended)
	{
		fail("$name ends as it should");
		diag($said);
	}
	elsif (defined $block->{text})
	{
		is(plain($said), plain($block->{text}), "$name says what it should");
	}
	else
	{
		pass("$name runs");
	}
	return;
}

sub plain
{
	my ($text) = @_;

	$text =~ s/^(?:LOCATION|[A-Z]+ NAME):.*\n//mg;
	$text =~ s/\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:[+-]\d\d(?::\d\d)?|Z)?/<time>/g;
	$text =~ s/[0-9a-f]{32,}/<hex>/g;
	$text =~ s/\b\d+\.\d ms\b/<ms>/g;
	$text =~ s/\bby "\w+"/by <role>/g;
	$text =~ s/\bno answer \([^)]*\)/no answer (<why>)/g;
	$text =~ s/\(on a kept connection,|\(connected after <ms>,/(<connection>,/g;
	$text =~ s/-{2,}/--/g;
	$text =~ s/[ \t]+/ /g;
	$text =~ s/ $//mg;
	$text =~ s/\n+\z//;
	return $text;
}

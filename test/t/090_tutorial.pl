# The tutorial is true: its sql and sh blocks run, in order, in one shop, and
# what they print is what the text block behind them says.
#
# A block whose text has a line that begins with "ERROR:" must fail, any other
# must not.  Before the comparison times and hexadecimal strings of 32 and more
# digits become one word each, and runs of blanks and of dashes shrink to one,
# since they are as wide as the values; empty lines at the end do not count.

use strict;
use warnings;

use IPC::Run qw(run timeout);
use PaymentsTest;
use Test::More;

my $page = '../doc/tutorial.md';
my $shop = PaymentsTest->new(
	init => { extra => [ '--encoding=UTF8', '--locale=C.UTF-8' ] });
my %command = (
	sql => [qw(psql -X -v ON_ERROR_STOP=1)],
	sh => [qw(bash -euo pipefail -s)],
);

$ENV{PGHOST} = $shop->{node}->host;
$ENV{PGPORT} = $shop->{node}->port;
$ENV{PGDATABASE} = 'shop';
$ENV{PGCLIENTENCODING} = 'UTF8';
$ENV{TOSS_CONTROL_URL} = $shop->{control};

my @blocks = read_blocks($page);
cmp_ok(scalar @blocks, '>', 20, 'the tutorial has blocks');
check_block($_) for @blocks;
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
	my ($block) = @_;
	my $may_fail = defined $block->{text} && $block->{text} =~ /^ERROR:/m;
	my $said = '';
	my $ended = run($command{ $block->{kind} }, '<', \$block->{code}, '>&',
		\$said, timeout($PaymentsTest::timeout));
	my $name = "line $block->{line}: $block->{kind}";

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

	$text =~ s/\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:[+-]\d\d(?::\d\d)?|Z)?/<time>/g;
	$text =~ s/[0-9a-f]{32,}/<hex>/g;
	$text =~ s/-{2,}/--/g;
	$text =~ s/[ \t]+/ /g;
	$text =~ s/ $//mg;
	$text =~ s/\n+\z//;
	return $text;
}

# What other programs say about the sources, one test each; their words are the
# diagnostics.  A program that this system does not have is a skipped test.

use strict;
use warnings;

use Test::More;

my $pg_config = $ENV{PG_CONFIG} // 'pg_config';
my @pure = grep { -e } map { "src/$_.c" }
  qw(money order_state resolution toss toss_json http http_exchange);

# Warnings there are few of, so that nobody learns to overlook them
silent('cppcheck', 'cppcheck finds nothing',
	'cppcheck', '--enable=warning,performance,portability',
	qw(--quiet --inline-suppr --std=c11 --suppress=missingInclude
	--suppress=unknownMacro --include=test/lint/server.h), glob('src/*.c'));

# In files with the server's headers its guesses about them are mostly wrong.
silent('gcc', 'gcc -fanalyzer finds nothing in the pure files',
	qw(gcc -std=gnu11 -O1 -c -o /dev/null -fanalyzer -Werror -DFRONTEND),
	'-I' . capture($pg_config, '--includedir-server'), '-Isrc', $_)
  for @pure;

SKIP:
{
	skip 'payments.so is not built', 2 unless -e 'payments.so';

	silent('pg_bsd_indent', 'make indent changes nothing', 'test/lint/indent',
		'--check');

	my @strangers = grep {
		!/^(?:pay_\w+|payments_\w+|pg_finfo_payments_\w+)$/
		  && !/^(?:Pg_magic_func|_PG_init|_PG_fini|_init|_fini)$/
	} map { (split)[-1] } split /\n/, capture(qw(nm -D --defined-only payments.so));

	ok(!@strangers, 'every name that other libraries see is ours')
	  or diag(join "\n", @strangers);
}

done_testing();

# silent PROGRAM, NAME, COMMAND...: it succeeds and has nothing to say.
sub silent
{
	my ($program, $name, @command) = @_;

  SKIP:
	{
		skip "$program is not there", 1
		  if system("command -v $program >/dev/null") != 0;
		my $said = capture(@command);

		ok($? == 0 && $said eq '', $name) or diag($said);
	}
	return;
}

# What a command says, on both channels, without the last newline
sub capture
{
	my $pid = open(my $out, '-|') // die "cannot fork: $!\n";

	if ($pid == 0)
	{
		open(STDERR, '>&', \*STDOUT) or die $!;
		exec(@_) or die "$_[0]: $!\n";
	}
	my $said = do { local $/; <$out> } // '';
	close($out);
	chomp $said;
	return $said;
}

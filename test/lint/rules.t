# Rules that the sources keep, one test a rule; each offence is one line of
# diagnostics.  Comments and literals are blanked out where code is meant.

use strict;
use warnings;

use Test::More;

# Which layer a file of src/ is in: the first pattern that its name without
# suffix matches.  A file includes headers of its own layer and of lower ones.
# "pure" is the lowest and stands aside: no header of the server's or of SQL.
my @layers = (
	[ pure => qr/^(?:money|order_state|refund_state|resolution(?:_.*)?|reconciliation|hint|shard|schedule|deposit_plan|call_queue|due_heap|bucket|breaker|jump|reach|turn_size|(?:toss|http)(?:_.*)?)$/ ],
	[ entry => qr/_trigger$|^refund_(?:request|wait)$/ ],
	[ domain =>
		  qr/^(?:order|refund|operator|psp|settle|deposit|ledger|zero_sum|wallet|event|inbox|guard|schema|arming|merchant)(?:_|$)/ ],
	[ base =>
		  qr/^(?:db|search|table|amount|currency|args|guc|errors|compat|trigger|clock|secret|token|place|digest|fault)(?:_|$)/ ],
	[ base => qr/^(?:wake|flow|shared_memory|worker_hold|worker_knock|worker_slot|worker_stats)(?:_|$)/ ],
	[ entry => qr// ],
);
my %height = (pure => 0, base => 1, domain => 2, entry => 3);

# The parser of JSON and the hash are the server's, but work in a program as well.
my %pure_may = (
	shard => qr{^(?:postgres|postgres_fe|common/hashfn)\.h$},
	map { $_ => qr{^(?:postgres|postgres_fe|compat|common/jsonapi|mb/pg_wchar)\.h$} } qw(toss_parse toss_json toss_list));

my @banned = qw(strcpy strcat sprintf vsprintf gets strtok alloca system popen
  atoi atol atoll atof strtod strtof);
my @floating = qw(float double float4 float8 Float4GetDatum Float8GetDatum
  DatumGetFloat4 DatumGetFloat8 PG_GETARG_FLOAT4 PG_GETARG_FLOAT8
  PG_RETURN_FLOAT4 PG_RETURN_FLOAT8);

my @sources = sort glob('src/*.[ch]');
my %text = map { $_ => read_file($_) } @sources;
my %code = map { $_ => blank_out($text{$_}) } @sources;

rule('headers are of the same layer or a lower one', sub { map { wrong_arrows($_) } @sources });

rule('pure files know no server', sub { map { server_headers($_) } @sources });

rule('only db.c calls SPI', sub {
	matches(qr/\bSPI_\w+|executor\/spi\.h/, grep { $_ ne 'src/db.c' } @sources);
});

rule('only compat.h asks for the version of the server', sub {
	matches(qr/\bPG_VERSION_NUM\b/, grep { $_ ne 'src/compat.h' } @sources);
});

rule('no unsafe calls', sub { matches(words('\s*\(', @banned), @sources) });

rule('no floating point', sub { matches(words('\b', @floating), @sources) });

rule('comments are /* */, and start each file', sub {
	return (matches(qr{//}, @sources),
		map { "$_:1: no comment" } grep { $text{$_} !~ m{^/\*} } @sources);
});

# The formatter aims at 79 columns; past 90 a person has to break the line.
# Messages are never broken.
rule('lines end where they should', sub {
	return map { long_lines($_) } @sources;
});

rule('each fault point is there once, and struck at', sub {
	my %times;
	$times{$_}++ for map { $text{$_} =~ /PAY_FAULT(?:_QUIET)?\("([^"]+)"\)/g } @sources;
	my %struck = map { $_ => 1 }
	  read_file('test/crash/Crash.pm') =~ /^\t'([a-z-]+)' => \{ by =>/mg;

	return ((map { "$_: $times{$_} times" } grep { $times{$_} > 1 } sort keys %times),
		(map { "$_: not in Crash.pm" } grep { !$struck{$_} } sort keys %times),
		(map { "$_: not in src" } grep { !$times{$_} } sort keys %struck));
});

rule('every mistake in test/mutations still applies', sub {
	return map {
		my $said = `git apply --check '$_' 2>&1`;
		$? == 0 && read_file($_) =~ /\A\S.*\ntest: (?:crash|tap|unit|regress|isolation) .+\nsees: .+\n\n/
		  ? () : "$_: $said"
	} glob('test/mutations/*.patch');
});

rule('functions of SQL need no language but SQL and C', sub {
	my %sql = map { $_ => read_file($_) } glob('sql/[0-9]*.sql');

	return map { $sql{$_} =~ /(LANGUAGE\s+(?!sql\b|c\b)\w+)/i ? "$_: $1" : () }
	  sort keys %sql;
});

rule('the version is the same everywhere', \&different_versions);

SKIP:
{
	skip 'doc/reference.md is not written yet', 2 unless -e 'doc/reference.md';
	my $reference = read_file('doc/reference.md');

	rule('the reference lists every setting', sub {
		my %settings = map { $_ => 1 }
		  map { $text{$_} =~ /"(payments\.[a-z_]+)"/g } grep { /guc/ } @sources;

		return grep { $reference !~ /\b\Q$_\E\b/ } sort keys %settings;
	});

	rule('the reference lists every SQLSTATE', sub {
		my @states = map { join '', /'(.)'/g }
		  read_file('src/errors.h') =~ /MAKE_SQLSTATE\((.*?)\)/g;

		return grep { $reference !~ /\b$_\b/ } @states;
	});
}

done_testing();

# rule NAME, SUB: the sub returns the offences.
sub rule
{
	my ($name, $find) = @_;
	my @offences = $find->();

	ok(!@offences, $name) or diag(join "\n", @offences);
	return;
}

sub stem
{
	my ($path) = @_;

	$path =~ s{^.*/|\.[ch]$}{}g;
	return $path;
}

sub layer
{
	my ($stem) = @_;

	for my $layer (@layers)
	{
		return $layer->[0] if $stem =~ $layer->[1];
	}
	return;
}

# The headers that a file includes in quotes, with their lines
sub includes
{
	my ($file) = @_;
	my @found;

	while ($text{$file} =~ /^#\s*include\s+"([^"]+)"/mg)
	{
		push @found, [ $1, line_of($text{$file}, $-[0]) ];
	}
	return @found;
}

sub wrong_arrows
{
	my ($file) = @_;
	my $own = layer(stem($file));

	return map {
		my ($header, $line) = @$_;
		my $other = layer(stem($header));

		-e "src/$header" && $height{$other} > $height{$own}
		  && !($own eq 'pure' && may($file, $header))
		  ? "$file:$line: $own includes \"$header\", which is $other"
		  : ();
	} includes($file);
}

sub server_headers
{
	my ($file) = @_;

	return () if layer(stem($file)) ne 'pure';
	return map {
		my ($header, $line) = @$_;

		-e "src/$header" || may($file, $header)
		  ? ()
		  : "$file:$line: \"$header\"";
	} includes($file);
}

sub may
{
	my ($file, $header) = @_;

	return 1 if $header eq 'fault.h';	# nothing but names, outside of tests
	my $allowed = $pure_may{ stem($file) };

	return defined $allowed && $header =~ $allowed;
}

sub matches
{
	my ($pattern, @files) = @_;
	my @found;

	for my $file (@files)
	{
		while ($code{$file} =~ /($pattern)/g)
		{
			push @found, "$file:" . line_of($code{$file}, $-[0]) . ": $1";
		}
	}
	return @found;
}

sub words
{
	my ($end, @words) = @_;
	my $any = join '|', @words;

	return qr/(?<![\w.>])(?:$any)$end/;
}

sub long_lines
{
	my ($file) = @_;
	my ($number, @found) = (0);

	for my $line (split /\n/, $text{$file})
	{
		my $wide = $line;

		$number++;
		1 while $wide =~ s/^([^\t]*)\t/$1 . ' ' x (4 - length($1) % 4)/e;
		push @found, "$file:$number: white space at the end" if $line =~ /\s$/;
		push @found, "$file:$number: more than 90 columns"
		  if length($wide) > 90 && $line !~ /"/;
	}
	push @found, "$file: no newline at the end" if $text{$file} !~ /\n\z/;
	return @found;
}

sub different_versions
{
	my ($version) = read_file('payments.control') =~ /^default_version\s*=\s*'(.*?)'/m;
	my @meta = read_file('META.json') =~ /^\s*"version":\s*"(.*?)"/mg;
	my ($change) = read_file('CHANGELOG.md') =~ /^## (\S+)/m;

	return 'payments.control: no default_version' unless defined $version;
	pop @meta;					# the last is of META.json's own format
	return ((map { "META.json: $_, not $version.0" } grep { $_ ne "$version.0" } @meta),
		$change eq $version ? () : "CHANGELOG.md: newest is $change, not $version");
}

# The same text with comments and literals made blank, newlines kept.  Lines of
# #include stay as they are.
sub blank_out
{
	my ($source) = @_;

	$source =~ s{(^\#\s*include[^\n]*)|(/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')}
		{ defined $1 ? $1 : blank($2) }gmsex;
	return $source;
}

sub blank
{
	my ($part) = @_;

	$part =~ s/[^\n]/ /g;
	return $part;
}

sub line_of
{
	my ($source, $offset) = @_;

	return 1 + (substr($source, 0, $offset) =~ tr/\n//);
}

sub read_file
{
	my ($name) = @_;

	open(my $file, '<', $name) or die "$name: $!\n";
	local $/;
	return <$file> // '';
}

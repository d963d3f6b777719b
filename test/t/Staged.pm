# Staged: a copy of the extension's files that a test may add to, to play a next
# version.
#
#	my $staged = Staged->new;
#	$staged->add('payments--0.1--0.2.sql', $text);
#	$node->append_conf('postgresql.conf', $staged->conf);
#
# A server finds extensions in a folder of our choice, or the test is skipped.
package Staged;

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

sub new
{
	my ($class) = @_;
	my $conf = slurp_file($ENV{TEMP_CONFIG});
	my ($stage) = $conf =~ /^extension_(?:destdir|control_path) = '(.*?\/stage)/m;
	my $dir = PostgreSQL::Test::Utils::tempdir;

	plan skip_all => 'this server finds extensions in its own folders only'
	  if !defined $stage;
	system_or_bail('cp', '-R', "$stage/.", $dir);
	$conf =~ s/\Q$stage\E/$dir/g;
	chomp(my $control = `find '$dir' -name payments.control`);
	die "no control file below $dir" if $control eq '';
	$control =~ s{/[^/]*$}{};
	return bless { conf => $conf, folder => $control }, $class;
}

# Lines of postgresql.conf; they override those of TEMP_CONFIG.
sub conf { my ($self) = @_; return $self->{conf} }

sub add
{
	my ($self, $name, $text) = @_;

	open(my $out, '>', "$self->{folder}/$name") or die "could not write $name: $!";
	print $out $text;
	close $out;
	return;
}

1;

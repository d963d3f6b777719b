# The library that is installed has no fault point; the one of "make faults" has
# all that the sources name, and does what a plan says.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my @points = map { slurp_file($_) =~ /PAY_FAULT(?:_QUIET|_PLANNED)?\("([^"]+)"\)/g } glob '../src/*.c';
my ($staged) = slurp_file($ENV{TEMP_CONFIG}) =~ /^dynamic_library_path = '([^:]+):/m;
$staged //= `pg_config --pkglibdir` =~ s/\n//r;
my ($release, $faults) =
  map { slurp_file("$_/payments.so") } $staged, $ENV{FAULTS_LIBRARY};

sub found
{
	my ($library) = @_;
	return join ' ', grep { index($library, "\0$_\0") >= 0 } @points, 'payments.fault_dir';
}
cmp_ok(scalar @points, '>', 20, 'there are fault points');
is(found($release), '', 'none in the library that is installed');
unlike($release, qr/pay_fault/, 'nor what serves them');
is(found($faults), join(' ', @points, 'payments.fault_dir'), 'all in the one for tests');

# A plan is carried out at the pass that it names, once.
my $dir = PostgreSQL::Test::Utils::tempdir;
my $node = PostgreSQL::Test::Cluster->new('faults');
$node->init;
$node->append_conf('postgresql.conf', qq(
dynamic_library_path = '$ENV{FAULTS_LIBRARY}:\$libdir'
shared_preload_libraries = 'payments'
payments.fault_dir = '$dir'
));
$node->start;
$node->safe_psql('postgres', q(
	CREATE EXTENSION payments;
	SELECT payments.set_merchant('default', 'test_ck_simulator0only');
	SELECT payments.checkout(1, '[{"seller_id": 1, "amount": 1000}]', order_id => 'order-1')));
my $confirm = q(SELECT payments.confirm('order-1', 'key', 1000));

sub plan_is
{
	my ($plan) = @_;
	open(my $file, '>', "$dir/confirm-locked") or die $!;
	print $file $plan;
	close $file;
}
plan_is("error 2\n");
is($node->safe_psql('postgres', $confirm), 'EXECUTING', 'the first pass goes by');
like(slurp_file("$dir/confirm-locked"), qr/^error 1 /, 'and is counted');
my ($status, undef, $said) = $node->psql('postgres', $confirm);
like($said, qr/ERROR:  fault point "confirm-locked"/, 'the second does not');
like(slurp_file("$dir/confirm-locked"), qr/^taken error \d+\n/, 'and says so');
is($node->safe_psql('postgres', $confirm), 'EXECUTING', 'the third goes by');

plan_is("sleep 1 300\n");
my $start = time();
is($node->safe_psql('postgres', $confirm), 'EXECUTING', 'it can sleep');
cmp_ok(time() - $start, '>=', 0.3, 'as long as it was told');
plan_is("exit 1\n");
($status, undef, $said) = $node->psql('postgres', $confirm);
is($status, 2, 'it can end the session');
like($node->safe_psql('postgres', 'SHOW payments.fault_dir'), qr/^\Q$dir\E$/,
	'the server has lived');
my (undef, undef, $refused) = $node->psql('postgres', "SET payments.fault_dir = '/tmp'");
like($refused, qr/cannot be changed now/, 'no session can make plans');

$node->stop;
done_testing();

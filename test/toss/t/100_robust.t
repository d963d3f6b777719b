# Sizes out of bounds and damaged requests: refused, and nothing else happens.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Simulator;

my $sim = Simulator->new(idle => 2);
my $code = \&Simulator::code;
my $fuzz = Simulator::build_dir() . '/toss-fuzz';

# Sizes.
my $body = '{"paymentKey":"k","orderId":"ORDER-1","amount":1000,"x":"%s"}';
is($code->($sim->api('POST', '/v1/payments/confirm',
			sprintf($body, 'x' x 60000))),
	'404 NOT_FOUND_PAYMENT_SESSION', 'a body of 60 kB is read');
my $file = "$sim->{dir}/large";
open(my $out, '>', $file);
print $out sprintf($body, 'x' x 70000);
close $out;
is($code->($sim->api('POST', '/v1/payments/confirm', "\@$file")),
	'413 PAYLOAD_TOO_LARGE', 'a body of 70 kB is refused');
open($out, '>', $file);
print $out 'x' x 10_000_000;
close $out;
isnt($sim->api('POST', '/v1/payments/confirm', "\@$file")->{status}, 200,
	'a body of 10 MB is not swallowed');
like($sim->api('GET', '/v1/payments/x', undef,
		headers => [ 'X-Long: ' . 'x' x 100_000 ])->{status}, qr/^(0|431)$/,
	'a header of 100 kB is refused');
like($sim->api('GET', '/v1/payments/' . 'x' x 50_000)->{status},
	qr/^(0|414|431)$/, 'a path of 50 kB is refused');

# Damaged requests.
my $key = $sim->pay('ORDER-KEPT', 1000);
$sim->confirm($key, 'ORDER-KEPT', 1000);
$sim->post('/pay', { orderId => 'ORDER-FUZZ', amount => 1000,
		paymentKey => "fuzz_$_" }) for 1, 2;
my $count = $ENV{TOSS_FUZZ} // 2000;
my $seed = $ENV{TOSS_FUZZ_SEED} // 1;
my $report = `$fuzz $sim->{port} $sim->{control_port} $count $seed 2>&1`;
is($?, 0, "$count damaged requests, seed $seed");
diag($report);
is($sim->get('/health')->{ok}, JSON::PP::true, 'alive');
is($sim->charges('ORDER-KEPT'), 1, 'books in order');
ok($sim->charges('ORDER-FUZZ') <= 2, 'each payment at most once');
ok($sim->canceled('ORDER-FUZZ') <= 1000 * $sim->charges('ORDER-FUZZ'), 'and not more back than that');
is($code->($sim->query($key)), '200 DONE', 'serving');
my @log = $sim->lines('/requests');
ok(@log > 100, scalar(@log) . ' of them were understood and logged');

# Idle connections are closed.
my $connection = $sim->connection;
Simulator::on_connection($connection, 'GET', '/v1/payments/none', '');
sleep 4;
my $late = Simulator::on_connection($connection, 'GET', '/v1/payments/none', '');
is($late->{raw}, '', 'an idle connection is closed');

my ($status, $seconds) = $sim->stop;
is($status, 0, 'ends cleanly');
is($sim->slurp('err'), '', 'and had nothing to complain about');

done_testing();

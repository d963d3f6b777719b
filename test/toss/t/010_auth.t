# Who may ask what: credentials, merchants, paths.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use MIME::Base64 qw(encode_base64);
use Test::More;
use Simulator;

my $sim = Simulator->new(
	secret => [ 'test_gsk_simulator', 'test_gsk_other:othershop', 'live_gsk_simulator' ]);
my $code = \&Simulator::code;

sub with_credentials
{
	my ($text) = @_;
	return $sim->api('GET', '/v1/payments/nothing', undef, no_auth => 1,
		headers => ['Authorization: ' . $text]);
}

sub basic { return 'Basic ' . encode_base64($_[0], '') }

is($code->($sim->api('GET', '/v1/payments/nothing', undef, no_auth => 1)),
	'401 UNAUTHORIZED_KEY', 'no credentials');
is($code->(with_credentials(basic('test_gsk_unknown:'))),
	'401 UNAUTHORIZED_KEY', 'unknown key');
is($code->(with_credentials(basic('test_gsk_simulator'))),
	'403 INCORRECT_BASIC_AUTH_FORMAT', 'no colon');
is($code->(with_credentials('Basic !!!')),
	'403 INCORRECT_BASIC_AUTH_FORMAT', 'not base64');
is($code->(with_credentials('Bearer x')),
	'403 INCORRECT_BASIC_AUTH_FORMAT', 'not Basic');
is($code->(with_credentials(basic("\xef\xbb\xbftest_gsk_simulator:"))),
	'401 UNAUTHORIZED_KEY', 'byte order mark before the key');
is($code->(with_credentials(basic('x' x 2000 . ':'))),
	'403 INCORRECT_BASIC_AUTH_FORMAT', 'overlong credentials');
is($code->(with_credentials(basic('test_gsk_simulator:'))),
	'404 NOT_FOUND_PAYMENT', 'a good key is let in');

my $answer = $sim->api('GET', '/v1/nothing');
is($code->($answer), '404 NOT_FOUND', 'unknown path');
like($answer->{headers}{'x-tosspayments-trace-id'}, qr/^[0-9a-f]{32}$/,
	'every answer has a trace id');
is($answer->{headers}{'content-type'}, 'application/json', 'JSON');
is($code->($sim->api('PUT', '/v1/payments/confirm', '{}')),
	'404 NOT_FOUND_HTTP_METHOD', 'wrong method');
is($code->($sim->api('POST', '/v1/payments/abc/refund', '{}')),
	'404 NOT_FOUND', 'unknown path of a payment');
is($code->($sim->api('GET', '/pay')), '404 NOT_FOUND',
	'no control on the public port');
is($code->($sim->api('GET', '/journal')), '404 NOT_FOUND',
	'no books on the public port');

# Merchants do not see each other's payments.
my $key = $sim->pay('ORDER-AUTH-1', 1000);
is($code->($sim->query($key)), '200 IN_PROGRESS', 'own payment');
is($code->($sim->query($key, secret => 'test_gsk_other')),
	'404 NOT_FOUND_PAYMENT', 'query of another merchant, by key');
is($code->($sim->api('GET', '/v1/payments/orders/ORDER-AUTH-1', undef,
			secret => 'test_gsk_other')),
	'404 NOT_FOUND_PAYMENT', 'query of another merchant, by order');
is($code->($sim->confirm($key, 'ORDER-AUTH-1', 1000,
			secret => 'test_gsk_other')),
	'403 FORBIDDEN_REQUEST', 'confirm of another merchant');
$sim->post('/settings', { merchantMismatch => 'NOT_FOUND_PAYMENT_SESSION' });
is($code->($sim->confirm($key, 'ORDER-AUTH-1', 1000,
			secret => 'test_gsk_other')),
	'404 NOT_FOUND_PAYMENT_SESSION', 'the code is a switch');
is($sim->charges('ORDER-AUTH-1'), 0, 'nothing was charged');
my $theirs = $sim->pay('ORDER-AUTH-2', 1000, mid => 'othershop');
is($code->($sim->confirm($theirs, 'ORDER-AUTH-2', 1000,
			secret => 'test_gsk_other')),
	'200 DONE', 'the other merchant confirms his own');
is($sim->query($theirs, secret => 'test_gsk_other')->{json}{mId}, 'othershop',
	'and is named');

# The rate limit is off until asked for.
$sim->post('/settings', { requestsPerMinute => 3 });
$sim->post('/clock', { advance => 60 });
is(join(' ', map { $sim->query($key)->{status} } 1 .. 4), '200 200 200 429',
	'rate limit');
$sim->post('/clock', { advance => 60 });
is($sim->query($key)->{status}, 200, 'the next minute is free again');

# TLS: a stranger's certificate authority is not enough.
my ($exit) = $sim->curl('-u', 'test_gsk_simulator:', $sim->url('/v1/x'));
is($exit, 60, 'without our authority the certificate is refused');
($exit) = $sim->curl('--cacert', "$sim->{dir}/ca.pem", '--tls-max', '1.1',
	$sim->url('/v1/x'));
is($exit, 35, 'TLS 1.1 is refused');
for my $host ('127.0.0.1', 'localhost')
{
	($exit) = $sim->curl('--cacert', "$sim->{dir}/ca.pem",
		"https://$host:$sim->{port}/v1/x");
	is($exit, 0, "certificate is good for $host");
}

# Another certificate, from the next connection on
sub shakes_hands { return ($sim->curl('--cacert', $_[0] // "$sim->{dir}/ca.pem", '-o', '/dev/null', $sim->url('/v1/x')))[0] }
for my $bad ('unknown-authority', 'expired', 'wrong-host')
{
	my $by = $sim->post('/certificate', { kind => $bad })->{authority};
	is(shakes_hands(), 60, "$bad: refused");
	next if $bad ne 'unknown-authority';
	open(my $file, '>', "$sim->{dir}/other.pem");
	print $file $by;
	close $file;
	is(shakes_hands("$sim->{dir}/other.pem"), 0, 'unless its authority is known');
}
$sim->post('/certificate', { kind => 'renewed' });
is(shakes_hands(), 0, 'renewed: accepted');
$sim->post('/certificate', { kind => 'odd' });
is($sim->{control_status}, 400, 'an odd one is refused');

opendir(my $dir, $sim->{dir});
is(scalar(grep { /key/ } readdir $dir), 0, 'no private key in a file');

$sim->finish;

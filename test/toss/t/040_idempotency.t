# The idempotency store: scope, replay, conflict, lifetime.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(sleep);
use Simulator;

my $sim = Simulator->new(
	secret => [ 'test_gsk_simulator', 'test_gsk_second:tgen_sim' ]);
my $code = \&Simulator::code;
my $trace = 'x-tosspayments-trace-id';

# Replay: same bytes, same status, both trace ids.
my $key = $sim->pay('ORDER-I-1', 5000);
my $first = $sim->confirm($key, 'ORDER-I-1', 5000, key => 'K1');
my $again = $sim->confirm($key, 'ORDER-I-1', 5000, key => 'K1');
is($first->{headers}{'idempotency-key'}, 'K1', 'the key is echoed');
is($again->{headers}{'idempotency-key'}, 'K1', 'on a replay too');
is("$again->{status} $again->{body}", "200 $first->{body}",
	'replayed to the byte');
like($again->{headers}{$trace}, qr/^[0-9a-f]{32}, $first->{headers}{$trace}$/,
	'new and original trace id');
is($sim->charges('ORDER-I-1'), 1, 'charged once');

# Same key, other body: the first answer.
my $other = $sim->pay('ORDER-I-2', 6000);
is($sim->confirm($other, 'ORDER-I-2', 6000, key => 'K1')->{body},
	$first->{body}, "another order's confirm gets the first order's answer");
is($sim->charges('ORDER-I-2'), 0, 'and charges nothing');
is($sim->api('POST', '/v1/payments/confirm', 'nonsense',
		headers => ['Idempotency-Key: K1'])->{body}, $first->{body},
	'whatever the body');

# Scope: another API key, even of the same merchant, is another request.
is($code->($sim->confirm($other, 'ORDER-I-2', 6000, key => 'K1',
			secret => 'test_gsk_second')),
	'200 DONE', 'the API key is part of the scope');

# Errors are stored.
$key = $sim->pay('ORDER-I-3', 7000);
is($code->($sim->confirm($key, 'ORDER-I-3', 1, key => 'K3')),
	'403 FORBIDDEN_REQUEST', 'an error');
is($code->($sim->confirm($key, 'ORDER-I-3', 7000, key => 'K3')),
	'403 FORBIDDEN_REQUEST', 'is replayed for the corrected body');
is($code->($sim->confirm($key, 'ORDER-I-3', 7000, key => 'K3b')), '200 DONE',
	'a new key works');

# 5xx: a switch.
for my $store (1, 0)
{
	my $id = "ORDER-I-5xx-$store";
	$sim->post('/settings',
		{ store5xx => $store ? JSON::PP::true : JSON::PP::false });
	$key = $sim->pay($id, 7000);
	$sim->post('/fault', { orderId => $id, on => 'confirm', kind => 'refuse',
			code => 'UNKNOWN_PAYMENT_ERROR' });
	is($code->($sim->confirm($key, $id, 7000, key => $id)),
		'500 UNKNOWN_PAYMENT_ERROR', 'server error');
	is($code->($sim->confirm($key, $id, 7000, key => $id)),
		$store ? '500 UNKNOWN_PAYMENT_ERROR' : '200 DONE',
		$store ? 'stored' : 'not stored');
}

# In flight: 409 for the same key, a refusal for another, one charge.
$key = $sim->pay('ORDER-I-6', 8000);
$sim->post('/fault',
	{ orderId => 'ORDER-I-6', on => 'confirm', kind => 'hang' });
my $hanging = $sim->confirm_later($key, 'ORDER-I-6', 8000, key => 'K6');
sleep 0.02 until $sim->get('/health')->{waiting} == 1;
is($code->($sim->confirm($key, 'ORDER-I-6', 8000, key => 'K6')),
	'409 IDEMPOTENT_REQUEST_PROCESSING', 'same key while in flight');
is($code->($sim->confirm($key, 'ORDER-I-6', 8000, key => 'K6x')),
	'400 ALREADY_PROCESSING_REQUEST', 'another key while in flight');
is($sim->post('/release')->{released}, 1, 'released');
my $held = Simulator::answer_of($hanging);
is($code->($held), '200 DONE', 'the held answer comes');
is($sim->confirm($key, 'ORDER-I-6', 8000, key => 'K6')->{body}, $held->{body},
	'and is replayed: the 409 was not stored');
is($code->($sim->confirm($key, 'ORDER-I-6', 8000, key => 'K6x')),
	'400 ALREADY_PROCESSING_REQUEST', 'the refusal sticks to its key');
is($sim->charges('ORDER-I-6'), 1, 'charged once');

# Length.
is($code->($sim->confirm('x', 'ORDER-I-7', 1000, key => 'k' x 300)),
	'404 NOT_FOUND_PAYMENT_SESSION', '300 characters are allowed');
is($code->($sim->confirm('x', 'ORDER-I-7', 1000, key => 'k' x 301)),
	'400 INVALID_IDEMPOTENCY_KEY', '301 are not');

# Ignored on GET.
$key = $sim->pay('ORDER-I-8', 1000);
my $get = $sim->query($key, headers => ['Idempotency-Key: G1']);
is($get->{headers}{'idempotency-key'}, undef, 'not echoed on GET');
$sim->confirm($key, 'ORDER-I-8', 1000);
is($code->($sim->query($key, headers => ['Idempotency-Key: G1'])), '200 DONE',
	'not stored on GET');

# Lifetime: 15 days of the movable clock.
$sim->post('/clock', { advance => 15 * 86400 - 60 });
is($sim->confirm('x', 'ORDER-I-1', 5000, key => 'K1')->{body}, $first->{body},
	'replayed just before 15 days');
$sim->post('/clock', { advance => 120 });
is($code->($sim->confirm('x', 'ORDER-I-1', 5000, key => 'K1')),
	'404 NOT_FOUND_PAYMENT_SESSION', 'a new request after 15 days');

# Without a key nothing is stored.
$key = $sim->pay('ORDER-I-9', 1000);
$sim->confirm($key, 'ORDER-I-9', 1000);
is($code->($sim->confirm($key, 'ORDER-I-9', 1000)),
	'400 ALREADY_PROCESSED_PAYMENT', 'no key, no replay');

$sim->finish;

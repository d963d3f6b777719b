# What confirm accepts, what it refuses, and what that does to the payment.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Simulator;

my $sim = Simulator->new;
my $code = \&Simulator::code;
my $order = 0;

sub raw { return $code->($sim->api('POST', '/v1/payments/confirm', $_[0])) }

sub fresh
{
	my ($amount, %more) = @_;
	my $id = sprintf 'ORDER-C-%04d', ++$order;
	return ($sim->pay($id, $amount, %more), $id, $amount);
}

# Bodies that are no request.
for my $body ('', 'nonsense', '[]', '{}', '"x"', '{"paymentKey":"k"',
	'{"paymentKey":1,"orderId":"ORDER-1","amount":1}',
	'{"paymentKey":"k","orderId":"ORDER-1"}',
	'{"paymentKey":"","orderId":"ORDER-1","amount":100}',
	'{"paymentKey":"k","orderId":"ORDER-1","amount":null}',
	'{"paymentKey":"k","orderId":"ORDER-1","amount":0}',
	'{"paymentKey":"k","orderId":"ORDER-1","amount":-100}',
	'{"paymentKey":"k","orderId":"ORDER-1","amount":"100"}',
	'{"paymentKey":"k","orderId":"ORDER-1","amount":0100}',
	'{"paymentKey":"k","orderId":"ORDER-1","amount":1e99}',
	'{"paymentKey":"k","orderId":"ORDER-1","amount":0.0001}',
	'{"paymentKey":"k","orderId":"ORDER-1","amount":NaN}',
	'{"paymentKey":"' . 'k' x 201 . '","orderId":"ORDER-1","amount":100}',
	"{\"paymentKey\":\"\xff\",\"orderId\":\"ORDER-1\",\"amount\":100}",
	'{"paymentKey":"k\u0000","orderId":"ORDER-1","amount":100}',
	'[' x 1000)
{
	is(raw($body), '400 INVALID_REQUEST', 'refused: ' . substr($body, 0, 60));
}
is(raw('{"paymentKey":"k","orderId":"x","amount":100}'),
	'400 INVALID_ORDER_ID', 'order id too short');
is(raw('{"paymentKey":"k","orderId":"ORDER 1","amount":100}'),
	'400 INVALID_ORDER_ID', 'order id with a space');
is(raw('{"paymentKey":"k","orderId":"ORDER-1","amount":100}'),
	'404 NOT_FOUND_PAYMENT_SESSION', 'unknown payment');

# The plain case, and once more.
my ($key, $id, $amount) = fresh(15000);
my $first = $sim->confirm($key, $id, $amount);
is($code->($first), '200 DONE', 'confirmed');
is($code->($sim->confirm($key, $id, $amount)), '400 ALREADY_PROCESSED_PAYMENT',
	'a second confirm is refused');
is($sim->charges($id), 1, 'charged once');
is($sim->query($key)->{body}, $first->{body}, 'the query shows the same');

# Amounts are compared exactly, in whatever notation.
for my $text ('15000', '15000.0', '15000.000', '1.5e4', '150E+2', '1500000e-2')
{
	my ($k, $i) = fresh(15000);
	is($code->($sim->confirm($k, $i, $text)), '200 DONE', "amount $text");
}
for my $text ('15000.001', '14999.999', '15001', '1.5e3')
{
	my ($k, $i) = fresh(15000);
	is($code->($sim->confirm($k, $i, $text)), '403 FORBIDDEN_REQUEST',
		"amount $text is another amount");
	is($code->($sim->query($k)), '200 IN_PROGRESS', 'nothing happened');
	is($code->($sim->confirm($k, $i, 15000)), '200 DONE',
		'the right amount still works');
}
($key, $id) = fresh('9007199254740993');
is($sim->{control_status}, 400, 'amounts stop below 10^15');
($key, $id) = fresh('999999999999999');
is($code->($sim->confirm($key, $id, '999999999999998')),
	'403 FORBIDDEN_REQUEST', 'exact where floating point still is');
like($sim->confirm($key, $id, '999999999999999')->{body},
	qr/"totalAmount":999999999999999,/, 'large amount, exact');
($key, $id) = fresh(1.25, currency => 'USD', method => 'FOREIGN_EASY_PAY');
my $foreign = $sim->confirm($key, $id, '1.25');
is($code->($foreign), '200 DONE', 'cents');
like($foreign->{body}, qr/"currency":"USD","totalAmount":1\.25,/,
	'cents in the answer');

# Mismatches.
$sim->post('/settings', { amountMismatch => 'INVALID_REQUEST' });
($key, $id) = fresh(500);
is($code->($sim->confirm($key, $id, 501)), '400 INVALID_REQUEST',
	'the code of a wrong amount is a switch');
is($code->($sim->confirm($key, 'ORDER-OTHER', 500)), '403 FORBIDDEN_REQUEST',
	'wrong order');
$sim->post('/settings', { quotedAmount => JSON::PP::true });
is($code->($sim->confirm($key, $id, '"500"')), '200 DONE',
	'quoted amounts are a switch');

# Minimum amounts.
for (['카드', 99, '400 BELOW_MINIMUM_AMOUNT'], ['카드', 100, '200 DONE'],
	['계좌이체', 199, '400 BELOW_MINIMUM_AMOUNT'],
	['계좌이체', 200, '200 DONE'])
{
	my ($method, $money, $expected) = @$_;
	($key, $id) = fresh($money, method => $method);
	is($code->($sim->confirm($key, $id, $money)), $expected,
		"minimum: $money by " . ($method eq '카드' ? 'card' : 'transfer'));
}

# Before authentication, after failure, after abandoning.
my $made = $sim->post('/create', { orderId => 'ORDER-READY', amount => 700 });
$key = $made->{paymentKey};
is($code->($sim->query($key)), '200 READY', 'created');
is($code->($sim->confirm($key, 'ORDER-READY', 700)),
	'404 NOT_FOUND_PAYMENT_SESSION', 'not authenticated');
is($sim->post('/authenticate', { paymentKey => $key })->{status},
	'IN_PROGRESS', 'authenticated');
is($sim->post('/fail', { paymentKey => $key, code => 'REJECT_CARD_COMPANY' })
	->{code}, 'REJECT_CARD_COMPANY', 'failed in the window');
my $failed = $sim->query($key)->{json};
is("$failed->{status} $failed->{failure}{code}",
	'ABORTED REJECT_CARD_COMPANY', 'aborted with the reason');
is($failed->{balanceAmount}, 700, 'the balance stays, as documented');
is($code->($sim->confirm($key, 'ORDER-READY', 700)),
	'400 ALREADY_PROCESSED_PAYMENT', 'confirm of an aborted payment');
$key = $sim->post('/create', { orderId => 'ORDER-LEFT', amount => 700 })
  ->{paymentKey};
is($sim->post('/abandon', { paymentKey => $key })->{code},
	'PAY_PROCESS_CANCELED', 'the buyer left');
is($code->($sim->query($key)), '200 READY', 'no state changed');
$sim->post('/authenticate', { paymentKey => $key });
is($sim->{control_status}, 409, 'he does not come back');

# Several payments of one order.
my $one = $sim->pay('ORDER-TWICE', 900);
my $two = $sim->pay('ORDER-TWICE', 900);
is($sim->api('GET', '/v1/payments/orders/ORDER-TWICE')->{json}{paymentKey},
	$two, 'the newest is shown');
$sim->confirm($one, 'ORDER-TWICE', 900);
is($sim->api('GET', '/v1/payments/orders/ORDER-TWICE')->{json}{paymentKey},
	$one, 'the approved one is shown');
$sim->post('/pay', { orderId => 'ORDER-TWICE', amount => 900 });
is($sim->{control_status}, 400, 'a paid order opens no window');
$sim->confirm($two, 'ORDER-TWICE', 900);
my $summary = $sim->get('/summary');
is_deeply($summary->{multiple},
	[{ orderId => 'ORDER-TWICE', charges => 2, amount => 1800, cancels => 0, canceled => 0 }],
	'an order charged twice is seen');

# Percent-encoding in paths.
$key = $sim->pay('ORDER=1.x_Y-9', 900, paymentKey => 'a=b.c_d-1');
is($code->($sim->api('GET', '/v1/payments/orders/ORDER%3D1%2Ex_Y-9')),
	'200 IN_PROGRESS', 'encoded order id');
is($code->($sim->api('GET', '/v1/payments/a%3db.c_d-1')),
	'200 IN_PROGRESS', 'encoded payment key');
is($code->($sim->api('GET', '/v1/payments/orders/ORDER%3')),
	'400 INVALID_REQUEST', 'broken encoding');
is($code->($sim->api('GET', '/v1/payments/a%00b')),
	'400 INVALID_REQUEST', 'NUL in the path');
is($code->($sim->api('GET', '/v1/payments/orders/ORDER%2F1')),
	'404 NOT_FOUND_PAYMENT', 'an encoded slash stays in its segment');

# auto, for benchmarks.
$sim->post('/settings', { auto => 'bench_' });
is($code->($sim->confirm('bench_1', 'ORDER-BENCH', 5000)), '200 DONE', 'auto');
is($code->($sim->confirm('bench_1', 'ORDER-BENCH', 5000)),
	'400 ALREADY_PROCESSED_PAYMENT', 'auto accepts once');
is($code->($sim->confirm('other_1', 'ORDER-BENC2', 5000)),
	'404 NOT_FOUND_PAYMENT_SESSION', 'auto wants its prefix');

# bulk
my $bulk = $sim->post('/pay/bulk',
	{ orderIds => [ map { "BULK-$_-x" } 1 .. 500 ], amount => 300 });
is(scalar @{ $bulk->{payments} }, 500, 'bulk by order ids');
my %keys = map { $_->{paymentKey} => 1 } @{ $bulk->{payments} };
is(scalar keys %keys, 500, 'keys differ');
$bulk = $sim->post('/pay/bulk',
	{ payments => [ { orderId => 'BULK-a', amount => 1000 },
			{ orderId => 'BULK-b', amount => 2000, paymentKey => 'pk_b' } ] });
is($bulk->{payments}[1]{paymentKey}, 'pk_b', 'bulk with a payment each');
is($code->($sim->confirm('pk_b', 'BULK-b', 2000)), '200 DONE', 'and confirmed');
for my $bad ({ orderIds => ['x'], amount => 1 }, { orderIds => [1] },
	{ amount => 1 }, { orderIds => ['BULK-zz'], amount => 'x' },
	{ orderIds => ['BULK-zz'], amount => 1.5 },
	{ orderIds => ['BULK-zz'], amount => 1, currency => 'a"b' })
{
	$sim->post('/pay/bulk', $bad);
	is($sim->{control_status}, 400, 'bulk refused');
}

$sim->finish;

# The simulator's own books: journal, request log, summary, reset.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(sha256_hex);
use File::Temp qw(tempdir);
use Test::More;
use Time::HiRes qw(time);
use Simulator;

my $requests = tempdir(CLEANUP => 1) . '/requests.jsonl';
my $sim = Simulator->new('requests-file' => $requests,
	'keep-requests' => 20);
my $start = time();

my $key = $sim->pay('ORDER-B-1', 12345);
my $answer = $sim->confirm($key, 'ORDER-B-1', 12345, key => 'B1');
$sim->confirm($key, 'ORDER-B-1', 12345, key => 'B1');
$sim->confirm($key, 'ORDER-B-1', 12345, key => 'B2');
$sim->query($key);

my @journal = $sim->lines('/journal');
is(scalar @journal, 1, 'one execution');
my $entry = $journal[0];
my $time = delete $entry->{timeUs};
ok($time / 1e6 >= $start && $time / 1e6 <= time(), 'its real time');
is_deeply($entry, { kind => 'charge', paymentKey => $key,
		orderId => 'ORDER-B-1', amount => 12345, currency => 'KRW',
		idempotencyKey => 'B1',
		apiKey => substr(sha256_hex('test_gsk_simulator'), 0, 16),
		traceId => $answer->{headers}{'x-tosspayments-trace-id'} },
	'its content');
my (undef, $text) =
  $sim->curl("http://127.0.0.1:$sim->{control_port}/journal");
is($sim->slurp('journal.jsonl'), $text, 'the file has the same');

my @log = $sim->lines('/requests');
is(join(', ', map { "$_->{method} $_->{path} $_->{status} $_->{done}" } @log),
	"POST /v1/payments/confirm 200 executed, "
	  . "POST /v1/payments/confirm 200 replayed, "
	  . "POST /v1/payments/confirm 400 refused, "
	  . "GET /v1/payments/$key 200 answered", 'the request log');
is($log[0]{bodySha256}, sha256_hex(
		qq({"paymentKey":"$key","orderId":"ORDER-B-1","amount":12345})),
	'digest of the body');
is($log[0]{idempotencyKey}, 'B1', 'idempotency key');
ok($log[0]{timeUs} <= $time && $time <= $log[0]{answeredUs},
	'received, executed, answered, in that order');
is(scalar(keys %{ { map { $_->{connection} => 1 } @log } }), 4,
	'four connections');
open(my $file, '<', $requests);
is(scalar(() = <$file>), 4, 'the file has all of them');

# The ring keeps the newest; the file keeps all.
$sim->query('none') for 1 .. 30;
@log = $sim->lines('/requests');
is(scalar @log, 20, 'the ring is bounded');
is($log[-1]{number} - $log[0]{number}, 19, 'and holds the newest');
open($file, '<', $requests);
is(scalar(() = <$file>), 34, 'the file is not bounded');

# A record that fell out of the ring while its request waited.
$sim->post('/fault', { any => JSON::PP::true, kind => 'hang' });
my $waiting = $sim->api_later('GET', '/v1/payments/none');
select undef, undef, undef, 0.02 until $sim->get('/health')->{waiting} > 0;
$sim->query('none') for 1 .. 25;
$sim->post('/release');
Simulator::answer_of($waiting);
is(scalar(grep { $_->{done} ne 'refused' } $sim->lines('/requests')), 0,
	'is finished without touching another');

# Summary.
$key = $sim->pay('ORDER-B-2', 1000);
$sim->confirm($key, 'ORDER-B-2', 1000);
my $usd = $sim->pay('ORDER-B-3', 1.5, currency => 'USD', method => 'FOREIGN_EASY_PAY');
$sim->confirm($usd, 'ORDER-B-3', 1.5);
my $summary = $sim->get('/summary');
is("$summary->{charges} $summary->{orders} $summary->{chargedMoreThanOnce}",
	'3 3 0', 'summary counts');
is_deeply($summary->{amount}, { KRW => 13345, USD => 1.5 }, 'summary sums');
is(scalar @{ $summary->{perOrder} }, 3, 'every order');
ok(!exists $sim->get('/summary?orders=0')->{perOrder}, 'or without orders');

# Reset.
$sim->post('/clock', { advance => 1000 });
$sim->post('/settings', { delayMs => 1 });
$sim->post('/reset');
is($sim->{control_status}, 200, 'reset');
is($sim->lines('/journal'), 0, 'no journal');
is($sim->slurp('journal.jsonl'), '', 'empty file');
is($sim->lines('/requests'), 0, 'no requests');
is($sim->get('/clock')->{advanced}, 0, 'the clock is back');
is($sim->get('/settings')->{delayMs}, 0, 'settings are back');
is(Simulator::code($sim->query($key)), '404 NOT_FOUND_PAYMENT', 'no payments');
is(Simulator::code($sim->confirm($key, 'ORDER-B-1', 12345, key => 'B1')),
	'404 NOT_FOUND_PAYMENT_SESSION', 'no stored answers');

# Settings are applied whole or not at all.
my $body = { delayMs => 5, nonsense => 1 };
is($sim->post('/settings', $body)->{message}, 'nonsense', 'names what is wrong');
is($sim->get('/settings')->{delayMs}, 0, 'and changes nothing');
for my $bad ({ delayMs => -1 }, { delayMs => 'x' }, { store5xx => 1 },
	{ amountMismatch => 'NOPE' }, { auto => 'x' x 64 }, [],
	{ randomFaults => { rate => 1, kinds => [] } },
	{ randomFaults => { rate => 1, kinds => ['x'] } })
{
	$sim->post('/settings', $bad);
	is($sim->{control_status}, 400, 'refused');
}

$sim->finish;

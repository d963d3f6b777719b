# Each fault, seen from the client and in the simulator's own books.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time sleep);
use Simulator;

my $sim = Simulator->new;
my $code = \&Simulator::code;
my $order = 0;

# Plans a fault for a fresh order's confirm and sends that confirm.
sub with_fault
{
	my (%fault) = @_;
	my $id = sprintf 'ORDER-F-%04d', ++$order;
	my $key = $sim->pay($id, 5000);
	$sim->post('/fault', { orderId => $id, on => 'confirm', %fault });
	is($sim->{control_status}, 200, "planned: $fault{kind}");
	my $start = time();
	my $answer = $sim->confirm($key, $id, 5000, key => "key-$id");
	$answer->{seconds} = time() - $start;
	return ($answer, $key, $id);
}

# Charges so far, and the answer to the same request sent once more.
sub aftermath
{
	my ($key, $id) = @_;
	my $before = $sim->charges($id);
	my $again = $sim->confirm($key, $id, 5000, key => "key-$id");
	return ($before, $code->($again), $sim->charges($id));
}

sub aftermath_is
{
	my ($key, $id, $before, $again, $after, $name) = @_;
	is(join(' | ', aftermath($key, $id)), "$before | $again | $after",
		"$name: charged | answer to the resend | charged");
}

my ($answer, $key, $id);

# Resets: a real RST, before or after the execution.
($answer, $key, $id) = with_fault(kind => 'reset-before');
is($answer->{exit}, 56, 'reset-before: curl sees a broken connection');
like($answer->{error}, qr/reset by peer/, 'reset-before: RST');
is($answer->{raw}, '', 'reset-before: no byte of an answer');
aftermath_is($key, $id, 0, '200 DONE', 1, 'reset-before');

($answer, $key, $id) = with_fault(kind => 'reset-after');
like($answer->{error}, qr/reset by peer/, 'reset-after: RST');
is($answer->{raw}, '', 'reset-after: no byte of an answer');
aftermath_is($key, $id, 1, '200 DONE', 1, 'reset-after');

($answer, $key, $id) = with_fault(kind => 'reset-after', delayMs => 300);
ok($answer->{seconds} >= 0.3, 'reset-after: can be delayed');

# An orderly close without an answer.
($answer, $key, $id) = with_fault(kind => 'close');
is($answer->{exit}, 52, 'close: empty reply');
aftermath_is($key, $id, 1, '200 DONE', 1, 'close');
($answer, $key, $id) = with_fault(kind => 'close', after => 'unchanged');
is($answer->{exit}, 52, 'close unchanged: empty reply');
aftermath_is($key, $id, 0, '200 DONE', 1, 'close unchanged');

# The reused connection.
{
	my $c = $sim->connection;
	my $ok = sub { Simulator::on_connection($c, @_) };
	my $body = sub { qq({"paymentKey":"$key","orderId":"$id","amount":5000}) };

	$id = 'ORDER-REUSED';
	$key = $sim->pay($id, 5000);
	$sim->post('/fault', { orderId => $id, kind => 'close-reused' });
	my $on_first = $sim->query($key);
	is($on_first->{status}, 200, 'close-reused: not on a fresh connection');
	is($code->($ok->('GET', "/v1/payments/none", '')), '404 NOT_FOUND_PAYMENT',
		'close-reused: first request of a connection');
	my $lost = $ok->('POST', '/v1/payments/confirm', $body->(), 'reused-1');
	is($lost->{raw}, '', 'close-reused: second request gets no answer');
	unlike($lost->{error}, qr/errno=104/, 'close-reused: an orderly end');
	is($sim->charges($id), 1, 'close-reused: but it was executed');
	my ($seen) = grep { ($_->{idempotencyKey} // '') eq 'reused-1' }
	  $sim->lines('/requests');
	is("$seen->{requestOnConnection} $seen->{status} $seen->{done}",
		'2 0 executed, close-reused', 'close-reused: in the request log');

	$id = 'ORDER-REUSED-2';
	$key = $sim->pay($id, 5000);
	$sim->post('/fault', { orderId => $id, kind => 'reset-after',
			reused => JSON::PP::true });
	$c = $sim->connection;
	$ok->('GET', '/v1/payments/none', '');
	$lost = $ok->('POST', '/v1/payments/confirm', $body->(), 'reused-2');
	like($lost->{error}, qr/errno=104/, 'reused + reset-after: RST');
	is($sim->charges($id), 1, 'reused + reset-after: executed');
}

# Refusals, with what is true afterwards.
($answer, $key, $id) = with_fault(kind => 'refuse', code => 'REJECT_CARD_PAYMENT');
is($code->($answer), '403 REJECT_CARD_PAYMENT', 'refuse: the code');
is($code->($sim->query($key)), '200 IN_PROGRESS', 'refuse: unchanged');
aftermath_is($key, $id, 0, '403 REJECT_CARD_PAYMENT', 0, 'refuse');
is($code->($sim->confirm($key, $id, 5000, key => 'fresh')), '200 DONE',
	'refuse: a new key may succeed');

($answer, $key, $id) =
  with_fault(kind => 'refuse', code => 'REJECT_CARD_COMPANY', after => 'aborted');
is($code->($answer), '403 REJECT_CARD_COMPANY', 'aborted: the code');
my $failed = $sim->query($key)->{json};
is("$failed->{status} $failed->{failure}{code}",
	'ABORTED REJECT_CARD_COMPANY', 'aborted: state and reason');
aftermath_is($key, $id, 0, '403 REJECT_CARD_COMPANY', 0, 'aborted');

($answer, $key, $id) =
  with_fault(kind => 'refuse', code => 'UNKNOWN_PAYMENT_ERROR', after => 'done');
is($code->($answer), '500 UNKNOWN_PAYMENT_ERROR', 'refused but done: the code');
is($code->($sim->query($key)), '200 DONE', 'refused but done: it is done');
aftermath_is($key, $id, 1, '500 UNKNOWN_PAYMENT_ERROR', 1, 'refused but done');

# Bad answers; the money moved, and the resend gets the truth.
($answer, $key, $id) = with_fault(kind => 'garbage');
is($answer->{status}, 200, 'garbage: 200');
is($answer->{json}, undef, 'garbage: not JSON');
aftermath_is($key, $id, 1, '200 DONE', 1, 'garbage');

($answer, $key, $id) = with_fault(kind => 'empty');
is("$answer->{status} [$answer->{body}]", '200 []', 'empty: 200 and nothing');
aftermath_is($key, $id, 1, '200 DONE', 1, 'empty');

($answer, $key, $id) = with_fault(kind => 'html502');
is("$answer->{status} $answer->{headers}{'content-type'}", '502 text/html',
	'html502: status and type');
is($answer->{headers}{'x-tosspayments-trace-id'}, undef,
	'html502: comes from a gateway, not from Toss');
aftermath_is($key, $id, 0, '200 DONE', 1, 'html502');
($answer, $key, $id) = with_fault(kind => 'html502', after => 'done');
is($answer->{status}, 502, 'html502 done: 502');
aftermath_is($key, $id, 1, '200 DONE', 1, 'html502 done');

($answer, $key, $id) = with_fault(kind => 'redirect');
is("$answer->{status} $answer->{headers}{location}",
	'301 https://elsewhere.invalid/v1/payments/confirm', 'redirect: to another host');
aftermath_is($key, $id, 0, '200 DONE', 1, 'redirect');
($answer, $key, $id) = with_fault(kind => 'redirect', after => 'done');
aftermath_is($key, $id, 1, '200 DONE', 1, 'redirect done');

($answer, $key, $id) = with_fault(kind => 'oversize');
is("$answer->{status} $answer->{json}{status}", '200 DONE', 'oversize: right');
cmp_ok(length $answer->{body}, '>', 1024 * 1024, 'oversize: and more than a megabyte');
aftermath_is($key, $id, 1, '200 DONE', 1, 'oversize');

($answer, $key, $id) = with_fault(kind => 'deep');
is("$answer->{status} " . substr($answer->{body}, 0, 5), '200 [[[[[', 'deep: arrays in each other');
is(length $answer->{body}, 60000, 'deep: so many');
aftermath_is($key, $id, 1, '200 DONE', 1, 'deep');

($answer, $key, $id) = with_fault(kind => 'bare');
is("$answer->{status} $answer->{body}", '200 {"version":"2022-11-16"}', 'bare: no field but one');
aftermath_is($key, $id, 1, '200 DONE', 1, 'bare');

($answer, $key, $id) = with_fault(kind => 'content-type');
like($answer->{headers}{'content-type'}, qr/html/, 'content-type: wrong');
is($answer->{json}{status}, 'DONE', 'content-type: right body');

($answer, $key, $id) = with_fault(kind => 'cut');
is($answer->{exit}, 18, 'cut: curl sees a partial body');
ok(length $answer->{body} > 0
	  && length $answer->{body} < $answer->{headers}{'content-length'},
	'cut: some of the body came');
aftermath_is($key, $id, 1, '200 DONE', 1, 'cut');

($answer, $key, $id) = with_fault(kind => 'drip', delayMs => 20);
is($code->($answer), '200 DONE', 'drip: arrives whole');
ok($answer->{seconds} > 0.3, 'drip: slowly');
aftermath_is($key, $id, 1, '200 DONE', 1, 'drip');

# Wrong answers.
for (['wrong-amount', 'totalAmount', 5001], ['wrong-order', 'orderId',
		'ORDER-OF-ANOTHER-BUYER'], ['wrong-key', 'paymentKey',
		'tgen_of_another_payment'], ['wrong-currency', 'currency', 'USD'],
	['unknown-status', 'status', 'NEW_STATUS'], ['canceled', 'status', 'CANCELED'])
{
	my ($kind, $field, $value) = @$_;
	($answer, $key, $id) = with_fault(kind => $kind);
	is($answer->{json}{$field}, $value, "$kind: the answer lies");
	my %right = %{ $sim->query($key)->{json} };
	is_deeply([ grep { ($right{$_} // '') ne ($answer->{json}{$_} // '')
				  && !ref $right{$_} } qw(totalAmount orderId paymentKey currency
			  status mId method requestedAt) ], [$field], "$kind: in one point");
	aftermath_is($key, $id, 1, '200 DONE', 1, $kind);
}
($answer, $key, $id) = with_fault(kind => 'duplicate-keys');
is(() = $answer->{body} =~ /"status":/g, 2, 'duplicate-keys: status twice');
is(() = $answer->{body} =~ /"totalAmount":/g, 2, 'duplicate-keys: amount twice');
($answer, $key, $id) = with_fault(kind => 'unknown-fields');
is($answer->{json}{status}, 'DONE', 'unknown-fields: still an answer');
ok(exists $answer->{json}{newField}, 'unknown-fields: something new');
is($answer->{json}{type}, 'NEW_TYPE', 'unknown-fields: unknown enum value');

# Anew: the answer under the key is forgotten, and the same request is a new one.
for (['plain', '400 ALREADY_PROCESSED_PAYMENT'], ['refuse', '403 REJECT_CARD_PAYMENT'])
{
	my ($kind, $second) = @$_;
	($answer, $key, $id) = with_fault(kind => $kind, code => 'REJECT_CARD_PAYMENT', anew => JSON::PP::true);
	is($code->($answer), '200 DONE', "$kind anew: not the first request");
	aftermath_is($key, $id, 1, $second, 1, "$kind anew");
	is($code->($sim->confirm($key, $id, 5000, key => "key-$id")), $second, "$kind anew: which is remembered");
}

# Hanging and slow; executed early, late or never.
($answer, $key, $id) = with_fault(kind => 'slow', delayMs => 400);
is($code->($answer), '200 DONE', 'slow: the answer comes');
ok($answer->{seconds} >= 0.4, 'slow: late');

sub hanging
{
	my (%fault) = @_;
	$id = sprintf 'ORDER-F-%04d', ++$order;
	$key = $sim->pay($id, 5000);
	$sim->post('/fault', { orderId => $id, on => 'confirm', kind => 'hang', %fault });
	my $later = $sim->confirm_later($key, $id, 5000, key => "key-$id");
	sleep 0.02 until $sim->get('/health')->{waiting} > 0;
	return $later;
}

my $later = hanging();
is($sim->charges($id), 1, 'hang: executed at once');
is($code->($sim->query($key)), '200 DONE', 'hang: a query sees it');
$sim->post('/release');
is($code->(Simulator::answer_of($later)), '200 DONE', 'hang: released');

$later = hanging(after => 'late');
is($sim->charges($id), 0, 'hang late: not yet executed');
is($code->($sim->query($key)), '200 IN_PROGRESS', 'hang late: still open');
is($code->($sim->confirm($key, $id, 5000, key => "key-$id")),
	'409 IDEMPOTENT_REQUEST_PROCESSING', 'hang late: in flight');
is($code->($sim->confirm($key, $id, 5000, key => 'another')),
	'400 ALREADY_PROCESSING_REQUEST', 'hang late: busy');
$sim->post('/release');
is($code->(Simulator::answer_of($later)), '200 DONE', 'hang late: executed');
is($sim->charges($id), 1, 'hang late: charged at the end');

$later = hanging(after => 'late', delayMs => 15000);
$sim->post('/clock', { advance => 700 });
$sim->post('/release');
is($code->(Simulator::answer_of($later)), '404 NOT_FOUND_PAYMENT_SESSION',
	'hang late: the session may end meanwhile');

$later = hanging(after => 'unchanged');
is($code->($sim->confirm($key, $id, 5000, key => "key-$id")), '200 DONE',
	'hang unchanged: never arrived, so a resend is the first');
$sim->post('/release');
is(Simulator::answer_of($later)->{raw}, '', 'hang unchanged: no answer');
is($sim->charges($id), 1, 'hang unchanged: one charge');

# Lag: the state of a while ago.
$id = 'ORDER-LAG';
$key = $sim->pay($id, 5000);
sleep 2;
my $confirmed = time();
$sim->confirm($key, $id, 5000);

# The moment shown lies between the two, if the queries come within 1.8 s.
$sim->post('/fault', { paymentKey => $key, on => 'query', kind => 'lag',
		delayMs => int((time() - $confirmed + 1.8) * 1000), count => 2 });
is($code->($sim->query($key)), '200 IN_PROGRESS', 'lag: the state before');
is($code->($sim->api('GET', "/v1/payments/orders/$id")), '200 IN_PROGRESS',
	'lag: by order id as well, though it was planned by key');
is($code->($sim->query($key)), '200 DONE', 'lag: its count is used up');
$sim->post('/settings', { queryLagMs => 100000 });
is($code->($sim->query($key)), '404 NOT_FOUND_PAYMENT',
	'lag for all: before it existed');
$sim->post('/settings', { queryLagMs => 0 });

# Matching: operation, counts, any, order of planning, clearing.
$sim->post('/fault', { any => JSON::PP::true, on => 'query', kind => 'refuse',
		code => 'NOT_FOUND_PAYMENT', count => 2 });
is($code->($sim->query($key)), '404 NOT_FOUND_PAYMENT', 'any: first');
$id = 'ORDER-ANY';
is($code->($sim->confirm($sim->pay($id, 1000), $id, 1000)), '200 DONE',
	'any query is no confirm');
is(scalar @{ $sim->get('/faults') }, 1, 'planned faults are listed');
is($code->($sim->query($key)), '404 NOT_FOUND_PAYMENT', 'any: second');
is($code->($sim->query($key)), '200 DONE', 'any: used up');
$sim->post('/fault', { any => JSON::PP::true, kind => 'garbage', count => 9 });
$sim->post('/faults/clear');
is($code->($sim->query($key)), '200 DONE', 'cleared');
for my $bad ({ kind => 'nothing', any => JSON::PP::true }, { kind => 'cut' },
	{ kind => 'refuse', code => 'NOPE', any => JSON::PP::true },
	{ kind => 'cut', on => 'x', any => JSON::PP::true },
	{ kind => 'cut', count => 0, any => JSON::PP::true },
	{ kind => 'cut', after => 'x', any => JSON::PP::true },
	{ kind => 'reset-after', after => 'unchanged', any => JSON::PP::true })
{
	$sim->post('/fault', $bad);
	is($sim->{control_status}, 400, 'bad fault refused');
}

# An outage: new connections are dropped, and requests on old ones too.
my $open = $sim->connection;
Simulator::on_connection($open, 'GET', '/v1/payments/none', '');
$sim->post('/settings', { down => JSON::PP::true });
is($sim->query($key)->{exit}, 35, 'down: no TLS handshake');
is(Simulator::on_connection($open, 'GET', "/v1/payments/$key", '')->{raw}, '',
	'down: no answer on an open connection');
$sim->post('/settings', { down => JSON::PP::false });
is($code->($sim->query($key)), '200 DONE', 'and up again');

# Random faults: the same seed gives the same run.
sub random_run
{
	my ($seed) = @_;
	$sim->post('/settings', { randomFaults => { rate => 0.5, seed => $seed,
				kinds => [ 'refuse', 'html502' ], on => 'query' } });
	my $run = join ' ', map { $sim->query($key)->{status} } 1 .. 20;
	$sim->post('/faults/clear');
	return $run;
}
my $run = random_run(7);
is(random_run(7), $run, 'random faults repeat with their seed');
isnt(random_run(8), $run, 'and differ with another');
like($run, qr/200.*(400|502)|(400|502).*200/, 'some fail, some do not');

$sim->finish;

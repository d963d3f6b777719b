# What cancel accepts, what it refuses, what that does to the payment and to
# the simulator's books; and cancels that go wrong on the wire.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(sleep time);
use Simulator;

my $sim = Simulator->new(secret => [ 'test_gsk_simulator', 'test_gsk_other:othershop01' ]);
my $code = \&Simulator::code;
my $order = 0;

$sim->post('/settings', { cancelIntervalMs => 0 });

# A payment that was confirmed.
sub paid
{
	my ($amount, %more) = @_;
	my $id = sprintf 'ORDER-K-%04d', ++$order;
	my $key = $sim->pay($id, $amount, %more);
	$sim->confirm($key, $id, $amount);
	return ($key, $id);
}

# The end of a payment: status, balance, and its cancels
sub state_of
{
	my ($json) = @_;
	return "$json->{status} $json->{balanceAmount} "
	  . join ',', map { "$_->{cancelAmount}/$_->{refundableAmount}" } @{ $json->{cancels} // [] };
}

my ($key, $id) = paid(15000);

# Bodies that are no request.
for my $body ('', 'nonsense', '[]', '{}', '{"cancelReason":""}', '{"cancelReason":1}',
	'{"cancelReason":"' . 'x' x 201 . '"}',
	'{"cancelReason":"x","cancelAmount":0}', '{"cancelReason":"x","cancelAmount":-1}',
	'{"cancelReason":"x","cancelAmount":"100"}', '{"cancelReason":"x","cancelAmount":0.5}',
	'{"cancelReason":"x","cancelAmount":1e99}', '{"cancelReason":"x","refundableAmount":"15000"}')
{
	is($code->($sim->cancel($key, $body)), '400 INVALID_REQUEST', 'refused: ' . substr($body, 0, 60));
}
is($code->($sim->cancel('nobody', { cancelReason => 'x' })), '404 NOT_FOUND_PAYMENT', 'unknown payment');
is($code->($sim->cancel($key, { cancelReason => 'x' }, secret => 'test_gsk_other')), '403 FORBIDDEN_REQUEST',
	'another merchant');
is($code->($sim->api('GET', "/v1/payments/$key/cancel")), '404 NOT_FOUND_HTTP_METHOD', 'only by POST');
is($code->($sim->api('POST', "/v1/payments/a/b/cancel", '{}')), '404 NOT_FOUND', 'no such path');
is($code->($sim->api('POST', "/v1/payments//cancel", '{}')), '400 INVALID_REQUEST', 'no payment key');
is(state_of($sim->query($key)->{json}), 'DONE 15000 ', 'nothing happened');

# In one go.
my $answer = $sim->cancel($key, { cancelReason => '고객 요청 [rf:01]' });
is(state_of($answer->{json}), 'CANCELED 0 15000/0', 'cancelled in full');
is($answer->{json}{cancels}[0]{cancelReason}, '고객 요청 [rf:01]', 'the reason as it was sent');
is($answer->{json}{cancels}[0]{transactionKey}, $answer->{json}{lastTransactionKey}, 'the newest transaction');
is($sim->query($key)->{body}, $answer->{body}, 'the query shows the same');
is($code->($sim->cancel($key, { cancelReason => 'x' })), '400 ALREADY_CANCELED_PAYMENT', 'not twice');
is($sim->canceled($id), 15000, 'in the books');

# In parts: what they add up to stays a partial cancel.
($key, $id) = paid(15000);
$answer = $sim->cancel($key, { cancelReason => 'a', cancelAmount => 5000, refundableAmount => 15000 });
is(state_of($answer->{json}), 'PARTIAL_CANCELED 10000 5000/10000', 'a part');
is("$answer->{json}{suppliedAmount} $answer->{json}{vat}", '9091 909', 'tax of what is left');
is($code->($sim->cancel($key, { cancelReason => 'b', cancelAmount => 5000, refundableAmount => 15000 })),
	'400 NOT_MATCHES_REFUNDABLE_AMOUNT', 'whoever believes in another balance is refused');
is($code->($sim->cancel($key, { cancelReason => 'b', cancelAmount => 10001 })), '403 NOT_CANCELABLE_AMOUNT', 'too much');
is(state_of($sim->query($key)->{json}), 'PARTIAL_CANCELED 10000 5000/10000', 'neither did anything');
$answer = $sim->cancel($key, { cancelReason => 'b', refundableAmount => 10000 });
is(state_of($answer->{json}), 'PARTIAL_CANCELED 0 5000/10000,10000/0', 'the rest');
isnt($answer->{json}{cancels}[0]{transactionKey}, $answer->{json}{cancels}[1]{transactionKey}, 'a key for each');
is($code->($sim->cancel($key, { cancelReason => 'c' })), '403 NOT_CANCELABLE_AMOUNT', 'nothing is left');
is($sim->canceled($id), 15000, 'in the books');

# States that cannot be cancelled.
my $fresh = $sim->pay('ORDER-K-FRESH', 1000);
is($code->($sim->cancel($fresh, { cancelReason => 'x' })), '403 NOT_CANCELABLE_PAYMENT', 'not confirmed');

# Other currencies.
($key, $id) = paid(12.5, currency => 'USD', method => 'FOREIGN_EASY_PAY');
is($code->($sim->cancel($key, { cancelReason => 'x', cancelAmount => 2.25 })), '400 INVALID_REQUEST', 'currency is required');
is($code->($sim->cancel($key, { cancelReason => 'x', cancelAmount => 2.25, currency => 'KRW' })), '400 INVALID_CURRENCY', 'and compared');
is(state_of($sim->cancel($key, { cancelReason => 'x', cancelAmount => 2.25, currency => 'USD' })->{json}),
	'PARTIAL_CANCELED 10.25 2.25/10.25', 'dollars');

# Virtual accounts.
($key, $id) = paid(3000, method => 'VIRTUAL_ACCOUNT');
is($code->($sim->cancel($key, { cancelReason => 'x', cancelAmount => 1000 })),
	'403 NOT_ALLOWED_PARTIAL_REFUND_WAITING_DEPOSIT', 'no part before the deposit');
is(state_of($sim->cancel($key, { cancelReason => 'x' })->{json}), 'CANCELED 0 3000/0', 'all of it');
is($sim->canceled($id), 0, 'which gives nothing back');
($key, $id) = paid(3000, method => 'VIRTUAL_ACCOUNT');
$sim->post('/deposit', { paymentKey => $key });
my %account = (bank => '20', accountNumber => '1002003004', holderName => '김토스');
is($code->($sim->cancel($key, { cancelReason => 'x' })), '400 INVALID_REQUEST', 'an account is required');
is($code->($sim->cancel($key, { cancelReason => 'x', refundReceiveAccount => { %account, bank => '' } })), '400 INVALID_BANK', 'its bank');
is($code->($sim->cancel($key, { cancelReason => 'x', refundReceiveAccount => { %account, accountNumber => '1-2' } })),
	'400 INVALID_REFUND_ACCOUNT_NUMBER', 'its number');
is($code->($sim->cancel($key, { cancelReason => 'x', refundReceiveAccount => { %account, holderName => '' } })),
	'400 INVALID_REFUND_ACCOUNT_INFO', 'its holder');
is(state_of($sim->cancel($key, { cancelReason => 'x', cancelAmount => 1000, refundReceiveAccount => \%account })->{json}),
	'PARTIAL_CANCELED 2000 1000/2000', 'and then it is refunded');
is($sim->canceled($id), 1000, 'in the books');

# The key protects: replays to the byte, errors too, and whatever the body says.
($key, $id) = paid(9000);
$answer = $sim->cancel($key, { cancelReason => 'r', cancelAmount => 4000 }, key => 'cancel-key-1');
my $again = $sim->cancel($key, { cancelReason => 'r', cancelAmount => 5000 }, key => 'cancel-key-1');
is($again->{body}, $answer->{body}, 'a repeated key gets the first answer');
is($sim->canceled($id), 4000, 'and does nothing');
$answer = $sim->cancel($key, { cancelReason => 'r', cancelAmount => 9000 }, key => 'cancel-key-2');
is($code->($answer), '403 NOT_CANCELABLE_AMOUNT', 'an error');
is($code->($sim->cancel($key, { cancelReason => 'r', cancelAmount => 1 }, key => 'cancel-key-2')), '403 NOT_CANCELABLE_AMOUNT',
	'is replayed as well');
my ($other) = paid(9000);
is($code->($sim->cancel($other, { cancelReason => 'r', cancelAmount => 1000 }, key => 'cancel-key-1')), '200 PARTIAL_CANCELED',
	'another payment is another scope');

# Not two within a second.
$sim->post('/settings', { cancelIntervalMs => 1000 });
($key, $id) = paid(9000);
my $start = time();
is($code->($sim->cancel($key, { cancelReason => 'x', cancelAmount => 1 })), '200 PARTIAL_CANCELED', 'first');
is($code->($sim->cancel($key, { cancelReason => 'x', cancelAmount => 1 })), '403 FORBIDDEN_CONSECUTIVE_REQUEST', 'second')
  if time() - $start < 0.8;
sleep 1.1;
is($code->($sim->cancel($key, { cancelReason => 'x', cancelAmount => 1 })), '200 PARTIAL_CANCELED', 'a second later');
$sim->post('/settings', { cancelIntervalMs => 0 });

# While one waits for its answer, another one is refused.
($key, $id) = paid(9000);
$sim->post('/fault', { orderId => $id, on => 'cancel', kind => 'hang' });
my $waiting = $sim->api_later('POST', "/v1/payments/$key/cancel", { cancelReason => 'x', cancelAmount => 1000 },
	headers => ['Idempotency-Key: cancel-waits']);
sleep 0.02 until $sim->get('/health')->{waiting} > 0;
is($code->($sim->cancel($key, { cancelReason => 'y', cancelAmount => 1000 })), '403 FORBIDDEN_CONSECUTIVE_REQUEST', 'at the same time');
is($code->($sim->cancel($key, { cancelReason => 'x', cancelAmount => 1000 }, key => 'cancel-waits')),
	'409 IDEMPOTENT_REQUEST_PROCESSING', 'the same key');
$sim->post('/release');
is($code->(Simulator::answer_of($waiting)), '200 PARTIAL_CANCELED', 'the first');

# Faults: [kind and more, executed at first?, what the answer is]
for my $case ([ { kind => 'reset-before' }, 0, '0 ?' ], [ { kind => 'reset-after' }, 1, '0 ?' ],
	[ { kind => 'close' }, 1, '0 ?' ], [ { kind => 'cut' }, 1, undef ], [ { kind => 'garbage' }, 1, '200 ?' ],
	[ { kind => 'empty' }, 1, '200 ?' ], [ { kind => 'html502' }, 0, '502 ?' ],
	[ { kind => 'html502', after => 'done' }, 1, '502 ?' ],
	[ { kind => 'refuse', code => 'PROVIDER_ERROR' }, 0, '400 PROVIDER_ERROR' ],
	[ { kind => 'refuse', code => 'FAILED_REFUND_PROCESS', after => 'done' }, 1, '500 FAILED_REFUND_PROCESS' ],
	[ { kind => 'no-cancel' }, 1, '200 PARTIAL_CANCELED' ])
{
	my ($fault, $executed, $expected) = @$case;
	my $name = join ' ', map { "$_=$fault->{$_}" } sort keys %$fault;

	($key, $id) = paid(9000);
	$sim->post('/fault', { orderId => $id, on => 'cancel', %$fault });
	is($sim->{control_status}, 200, "planned: $name");
	my $broken = $sim->cancel($key, { cancelReason => 'x', cancelAmount => 2000 }, key => "fault-$id");
	is($code->($broken), $expected, "$name: answer") if defined $expected;
	is($sim->canceled($id), $executed * 2000, "$name: executed");
	is($broken->{json}{cancels}, undef, "$name: no cancels") if $fault->{kind} eq 'no-cancel';
	my $truth = $sim->cancel($key, { cancelReason => 'x', cancelAmount => 2000 }, key => "fault-$id");
	is($code->($truth), $fault->{kind} eq 'refuse' ? $expected : '200 PARTIAL_CANCELED', "$name: the resend");
	is($sim->canceled($id), $executed || $fault->{kind} ne 'refuse' ? 2000 : 0, "$name: once");
}

# The summary.
my $summary = $sim->get('/summary');
my ($row) = grep { $_->{orderId} eq $id } @{ $summary->{perOrder} };
is("$row->{charges} $row->{amount} $row->{cancels} $row->{canceled}", '1 9000 1 2000', 'the summary of an order');
is((map { $_->{amount} } grep { $_->{currency} eq 'USD' } @{ $summary->{canceled} })[0], 2.25, 'and of a currency');
my ($line) = grep { $_->{orderId} eq $id && $_->{kind} eq 'cancel' } $sim->lines('/journal');
is("$line->{cancelReason} $line->{idempotencyKey}", "x fault-$id", 'a line says which cancel it is');
is($line->{transactionKey}, $sim->query($key)->{json}{lastTransactionKey}, 'and its transaction');

$sim->finish;

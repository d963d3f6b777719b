# Every documented code can be asked for, with its status.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Simulator;

my $sim = Simulator->new(
	secret => [ 'test_gsk_simulator', 'live_gsk_simulator' ]);
my $code = \&Simulator::code;

# The codes of the confirm and query tables, written down a second time here
# so that a slip in the simulator's own table is seen.
my %expected;
while (my $line = <DATA>)
{
	my ($status, @names) = split ' ', $line;
	$expected{$_} = $status for @names;
}
my %listed = map { $_->{code} => $_->{status} } @{ $sim->get('/codes') };
is_deeply({ map { $_ => $listed{$_} } keys %expected }, \%expected,
	'documented codes and statuses are all there');
is(scalar keys %expected, 54, 'and none was forgotten');

my $n = 0;
my $key = $sim->pay('ORDER-CODES', 1000);
for my $name (sort keys %listed)
{
	my $answer = $sim->confirm($key, 'ORDER-CODES', 1000, key => 'T' . ++$n,
		headers => ["TossPayments-Test-Code: $name"]);
	my $ok = $code->($answer) eq "$listed{$name} $name"
	  && length($answer->{json}{message} // '') > 0;
	ok($ok, "$name answers $listed{$name}")
	  or diag($code->($answer) . ' ' . $answer->{body});
}
is($sim->charges('ORDER-CODES'), 0, 'nothing was charged');
is($code->($sim->query($key, headers => ['TossPayments-Test-Code: NOT_FOUND'])),
	'404 NOT_FOUND', 'on queries too');
is($code->($sim->confirm($key, 'ORDER-CODES', 1000, key => 'X1',
			headers => ['TossPayments-Test-Code: NO_SUCH_CODE'])),
	'400 INVALID_TEST_CODE', 'an unknown code');
is($code->($sim->confirm($key, 'ORDER-CODES', 1000, key => 'X1')),
	'400 INVALID_TEST_CODE', 'the answer is stored under the key');
is($code->($sim->confirm($key, 'ORDER-CODES', 1000, key => 'X2',
			headers => ['TossPayments-Test-Code: IDEMPOTENT_REQUEST_PROCESSING'])),
	'409 IDEMPOTENT_REQUEST_PROCESSING', 'a real 409');
is($code->($sim->confirm('none', 'ORDER-CODES', 1000, key => 'X2')),
	'404 NOT_FOUND_PAYMENT_SESSION', 'which is not stored under the key');
is($code->($sim->confirm($key, 'ORDER-CODES', 1000, key => 'X2',
			secret => 'live_gsk_simulator',
			headers => ['TossPayments-Test-Code: NOT_FOUND'])),
	'200 DONE', 'live keys ignore the header');

$sim->finish;

__DATA__
400 ALREADY_PROCESSED_PAYMENT ALREADY_PROCESSING_REQUEST PROVIDER_ERROR
400 EXCEED_MAX_CARD_INSTALLMENT_PLAN INVALID_REQUEST NOT_ALLOWED_POINT_USE
400 INVALID_API_KEY INVALID_REJECT_CARD BELOW_MINIMUM_AMOUNT
400 INVALID_CARD_EXPIRATION INVALID_STOPPED_CARD
400 EXCEED_MAX_DAILY_PAYMENT_COUNT
400 NOT_SUPPORTED_INSTALLMENT_PLAN_CARD_OR_MERCHANT
400 INVALID_CARD_INSTALLMENT_PLAN NOT_SUPPORTED_MONTHLY_INSTALLMENT_PLAN
400 EXCEED_MAX_PAYMENT_AMOUNT NOT_FOUND_TERMINAL_ID INVALID_AUTHORIZE_AUTH
400 INVALID_CARD_LOST_OR_STOLEN RESTRICTED_TRANSFER_ACCOUNT
400 INVALID_CARD_NUMBER INVALID_UNREGISTERED_SUBMALL NOT_REGISTERED_BUSINESS
400 EXCEED_MAX_ONE_DAY_WITHDRAW_AMOUNT EXCEED_MAX_ONE_TIME_WITHDRAW_AMOUNT
400 CARD_PROCESSING_ERROR EXCEED_MAX_AMOUNT INVALID_ACCOUNT_INFO_RE_REGISTER
400 NOT_AVAILABLE_PAYMENT UNAPPROVED_ORDER_ID
400 EXCEED_MAX_MONTHLY_PAYMENT_AMOUNT INVALID_IDEMPOTENCY_KEY
400 NOT_SUPPORTED_MONTHLY_INSTALLMENT_PLAN_BELOW_AMOUNT INVALID_TEST_CODE
401 UNAUTHORIZED_KEY
403 REJECT_ACCOUNT_PAYMENT REJECT_CARD_PAYMENT REJECT_CARD_COMPANY
403 FORBIDDEN_REQUEST REJECT_TOSSPAY_INVALID_ACCOUNT EXCEED_MAX_AUTH_COUNT
403 EXCEED_MAX_ONE_DAY_AMOUNT NOT_AVAILABLE_BANK INVALID_PASSWORD
403 INCORRECT_BASIC_AUTH_FORMAT FDS_ERROR FORBIDDEN_CONSECUTIVE_REQUEST
404 NOT_FOUND_PAYMENT NOT_FOUND_PAYMENT_SESSION NOT_FOUND
409 IDEMPOTENT_REQUEST_PROCESSING
500 FAILED_PAYMENT_INTERNAL_SYSTEM_PROCESSING
500 FAILED_INTERNAL_SYSTEM_PROCESSING UNKNOWN_PAYMENT_ERROR

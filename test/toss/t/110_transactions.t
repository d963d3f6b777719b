# The list of transactions: its rows, pages and dates, and what is not known of
# it as switches.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX qw(strftime);
use Test::More;
use Simulator;

my $sim = Simulator->new(secret => [ 'test_gsk_simulator', 'test_gsk_other:othershop01' ]);
my $code = \&Simulator::code;

# A time in Korea, this many seconds from now
sub korea { my ($plus) = @_; return strftime('%Y-%m-%dT%H:%M:%S', gmtime(time() + 9 * 3600 + ($plus // 0))) }

sub list
{
	my (%query) = @_;
	my $secret = delete $query{secret};
	$query{startDate} //= korea(-3600);
	$query{endDate} //= korea();
	my $path = '/v1/transactions?' . join '&', map { "$_=$query{$_}" }
	  grep { $query{$_} ne '' } sort keys %query;
	return $sim->api('GET', $path, undef, $secret ? (secret => $secret) : ());
}

sub rows { my ($answer) = @_; return join ' ', map { "$_->{orderId}:$_->{status}:$_->{amount}" } @{ $answer->{json} } }

is(rows(list()), '', 'empty');
my %key = map { $_ => $sim->pay($_, 1000 * substr($_, -1)) } map { "ORDER-$_" } 1 .. 5;
$sim->confirm($key{"ORDER-$_"}, "ORDER-$_", 1000 * $_) for 1 .. 3;
my $answer = list();
is(rows($answer), 'ORDER-1:DONE:1000 ORDER-2:DONE:2000 ORDER-3:DONE:3000', 'approvals, in order');
is_deeply([ sort keys %{ $answer->{json}[0] } ], [ sort qw(mId transactionKey paymentKey orderId method
		customerKey useEscrow receiptUrl status transactionAt currency amount) ], 'the fields');
is($answer->{json}[0]{transactionKey}, $sim->query($key{'ORDER-1'})->{json}{lastTransactionKey}, 'the key of the transaction');
like($answer->{json}[0]{transactionAt}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+09:00$/, 'its time');

# Approved and cancelled by others.
$sim->post('/approve', { paymentKey => $key{'ORDER-4'} });
is($sim->{control_status}, 200, 'approved by another system');
$sim->post('/cancel', { paymentKey => $key{'ORDER-1'} });
$sim->post('/cancel', { paymentKey => $key{'ORDER-2'}, amount => 500 });
$sim->post('/cancel', { paymentKey => $key{'ORDER-2'} });
is(rows(list()), 'ORDER-1:DONE:1000 ORDER-2:DONE:2000 ORDER-3:DONE:3000 ORDER-4:DONE:4000 '
	  . 'ORDER-1:CANCELED:1000 ORDER-2:PARTIAL_CANCELED:500 ORDER-2:PARTIAL_CANCELED:1500', 'cancels');
my $payment = $sim->query($key{'ORDER-2'})->{json};
is("$payment->{status} $payment->{balanceAmount} " . join(',', map { "$_->{cancelAmount}/$_->{refundableAmount}" } @{ $payment->{cancels} }),
	'PARTIAL_CANCELED 0 500/1500,1500/0', 'and the payment says the same');
$sim->post('/cancel', { paymentKey => $key{'ORDER-2'} });
is($sim->{control_status}, 409, 'no more than there is');
$sim->post('/cancel', { paymentKey => $key{'ORDER-5'} });
is($sim->{control_status}, 409, 'nor what was not approved');
my $account = $sim->pay('ORDER-9', 900, method => 'VIRTUAL_ACCOUNT');
$sim->confirm($account, 'ORDER-9', 900);
$sim->post('/deposit', { paymentKey => $account });
like(rows(list()), qr/ORDER-9:WAITING_FOR_DEPOSIT:0 ORDER-9:DONE:900$/, 'an account and its deposit');
is(rows(list(secret => 'test_gsk_other')), '', 'another merchant sees nothing of it');

# Pages.
my (@seen, $after);
for (1 .. 10)
{
	my $page = list(limit => 4, $after ? (startingAfter => $after) : ())->{json};
	last if !@$page;
	push @seen, scalar @$page;
	$after = $page->[-1]{transactionKey};
}
is("@seen", '4 4 1', 'pages');
is($code->(list(startingAfter => 'nothing')), '400 INVALID_PAGING_KEY', 'a cursor that is not there');
is($code->(list(limit => 5001)), '400 EXCEED_MAX_QUERY_LIMIT', 'too many rows');
is($code->(list(limit => $_)), '400 INVALID_REQUEST', "limit $_") for 0, 'x', '1.5';
is($code->(list(startDate => $_)), '400 INVALID_DATE', "startDate $_")
  for '', 'x', '2026-13-01', '2026-11-27T10:00', '2026-11-27T25:00:00', '2026-11-27T10:00:00%2B09:00';
is($code->(list(startDate => korea(10), endDate => korea())), '400 INVALID_REQUEST', 'a period that ends before it begins');
is($code->($sim->api('POST', '/v1/transactions', {})), '404 NOT_FOUND_HTTP_METHOD', 'GET only');

# Dates.
is(scalar @{ list(endDate => korea(-60))->{json} }, 0, 'nothing before its time');
is(scalar @{ list(startDate => substr(korea(), 0, 10), endDate => korea(1), limit => 5000)->{json} }, 9, 'a bare date is its midnight');
is(scalar @{ list(startDate => korea(-3600) . '.123', endDate => korea(1) . '.000')->{json} }, 9, 'milliseconds');

# What is not known.
sub set { my (%set) = @_; $sim->post('/settings', \%set); return }
set(transactionsUtc => JSON::PP::true);
is(rows(list()), '', 'dates in UTC: this hour in Korea is not over yet');
set(transactionsUtc => JSON::PP::false, transactionsDescending => JSON::PP::true);
like(rows(list(limit => 2)), qr/^ORDER-9:DONE:900 ORDER-9:WAITING_FOR_DEPOSIT:0$/, 'newest first');
my $first = list(limit => 2)->{json}[-1]{transactionKey};
like(rows(list(limit => 1, startingAfter => $first)), qr/^ORDER-2:PARTIAL_CANCELED:1500$/, 'and on from there');
set(transactionsDescending => JSON::PP::false, transactionsInclusive => JSON::PP::true);
like(rows(list(limit => 1, startingAfter => $first)), qr/^ORDER-9:WAITING_FOR_DEPOSIT:0$/, 'the cursor takes in its row');
set(transactionsInclusive => JSON::PP::false, transactionsNegative => JSON::PP::true, transactionsMaxRows => 5);
is(rows(list()), 'ORDER-1:DONE:1000 ORDER-2:DONE:2000 ORDER-3:DONE:3000 ORDER-4:DONE:4000 ORDER-1:CANCELED:-1000',
	'fewer rows than asked for; negative cancels');
set(transactionsNegative => JSON::PP::false, transactionsMaxRows => 0, transactionsMaxDays => 1);
is($code->(list(startDate => korea(-3 * 86400))), '400 INVALID_DATE', 'too long a period');
set(transactionsMaxDays => 0, transactionsLagMs => 60000);
is(rows(list()), '', 'rows that appear late');
set(transactionsLagMs => 0);

# Faults strike lists by name only, and rows can be anything.
$sim->post('/fault', { kind => 'refuse', any => JSON::PP::true, code => 'PROVIDER_ERROR' });
is(list()->{status}, 200, '"any" is not a list');
$sim->post('/faults/clear', {});
$sim->post('/fault', { kind => 'refuse', on => 'transactions', any => JSON::PP::true, code => 'TOO_MANY_REQUESTS' });
is($code->(list()), '429 TOO_MANY_REQUESTS', 'by name it is');
$sim->post('/fault', { kind => 'garbage', on => 'transactions', any => JSON::PP::true });
is(list()->{json}, undef, 'garbage');
$sim->post('/transaction', { raw => '{"transactionKey":"raw1"}', key => 'raw1' });
is(list()->{json}[-1]{transactionKey}, 'raw1', 'a row of ours');
is(scalar @{ list(startingAfter => 'raw1')->{json} }, 0, 'with a key of its own');
$sim->post('/transaction', { raw => '{' });
is(list()->{json}, undef, 'whatever it is');
$sim->post('/reset', {});
is(rows(list()), '', 'reset');

my ($status) = $sim->stop;
is($status, 0, 'ends cleanly');
is($sim->slurp('err'), '', 'and had nothing to complain about');

done_testing();

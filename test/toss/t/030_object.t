# The Payment object: every field, for every method and state.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use JSON::PP;
use Simulator;

my $sim = Simulator->new;
my @fields = sort qw(version paymentKey type orderId orderName mId currency
  method totalAmount balanceAmount status requestedAt approvedAt useEscrow
  lastTransactionKey suppliedAmount vat cultureExpense taxFreeAmount
  taxExemptionAmount cancels isPartialCancelable card virtualAccount secret
  mobilePhone giftCertificate transfer metadata receipt checkout easyPay
  country failure cashReceipt cashReceipts discount);
my %own = (
	CARD => [ 'card', '카드' ],
	VIRTUAL_ACCOUNT => [ 'virtualAccount', '가상계좌' ],
	EASY_PAY => [ 'easyPay', '간편결제' ],
	MOBILE_PHONE => [ 'mobilePhone', '휴대폰' ],
	TRANSFER => [ 'transfer', '계좌이체' ],
	CULTURE_GIFT_CERTIFICATE => [ 'giftCertificate', '문화상품권' ],
);
my @objects = sort map { $_->[0] } values %own;

for my $method (sort keys %own)
{
	my ($field, $name) = @{ $own{$method} };
	my $id = "ORDER-$method";
	my $key = $sim->pay($id, 15000, method => $method, orderName => "사과 \"1\" & <2>");
	my $p = $sim->query($key)->{json};

	is_deeply([ sort keys %$p ], \@fields, "$method: every field is there");
	is_deeply([ map { $_ => $p->{$_} }
			  grep { defined $p->{$_} } (@objects, qw(approvedAt secret
			  lastTransactionKey receipt useEscrow cancels failure)) ], [],
		"$method: nothing of an approval before it");

	$p = $sim->confirm($key, $id, 15000)->{json};
	is_deeply([ sort keys %$p ], \@fields, "$method: and after it");
	is_deeply([ grep { defined $p->{$_} } @objects ], [$field],
		"$method: its own object and no other");
	is($p->{method}, $name, "$method: Korean name");
	is($p->{orderName}, "사과 \"1\" & <2>", "$method: order name");
	is($p->{version}, '2022-11-16', "$method: version");
	is("$p->{totalAmount} $p->{balanceAmount} $p->{vat} $p->{suppliedAmount}",
		'15000 15000 1364 13636', "$method: amounts");
	like($p->{requestedAt}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+09:00$/,
		"$method: Korean time");
	ok(length $p->{lastTransactionKey} <= 64, "$method: transaction key");
	if ($method eq 'VIRTUAL_ACCOUNT')
	{
		is($p->{status}, 'WAITING_FOR_DEPOSIT', 'account issued');
		is($p->{approvedAt}, undef, 'not approved yet');
		like($p->{secret}, qr/^ps_\w{28}$/, 'secret of the deposit notice');
		like($p->{virtualAccount}{accountNumber}, qr/^X\d+$/, 'test account');
	}
	else
	{
		is($p->{status}, 'DONE', "$method: done");
		ok(defined $p->{approvedAt}, "$method: approved");
		is($p->{secret}, undef, "$method: no secret");
	}
}

# The rule of VAT, on the observed examples.
for ([15000, 1364, 13636], [30000, 2727, 27273], [9026, 821, 8205], [100, 9, 91])
{
	my ($total, $vat, $supplied) = @$_;
	my $key = $sim->pay("ORDER-VAT-$total", $total);
	my $p = $sim->confirm($key, "ORDER-VAT-$total", $total)->{json};
	is("$p->{vat} $p->{suppliedAmount}", "$vat $supplied", "VAT of $total");
}

# The virtual account's way: deposit, its reversal, deposit again.
my $key = $sim->pay('ORDER-VA', 20000, method => '가상계좌');
my $issued = $sim->confirm($key, 'ORDER-VA', 20000, key => 'va-1')->{body};
is($sim->charges('ORDER-VA'), 1, 'issuing is booked');
is($sim->get('/summary')->{perOrder}[0] && 0, 0, 'summary can be read');
is((grep { $_->{orderId} eq 'ORDER-VA' } @{ $sim->get('/summary')->{perOrder} }),
	0, 'but it is no charge');
is($sim->post('/deposit', { paymentKey => $key })->{status}, 'DONE', 'deposit');
$sim->post('/deposit', { paymentKey => $key });
is($sim->{control_status}, 409, 'no second deposit');
ok(defined $sim->query($key)->{json}{approvedAt}, 'approved by the deposit');
is($sim->confirm($key, 'ORDER-VA', 20000, key => 'va-1')->{body}, $issued,
	'a replay still shows the account waiting, to the byte');
my ($row) = grep { $_->{orderId} eq 'ORDER-VA' }
  @{ $sim->get('/summary')->{perOrder} };
is("$row->{charges} $row->{amount}", '1 20000', 'the deposit is the charge');
is($sim->post('/deposit-error', { paymentKey => $key })->{status},
	'WAITING_FOR_DEPOSIT', 'deposit error');
is($sim->query($key)->{json}{approvedAt}, undef, 'approval is gone');
is($sim->post('/deposit', { paymentKey => $key })->{status}, 'DONE', 'again');
($row) = grep { $_->{orderId} eq 'ORDER-VA' }
  @{ $sim->get('/summary')->{perOrder} };
is("$row->{charges} $row->{amount}", '1 20000', 'one charge in sum');

# An account past its due date.
$key = $sim->pay('ORDER-VA-LATE', 20000, method => '가상계좌');
$sim->confirm($key, 'ORDER-VA-LATE', 20000);
my $before = $sim->query($key)->{json};
$sim->post('/clock', { advance => 168 * 3600 + 1 });
my $after = $sim->query($key)->{json};
ok(!$before->{virtualAccount}{expired} && $after->{virtualAccount}{expired},
	'expires');
is($after->{status}, 'WAITING_FOR_DEPOSIT', 'but keeps its state');
is($after->{lastTransactionKey}, $before->{lastTransactionKey},
	'no transaction happened');
$sim->post('/deposit', { paymentKey => $key });
is($sim->{control_status}, 409, 'no deposit into an expired account');
is($sim->post('/deposit', { paymentKey => $key, late => JSON::PP::true })->{status}, 'DONE',
	'unless it came in at the last moment');

# Its life is a switch, and whether it is ever said that it is over.
$sim->post('/settings', { accountSeconds => 60, accountStaysOpen => JSON::PP::true });
$key = $sim->pay('ORDER-VA-SHORT', 20000, method => '가상계좌');
$sim->confirm($key, 'ORDER-VA-SHORT', 20000);
$sim->post('/clock', { advance => 61 });
ok(!$sim->query($key)->{json}{virtualAccount}{expired}, 'not said');
$sim->post('/settings', { accountStaysOpen => JSON::PP::false });
ok($sim->query($key)->{json}{virtualAccount}{expired}, 'said, after a minute');

$sim->finish;

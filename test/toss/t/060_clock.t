# The movable clock, and what expires by it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Simulator;

my $sim = Simulator->new;
my $code = \&Simulator::code;

sub advance { $sim->post('/clock', { advance => $_[0] }) }

my $before = $sim->get('/clock');
is($before->{advanced}, 0, 'starts unmoved');
like($before->{now}, qr/\+09:00$/, 'shown in Korean time');
advance(3600);
my $after = $sim->get('/clock');
my $moved = ($after->{timeUs} - $before->{timeUs}) / 1e6;
ok($moved >= 3600 && $moved < 3620, 'moved by an hour');
for my $bad ({ advance => -1 }, { advance => 1.5 }, { advance => 'x' }, {})
{
	$sim->post('/clock', $bad);
	is($sim->{control_status}, 400, 'refused');
}

# READY lives 30 minutes.
my $early = $sim->post('/create', { orderId => 'ORDER-T-1', amount => 1000 })
  ->{paymentKey};
my $late = $sim->post('/create', { orderId => 'ORDER-T-2', amount => 1000 })
  ->{paymentKey};
advance(30 * 60 - 30);
is($sim->post('/authenticate', { paymentKey => $early })->{status},
	'IN_PROGRESS', 'authenticated in time');
advance(60);
$sim->post('/authenticate', { paymentKey => $late });
is($sim->{control_status}, 409, 'not after 30 minutes');
my $p = $sim->query($late)->{json};
is("$p->{status} $p->{failure}{code}", 'EXPIRED EXPIRED_PAYMENT', 'expired');
is_deeply([ grep { defined $p->{$_} } qw(approvedAt cancels card cashReceipt
	  discount easyPay lastTransactionKey method receipt secret transfer
	  useEscrow virtualAccount) ], [], 'null as observed');

# IN_PROGRESS lives 10 minutes, counted from authentication.
is($code->($sim->confirm($early, 'ORDER-T-1', 1000)), '200 DONE',
	'confirmed in its 10 minutes');
my $key = $sim->pay('ORDER-T-3', 1000);
advance(10 * 60 - 30);
is($code->($sim->query($key)), '200 IN_PROGRESS', 'still in progress');
advance(60);
is($code->($sim->confirm($key, 'ORDER-T-3', 1000)),
	'404 NOT_FOUND_PAYMENT_SESSION', 'too late');
is($code->($sim->query($key)), '200 EXPIRED', 'expired');
is($sim->charges('ORDER-T-3'), 0, 'not charged');

# A paid session: what a repeated confirm gets after 10 minutes is a switch.
$key = $sim->pay('ORDER-T-4', 1000);
$sim->confirm($key, 'ORDER-T-4', 1000);
advance(700);
is($code->($sim->confirm($key, 'ORDER-T-4', 1000)),
	'400 ALREADY_PROCESSED_PAYMENT', 'already processed');
$sim->post('/settings', { sessionHidesDone => JSON::PP::true });
is($code->($sim->confirm($key, 'ORDER-T-4', 1000)),
	'404 NOT_FOUND_PAYMENT_SESSION', 'or the session is gone');
is($code->($sim->query($key)), '200 DONE', 'yet it is paid');

# The books keep real time.
my ($charge) = grep { $_->{orderId} eq 'ORDER-T-4' } $sim->lines('/journal');
ok(abs($charge->{timeUs} / 1e6 - time()) < 60, 'the journal is not moved');

# Queries of what is not confirmed: a switch.
$key = $sim->pay('ORDER-T-5', 1000);
$sim->post('/settings', { queryUnconfirmed => JSON::PP::false });
is($code->($sim->query($key)), '404 NOT_FOUND_PAYMENT', 'hidden');
$key = $sim->pay('ORDER-T-6', 1000);
$sim->post('/settings', { queryUnconfirmed => JSON::PP::true,
		queryIntervalMs => 60000 });
is($code->($sim->query($key)), '200 IN_PROGRESS', 'shown');
is($code->($sim->query($key)), '403 FORBIDDEN_CONSECUTIVE_REQUEST',
	'too often');

$sim->finish;

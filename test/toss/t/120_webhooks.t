# Webhooks: which changes are told, in what form, how often they are sent, and
# what goes wrong with them.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(hmac_sha256_base64);
use Encode qw(encode);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use JSON::PP;
use Test::More;
use Time::HiRes qw(sleep time);
use Simulator;

my $sim = Simulator->new;
my $json = JSON::PP->new->allow_bignum;	# of characters: the body is a text in a text
my $dir = tempdir(CLEANUP => 1);

sub webhooks { return $sim->lines('/webhooks') }

# kind, order and status of each
sub told
{
	return join ' ', map {
		my $body = eval { $json->decode($_->{body}) } // {};
		"$_->{kind}:" . ($_->{orderId} // '-') . ':' . ($body->{data}{status} // $body->{status} // '-')
	} @_;
}

# Nobody wants any
my $key = $sim->pay('ORDER-0', 1000);
$sim->confirm($key, 'ORDER-0', 1000);
is(told(webhooks()), '', 'without an address nothing is kept');

# What is told
$sim->post('/settings', { webhookKeep => \1 });
$key = $sim->pay('ORDER-1', 1000);
is(told(webhooks()), '', 'READY and IN_PROGRESS are not told');
$sim->confirm($key, 'ORDER-1', 1000);
$sim->post('/cancel', { paymentKey => $key, amount => 300 });
$sim->post('/cancel', { paymentKey => $key });
is(told(webhooks()), 'payment:ORDER-1:DONE payment:ORDER-1:PARTIAL_CANCELED payment:ORDER-1:PARTIAL_CANCELED', 'approval and cancels');
my ($done, $cancel) = webhooks();
my $body = $json->decode($done->{body});
is_deeply([ sort keys %$body ], [qw(createdAt data eventType)], 'the first envelope');
is($body->{eventType}, 'PAYMENT_STATUS_CHANGED', 'its name');
like($body->{createdAt}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/, 'its time has no offset');
is_deeply([ sort keys %{ $body->{data} } ], [ sort keys %{ $sim->query($key)->{json} } ], 'the payment is the one that a query shows');
is($json->decode($cancel->{body})->{data}{balanceAmount}, 700, 'as it was then');
like($done->{headers}{'tosspayments-webhook-transmission-time'}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+09:00$/, 'header: time');
is($done->{headers}{'tosspayments-webhook-transmission-retried-count'}, '0', 'header: retried');
like($done->{headers}{'tosspayments-webhook-transmission-id'}, qr/^whtrans_a01\w{32}$/, 'header: id');
ok(!exists $done->{headers}{'tosspayments-webhook-signature'}, 'no signature');

my $account = $sim->pay('ORDER-2', 2000, method => 'VIRTUAL_ACCOUNT');
$sim->confirm($account, 'ORDER-2', 2000);
$sim->post('/deposit', { paymentKey => $account });
$sim->post('/deposit-error', { paymentKey => $account });
is(told(grep { $_->{orderId} eq 'ORDER-2' } webhooks()), 'deposit:ORDER-2:WAITING_FOR_DEPOSIT payment:ORDER-2:DONE deposit:ORDER-2:DONE '
	  . 'deposit:ORDER-2:WAITING_FOR_DEPOSIT', 'a virtual account');
my ($deposit) = grep { $_->{kind} eq 'deposit' } webhooks();
$body = $json->decode($deposit->{body});
is_deeply([ sort keys %$body ], [qw(createdAt orderId secret status transactionKey)], 'the second envelope');
is($body->{secret}, $sim->query($account)->{json}{secret}, 'with the secret of the payment');
$sim->post('/settings', { webhookDepositOffset => \1 });
like($json->decode((grep { $_->{kind} eq 'deposit' } webhooks())[0]{body})->{createdAt}, qr/\d\+09:00$/, 'switch: an offset');

$sim->pay('ORDER-3', 3000);
$key = $sim->pay('ORDER-4', 4000);
$sim->post('/fail', { paymentKey => $key });
$sim->post('/clock', { advance => 169 * 3600 });
is(told(grep { $_->{orderId} =~ /[34]/ } webhooks()), 'payment:ORDER-4:ABORTED payment:ORDER-3:EXPIRED', 'a failure; and what expires, when the clock moves');
is(scalar(grep { $_->{orderId} eq 'ORDER-2' } webhooks()), 4, 'a due date that passes is not told');

# The third envelope, signed
$sim->post('/webhook', { kind => 'payout' });
$sim->post('/webhook', { kind => 'payout', forged => \1 });
my ($payout, $forged) = (webhooks())[ -2, -1 ];
$body = $json->decode($payout->{body});
is_deeply([ sort keys %$body ], [qw(createdAt entityBody entityType eventId eventType version)], 'the third envelope');
sub is_signed
{
	my ($webhook, $security_key) = @_;
	my $time = $webhook->{headers}{'tosspayments-webhook-transmission-time'};
	my $expected = 'v1:' . hmac_sha256_base64("$webhook->{body}:$time", $security_key) . '=';
	return grep { $_ eq $expected } split /,/, $webhook->{headers}{'tosspayments-webhook-signature'};
}
ok(is_signed($payout, "\0" x 32), 'signed with the bytes of the key');
ok(!is_signed($forged, "\0" x 32), 'or forged');
$sim->post('/settings', { webhookTextKey => \1 });
ok(is_signed((webhooks())[-2], '0' x 64), 'switch: with its text');

$sim->post('/webhook', { kind => 'nothing' });
is($sim->{control_status}, 400, 'no such kind');
$sim->post('/webhook', { kind => 'deposit', paymentKey => 'none' });
is($sim->{control_status}, 404, 'no such payment');
$sim->post('/webhook', { kind => 'raw', raw => '{"garbage' });
is((webhooks())[-1]{body}, '{"garbage', 'a body of the test\'s own');

# What goes wrong
$sim->post('/reset');
is(told(webhooks()), '', 'a reset forgets them');
$sim->post('/settings', { webhookKeep => \1, webhookLosePercent => 100 });
$key = $sim->pay('ORDER-5', 1000);
$sim->confirm($key, 'ORDER-5', 1000);
is((webhooks())[0]{state}, 'lost', 'lost');
$sim->post('/settings', { webhookLosePercent => 0, webhookDuplicatePercent => 100, webhookForgePercent => 100 });
$account = $sim->pay('ORDER-6', 1000, method => 'VIRTUAL_ACCOUNT');
$sim->confirm($account, 'ORDER-6', 1000);
my ($first, $second, $third) = grep { $_->{orderId} eq 'ORDER-6' } webhooks();
ok($first->{forged} && $first->{body} ne $second->{body} && $first->{body} !~ /\Q@{[ $sim->query($account)->{json}{secret} ]}\E/, 'a forged one first');
is($second->{headers}{'tosspayments-webhook-transmission-id'}, $third->{headers}{'tosspayments-webhook-transmission-id'}, 'and the true one twice');

# Sending.  The receiver answers what the file says, and notes what it gets.
my $listener = IO::Socket::INET->new(Listen => 50, LocalAddr => '127.0.0.1', ReuseAddr => 1) or die $!;
my $url = 'http://127.0.0.1:' . $listener->sockport . '/webhooks/toss';
my $receiver = fork() // die $!;
if ($receiver == 0)
{
	while (my $client = $listener->accept)
	{
		my $head = '';
		while (defined(my $line = <$client>))
		{
			$head .= $line;
			last if $line eq "\r\n";
		}
		my ($length) = $head =~ /^Content-Length: (\d+)/m;
		read($client, my $text, $length);
		open(my $out, '>>', "$dir/received");
		print $out $Simulator::json->encode({ head => $head, body => $text }), "\n";
		close $out;
		open(my $in, '<', "$dir/status");
		my $status = <$in>;
		chomp $status;
		print $client "HTTP/1.1 $status X\r\nContent-Length: 0\r\n\r\n";
		close $client;
	}
	exit;
}
END { local $?; kill 'KILL', $receiver if $receiver }

sub answer_with
{
	my ($status) = @_;
	open(my $out, '>', "$dir/new");
	print $out "$status\n";
	close $out;
	rename "$dir/new", "$dir/status";
}

sub received
{
	open(my $in, '<', "$dir/received") or return;
	return map { $Simulator::json->decode($_) } <$in>;
}

sub wait_until
{
	my ($check, $what) = @_;
	my $end = time() + 20;
	until ($check->()) { time() < $end or return fail("in time: $what"); sleep 0.01 }
	return pass($what);
}

answer_with(200);
$sim->post('/reset');
$sim->post('/settings', { webhookUrl => $url });
$key = $sim->pay('ORDER-7', 1000);
$sim->confirm($key, 'ORDER-7', 1000);
wait_until(sub { (webhooks())[0]{state} eq 'delivered' }, 'delivered');
my ($one) = received();
like($one->{head}, qr{^POST /webhooks/toss HTTP/1\.1\r\n}, 'a POST to the address');
like($one->{head}, qr{^Content-Type: application/json\r$}m, 'JSON');
is($one->{body}, encode('UTF-8', (webhooks())[0]{body}), 'what the list shows');
is(scalar(received()), 1, 'once');

# Anything but 200 is tried again, on Toss's schedule.
answer_with(204);
$key = $sim->pay('ORDER-8', 1000);
$sim->confirm($key, 'ORDER-8', 1000);
my $mine = sub { my ($webhook) = grep { $_->{orderId} eq 'ORDER-8' } webhooks(); return $webhook };
wait_until(sub { $mine->()->{tries} == 1 }, 'one try');
is($mine->()->{state}, 'waits', '204 is no success');
my $id = $mine->()->{headers}{'tosspayments-webhook-transmission-id'};
for my $try (1 .. 7)
{
	my $minutes = 4**($try - 1);
	$sim->post('/clock', { advance => $minutes * 60 - 5 });
	sleep 0.05;
	is($mine->()->{tries}, $try, "not before $minutes minutes");
	$sim->post('/clock', { advance => 6 });
	wait_until(sub { $mine->()->{tries} == $try + 1 }, 'but then');
}
is($mine->()->{state}, 'given up', 'seven times again, and no more');
my @ids = map { /transmission-id: (\S+)/ } map { $_->{head} } grep { $_->{body} =~ /ORDER-8/ } received();
is(scalar(grep { $_ eq $id } @ids), 8, 'with the same id');
is(join(',', map { /retried-count: (\d+)/ } map { $_->{head} } grep { $_->{body} =~ /ORDER-8/ } received()), '0,1,2,3,4,5,6,7', 'and the count of tries');
$sim->post('/settings', { webhookTakes2xx => \1, webhookKeepsId => \0 });
$key = $sim->pay('ORDER-9', 1000);
$sim->confirm($key, 'ORDER-9', 1000);
wait_until(sub { (webhooks())[-1]{state} eq 'delivered' }, 'switch: 204 is success');

# Held back, others overtake it.
answer_with(200);
$sim->post('/settings', { webhookReorderPercent => 100 });
$key = $sim->pay('ORDER-A', 1000);
$sim->confirm($key, 'ORDER-A', 1000);
$sim->post('/settings', { webhookReorderPercent => 0 });
$sim->post('/cancel', { paymentKey => $key });
wait_until(sub { 2 == grep { $_->{body} =~ /ORDER-A/ } received() }, 'both come');
is(join(' ', map { $json->decode($_->{body})->{data}{status} } grep { $_->{body} =~ /ORDER-A/ } received()),
	'CANCELED DONE', 'the later one first');

# Nobody there
$sim->post('/settings', { webhookUrl => 'http://127.0.0.1:1/x' });
$key = $sim->pay('ORDER-B', 1000);
$sim->confirm($key, 'ORDER-B', 1000);
wait_until(sub { (webhooks())[-1]{tries} == 1 }, 'a receiver that is not there');
is((webhooks())[-1]{status}, 0, 'gives no answer');

my ($status) = $sim->stop;
is($status, 0, 'the simulator ends cleanly');
done_testing();

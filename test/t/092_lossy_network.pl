# Orders of six merchants, refunds and deposits over a network that closes, resets,
# holds, trickles and delays, in both directions, at every depth of a connection:
# before, within and behind the handshake, within a request and within an answer.
# When it is well again everything settles, and is what the simulator's books say:
# nobody is charged twice, and no order fails that was paid.
#
# SEED=... repeats what happens to connections and what is ordered, if not when.
# The short form is six seconds of that; make slow takes five minutes.
use strict;
use warnings;

use Audit;
use Network;
use PaymentsTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $is_long = is_long('slow');
my $seed = $ENV{SEED} || int(rand(1 << 31));
my ($n, $seconds) = $is_long ? (6000, 300) : (300, 6);
srand($seed);
diag("SEED=$seed");

my $shop = PaymentsTest->new(start => 0, conf => q(
payments.request_timeout = 1s
payments.connect_timeout = 1s
payments.sweep_interval = 1s
payments.max_in_flight = 32
));
my $network = Network->new($shop, seed => $seed);
$shop->start;
my @merchants = ('default', map { "merchant$_" } 1 .. 5);
for (@merchants[ 1 .. 5 ])
{
	$shop->write_secret($_, $PaymentsTest::secret);
	$shop->sql("SELECT payments.set_merchant('$_', 'test_ck_simulator0only')");
}
$shop->wait_for_worker;
$shop->settings(delayMs => 10, delayJitterMs => 60);
my $pid = $shop->worker('pid');

my (@cards, @accounts);
for my $merchant (@merchants)
{
	push @cards, $shop->orders($n / 6, 1000, merchant => $merchant);
	push @accounts, $shop->orders($n / 60, 1000, merchant => $merchant, method => 'VIRTUAL_ACCOUNT');
}
my @all = @cards[ map { $_->[0] } sort { $a->[1] <=> $b->[1] } map { [ $_, rand ] } 0 .. $#cards ];
splice @all, int rand(@all), 0, $_ for @accounts;

# What waits for its back-off or its deposit is pushed, a little at a time.
sub push_calls
{
	$shop->sql(q(SELECT count(payments.retry(order_id)) FROM payments.psp_call_queue
		WHERE state = 'P' AND due_at > clock_timestamp() + '2 s' OR state = 'D'));
	$shop->sql(q(SELECT count(payments.retry(order_id)) FROM payments.psp_call_deposit));
}

# Half of the buyers are quick to pay into their accounts, banks may book it back;
# the others come when the network is well.
my %is_paid_in;
sub pay_in
{
	my (@orders) = @_;
	my %is_issued = map { $_ => 1 } split /\n/, $shop->sql("SELECT order_id FROM payments.virtual_account");
	for (grep { $is_issued{ $_->{order_id} } && !$is_paid_in{ $_->{order_id} } } @orders)
	{
		$shop->toss('POST', '/deposit', { paymentKey => $_->{payment_key} });
		$is_paid_in{ $_->{order_id} } = 1;
	}
}

# Refunds of what is paid by then: of all, or of a part, twice perhaps
my (%is_considered, $refunds);
sub refund_some
{
	for (split /\n/, $shop->sql("SELECT order_id FROM payments.payment WHERE status = 'SUCCESS' AND psp_status = 'DONE'
		AND account_number IS NULL ORDER BY 1"))
	{
		next if $is_considered{$_}++ || rand() > 0.4;
		my @parts = rand() < 0.5 ? ('') : map { ', amount => ' . int(100 + rand(400)) } 0 .. rand(2);
		for my $part (@parts) { $shop->sql("SELECT payments.refund('$_', 'test'$part)") }
		$refunds += @parts;
	}
}

my ($start, $next) = (time(), 0);
while (time() - $start < $seconds)
{
	my $until = int(@all * (time() - $start) / $seconds * 1.25) + 10;
	$until = @all if $until > @all;
	$shop->confirm(@all[ $next .. $until - 1 ]) if $until > $next;
	$next = $until;
	pay_in(grep { substr($_->{order_id}, -1) =~ /[0-7]/ } @accounts);
	refund_some();
	push_calls() if rand() < 0.3;
	sleep 0.2;
}
$shop->confirm(@all[ $next .. $#all ]) if $next < @all;
my $at_worst = $shop->sql('SELECT count(*) FROM payments.psp_call_queue');
ok($network->is_alive, 'the network has lived through it');
is($shop->worker('pid'), $pid, 'and so has the worker');

# New connections are good; those that are there are as they are.  Then all are.
$network->calm;
sleep 1.2;
$network->heal;
my $is_over = 0;
my $end = time() + $PaymentsTest::timeout * ($is_long ? 5 : 1);
while (!$is_over && time() < $end)
{
	pay_in(@accounts);
	push_calls();
	$is_over = $shop->sql(q(SELECT (SELECT count(*) FROM payments.psp_call_queue)
		+ (SELECT count(*) FROM payments.psp_call_deposit))) == 0;
	sleep 0.7 if !$is_over;
}
ok($network->is_alive, 'the network has lived to the end');
ok($is_over, "all come to an end ($at_worst calls were open)")
  or diag($shop->sql('TABLE payments.open_calls'));

my %charges;
$charges{ $_->{orderId} }++ for grep { $_->{kind} eq 'charge' || $_->{kind} eq 'deposit' } $shop->charges;
is(scalar(grep { $charges{ $_->{order_id} } // 0 } @all), scalar @all, 'all were charged, ' . @all);
is(join(' ', grep { $charges{$_} > 1 } sort keys %charges), '', 'and nobody twice');
is($shop->sql("SELECT string_agg(status || ' ' || n, ', ') FROM (SELECT status::text, count(*) AS n FROM payments.payment GROUP BY 1) s"),
	'SUCCESS ' . @all, 'which we know of all');
is($shop->sql("SELECT string_agg(status || ' ' || n, ', ') FROM (SELECT refund_status::text AS status, count(*) AS n
	FROM payments.refund GROUP BY 1) s"), "SUCCESS $refunds", 'and of all refunds');
is($shop->worker('pid'), $pid, 'by the same worker');
is($shop->worker('state'), 'running', 'which runs');

# It was no walk: each kind has struck, in each direction, at several depths.
my %struck = $network->struck;
my $total = 0;
$total += $_ for values %struck;
for my $kind (qw(close reset hole trickle delay))
{
	for my $way (qw(up down))
	{
		my @depths = grep { $struck{"$kind $way $_"} } 0 .. 4;
		ok(@depths, "$kind $way: at depths @depths");
	}
}
my ($unanswered, $unsent) = map { $shop->sql("SELECT count(*) FROM payments.psp_answer WHERE transport = '$_'") } 'no answer', 'not sent';
cmp_ok($unanswered, '>', 10, "of $total strikes $unanswered left an attempt without an answer");
cmp_ok($unsent, '>', 3, "and $unsent were proved not to be sent");
audit($shop, "seed $seed");
$shop->{node}->stop;
done_testing();

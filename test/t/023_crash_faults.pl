# Every fault of the simulator, on confirm and on query, one order each and all
# at once.  Afterwards each order is what the simulator's books say, in bounded
# time; one whose refusal came behind doubt stays UNKNOWN and visible until its
# window has closed, and fails only then.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $shop = PaymentsTest->new(conf => "payments.request_timeout = 3s\npayments.sweep_interval = 1s\n");
$shop->wait_for_worker;

# kind, what may be true afterwards, and more
my @faults = (
	[ 'reset-before', ['unchanged'] ],
	[ 'reset-after', ['done'] ],
	[ 'close', [qw(done unchanged aborted)] ],
	[ 'hang', [qw(done unchanged)], delayMs => 5000 ],
	[ 'slow', [qw(done unchanged late aborted)], delayMs => 1500 ],
	[ 'drip', ['done'], delayMs => 50 ],
	[ 'drip', ['done'], delayMs => 1000 ],
	(map { [ $_, [qw(done unchanged aborted)] ] } qw(cut garbage empty html502 content-type)),
	(map { [ $_, ['done'] ] } qw(wrong-amount wrong-order wrong-key wrong-currency
	  unknown-status unknown-fields duplicate-keys)));
my @codes = grep { $_->{status} >= 400 } @{ $shop->toss('GET', '/codes') };

my @cases;
sub add
{
	my ($name, %wish) = @_;
	push @cases, { name => $name, %wish };
}
for (@faults)
{
	my ($kind, $afters, %more) = @$_;

	for my $after (@$afters)
	{
		add("confirm: $kind, $after" . ($more{delayMs} ? ", $more{delayMs} ms" : ''),
			status => $after eq 'aborted' ? 'FAILURE' : 'SUCCESS',
			faults => [ { on => 'confirm', kind => $kind,
				$kind =~ /reset/ ? () : (after => $after), %more } ]);
	}
	add("query: $kind" . ($more{delayMs} ? ", $more{delayMs} ms" : ''), status => 'SUCCESS',
		faults => [ { on => 'confirm', kind => 'garbage' },
			{ on => 'query', kind => $kind, %more } ]);
}
add('query: lag', status => 'SUCCESS',
	faults => [ { on => 'confirm', kind => 'garbage' },
		{ on => 'query', kind => 'lag', delayMs => 60000 } ]);

# A refusal of each code, to the only attempt and behind a lost answer.
for my $code (@codes)
{
	add("refused: $code->{code}", faults =>
		  [ { on => 'confirm', kind => 'refuse', code => $code->{code} } ]);
	add("paid, then refused: $code->{code}", status => 'SUCCESS', faults =>
		  [ { on => 'confirm', kind => 'reset-after' },
			{ on => 'query', kind => 'refuse', code => $code->{code} } ]);
}
cmp_ok(scalar @cases, '>', 120, 'there are many cases: ' . @cases);

my @orders = $shop->orders(scalar @cases, 1000);
for my $i (0 .. $#cases)
{
	$cases[$i]{order} = $orders[$i];
	$shop->fault($orders[$i], %$_) for @{ $cases[$i]{faults} };
}
my $start = time();
$shop->confirm(@orders);

# Push what waits for its back-off, a step every other second.
my $is_over = 0;
while (!$is_over && time() - $start < $PaymentsTest::timeout)
{
	sleep 2;
	$shop->sql(q(SELECT payments.retry(order_id) FROM payments.psp_call_queue
		WHERE state = 'P' AND due_at > clock_timestamp() + '2 s' OR state = 'D'));
	$is_over = $shop->sql(q(SELECT count(*) FROM payments.psp_call_queue)) == 0;
}
ok($is_over, 'all come to an end in time')
  or diag($shop->sql('TABLE payments.open_calls'));

my %charged = map { $_->{orderId} => 1 } $shop->charges;
my %status = map { split /\|/ } split /\n/,
  $shop->sql('SELECT order_id, status FROM payments.payment');
my (@wrong, @other);
for (@cases)
{
	my $id = $_->{order}{order_id};
	my $truth = $charged{$id} ? 'SUCCESS' : 'FAILURE';

	push @wrong, "$_->{name}: $status{$id}, but $truth" if $status{$id} ne $truth;
	push @other, "$_->{name}: $status{$id}"
	  if $_->{status} && $status{$id} ne $_->{status};
}
is(join("\n", @wrong), '', 'each is what is true');
is(join("\n", @other), '', 'and what is best');
audit($shop, 'faults');

# Refused behind doubt: the first attempt may still be executed.
# The other is of another merchant, whose circuit breaker its faults open.
$shop->write_secret('other', $PaymentsTest::secret);
$shop->sql("SELECT payments.set_merchant('other', 'test_ck_simulator0only')");
my $doubtful = $shop->order(1000);
my $expired = $shop->order(1000, merchant => 'other');
@orders = ($doubtful, $expired);
$shop->fault($_, on => 'confirm', kind => 'reset-before') for @orders;
$shop->fault($doubtful, on => 'confirm', kind => 'refuse', code => 'REJECT_CARD_PAYMENT');
$shop->fault($expired, on => 'query', kind => 'reset-before', count => 100);
$shop->fault($expired, on => 'confirm', kind => 'reset-before', count => 100);
$shop->confirm(@orders);
$shop->poll(sub { answers_of($shop, $doubtful) =~ /confirm refused, .*query open/ },
	'refused, and asked about')
  or diag(answers_of($shop, $doubtful));
is($shop->status($doubtful), 'UNKNOWN', 'refused behind doubt: UNKNOWN');
is($shop->sql("SELECT count(*) FROM payments.open_calls WHERE order_id IN
	('$doubtful->{order_id}', '$expired->{order_id}')"), 2, 'and visible');

# Nothing is believed of an order before its window and the grace are over,
# whatever it looks like: move the first sending back in time.
sub grow_older
{
	my ($order, $age) = @_;
	my $attempts = "SELECT count(*) FROM payments.psp_answer
		WHERE order_id = '$order->{order_id}'";
	my $n = $shop->sql($attempts);

	# due at once without a retry, which would make it ask twice anew; the sweep
	# finds it
	$shop->sql("UPDATE payments.psp_call_queue SET due_at = clock_timestamp(),
			first_sent_at = clock_timestamp() - interval '$age'
		WHERE order_id = '$order->{order_id}'");
	$shop->poll(sub { $shop->sql($attempts) > $n }, 'asked again');
}
grow_older($doubtful, '14 min 30 s');
is($shop->status($doubtful), 'UNKNOWN', 'not yet after 14:30');
grow_older($doubtful, '15 min 10 s');
is($shop->status($doubtful), 'UNKNOWN', 'nor the first time after 15:00');
grow_older($doubtful, '15 min 45 s');
is($shop->status($doubtful), 'FAILURE', 'asked twice after 15:00 it fails');

# Never executed, and expired at the PSP by its own clock.
$shop->toss('POST', '/clock', { advance => 1900 });
$shop->toss('POST', '/faults/clear', {});
$shop->sql("SELECT payments.retry('$expired->{order_id}')");
is($shop->wait_for($expired), 'FAILURE', 'expired at the PSP: it fails');
audit($shop, 'windows', secrets => 0);

$shop->{node}->stop;
done_testing();

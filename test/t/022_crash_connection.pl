# A connection that was used before and dies under a request, after the server
# has executed it or before it has read it: libcurl would send the request
# again by itself, unseen by us.  Each attempt is one request on the wire.
use strict;
use warnings;

use Audit;
use JSON::PP;
use PaymentsTest;
use Test::More;

my $shop = PaymentsTest->new(
	conf => "payments.max_in_flight = 1\n", simulator => { idle => 6 });
$shop->wait_for_worker;

my @cases = (
	[ 'reset-after', 'done' ],
	[ 'reset-before', 'unchanged' ],
	[ 'close-reused', 'done' ],
	[ 'close', 'done' ],
	[ 'close', 'unchanged' ],
	[ 'cut', 'done' ]);
my @orders;

for (@cases)
{
	my ($kind, $after) = @$_;
	my $name = "$kind, $after";

	# one request makes the connection, the second dies on it
	my ($first, $second) = $shop->orders(2, 1000);
	push @orders, $second;
	$shop->fault($second, kind => $kind, on => 'confirm',
		$kind =~ /reset/ ? () : (after => $after), reused => JSON::PP::true);
	$shop->confirm($first);
	is($shop->wait_for($first), 'SUCCESS', "$name: a connection");
	my ($made) = arrivals($shop, $first, 'POST');
	$shop->confirm($second);
	is($shop->wait_for($second), 'SUCCESS', "$name: paid in the end");

	my ($request) = arrivals($shop, $second, 'POST');
	is($request->{connection}, $made->{connection}, "$name: the connection was reused");
	cmp_ok($request->{requestOnConnection}, '>', 1, "$name: and died under the second");
	is(scalar(grep { $_->{orderId} eq $second->{order_id} } $shop->charges), 1,
		"$name: one charge");
	is(scalar(arrivals($shop, $second, 'POST')),
		$shop->sql("SELECT count(*) FROM payments.psp_attempt
			WHERE order_id = '$second->{order_id}' AND operation = 'confirm'"),
		"$name: as many requests as attempts");
	unlike(answers_of($shop, $second), qr/^confirm approved/,
		"$name: the first answer did not come");
}
is($shop->worker('unanswered'), scalar @cases, 'and nothing else was lost');
audit($shop, 'connections');

# The simulator closes what is idle for six seconds.  A connection that is
# nobody's must not keep the worker awake.
sleep 8;
my $before = cpu_ticks($shop);
sleep 2;
cmp_ok(cpu_ticks($shop) - $before, '<', 10,
	'the worker sleeps when its connections were closed');

$shop->{node}->stop;
done_testing();

# What the worker has used of a CPU, in hundredths of a second
sub cpu_ticks
{
	my ($shop) = @_;
	my $pid = $shop->sql("SELECT pid FROM payments.worker_status");
	open(my $stat, '<', "/proc/$pid/stat") or die "no worker: $!";
	my @field = split ' ', (readline($stat) =~ s/^.*\) //r);
	return $field[11] + $field[12];
}

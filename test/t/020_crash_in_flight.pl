# Whatever ends while requests are on their way to the PSP, each order is
# charged once and both books say so: requests that were executed and never
# answered, that were lost, that are executed only after the crash.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $shop = PaymentsTest->new(start => 0, conf => "payments.shutdown_drain = 300ms\n");
middlebox($shop);
$shop->start;
$shop->wait_for_worker;

my @violence = (
	[ 'kill -9 of the worker', \&kill_worker ],
	[ 'kill -9 of another backend', \&kill_backend ],
	[ 'kill -9 of the postmaster', \&kill_postmaster ],
	[ 'stop -m immediate', \&stop_now ],
	[ 'stop -m fast', \&stop_fast ],
	[ 'SIGTERM of the worker', \&terminate_worker ],
	[ 'SIGSTOP of the worker', \&freeze_worker ]);

for (@violence)
{
	my ($name, $strike) = @$_;
	my $epoch = $shop->worker('epoch');
	my @orders = $shop->orders(9, 1000);
	my ($executed, $lost, $late) =
	  ([ @orders[ 0 .. 2 ] ], [ @orders[ 3 .. 5 ] ], [ @orders[ 6 .. 8 ] ]);

	for my $case ([ $executed, 'done' ], [ $lost, 'unchanged' ], [ $late, 'late' ])
	{
		$shop->fault($_, kind => 'hang', on => 'confirm', after => $case->[1]) for @{ $case->[0] };
	}
	$shop->confirm(@orders);
	in_flight($shop, 9);
	holds_nothing($shop, $name);

	go_deaf() unless $name =~ /SIGSTOP/;
	$strike->($shop);
	$shop->wait_for_worker;
	is($shop->worker('epoch'), $epoch + ($name =~ /SIGSTOP/ ? 0 : 1),
		"$name: a new run, if need be");

	# A run that found calls in flight asks about them: the late ones are
	# executed meanwhile.  One that was told to stop has recorded them, and the
	# next resends, which is refused as long as the first is being processed.
	settled($shop, @$executed) if $name =~ /kill|immediate/;
	recover($shop);
	ok(settled($shop, @orders), "$name: all come to an end");
	is(join(' ', map { $shop->status($_) } @orders),
		join(' ', ('SUCCESS') x 9), "$name: and are paid");
	is(scalar(grep { $_->{done} =~ /^executed/ } map { arrivals($shop, $_, 'POST') } @$executed, @$late),
		6, "$name: what was executed is not executed again");
	like(answers_of($shop, $executed->[0]),
		$name =~ /fast|TERM|STOP/ ? qr/^confirm/ : qr/^query approved$/,
		"$name: what nobody waited for is asked about, not sent");
	audit($shop, $name, secrets => $name =~ /postmaster/);
}

# An answer to a run that no longer owns the call: as if another run, another
# attempt or a person had taken it over meanwhile.  It is kept as evidence, and
# changes nothing.
for my $other ('epoch = epoch + 1', 'attempt_no = attempt_no + 1', "state = 'P', due_at = 'infinity'")
{
	my $order = $shop->order(1000);
	$shop->fault($order, kind => 'hang', on => 'confirm');
	$shop->confirm($order);
	in_flight($shop, 1);
	$shop->sql("UPDATE payments.psp_call_queue SET $other WHERE order_id = '$order->{order_id}'");
	$shop->release;
	$shop->poll_sql("SELECT string_agg(action, ' ') FROM payments.psp_answer
		WHERE order_id = '$order->{order_id}'", 'late', "$other: a late answer is kept");
	is($shop->status($order), 'EXECUTING', "$other: and does not count");
	$shop->sql("UPDATE payments.psp_call_queue SET state = 'P', next_operation = 'Q',
			epoch = 0, attempt_no = 2 WHERE order_id = '$order->{order_id}'");
	$shop->sql("SELECT payments.retry('$order->{order_id}')");
	is($shop->wait_for($order), 'SUCCESS', "$other: a query ends it");
}
audit($shop, 'a late answer', secrets => 0);

$shop->{node}->stop;
done_testing();

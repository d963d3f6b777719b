# Refunds when cancels go wrong in every way, when the worker is killed and when
# the server is: each is done once, or has failed and was not done.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PaymentsTest;
use Test::More;

my $shop = PaymentsTest->new(conf => "payments.request_timeout = 2s\n");

# [faults of the cancel, what the refund comes to]
my @cases = (
	(map { [ [ { kind => $_ } ], 'SUCCESS' ] } qw(reset-before reset-after close cut garbage empty
		  content-type wrong-amount wrong-order wrong-key wrong-currency unknown-status unknown-fields duplicate-keys no-cancel drip)),
	[ [ { kind => 'html502' } ], 'SUCCESS' ],
	[ [ { kind => 'html502', after => 'done' } ], 'SUCCESS' ],
	[ [ { kind => 'hang', delayMs => 4000 } ], 'SUCCESS' ],
	[ [ { kind => 'hang', after => 'late', delayMs => 4000 } ], 'SUCCESS' ],
	[ [ { kind => 'hang', after => 'unchanged', delayMs => 3000 } ], 'SUCCESS' ],
	(map { [ [ { kind => 'refuse', code => $_ } ], 'SUCCESS' ] } qw(PROVIDER_ERROR FAILED_REFUND_PROCESS
		  FORBIDDEN_CONSECUTIVE_REQUEST NOT_AVAILABLE_BANK)),
	(map { [ [ { kind => 'refuse', code => $_, after => 'done' } ], 'SUCCESS' ] } qw(PROVIDER_ERROR FAILED_REFUND_PROCESS
		  ALREADY_CANCELED_PAYMENT NOT_CANCELABLE_AMOUNT)),
	(map { [ [ { kind => 'refuse', code => $_ } ], 'FAILURE' ] } qw(NOT_CANCELABLE_AMOUNT REFUND_REJECTED
		  EXCEED_MAX_REFUND_DUE NOT_ALLOWED_PARTIAL_REFUND ALREADY_CANCELED_PAYMENT)),
	[ [ { kind => 'reset-after' }, { kind => 'reset-after' }, { kind => 'reset-after' } ], 'SUCCESS' ],
	[ [ { kind => 'reset-before' }, { kind => 'refuse', code => 'REFUND_REJECTED' } ], 'FAILURE' ],
	[ [ { kind => 'garbage' }, { kind => 'refuse', code => 'PROVIDER_ERROR', on => 'query' } ], 'SUCCESS' ],
	[ [ { kind => 'refuse', code => 'COMMON_ERROR', after => 'done' }, { kind => 'lag', on => 'query', delayMs => 300 } ], 'SUCCESS' ],
);

my @orders = $shop->orders(scalar @cases, 9000);
$shop->confirm(@orders);
$shop->wait_until_quiet;
for my $i (0 .. $#cases)
{
	$shop->fault($orders[$i], on => 'cancel', %$_) for @{ $cases[$i][0] };
}
my @refunds = map { $shop->refund($_, amount => 2000) } @orders;
# behind each a second one, which has its turn when the first has ended
my @seconds = map { $shop->refund($_, amount => 500) } @orders;

for my $i (0 .. $#cases)
{
	my $name = join ', then ', map { my $f = $_; join ' ', map { "$_=$f->{$_}" } sort keys %$f } @{ $cases[$i][0] };

	is($shop->wait_for_refund($orders[$i], $refunds[$i], 300), $cases[$i][1], $name);
}
is($shop->sql("SELECT count(*) FROM payments.refund WHERE refund_status = 'UNKNOWN'"), '0', 'nothing stays unknown');
$shop->wait_for_refund($orders[$_], $seconds[$_], 120) for 0 .. $#cases;
is($shop->sql("SELECT count(*) FROM payments.refund WHERE id = ANY ('{@{[ join ',', @seconds ]}}') AND refund_status <> 'SUCCESS'"), '0',
	'and those behind them went their way');
$shop->wait_until_quiet;
$shop->books_agree('faults');

# The worker dies while a cancel is under way, executed or not.
for my $after ('done', 'unchanged')
{
	my ($order) = $shop->orders(1, 9000);
	$shop->confirm($order);
	$shop->wait_for($order);
	$shop->fault($order, on => 'cancel', kind => 'hang', after => $after);
	my $refund = $shop->refund($order, amount => 2000);
	$shop->poll_sql("SELECT state FROM payments.psp_call_queue WHERE order_id = '$order->{order_id}'", 'S', 'in flight');
	$shop->poll(sub { $shop->toss('GET', '/health')->{waiting} > 0 }, 'at the PSP');
	my $pid = $shop->worker('pid');
	kill 'KILL', $pid;
	$shop->poll(sub { my $new = eval { $shop->worker('pid') }; $new && $new ne $pid }, 'the server is back');
	$shop->release;
	is($shop->wait_for_refund($order, $refund, 120), 'SUCCESS', "the worker was killed, $after");
}

# The server dies.
{
	my ($order) = $shop->orders(1, 9000);
	$shop->confirm($order);
	$shop->wait_for($order);
	$shop->fault($order, on => 'cancel', kind => 'hang', after => 'done');
	my $refund = $shop->refund($order, amount => 2000);
	$shop->poll(sub { $shop->toss('GET', '/health')->{waiting} > 0 }, 'at the PSP');
	$shop->{node}->stop('immediate');
	$shop->release;
	$shop->{node}->start;
	is($shop->wait_for_refund($order, $refund, 120), 'SUCCESS', 'the server was stopped at once');
}
$shop->wait_until_quiet;
$shop->books_agree('kills');
$shop->{node}->stop;
done_testing();

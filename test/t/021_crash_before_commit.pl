# The answer has arrived, and the turn that would save it cannot commit: the
# answer lives in the worker's memory only.  While the worker lives nothing is
# asked again; when it dies the outcome is found by a query.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $shop = PaymentsTest->new(conf => "payments.shutdown_drain = 300ms\n");
$shop->wait_for_worker;

# Confirm so many orders behind a lock, and wait until all are answered and
# the worker is stuck.
sub answered_but_not_saved
{
	my ($table, $n) = @_;
	my @orders = $shop->orders($n, 1000);
	my $charges = $shop->toss('GET', '/summary?orders=0')->{charges};
	my $unlock = lock_table($shop, $table);

	$shop->confirm(@orders);
	$shop->poll(sub {
			my $summary = $shop->toss('GET', '/summary?orders=0');
			return $summary->{charges} == $charges + $n
			  && $shop->worker('in_flight') == 0;
		}, 'all are answered');
	$shop->poll(sub {
			return $shop->sql(q(SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a
				USING (pid) WHERE backend_type = 'payments worker' AND NOT granted)) == 1
			  || $shop->worker('state') eq 'holding';
		}, 'the worker waits for the lock');
	is($shop->sql("SELECT count(*) FROM payments.payment WHERE status IN ('EXECUTING', 'UNKNOWN')"),
		$n, "$table locked: nothing is saved");
	return ($unlock, @orders);
}

# While it lives: nothing is lost, and nothing is asked twice.
# Nine are more than it puts off one by one: it holds.
for ([ 'ledger_entry', 9 ], [ 'wallet', 2 ], [ 'psp_answer', 2 ])
{
	my ($table, $n) = @$_;
	my ($unlock, @orders) = answered_but_not_saved($table, $n);

	sleep 1;
	$unlock->();
	ok(settled($shop, @orders), "$table unlocked: all are saved");

	# while a turn waits nobody tends to the network, so a connection that was
	# being made may be late: then nothing was sent, and the rest was answered
	is(join(' ', grep { !/^(confirm not sent, )*confirm approved$/ }
			  map { answers_of($shop, $_) } @orders),
		'', "$table: from the answers it had");
}
audit($shop, 'locks', secrets => 0);

# When it dies.
my @violence = (
	[ 'kill -9 of the worker', \&kill_worker, 'ledger_entry' ],
	[ 'kill -9 of another backend', \&kill_backend, 'psp_answer' ],
	[ 'kill -9 of the postmaster', \&kill_postmaster, 'event' ],
	[ 'stop -m immediate', \&stop_now, 'wallet' ],
	[ 'SIGTERM of the worker', \&terminate_worker, 'ledger_entry' ]);

for (@violence)
{
	my ($name, $strike, $table) = @$_;
	my ($unlock, @orders) = answered_but_not_saved($table, 2);

	$strike->($shop);
	$unlock->();
	$shop->wait_for_worker;
	ok(settled($shop, @orders), "$name: all come to an end");
	is(join(' ', map { $shop->status($_) } @orders),
		join(' ', ('SUCCESS') x 2), "$name: and are paid");
	is(join(' ', map { scalar arrivals($shop, $_, 'POST') } @orders), '1 1',
		"$name: nothing is sent a second time");
	is(join(', ', map { answers_of($shop, $_) } @orders),
		join(', ', ('query approved') x 2), "$name: a query finds out");
	audit($shop, $name, secrets => 0);
}

$shop->{node}->stop;
done_testing();

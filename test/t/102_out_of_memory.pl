# Memory runs out in the worker, at any allocation: nothing is lost and nothing is
# doubled; the worker goes on, or another does.
#
# Each strike lets one allocation fail, or some in a row, while orders are paid: of
# libcurl's, of OpenSSL's, of the server's.  The short form takes eleven at random,
# make slow five minutes of them; EVERY=1 leaves none out that a payment comes to,
# which takes hours.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use Shortage;
use Test::More;
use Time::HiRes qw(sleep time);

my $is_long = is_long('slow');
my $every = $ENV{EVERY};
my $seed = $ENV{SEED} || int(rand(1 << 31));
srand($seed);
diag("SEED=$seed");

my $shortage = Shortage->new;
my $shop = $shortage->shop(conf => q(
payments.request_timeout = 3s
payments.sweep_interval = 1s
));
my @orders;
$shop->wait_for_worker;

# Orders are paid while memory runs out; says how often it did.
sub strike
{
	my ($passes, $length, $of_curl) = @_;
	my ($order, $other) = $shop->orders(2, 1000);
	my $end = time() + 1;

	push @orders, $order, $other;
	$shop->poll(sub { ($shop->worker('state') // '') eq 'running' }, 'it runs');
	$shortage->memory($shop->worker('coalesce(pid, 0)'), $passes, $length, $of_curl);
	$shop->confirm($order);
	sleep 0.02
	  until $shortage->get('failed') > 0 || time() > $end || $shop->status($order) eq 'SUCCESS';
	$shop->confirm($other);
	sleep 0.02
	  until $shortage->get('failed') > 0 || time() > $end || $shop->status($other) eq 'SUCCESS';
	my $failed = $shortage->get('failed');
	$shortage->set(pid => 0);
	return $failed;
}

# How many there are for one who begins, and connects
strike(1000000, 1);
my $needed = 1000000 - $shortage->get('passes');
note("it takes $needed allocations");

my $struck = 0;
my $end = time() + ($every ? 36000 : $is_long ? 300 : 60);
for (my $i = 0; time() < $end && $i < $needed && ($is_long || $every || $struck <= 10); $i++)
{
	my $passes = $every ? $i : int(rand($i % 3 ? $needed / 8 : $needed));
	my $failed = strike($passes, $i % 2 ? 1 : 1 + int(rand(6)) ** 2);

	$struck++ if $failed;
	note("$passes: $failed, ", $shop->worker("concat_ws(' ', pid, state, reason)"));
}
cmp_ok($struck, '>', 5, "memory ran out, $struck times");

# The first allocations that libcurl makes for a request: it is not begun.
$shop->wait_for_worker;
strike($_, 1, 1) for 0 .. 3;
cmp_ok($shop->sql(q(SELECT count(*) FROM payments.psp_answer WHERE transport = 'not sent' AND detail = 'out of memory')), '>', 0,
	'a request that cannot be begun is known not to have been sent');

$shop->wait_for_worker;
$shop->poll(sub {
		$shop->sql(q(SELECT payments.retry(order_id) FROM payments.psp_call_queue
			WHERE state = 'P' AND due_at > clock_timestamp() + '1 s'));
		return $shop->sql('SELECT count(*) FROM payments.psp_call_queue') == 0;
	}, 'all come to an end');
is($shop->sql(q(SELECT string_agg(status || ' ' || n, ', ' ORDER BY status)
		FROM (SELECT status, count(*) AS n FROM payments.payment GROUP BY status) s)),
	'SUCCESS ' . @orders, 'all are paid');
is($shop->toss('GET', '/summary?orders=0')->{chargedMoreThanOnce}, 0, 'nobody was charged twice');
is($shop->worker('quarantined'), 0, 'and nothing waits for a person');
unlike($shop->log, qr/was terminated by signal/, 'no process was killed by it');
audit($shop, 'in the end', secrets => 0);
$shop->{node}->stop;
done_testing();

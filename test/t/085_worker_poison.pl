# A call that cannot be claimed, whatever somebody did to its row, stops nobody
# else: it is found among all that are to be claimed, waits for a person, and goes
# on when its row is as it should be.
use strict;
use warnings;

use PaymentsTest;
use Test::More;

my $shop = PaymentsTest->new;
$shop->wait_for_worker;
my $queue = 'UPDATE payments.psp_call_queue SET';

# What a superuser may do to a row while no worker looks
$shop->configure('payments.databases' => '');
$shop->poll(sub { ($shop->worker('state') // '') eq '' }, 'no worker');
my @orders = $shop->orders(60, 1000);
my ($full, $taken, $odd, $tired) = map { $_->{order_id} } @orders[3, 17, 42, 58];
$shop->confirm(@orders);
$shop->sql("$queue attempt_no = 2147483647 WHERE order_id = '$full'");
$shop->sql("INSERT INTO payments.psp_attempt SELECT call_id, 1, order_id, 'confirm', 1, now()
	FROM payments.psp_call_queue WHERE order_id = '$taken'");
$shop->sql("$queue attempt_no = -7, due_at = '-infinity', epoch = 9223372036854775807 WHERE order_id = '$odd'");
$shop->sql("$queue failures = 2147483647 WHERE order_id = '$tired'");
$shop->configure('payments.databases' => 'shop');

ok($shop->poll_sql(q(SELECT string_agg(status || ' ' || n, ', ' ORDER BY status)
		FROM (SELECT status, count(*) AS n FROM payments.payment GROUP BY status) s),
		'EXECUTING 2, SUCCESS 58'), 'all others are paid');
my $pid = $shop->worker('pid');
is($shop->worker('state'), 'running', 'the worker runs');
is($shop->worker('quarantined'), 2, 'and has put two aside');
is($shop->sql("SELECT string_agg(concat_ws(' ', order_id, state, kind), ', ' ORDER BY created_at, call_id)
	FROM payments.open_calls"),
	"$full waits for a person quarantined, $taken waits for a person quarantined", 'those');
is($shop->sql("SELECT string_agg(DISTINCT what_to_do, ', ') FROM payments.stuck_orders"),
	"it could not be claimed, or an answer not applied: the server's log says why; remove the cause, then payments.retry",
	'people are told what to do');
is($shop->sql("SELECT calls FROM payments.open_call_counts WHERE kind = 'quarantined'"), 2, 'they are counted');
is($shop->sql("SELECT string_agg(alert || ' ' || subject, ', ' ORDER BY subject) FROM payments.alerts"),
	join(', ', map { "call_quarantined $_" } sort $full, $taken), 'and announced');
like($shop->log, qr/call \d+ cannot be claimed and goes into quarantine.*\n.*SQLSTATE $_\n/, "the log says $_")
  for '22003', '23505';
is(scalar(grep { $_->{orderId} eq $full || $_->{orderId} eq $taken } $shop->charges), 0, 'nothing was sent for them');

# One comes while others are under way
my ($bad, @good) = $shop->orders(5, 1000);
my $session = $shop->{node}->background_psql('shop');
$session->query_safe('BEGIN');
$session->query_safe($shop->confirm_sql($_)) for $bad, @good;
$session->query_safe("$queue attempt_no = 2147483647 WHERE order_id = '$bad->{order_id}'");
$session->query_safe('COMMIT');
$session->quit;
is($shop->wait_for($_), 'SUCCESS', 'paid beside a bad one') for @good;
$shop->poll(sub { $shop->worker('quarantined') == 3 }, 'the bad one is put aside');

# When none can be claimed it may be anything: the worker holds, and when one can
# it is known which cannot.
$shop->configure('payments.databases' => '');
$shop->poll(sub { ($shop->worker('state') // '') eq '' }, 'no worker');
my @both = $shop->orders(2, 1000);
$shop->confirm(@both);
my $these = join ',', map { "'$_->{order_id}'" } @both;
$shop->sql("$queue attempt_no = 2147483647 WHERE order_id IN ($these)");
$shop->configure('payments.databases' => 'shop');
ok($shop->wait_for_worker('holding'), 'none of two: the worker holds');
like($shop->worker('reason'), qr/^SQLSTATE 22003/, 'and says why');
is($shop->sql("SELECT string_agg(DISTINCT state, ', ') FROM payments.open_calls WHERE order_id IN ($these)"),
	'pending', 'none is put aside');
my $good = $shop->order(1000);
$shop->confirm($good);
is($shop->wait_for($good), 'SUCCESS', 'one that can be claimed is paid');
$shop->poll(sub { $shop->worker('quarantined') == 2 }, 'and the others are put aside');
is($shop->worker('state'), 'running', 'the worker runs');
$shop->sql("$queue attempt_no = 0 WHERE order_id IN ($these)");
$shop->sql("SELECT payments.retry('$_->{order_id}')") for @both;
is($shop->wait_for($_), 'SUCCESS', 'repaired and paid') for @both;
$pid = $shop->worker('pid');

# Repaired, they go on.
$shop->sql("$queue attempt_no = 0 WHERE order_id IN ('$full', '$bad->{order_id}')");
$shop->sql("$queue attempt_no = 1 WHERE order_id = '$taken'");
$shop->sql("SELECT payments.retry('$_', 'repaired')") for $full, $taken, $bad->{order_id};
is($shop->wait_for($_), 'SUCCESS', 'repaired and paid') for @orders[3, 17], $bad;
is($shop->worker('pid'), $pid, 'by the same worker');
is($shop->sql('SELECT count(*) FROM payments.alerts'), 0, 'no alert is left');
is($shop->toss('GET', '/summary?orders=0')->{chargedMoreThanOnce}, 0, 'nobody was charged twice');
is($shop->sql(q(SELECT string_agg(invariant, ', ') FROM payments.verify() WHERE NOT holds)), '', 'the invariants hold');
$shop->{node}->stop;
done_testing();

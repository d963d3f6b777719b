# Half of Toss is dead: queries are answered with errors while payments work, and the
# other way round.  Neither half holds up what the other can do, no order fails, and
# nobody is charged twice.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $shop = PaymentsTest->new(conf => "payments.sweep_interval = 1s\npayments.request_timeout = 2s\n");
$shop->wait_for_worker;

# What is answered with errors from now on: 'query', 'confirm', all (''), nothing
sub dead
{
	my ($what) = @_;
	$shop->settings(randomFaults => defined $what ? { rate => 1, kinds => ['html502'], $what ? (on => $what) : () } : undef);
	return;
}

sub breaker { return $shop->sql("SELECT breaker FROM payments.merchant_stats WHERE merchant = 'default'") }
# What waits is made due: how long is another test's.
sub all_paid
{
	my ($name, @orders) = @_;
	my $ids = join "','", map { $_->{order_id} } @orders;
	ok($shop->poll(sub {
				$shop->sql(q(UPDATE payments.psp_call_queue SET due_at = clock_timestamp() WHERE state = 'P' AND due_at > clock_timestamp() + '2 s'));
				sleep 0.5;
				return $shop->sql("SELECT count(*) FROM payments.payment WHERE status = 'SUCCESS' AND order_id IN ('$ids')") == @orders;
			}, $name), $name);
	return;
}

# Ends other than being paid
sub ended
{
	my $ids = join "','", map { $_->{order_id} } @_;
	return $shop->sql("SELECT string_agg(DISTINCT status::text, ', ') FROM payments.payment
		WHERE order_id IN ('$ids') AND status NOT IN ('EXECUTING', 'UNKNOWN', 'SUCCESS')");
}

sub queries { return scalar grep { $_->{method} eq 'GET' } $shop->requests }

# Queries are dead: payments go on, also one whose answer was lost.
dead('query');
my ($lost, @orders) = $shop->orders(6, 1000);
$shop->fault($lost, kind => 'reset-after', on => 'confirm');
$shop->confirm($lost, @orders);
all_paid('queries are dead: payments go on', @orders);
all_paid('queries are dead: what is in doubt is sent again', $lost);
is(breaker(), 'closed', 'queries are dead: no breaker opens');

# All is dead, and the breaker opens; then payments work again, and queries do not.
dead('');
@orders = $shop->orders(10, 1000);
$shop->confirm(@orders);
ok($shop->poll(sub { breaker() ne 'closed' }, 'the breaker opens'), 'all is dead: the breaker opens');
dead('query');
my @fresh = $shop->orders(5, 1000);
$shop->confirm(@fresh);
my $asked = queries();
my $start = time();
ok($shop->poll(sub { sleep 0.3; breaker() eq 'closed' }, 'the breaker closes', 180), sprintf('a call that works closes it, %d s later', time() - $start));
cmp_ok(queries() - $asked, '>=', 3, 'behind queries that were answered with errors');
all_paid('queries are dead: what was never sent is paid', @fresh);
is(ended(@orders), '', 'what was answered with an error waits for a query');
dead(undef);
all_paid('and is paid behind it', @orders);

# Payments are dead, and queries work: they wait, and none fails.
dead('confirm');
@orders = $shop->orders(10, 1000);
$shop->confirm(@orders);
sleep 5;
is(ended(@orders), '', 'payments are dead: none ends');
dead(undef);
all_paid('payments are dead: all are paid when they are not', @orders);

$shop->wait_until_quiet;
is($shop->worker('quarantined'), 0, 'nothing waits for a person');
is($shop->toss('GET', '/summary?orders=0')->{chargedMoreThanOnce}, 0, 'nobody was charged twice');
$shop->books_agree('at the end');
$shop->{node}->stop;
done_testing();

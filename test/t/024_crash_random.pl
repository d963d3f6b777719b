# Random orders, faults and violence, then quiet, then the audit.  The short
# form takes 20 seconds of violence; make crash takes ten, with ten times
# the orders.  SEED=... repeats the choices of a run, if not its timing.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $seed = $ENV{SEED} || int(rand(1 << 31));
my ($n, $seconds) = is_long() ? (4000, 600) : (200, 20);
srand($seed);
diag("SEED=$seed");

my $shop = PaymentsTest->new(start => 0, conf => q(
payments.shutdown_drain = 200ms
payments.request_timeout = 2s
wal_writer_delay = 1s
));
middlebox($shop);
$shop->start;
$shop->wait_for_worker;

# Half of the clients do not wait for the disk.
my @orders = $shop->orders($n, 1000);
my %unconfirmed = map { $_->{order_id} => $_ } @orders;
my @kinds = qw(reset-before reset-after close slow cut garbage empty html502
  content-type wrong-amount wrong-order unknown-status duplicate-keys);
$shop->settings(randomFaults => {
		rate => 0.3, seed => $seed % 1_000_000, kinds => \@kinds,
		after => 'random', delayMs => 700 });

sub confirm_some
{
	my ($count) = @_;
	my @some = grep { $_ } map { $orders[ rand @orders ] } 1 .. $count;
	my $sql = join ";\n", rand() < 0.5 ? 'SET synchronous_commit = off' : 'SELECT 1',
	  map { $shop->confirm_sql($_) } @some;
	my ($status) = $shop->{node}->psql('shop', $sql, on_error_stop => 1);

	delete @unconfirmed{ map { $_->{order_id} } @some } if $status == 0;
}

my @violence = (
	[ 3, \&kill_worker ], [ 2, \&terminate_worker ], [ 2, \&kill_postmaster ],
	[ 1, \&kill_backend ], [ 1, \&stop_now ], [ 1, \&stop_fast ],
	[ 1, sub { freeze_worker($shop, rand(3)) } ],
	[ 1, sub { my $unlock = lock_table($shop, 'ledger_entry'); sleep rand(2); $unlock->() } ]);
my @lots = map { ($_) x $violence[$_][0] } 0 .. $#violence;
my ($end, $strikes) = (time() + $seconds, 0);

# On a slow machine the server takes long to come back: some strikes all the same.
my ($least, $latest) = (int($seconds / 6) + 1, $end + 3 * $PaymentsTest::timeout);
while (time() < $end || $strikes < $least && time() < $latest)
{
	my $next = time() + rand(2);

	confirm_some(1 + int rand($n / 15)) while time() < $next;
	$shop->wait_for_worker if rand() < 0.7;
	eval { $violence[ $lots[ rand @lots ] ][1]->($shop); $strikes++ };
	server_is_back($shop);
}
note("$strikes strikes");

# Quiet.  What the shop got no answer for, or lost, it confirms again.
$shop->settings(randomFaults => undef);
recover($shop);
$shop->confirm(@orders);
$end = time() + $PaymentsTest::timeout * (is_long() ? 10 : 1);
while (time() < $end && $shop->sql('SELECT count(*) FROM payments.psp_call_queue') > 0)
{
	$shop->sql(q(SELECT payments.retry(order_id) FROM payments.psp_call_queue
		WHERE state = 'P' AND due_at > clock_timestamp() + '3 s' OR state = 'D'));
	sleep 3;
}
is($shop->sql("SELECT count(*) FROM payments.payment WHERE status = 'SUCCESS'"), $n,
	'all are paid');
cmp_ok($strikes, '>=', $least, "after $strikes strikes");
is(scalar(grep { $_->{kind} eq 'charge' } $shop->charges), $n, 'once each');
audit($shop, "seed $seed");

$shop->{node}->stop;
done_testing();

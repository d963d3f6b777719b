# Somebody sets the server's clock while the worker runs, an hour or a day ahead
# or back, or back while the server is down: no order fails because it looks old,
# nothing that is due waits until the clock has caught up, and nobody waits longer
# than he wanted to.
use strict;
use warnings;

use FindBin;
use PaymentsTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $folder = PostgreSQL::Test::Utils::tempdir();
my $library = "$folder/clock.so";
my $file = "$folder/offset";
my @cc = split ' ', $ENV{CC} // 'cc';

system_or_bail(@cc, qw(-shared -fPIC -O1 -o), $library, "$FindBin::Bin/../shim/clock.c");

# By how many seconds the clock is wrong
sub set_clock
{
	my ($offset) = @_;
	open my $handle, '+<', $file or die "$file: $!";
	syswrite($handle, pack('q', $offset)) == 8 or die "$file: $!";
	close $handle;
}

append_to_file($file, pack('q', 0));
my $shop = PaymentsTest->new(start => 0, conf => q(
payments.request_timeout = 1s
payments.sweep_interval = 1s
));

sub start
{
	my ($method) = @_;
	local %ENV = (%ENV, LD_PRELOAD => $library, CLOCK_FILE => $file);
	$method->();
	$shop->wait_for_worker;
}

start(sub { $shop->start });

sub clock_is_off { return $shop->sql('SELECT extract(epoch FROM clock_timestamp())') - time() }

# Asked about once more: due now, by the server's clock.  The sweep finds it.
sub ask
{
	my ($order, $set) = @_;
	my $asked = "SELECT count(*) FROM payments.psp_answer WHERE order_id = '$order->{order_id}'";
	my $n = $shop->sql($asked);
	return $shop->poll(sub {
			$shop->sql("UPDATE payments.psp_call_queue SET due_at = clock_timestamp() $set
				WHERE order_id = '$order->{order_id}' AND state = 'P' AND due_at > clock_timestamp()")
			  if $shop->sql($asked) == $n;
			sleep 0.2;
			return $shop->sql($asked) > $n }, 'asked');
}

sub pays
{
	my ($name) = @_;
	my $order = $shop->order(1000);
	$shop->confirm($order);
	is($shop->wait_for($order), 'SUCCESS', $name);
}

# Two orders in doubt: one that Toss executes long after, one that was refused
# behind doubt.  Then it is an hour, or a day, later.
my $off = 0;
for my $jump (3600, 86400)
{
	$off += $jump;
	my ($late, $refused) = $shop->orders(2, 1000);
	$shop->fault($late, kind => 'hang', on => 'confirm', after => 'late');
	$shop->fault($refused, kind => 'reset-before', on => 'confirm');
	$shop->fault($refused, kind => 'refuse', on => 'confirm', code => 'REJECT_CARD_PAYMENT');
	$shop->confirm($late, $refused);
	$shop->poll(sub { $shop->sql("SELECT count(*) FROM payments.psp_call_queue
		WHERE order_id = '$refused->{order_id}' AND phase = 'R'
			OR order_id = '$late->{order_id}' AND outcome_unknown") == 2 }, 'both are in doubt');
	my $pid = $shop->worker('pid');
	set_clock($off);
	cmp_ok(abs(clock_is_off() - $off), '<', 60, "it is $jump seconds later");
	if ($jump == 86400)
	{
		$shop->{node}->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
		$shop->wait_for_other_worker($pid);
	}
	for (1 .. 3)
	{
		ask($_, '') for $late, $refused;
	}
	is($shop->status($_), 'UNKNOWN', 'what is not known yet is not known') for $late, $refused;
	pays('others pay');
	$shop->release;
	$shop->sql("UPDATE payments.psp_call_queue SET due_at = clock_timestamp()
		WHERE order_id = '$late->{order_id}' AND state = 'P' AND due_at > clock_timestamp()");
	is($shop->wait_for($late), 'SUCCESS', 'what is executed late is paid');

	# what is old indeed
	ask($refused, ", first_sent_at = clock_timestamp() - interval '3 days'") for 1 .. 2;
	is($shop->wait_for($refused), 'FAILURE', 'what is old by any clock fails');
}

# Back: what has to wait for a moment does not wait for an hour, nor for a day.
for my $jump (3600, 86400)
{
	$off -= $jump;
	my ($order, $open) = $shop->orders(2, 1000);
	$shop->fault($order, kind => 'reset-before', on => 'any', count => 2);
	$shop->confirm($order);
	$shop->poll(sub { $shop->sql("SELECT count(*) FROM payments.psp_call_queue
		WHERE order_id = '$order->{order_id}' AND state = 'P' AND failures >= 2") == 1 }, 'tried twice');
	my $start = time();
	$shop->fault($open, kind => 'hang', on => 'confirm');
	$shop->fault($open, kind => 'slow', on => 'query', delayMs => 1600);
	$shop->confirm($open);
	my $session = IPC::Run::start([ 'psql', '-XqAt', '-d', $shop->{node}->connstr('shop'),
			'-c', "SELECT payments.wait_for('$open->{order_id}', '3 s')" ], '>', \my $out);
	sleep 0.5;
	set_clock($off);
	cmp_ok(abs(clock_is_off() - $off), '<', 60, "it is $jump seconds earlier");
	$session->finish;
	cmp_ok(time() - $start, '<', 30, 'nobody waits longer than he wanted to');
	is($shop->wait_for($order, 40), 'SUCCESS', 'what waits for a moment goes on');
	pays('others pay');
}

# The same while the server is down: the books know how late it was.
my $order = $shop->order(1000);
$shop->fault($order, kind => 'reset-before', on => 'any', count => 3);
$shop->confirm($order);
$shop->poll(sub { $shop->sql("SELECT count(*) FROM payments.psp_call_queue
	WHERE order_id = '$order->{order_id}' AND state = 'P' AND failures >= 3") == 1 }, 'tried three times');
$shop->{node}->stop;
$off -= 7200;
set_clock($off);
my $seen = -s $shop->{node}->logfile;
start(sub { $shop->{node}->start });
cmp_ok(abs(clock_is_off() - $off), '<', 60, 'it is two hours earlier');
is($shop->wait_for($order, 40), 'SUCCESS', 'what waits for a moment goes on');
pays('others pay');
my ($jumped) = PostgreSQL::Test::Utils::slurp_file($shop->{node}->logfile, $seen) =~ /clock has jumped by (-\d+) seconds/;
cmp_ok(abs(($jumped // 0) + 7200), '<', 60, 'and the log says so');

like($shop->log, qr/clock has jumped by $_ seconds/, "the log says so: $_") for 3600, 86400, -3600, -86400;
$shop->release;
ok($shop->wait_until_quiet, 'nothing is open');

# The simulator's clock is another one; and behind a clock that was set back an
# answer looks earlier than its attempt.
is(join("\n", grep { !/^I3 a request before its attempt/ } split /\n/, $shop->offences), '', 'the books agree');
is($shop->sql(q(SELECT string_agg(invariant, E'\n') FROM payments.verify() WHERE NOT holds
	AND invariant <> 'every answer belongs to an attempt that was committed before it')), '', 'all invariants hold');
$shop->{node}->stop;
done_testing();

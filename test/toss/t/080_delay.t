# Delays for all, a thousand at a time, and the end of the program meanwhile.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Select;
use Test::More;
use Time::HiRes qw(time sleep);
use Simulator;

my $sim = Simulator->new;
my $load = Simulator::build_dir() . '/toss-load';

sub threads { return scalar(() = glob "/proc/$sim->{pid}/task/*") }

$sim->post('/settings', { auto => 'auto_', delayMs => 500 });
my $key = $sim->pay('ORDER-D-1', 1000);
my $start = time();
is($sim->confirm($key, 'ORDER-D-1', 1000)->{status}, 200, 'delayed confirm');
ok(time() - $start >= 0.5, 'took its time');

# A thousand in flight: wall clock says they waited side by side.
my $before = threads();
my $pid = open(my $out, '-|', $load, '-p', $sim->{port}, '-a',
	"$sim->{dir}/ca.pem", '-c', 1000, '-s', 4) or die;
my $most = 0;
my $threads = 0;
until (IO::Select->new($out)->can_read(0.1))
{
	my $waiting = $sim->get('/health')->{waiting};
	$most = $waiting if $waiting > $most;
	$threads = threads() if threads() > $threads;
}
my $report = do { local $/; <$out> };
ok(close($out), 'a thousand connections, every answer right') or diag $report;
my ($count) = $report =~ /^confirms\s+(\d+)/m;
ok($count >= 2000, "$count confirms in 4 seconds, 500 ms each");
ok($most >= 900, "up to $most in flight");
is($threads, $before, 'no thread for them');

# Executed late: the books move at the end of the delay.
$sim->post('/settings', { delayMs => 2000, executeLate => JSON::PP::true });
$key = $sim->pay('ORDER-D-2', 1000);
my $later = $sim->confirm_later($key, 'ORDER-D-2', 1000, key => 'late');
sleep 0.02 until $sim->get('/health')->{waiting} > 0;
is($sim->get("/payments/$key")->{status}, 'IN_PROGRESS', 'not yet');
is(Simulator::answer_of($later)->{status}, 200, 'answered');
is($sim->get("/payments/$key")->{status}, 'DONE', 'executed at the end');
$sim->post('/settings', { executeLate => JSON::PP::false });

# Jitter.
$sim->post('/settings', { delayMs => 0, delayJitterMs => 200 });
my %seen;
for (1 .. 6)
{
	$start = time();
	$sim->query($key);
	$seen{ int((time() - $start) * 50) } = 1;
}
ok(keys %seen > 1, 'jitter varies');

# SIGTERM while requests hang.
$sim->post('/settings', { delayJitterMs => 0 });
$sim->post('/fault', { any => JSON::PP::true, kind => 'hang', count => 3 });
my @hanging = map { $sim->confirm_later("auto_$_", "ORDER-D-3$_", 1000) } 1 .. 3;
sleep 0.02 until $sim->get('/health')->{waiting} == 3;
$sim->post('/reset');
is($sim->{control_status}, 409, 'no reset while requests wait');
my ($status, $seconds) = $sim->stop;
is($status, 0, 'ends cleanly');
ok($seconds < 1, "in $seconds s");
ok(!-e "$sim->{dir}/ready" && !-e "$sim->{dir}/pid", 'and takes its files away');
Simulator::answer_of($_) for @hanging;

done_testing();

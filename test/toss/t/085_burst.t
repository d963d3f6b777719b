# Requests that come all at once, on connections that were idle.  As many as
# MHD reads events at a time, and not one more that would wake it again.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Open2;
use IO::Select;
use Test::More;
use Time::HiRes qw(time sleep);
use Simulator;

use constant BURST => 128;

my $sim = Simulator->new;
my @clients = map {
	my $pid = open2(my $from, my $to, "exec openssl s_client -quiet"
		. " -connect 127.0.0.1:$sim->{port} 2>/dev/null");
	{ pid => $pid, from => $from, to => $to };
} 1 .. BURST;

# Sends a request on each; returns how many were answered in time.
sub ask
{
	my ($seconds) = @_;
	my %open = map { fileno($_->{from}) => $_ } @clients;
	my $end = time() + $seconds;

	$_->{to}->syswrite("GET /v1/payments/none HTTP/1.1\r\nHost: localhost\r\n\r\n")
	  for @clients;
	sleep 0.5;
	kill 'CONT', $sim->{pid};
	while (%open && time() < $end)
	{
		for my $from (IO::Select->new(map { $_->{from} } values %open)->can_read(0.1))
		{
			sysread($from, my $answer, 65536);
			delete $open{ fileno($from) };
		}
	}
	return BURST - keys %open;
}

$SIG{PIPE} = 'IGNORE';
is(ask(20), BURST, 'all are connected');
sleep 0.5;
for my $round (1 .. 3)
{
	kill 'STOP', $sim->{pid};
	is(ask(5), BURST, "burst $round: all are answered");
}

kill 'TERM', $_->{pid} for @clients;
waitpid $_->{pid}, 0 for @clients;
my ($status) = $sim->stop;
is($status, 0, 'ends cleanly');
done_testing();

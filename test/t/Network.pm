# Network: a network between the worker and the simulator that does harm.
#
#	my $network = Network->new($shop, seed => 42);	# before the server starts
#	$network->calm;			# new connections come to no harm any more
#	$network->heal;			# nor do those that are there
#	my %struck = $network->struck;	# "reset up" => 3, ...
#
# A process that forwards bytes.  What becomes of a connection is dealt to it from
# a shuffled deck, when it is made: after so many bytes, in one direction or the
# other, one of
#
#	close	it ends in an orderly way
#	reset	it ends with a RST
#	hole	nothing passes any more, and nobody is told
#	trickle	a few bytes a second pass
#	delay	each piece comes late, from the beginning
#
# A handshake is some 500 bytes up and 1000 down, a confirm 600 up and
# 1500 down, so that the numbers of bytes strike before, within and behind the
# handshake, within requests and answers, and between them.
package Network;

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use POSIX ();
use PostgreSQL::Test::Utils;
use Socket qw(IPPROTO_TCP SOL_SOCKET SO_LINGER TCP_NODELAY);
use Time::HiRes qw(sleep time);

my @kinds = qw(close reset hole trickle delay);
my @depths = ([ 0, 1 ], [ 1, 500 ], [ 500, 1100 ], [ 1100, 2500 ], [ 2500, 15000 ]);
my %running;

sub new
{
	my ($class, $shop, %options) = @_;
	my ($toss_port) = $shop->{url} =~ /:(\d+)$/;
	my $self = bless {
		file => PostgreSQL::Test::Utils::tempdir . '/struck'
	}, $class;
	my $listener = IO::Socket::INET->new(
		LocalAddr => '127.0.0.1', Listen => 512, Proto => 'tcp') or die "could not listen: $!";
	my $pid = fork() // die "could not fork: $!";

	if ($pid == 0)
	{
		$SIG{PIPE} = 'IGNORE';
		srand($options{seed});
		eval { $self->forward($listener, $toss_port) };
		print STDERR "the network: $@";
		POSIX::_exit(1);
	}
	$self->{pid} = $pid;
	$running{$pid} = 1;
	$shop->{url} = 'https://localhost:' . $listener->sockport;
	$shop->{node}->append_conf('postgresql.conf', "payments.toss_url = '$shop->{url}'\n");
	return $self;
}

sub calm { my ($self) = @_; kill 'USR1', $self->{pid}; sleep 0.2; return }

# What is stuck is lost for good.
sub heal { my ($self) = @_; kill 'USR2', $self->{pid}; sleep 0.2; return }

sub is_alive { my ($self) = @_; return waitpid($self->{pid}, POSIX::WNOHANG()) == 0 }

# How often each kind has struck, in which direction and how deep (0 to 4).
sub struck
{
	my ($self) = @_;
	my %n;

	return () if !-e $self->{file};
	$n{$_}++ for split /\n/, slurp_file($self->{file});
	return %n;
}

# All that can happen to a connection, each kind in each direction first; half of
# them serve some requests before.
sub shuffled_deck
{
	my @ways = map { my $kind = $_; map { [ $kind, $_ ] } qw(up down) } @kinds;
	my @deck = map { my $way = $_; map { [ @$way, $_ ] } 0 .. $#depths, (4) x 5 } @ways;

	return (shuffled(map { [ @$_, int rand 4 ] } @ways), shuffled(@deck));
}

sub shuffled
{
	my @list = @_;

	for my $i (reverse 1 .. $#list)
	{
		my $j = int rand($i + 1);
		@list[ $i, $j ] = @list[ $j, $i ];
	}
	return @list;
}

# An end of a connection: its socket, what waits to be written to the other one
# ([when, bytes], ...), and how much passed.
sub forward
{
	my ($self, $listener, $toss_port) = @_;
	my $select = IO::Select->new($listener);
	my %ends;
	my @deck;
	my ($is_calm, $heals) = (0, 0);

	local $SIG{USR1} = sub { $is_calm = 1 };
	local $SIG{USR2} = sub { $is_calm = $heals = 1 };
	open(my $log, '>>', $self->{file}) or die "could not write: $!";
	$log->autoflush(1);
	while (1)
	{
		my $now = time();

		if ($heals)
		{
			my @stuck = grep { $_->{is_struck} } values %ends;
			end_of($select, \%ends, $_, 'reset') for grep { $ends{ $_->{socket} } } @stuck;
			$_->{fate} = undef for values %ends;
			$heals = 0;
		}
		for my $from ($select->can_read(next_due(\%ends, $now)))
		{
			if ($from == $listener)
			{
				@deck = shuffled_deck() if !@deck;
				open_pair($select, \%ends, $listener, $toss_port, $is_calm ? undef : shift @deck);
				next;
			}
			take($select, \%ends, $ends{$from}, $log) if $ends{$from};
		}
		$now = time();
		my @waiting = grep { @{ $_->{queue} } } values %ends;
		pass($select, \%ends, $_, $now) for @waiting;
	}
}

# Seconds until something that waits is due
sub next_due
{
	my ($ends, $now) = @_;
	my $wait = 0.5;

	for (values %$ends)
	{
		next if !@{ $_->{queue} };
		my $rest = $_->{queue}[0][0] - $now;
		$wait = $rest < 0 ? 0 : $rest if $rest < $wait;
	}
	return $wait;
}

sub open_pair
{
	my ($select, $ends, $listener, $toss_port, $dealt) = @_;
	my $client = $listener->accept or return;
	my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $toss_port, Proto => 'tcp');
	my %pair = (up => $client, down => $server);
	my %fate;

	if (!$server)
	{
		close $client;
		return;
	}
	if ($dealt)
	{
		my ($kind, $way, $depth) = @$dealt;
		my ($least, $most) = @{ $depths[$depth] };
		%fate = (kind => $kind, depth => $depth, after => $least + int rand($most - $least),
			rate => 1 + int rand(8), delay => 0.05 + rand(0.6));
		$fate{after} = 0 if $kind eq 'delay';
		$pair{way} = $way;
	}
	for my $way (qw(up down))
	{
		setsockopt $pair{$way}, IPPROTO_TCP, TCP_NODELAY, 1;
		$ends->{ $pair{$way} } = { socket => $pair{$way}, way => $way, queue => [], passed => 0,
			fate => $dealt && $pair{way} eq $way ? {%fate} : undef };
		$select->add($pair{$way});
	}
	$ends->{$client}{peer} = $ends->{$server};
	$ends->{$server}{peer} = $ends->{$client};
	return;
}

# Read, and decide what becomes of it.
sub take
{
	my ($select, $ends, $end, $log) = @_;
	my $n = sysread $end->{socket}, my $bytes, 65536;
	my $fate = $end->{fate};

	if (!$n)
	{
		# a network that is a hole tells nobody; what is on its way arrives first
		return $select->remove($end->{socket}) if $end->{is_struck} && $fate && $fate->{kind} eq 'hole';
		return end_of($select, $ends, $end, defined $n ? 'close' : 'reset') if !@{ $end->{queue} };
		push @{ $end->{queue} }, [ $end->{queue}[-1][0], undef ];
		return $select->remove($end->{socket});
	}
	if (!$fate || $end->{passed} + $n <= $fate->{after})
	{
		$end->{passed} += $n;
		push @{ $end->{queue} }, [ time(), $bytes ];
		return;
	}

	print $log "$fate->{kind} $end->{way} $fate->{depth}\n" if !$end->{is_struck}++;
	my $good = $fate->{after} - $end->{passed};
	$good = 0 if $good < 0;
	push @{ $end->{queue} }, [ time(), substr $bytes, 0, $good ] if $good > 0;
	$end->{passed} += $n;
	strike($select, $ends, $end, $fate, substr $bytes, $good);
}

sub strike
{
	my ($select, $ends, $end, $fate, $bytes) = @_;
	my $last = @{ $end->{queue} } ? $end->{queue}[-1][0] : time();

	if ($fate->{kind} eq 'close' || $fate->{kind} eq 'reset')
	{
		pass($select, $ends, $end, time() + 1);
		end_of($select, $ends, $end, $fate->{kind}) if $ends->{ $end->{socket} };
	}
	elsif ($fate->{kind} eq 'trickle')
	{
		push @{ $end->{queue} }, map { [ $last + $_ / $fate->{rate}, substr $bytes, $_ - 1, 1 ] } 1 .. length $bytes;
	}
	elsif ($fate->{kind} eq 'delay')
	{
		my $due = time() + $fate->{delay};
		push @{ $end->{queue} }, [ $due > $last ? $due : $last, $bytes ];
	}
	return;
}

# Pass on what is due.
sub pass
{
	my ($select, $ends, $end, $now) = @_;
	my $queue = $end->{queue};

	return if !$ends->{ $end->{socket} };
	while (@$queue && $queue->[0][0] <= $now)
	{
		my (undef, $bytes) = @{ shift @$queue };
		return end_of($select, $ends, $end, 'close') if !defined $bytes;
		return end_of($select, $ends, $end, 'reset') if !defined syswrite $end->{peer}{socket}, $bytes;
	}
	return;
}

# Both sides end, and see how.
sub end_of
{
	my ($select, $ends, $end, $how) = @_;

	for ($end, $end->{peer})
	{
		my $socket = $_->{socket};
		delete $ends->{$socket};
		$select->remove($socket);
		setsockopt $socket, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0) if $how eq 'reset';
		close $socket;
	}
	delete $end->{peer}{peer};
	delete $end->{peer};
	return;
}

END
{
	local $?;
	kill 'KILL', keys %running;
}

1;

# Shortage: a shop whose server runs out of what the test says.
#
#	my $shortage = Shortage->new;
#	my $shop = $shortage->shop(conf => ...);	# PaymentsTest->new
#	$shortage->full(Shortage::BASE);			# no file grows any more
#	$shortage->full(0);
#	$shortage->set(no_sockets => 1);
#	$shortage->memory($pid, 100, 3);			# of its allocations the 101st to 103rd fail
#	$shortage->memory($pid, 0, 1, 1);			# the next of libcurl's
#	$shortage->with(sub { start_again($shop) });	# start that server anew
#
# The means is shortage.c, compiled here and preloaded into the server.  cpu() and
# sleeps() say what a worker has cost: one that tries again and again at once
# shows itself in both.
package Shortage;

use strict;
use warnings;

use PaymentsTest;
use POSIX ();
use PostgreSQL::Test::Utils;

use constant { BASE => 1, PG_WAL => 2 };

# Where the numbers are in the file
my %at = (full => 0, refused => 8, pid => 16, passes => 24, length => 32, failed => 40,
	no_sockets => 48, of_curl => 56);

sub new
{
	my ($class) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir;
	my $self = bless { library => "$dir/shortage.so", file => "$dir/shortage" }, $class;

	system('cc', '-O2', '-shared', '-fPIC', '-o', $self->{library}, 't/shortage.c', '-ldl') == 0
	  or die "could not compile shortage.c\n";
	open($self->{handle}, '+>', $self->{file}) or die "$self->{file}: $!";
	$self->set($_ => 0) for keys %at;
	return $self;
}

sub set
{
	my ($self, $name, $value) = @_;
	sysseek $self->{handle}, $at{$name}, 0;
	syswrite($self->{handle}, pack('q', $value)) == 8 or die "$self->{file}: $!";
}

sub get
{
	my ($self, $name) = @_;
	sysseek $self->{handle}, $at{$name}, 0;
	sysread $self->{handle}, my $bytes, 8;
	return unpack 'q', $bytes;
}

# Run this with the library preloaded into what is started.
sub with
{
	my ($self, $sub) = @_;
	local $ENV{LD_PRELOAD} = $self->{library};
	local $ENV{SHORTAGE} = $self->{file};
	return $sub->();
}

sub shop
{
	my ($self, %options) = @_;
	my $shop = PaymentsTest->new(%options, start => 0);

	$self->with(sub { $shop->{node}->start });
	$shop->fill;
	return $shop;
}

sub full { my ($self, $where) = @_; $self->set(full => $where) }

# A process's allocations, from now on: so many go well, and so many then fail.
sub memory
{
	my ($self, $pid, $passes, $length, $of_curl) = @_;
	$self->set(pid => 0);
	$self->set(of_curl => $of_curl // 0);
	$self->set(failed => 0);
	$self->set(passes => $passes);
	$self->set(length => $length);
	$self->set(pid => $pid);
}

# Seconds of CPU that a process has taken, and how often it went to sleep
sub cpu
{
	my ($pid) = @_;
	my @fields = split ' ', slurp_file("/proc/$pid/stat") =~ s/^.*\) //sr;
	return ($fields[11] + $fields[12]) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

sub sleeps
{
	my ($pid) = @_;
	my ($n) = slurp_file("/proc/$pid/status") =~ /^voluntary_ctxt_switches:\s+(\d+)/m;
	return $n;
}

1;

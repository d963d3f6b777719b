# Starts a simulator, calls its API and its control interface with curl.
# Core modules only, so that the tests run wherever perl and curl are.
package Simulator;

use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use IPC::Open3;
use JSON::PP;
use Symbol qw(gensym);
use Test::More ();
use Time::HiRes qw(sleep time);

our $json = JSON::PP->new->utf8->allow_bignum->canonical;
my $build = $ENV{TOSS_BUILD}
  || abs_path(dirname(__FILE__) . '/../../../../build/toss');
my %running;
my $complaints = '';		# of all simulators, on standard error

sub build_dir { return $build }

# new(option => value, ...): the options of the program, without dashes;
# a list of values repeats the option.
sub new
{
	my ($class, @options) = @_;
	my $self = bless { dir => tempdir(CLEANUP => 1) }, $class;
	my @command = ("$build/toss-simulator", '--dir', $self->{dir});

	while (my ($name, $value) = splice(@options, 0, 2))
	{
		push @command, "--$name", $_ for ref $value ? @$value : $value;
	}
	my $pid = fork();
	die "could not fork" unless defined $pid;
	if ($pid == 0)
	{
		open(STDOUT, '>', "$self->{dir}/out");
		open(STDERR, '>', "$self->{dir}/err");
		exec @command;
		die "could not run $command[0]: $!";
	}
	$self->{pid} = $pid;
	$running{$pid} = 1;
	my $deadline = time() + 20;
	until (-e "$self->{dir}/ready")
	{
		die "the simulator did not start: " . $self->slurp('err')
		  if time() > $deadline || waitpid($pid, 1) != 0;
		sleep 0.02;
	}
	chomp($self->{port}         = $self->slurp('port'));
	chomp($self->{control_port} = $self->slurp('control-port'));
	return $self;
}

sub slurp
{
	my ($self, $name) = @_;
	open(my $file, '<', "$self->{dir}/$name") or return '';
	local $/;
	my $text = <$file>;
	return defined $text ? $text : '';
}

# Ends the simulator; returns its wait status and the seconds it took.
sub stop
{
	my ($self) = @_;
	my $start = time();
	kill 'TERM', $self->{pid};
	waitpid($self->{pid}, 0);
	my $status = $?;
	delete $running{ $self->{pid} };
	delete $self->{pid};
	$complaints .= $self->slurp('err');
	return ($status, time() - $start);
}

sub DESTROY
{
	my ($self) = @_;
	local ($?, $@);
	$self->stop if $self->{pid};
}

# Runs curl; returns exit code, standard output and standard error.
sub curl
{
	my ($self, @arguments) = @_;
	my $err = gensym;
	my $pid = open3(my $in, my $out, $err, 'curl', '-sS', '--max-time', '20',
		@arguments);
	close $in;
	local $/;
	my $stdout = <$out>;
	my $stderr = <$err>;
	waitpid($pid, 0);
	return ($? >> 8, $stdout // '', $stderr // '');
}

# Takes the output of curl -i apart.
sub parse
{
	my ($exit, $stdout, $stderr) = @_;
	my %answer = (exit => $exit, error => $stderr, raw => $stdout,
		status => 0, headers => {}, body => '');

	$stdout =~ s/^HTTP\/1\.1 100 [^\r]*\r\n\r\n//;
	my ($head, $body) = split /\r\n\r\n/, $stdout, 2;
	if (defined $head && $head =~ /^HTTP\/1\.1 (\d+)/)
	{
		$answer{status} = $1;
		$answer{headers}{ lc $1 } = $2
		  while $head =~ /^([^:\r\n]+): ([^\r\n]*)/mg;
		$answer{body} = defined $body ? $body : '';
	}
	$answer{json} = eval { $json->decode($answer{body}) };
	return \%answer;
}

# One call of the control interface; returns the decoded answer.
sub control
{
	my ($self, $method, $path, $body) = @_;
	my @data = defined $body
	  ? ('--data-binary', ref $body ? $json->encode($body) : $body) : ();
	my $answer = parse($self->curl('-i', '-X', $method, @data,
			"http://127.0.0.1:$self->{control_port}$path"));

	$self->{control_status} = $answer->{status};
	return $answer->{json} if defined $answer->{json};
	return $answer->{body};
}

sub post { my ($self, @rest) = @_; return $self->control('POST', @rest) }
sub get { my ($self, @rest) = @_; return $self->control('GET', @rest) }

sub lines
{
	my ($self, $path) = @_;
	my (undef, $text) =
	  $self->curl("http://127.0.0.1:$self->{control_port}$path");
	return map { $json->decode($_) } split /\n/, $text;
}

sub url { my ($self, $path) = @_; return "https://localhost:$self->{port}$path" }

# Arguments of curl for a call of the API.  Options: secret, headers, curl.
sub arguments
{
	my ($self, $method, $path, $body, %options) = @_;
	my $secret = $options{secret} // 'test_gsk_simulator';
	my @arguments = ('-i', '--cacert', "$self->{dir}/ca.pem", '-X', $method);

	push @arguments, '-u', "$secret:" unless $options{no_auth};
	push @arguments, '-H', $_ for @{ $options{headers} // [] };
	push @arguments, '-H', 'Content-Type: application/json',
	  '--data-binary', ref $body ? $json->encode($body) : $body
	  if defined $body;
	return (@arguments, @{ $options{curl} // [] }, $self->url($path));
}

sub api
{
	my ($self, @rest) = @_;
	return parse($self->curl($self->arguments(@rest)));
}

# Starts a call of the API in the background; finish with answer_of.
sub api_later
{
	my ($self, @rest) = @_;
	my $pid = open(my $out, '-|', 'curl', '-s', '--max-time', '20',
		$self->arguments(@rest)) or die "could not run curl";
	return { out => $out, pid => $pid };
}

sub answer_of
{
	my ($later) = @_;
	local $/;
	my $text = readline $later->{out};
	close $later->{out};
	return parse($? >> 8, $text // '', '');
}

# Confirms; the body is paymentKey, orderId, amount.
sub confirm
{
	my ($self, $key, $order, $amount, %options) = @_;
	my @headers = @{ $options{headers} // [] };

	push @headers, "Idempotency-Key: $options{key}" if defined $options{key};
	return $self->api('POST', '/v1/payments/confirm',
		qq({"paymentKey":"$key","orderId":"$order","amount":$amount}),
		%options, headers => \@headers);
}

sub confirm_later
{
	my ($self, $key, $order, $amount, %options) = @_;
	my @headers;

	push @headers, "Idempotency-Key: $options{key}" if defined $options{key};
	return $self->api_later('POST', '/v1/payments/confirm',
		qq({"paymentKey":"$key","orderId":"$order","amount":$amount}),
		headers => \@headers);
}

# Cancels; body is a hash, or JSON text.
sub cancel
{
	my ($self, $payment, $body, %options) = @_;
	my @headers = @{ $options{headers} // [] };

	push @headers, "Idempotency-Key: $options{key}" if defined $options{key};
	return $self->api('POST', "/v1/payments/$payment/cancel", $body, %options,
		headers => \@headers);
}

# What was given back of an order, in the simulator's books.
sub canceled
{
	my ($self, $order) = @_;
	my $sum = 0;
	$sum += $_->{amount}
	  for grep { $_->{orderId} eq $order && $_->{kind} eq 'cancel' }
	  $self->lines('/journal');
	return $sum;
}

# Creates an authenticated payment of an order; returns its key.
sub pay
{
	my ($self, $order, $amount, %more) = @_;
	my $made = $self->post('/pay',
		{ orderId => $order, amount => $amount, %more });
	return $made->{paymentKey};
}

sub query { my ($self, $key, %options) = @_;
	return $self->api('GET', "/v1/payments/$key", undef, %options) }

sub code { my ($answer) = @_; return "$answer->{status} "
	  . (ref $answer->{json} ? $answer->{json}{code} // $answer->{json}{status}
		// '?' : '?') }

# A kept-alive TLS connection, by openssl s_client.
sub connection
{
	my ($self) = @_;
	my $err = gensym;
	my $pid = open3(my $in, my $out, $err, 'openssl', 's_client', '-quiet',
		'-verify_quiet', '-CAfile', "$self->{dir}/ca.pem", '-connect',
		"localhost:$self->{port}");
	return { in => $in, out => $out, err => $err, pid => $pid };
}

# Sends a request on such a connection and waits for the whole answer, or for
# the end of the connection; how it ended is in "error".
sub on_connection
{
	my ($connection, $method, $path, $body, $key) = @_;
	my $request = "$method $path HTTP/1.1\r\nHost: localhost\r\n"
	  . "Authorization: Basic dGVzdF9nc2tfc2ltdWxhdG9yOg==\r\n"
	  . (defined $key ? "Idempotency-Key: $key\r\n" : '')
	  . "Content-Length: " . length($body) . "\r\n\r\n$body";
	my $text = '';
	local $SIG{PIPE} = 'IGNORE';

	syswrite $connection->{in}, $request;
	until ($text =~ /^(.*?)\r\n\r\n/s
		&& length($text) >= $+[0] + ($1 =~ /Content-Length: (\d+)/ ? $1 : 0))
	{
		next if sysread $connection->{out}, $text, 65536, length $text;
		close $connection->{in};
		local $/;
		my $error = readline $connection->{err};
		waitpid $connection->{pid}, 0;
		return parse(1, $text, $error);
	}
	return parse(0, $text, '');
}

sub disconnect
{
	my ($connection) = @_;
	kill 'TERM', $connection->{pid};
	waitpid $connection->{pid}, 0;
}

# Executions of an order in the simulator's books, cancels apart.
sub charges
{
	my ($self, $order) = @_;
	return scalar grep { $_->{orderId} eq $order && $_->{kind} !~ /^(?:cancel|withdraw)$/ }
	  $self->lines('/journal');
}

END
{
	local $?;
	kill 'TERM', $_ for keys %running;
}

# To be called last: stops the simulator and tests that it left in peace.
sub finish
{
	my ($self) = @_;
	my ($status) = $self->stop;

	Test::More::is($status, 0, 'the simulator ended cleanly');
	Test::More::is($complaints, '', 'and had nothing to complain about');
	Test::More::done_testing();
}

1;

# PaymentsTest: a server with payments in it, the Toss simulator, and a shop.
#
#	use PaymentsTest;
#	my $shop = PaymentsTest->new;			# all of it, running
#	my $order = $shop->order(15000);		# checked out, and authenticated
#	$shop->confirm($order);
#	is($shop->wait_for($order), 'SUCCESS', 'paid');
#	$shop->books_agree;						# with those of the simulator
#
# Options of new: databases (default ['shop']: each is made, with the extension
# and a merchant), preload (1), conf (more lines of postgresql.conf), simulator
# (options of the program, without dashes), start (1).
#
# The server is $shop->{node}, a PostgreSQL::Test::Cluster; sql() and the verbs
# of the shop work in the first database.  An order is a hash of order_id,
# payment_key, amount.
package PaymentsTest;

use strict;
use warnings;

use File::Basename qw(dirname);
use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Test::More;
use Time::HiRes qw(sleep time);

our $secret = 'test_sk_simulator0only0000000000000';
my $audit = dirname(__FILE__) . '/../crash/audit';
our $timeout = $ENV{PG_TEST_TIMEOUT_DEFAULT} // 120;

my $json = JSON::PP->new->utf8->canonical;
my %running;

sub new
{
	my ($class, %options) = @_;
	my $self = bless {
		databases => $options{databases} // ['shop'],
		secret_dir => PostgreSQL::Test::Utils::tempdir,
		toss_dir => PostgreSQL::Test::Utils::tempdir,
		http => HTTP::Tiny->new(timeout => $timeout),
	}, $class;

	$self->start_simulator(%{ $options{simulator} // {} });
	chmod 0700, $self->{secret_dir};
	$self->write_secret('default', $secret);
	$self->make_node(%options);
	$self->start if $options{start} // 1;
	return $self;
}

sub make_node
{
	my ($self, %options) = @_;
	my $node = $self->{node} =
	  PostgreSQL::Test::Cluster->new($options{name} // 'shop');

	$node->init(%{ $options{init} // {} });
	$node->append_conf('postgresql.conf',
		"shared_preload_libraries = 'payments'\n")
	  if $options{preload} // 1;
	$node->append_conf(
		'postgresql.conf', qq(
restart_after_crash = on
track_commit_timestamp = on
log_statement = none
payments.reconcile_interval = 0
payments.databases = '@{[ join ',', @{ $self->{databases} } ]}'
payments.secret_dir = '$self->{secret_dir}'
payments.toss_url = '$self->{url}'
payments.toss_ca_file = '$self->{toss_dir}/ca.pem'
) . ($options{conf} // ''));
}

# Start the server and fill its databases.
sub start
{
	my ($self) = @_;

	$self->{node}->start;
	$self->fill;
}

sub fill
{
	my ($self) = @_;

	for my $database (@{ $self->{databases} })
	{
		$self->{node}->safe_psql('postgres', "CREATE DATABASE $database");
		$self->install($database);
	}
}

sub install
{
	my ($self, $database) = @_;

	$self->{node}->safe_psql($database, q(
		CREATE EXTENSION payments;
		SELECT payments.set_merchant('default', 'test_ck_simulator0only')));
}

#
# The simulator
#

sub start_simulator
{
	my ($self, %options) = @_;
	my $program = $ENV{TOSS_SIMULATOR}
	  // die 'TOSS_SIMULATOR does not say where the simulator is';
	my @command = ($program, '--dir', $self->{toss_dir}, '--secret', $secret,
		'--requests-file', "$self->{toss_dir}/requests.jsonl",
		map { ("--$_", $options{$_}) } sort keys %options);

	unlink "$self->{toss_dir}/ready";
	my $pid = fork() // die "could not fork: $!";
	if ($pid == 0)
	{
		open(STDIN, '<', '/dev/null');
		open(STDOUT, '>>', "$self->{toss_dir}/log");
		open(STDERR, '>>', "$self->{toss_dir}/log");
		exec @command or die "could not run $program: $!";
	}
	$self->{toss_pid} = $pid;
	$running{$pid} = 1;
	$self->poll(sub { -e "$self->{toss_dir}/ready" }, 'the simulator starts');
	my $port = slurp_file("$self->{toss_dir}/port") + 0;
	my $control = slurp_file("$self->{toss_dir}/control-port") + 0;
	$self->{url} = "https://localhost:$port";
	$self->{control} = "http://127.0.0.1:$control";
}

sub stop_simulator
{
	my ($self) = @_;
	my $pid = delete $self->{toss_pid} // return;

	kill 'TERM', $pid;
	waitpid $pid, 0;
	delete $running{$pid};
}

# One call of its control interface: toss('POST', '/pay', {...}).
sub toss
{
	my ($self, $method, $path, $body) = @_;
	my $answer = $self->{http}->request($method, "$self->{control}$path",
		defined $body ? { content => $json->encode($body) } : {});

	# header and body are two writes: the second does not wait for the first's ACK
	setsockopt($self->{http}{handle}{fh}, IPPROTO_TCP, TCP_NODELAY, 1)
	  if $self->{http}{handle} && $self->{http}{handle}{fh};
	die "simulator: $method $path: $answer->{status} $answer->{content}"
	  if $answer->{status} != 200;
	return $answer->{content} if $path =~ m{^/(requests|journal|webhooks$)};
	return $json->decode($answer->{content});
}

# What goes wrong next: fault($order, kind => 'reset-after', on => 'confirm').
sub fault
{
	my ($self, $order, %fault) = @_;
	$self->toss('POST', '/fault', { orderId => $order->{order_id}, %fault });
}

sub settings { my ($self, %set) = @_; $self->toss('POST', '/settings', \%set) }

sub release { my ($self) = @_; $self->toss('POST', '/release') }

# The requests that came in, and the charges that were made, oldest first.
sub requests { my ($self) = @_; return $self->records('/requests') }

sub charges { my ($self) = @_; return $self->records('/journal') }

sub records
{
	my ($self, $path) = @_;
	return map { $json->decode($_) } split /\n/, $self->toss('GET', $path);
}

sub requests_of
{
	my ($self, $order) = @_;
	my $keys = $self->sql("SELECT string_agg(idempotency_key, ',')
		FROM payments.psp_call WHERE order_id = '$order->{order_id}'");
	return grep {
		index($keys, $_->{idempotencyKey} // '-') >= 0
		  || $_->{path} =~ /\Q$order->{payment_key}\E$/
	} $self->requests;
}

#
# The shop
#

sub sql
{
	my ($self, $sql) = @_;
	return $self->{node}->safe_psql($self->{databases}[0], $sql);
}

# A checkout of this amount whose buyer has authenticated.
sub order
{
	my ($self, $amount, %more) = @_;
	my ($order) = $self->orders(1, $amount, %more);
	return $order;
}

# Many at once, of one merchant; all of one amount, lines to sellers 1, 2 ... in
# turn, but for those of seller_id => { number of the order => seller }.
sub orders
{
	my ($self, $n, $amount, %more) = @_;
	my $sellers = $json->encode(delete $more{seller_id} // {});
	my $merchant = delete $more{merchant} // 'default';
	my @ids = split /\n/, $self->sql(qq(
		SELECT c.order_id FROM generate_series(1, $n) i,
			LATERAL payments.checkout(i, jsonb_build_array(jsonb_build_object('seller_id',
				coalesce(('$sellers'::jsonb ->> i::text)::int, i % 10 + 1), 'amount', $amount)),
				merchant => '$merchant') c ORDER BY i));
	my $made = $self->toss('POST', '/pay/bulk',
		{ orderIds => \@ids, amount => $amount, %more });
	return map { {
			order_id => $_->{orderId},
			payment_key => $_->{paymentKey},
			amount => $amount
	} } @{ $made->{payments} };
}

# confirm as a statement, to be put into transactions of the test's own
sub confirm_sql
{
	my ($self, $order) = @_;
	return "SELECT payments.confirm('$order->{order_id}', "
	  . "'$order->{payment_key}', $order->{amount})";
}

# Confirm one or many; returns the last status.
sub confirm
{
	my ($self, @orders) = @_;
	my @statuses =
	  split /\n/, $self->sql(join ";\n", map { $self->confirm_sql($_) } @orders);
	return $statuses[-1];
}

# Refund an order: all that is left, or "amount => 500" and the like; returns
# the refund's id.
sub refund
{
	my ($self, $order, %more) = @_;
	my $arguments = join '', map { ", $_ => $more{$_}" } sort keys %more;
	return $self->sql("SELECT payments.refund('$order->{order_id}', 'test'$arguments)");
}

# What an order has done to the account of the PSP, one ledger transaction after
# the other.
sub psp_books
{
	my ($self, $order) = @_;
	return $self->sql("SELECT string_agg(kind || ' ' || amount, ', ' ORDER BY id) FROM (
		SELECT t.id, t.kind, sum(e.amount) AS amount FROM payments.ledger_transaction t
			JOIN payments.ledger_entry e ON e.transaction_id = t.id JOIN payments.ledger_account a ON a.id = e.account_id
		WHERE t.order_id = '$order->{order_id}' AND a.code = 'psp:toss' GROUP BY t.id) b");
}

sub wait_for_refund
{
	my ($self, $order, $refund, $seconds) = @_;
	$seconds //= $timeout;
	return $self->sql("SELECT payments.wait_for_refund('$order->{order_id}', $refund, '$seconds s')");
}

sub status
{
	my ($self, $order) = @_;
	return $self->sql("SELECT payments.status('$order->{order_id}')");
}

sub wait_for
{
	my ($self, $order, $seconds) = @_;
	$seconds //= $timeout;
	return $self->sql(
		"SELECT payments.wait_for('$order->{order_id}', '$seconds s')");
}

# Wait until no call is open any more (or only n are).
sub wait_until_quiet
{
	my ($self, $n) = @_;
	$n //= 0;
	return $self->poll_sql(
		'SELECT count(*) FROM payments.psp_call_queue', $n,
		"calls that are open: $n");
}

#
# The worker
#

# A column of worker_status of the first database.
sub worker
{
	my ($self, $column) = @_;
	return $self->sql("SELECT $column FROM payments.worker_status
		WHERE database = '$self->{databases}[0]'");
}

sub wait_for_worker
{
	my ($self, $state) = @_;
	$state //= 'running';
	return $self->poll_sql(
		"SELECT state FROM payments.worker_status
			WHERE database = '$self->{databases}[0]'",
		$state, "the worker is $state");
}

# Wait for a worker other than the one with this pid; returns the new pid.
sub wait_for_other_worker
{
	my ($self, $pid) = @_;
	$self->poll(sub {
			my $now = eval { $self->worker(
					"CASE state WHEN 'running' THEN pid ELSE 0 END") };
			return $now && $now != $pid;
		}, 'another worker runs');
	return $self->worker('pid');
}

# Put a merchant's secret key into its file.
sub write_secret
{
	my ($self, $merchant, $key, $mode) = @_;
	my $file = "$self->{secret_dir}/$merchant";

	unlink $file;
	open(my $out, '>', $file) or die "could not write $file: $!";
	print $out "$key\n";
	close $out;
	chmod $mode // 0600, $file;
}

# Change settings, and let the server know.
sub configure
{
	my ($self, %settings) = @_;
	$self->{node}->append_conf('postgresql.conf', "$_ = '$settings{$_}'\n")
	  for sort keys %settings;
	$self->{node}->reload;
}

#
# Waiting
#

# Until the sub returns true; otherwise the test fails, and false is returned.
sub poll
{
	my ($self, $check, $what, $seconds) = @_;
	my $end = time() + ($seconds // $timeout);
	my $pause = 0.02;

	# who waits for long asks less often: asking takes most of the CPU of a test
	while (time() < $end)
	{
		return 1 if $check->();
		sleep $pause;
		$pause = 1.2 * $pause if $pause < 0.1;
	}
	fail("in time: $what");
	return 0;
}

# Until the query returns this; survives the server's being away.
sub poll_sql
{
	my ($self, $sql, $expected, $what) = @_;
	my $got;

	return 1 if $self->poll(sub {
			# psql may be gone before it has read the query
			my ($status, $out) =
			  eval { $self->{node}->psql($self->{databases}[0], $sql) };
			$got = defined $status && $status == 0 ? $out : undef;
			return defined $got && $got eq $expected;
		}, $what // $sql);
	diag("expected \"$expected\", got \"" . ($got // 'no answer') . '"');
	return 0;
}

#
# The oracle: what must be true whatever happened, once things are quiet.  Most
# of it says a program that shares no code with the extension.
#

# Options: open, how many calls may still be open; secrets, look for the secret
# key as well, in every file and view; log => 0, the log may say what it must not.
sub books_agree
{
	my ($self, $name, %options) = @_;
	$name = $name ? "$name: " : '';

	subtest "${name}the books agree" => sub {
		is($self->offences(%options), '', 'the audit');
		is($self->sql(q(SELECT string_agg(invariant || ': ' || counterexample, E'\n')
			FROM payments.verify() WHERE NOT holds)), '', 'all invariants hold');
		done_testing();
	};
}

# What the program has to say.  Requests that still hang are not in the file
# that it reads.
sub offences
{
	my ($self, %options) = @_;
	my $node = $self->{node};
	my @files = (
		$options{log} // 1 ? ('--log', $node->logfile) : (),
		$options{secrets} ? ('--data', $node->data_dir, '--secret', $secret) : ());
	my $found = '';

	$self->poll(sub { $self->toss('GET', '/health')->{waiting} == 0 }, 'no request hangs');
	IPC::Run::run([ $audit, '--toss', $self->{toss_dir},
			'--database', $node->connstr($self->{databases}[0]),
			'--open', $options{open} // 0, @files ],
		'>&', \$found);
	return $found;
}

# The server's log so far, of all its runs.
sub log { my ($self) = @_; return slurp_file($self->{node}->logfile) }

END
{
	local $?;
	kill 'TERM', $_ for keys %running;
}

1;

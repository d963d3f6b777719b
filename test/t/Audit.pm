# Audit: what must be true whatever happened, and the means to make it happen.
#
#	use Audit;
#	kill_worker($shop);						# and eight others: %violence
#	recover($shop);							# faults end, a worker runs
#	settled($shop, @orders);				# until none of them is open
#	audit($shop, 'after the kill');
#
# The audit is a program of its own, ../crash/audit, which shares no code with
# the extension; verify() is asked besides.  holds_nothing is I7.
package Audit;

use strict;
use warnings;

use Exporter 'import';
use IO::Select;
use IO::Socket::INET;
use IPC::Run;
use PaymentsTest;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;
use Socket qw(SOL_SOCKET SO_LINGER);
use Time::HiRes qw(sleep time);

our @EXPORT = qw(is_alive start_again audit holds_nothing in_flight settled recover is_long
  kill_process kill_worker kill_postmaster stop_now stop_fast terminate_worker kill_backend
  freeze_worker lock_table middlebox go_deaf
  server_is_back arrivals answers_of tables_of contents);

# The long form: make crash, or the goal that is named.
sub is_long
{
	my ($goal) = @_;
	$goal //= 'crash';
	return ($ENV{LONG} // '') eq $goal
	  || ($ENV{PG_TEST_EXTRA} // '') =~ /\b$goal\b/;
}

#
# The audit
#

# The audit, with I5.  Options: open, how many calls may still be open;
# secrets => 0 leaves I5 out.
sub audit
{
	my ($shop, $name, %options) = @_;
	$shop->books_agree($name, secrets => 1, %options);
}

# I7: while calls hang the worker has no transaction, snapshot or lock.
sub holds_nothing
{
	my ($shop, $name) = @_;

	is($shop->sql(q(SELECT string_agg(concat_ws(' ', a.state, a.backend_xid, a.backend_xmin,
				a.xact_start, l.mode, l.relation::regclass), ', ')
			FROM pg_stat_activity a LEFT JOIN pg_locks l ON l.pid = a.pid
			WHERE a.backend_type = 'payments worker')),
		'idle', "$name: I7 the worker holds nothing while it waits");
}

#
# Looking on
#

# Wait until so many requests are in flight.
sub in_flight
{
	my ($shop, $n) = @_;
	return $shop->poll(
		sub { $shop->toss('GET', '/health')->{waiting} == $n }, "$n requests hang");
}

# Requests of this method for an order, oldest first.
sub arrivals
{
	my ($shop, $order, $method) = @_;
	return grep { $_->{method} eq $method } $shop->requests_of($order);
}

# "confirm no answer, query approved": what came back, in order.
sub answers_of
{
	my ($shop, $order) = @_;
	return $shop->sql("SELECT string_agg(concat_ws(' ', operation,
			CASE transport WHEN 'answered' THEN meaning ELSE transport END), ', '
			ORDER BY call_id, attempt_no)
		FROM payments.psp_answer WHERE order_id = '$order->{order_id}'");
}

# Wait until none of these has a call that is open.
sub settled
{
	my ($shop, @orders) = @_;
	my $ids = join ',', map { "'$_->{order_id}'" } @orders;
	return $shop->poll_sql("SELECT count(*) FROM payments.psp_call_queue
		WHERE order_id IN ($ids)", 0, 'calls come to an end');
}

# No fault any more, nothing hangs, the server answers, a worker runs.
sub recover
{
	my ($shop) = @_;
	$shop->toss('POST', '/faults/clear', {});
	$shop->wait_for_worker;
	$shop->release;
}

# Every table with rows to dump, and the rows of all of them.
sub tables_of
{
	my ($node, $database) = @_;
	return split /\n/, $node->safe_psql($database, q(
		SELECT format('payments.%I', relname) FROM pg_class
		WHERE relnamespace = 'payments'::regnamespace AND relkind = 'r'
			AND relname NOT IN ('ledger_snapshot', 'ledger_stray', 'ledger_horizon', 'schema_record') ORDER BY relname));
}

sub contents
{
	my ($node, $database) = @_;
	return join '', map {
		"$_\n" . $node->safe_psql($database,
			"SELECT t::text FROM $_ t ORDER BY t::text COLLATE \"C\"") . "\n"
	} tables_of($node, $database);
}

#
# Violence.  Each returns when the server takes queries again.
#

sub server_is_back
{
	my ($shop) = @_;
	return $shop->poll(sub {
			my ($status) = eval { $shop->{node}->psql('postgres', 'SELECT 1') };
			return defined $status && $status == 0;
		}, 'the server is back');
}

# Processes that nobody has waited for yet are dead all the same.
sub is_alive
{
	my ($pid) = @_;
	return `ps -o stat= -p $pid` =~ /^[^Z\s]/;
}

# Kill one process, and wait for the crash restart: which cannot be told from the
# server's answering before the process is gone.
sub kill_process
{
	my ($shop, $pid) = @_;
	kill 'KILL', $pid;
	$shop->poll(sub { !is_alive($pid) }, 'a killed process is gone');
	return server_is_back($shop);
}

sub kill_worker
{
	my ($shop) = @_;
	return kill_process($shop, $shop->worker('pid'));
}

# Somebody else's crash takes the worker with it.
sub kill_backend
{
	my ($shop) = @_;
	my $session = $shop->{node}->background_psql('postgres', on_error_stop => 0);
	my $pid = $session->query('SELECT pg_backend_pid()');
	my $done = kill_process($shop, $pid);

	eval { $session->{run}->finish };
	return $done;
}

# With all its children, which notice by themselves.
sub kill_postmaster
{
	my ($shop) = @_;
	my $node = $shop->{node};
	my $pid = $node->{_pid};
	my @children = split ' ', `ps -o pid= --ppid $pid`;

	$node->kill9;
	$shop->poll(sub { !kill(0, $pid) && !grep { is_alive($_) } @children },
		'the processes of a dead postmaster are gone');
	return start_again($shop);
}

# A postmaster that was killed leaves its file, and perhaps shared memory that
# is in use for a moment.
sub start_again
{
	my ($shop) = @_;
	my $node = $shop->{node};
	return $shop->poll(sub {
			$node->{_pid} = undef;
			return $node->start(fail_ok => 1);
		}, 'the server starts');
}

sub stop_now { my ($shop) = @_; $shop->{node}->stop('immediate'); return start_again($shop) }

sub stop_fast { my ($shop) = @_; $shop->{node}->stop('fast'); return start_again($shop) }

sub terminate_worker
{
	my ($shop) = @_;
	my $pid = $shop->worker('pid');
	kill 'TERM', $pid;
	$shop->wait_for_other_worker($pid);
	return 1;
}

# Answers come and deadlines pass while it does not look.
sub freeze_worker
{
	my ($shop, $seconds) = @_;
	my $pid = $shop->worker('pid');
	kill 'STOP', $pid;
	sleep($seconds // 3);
	kill 'CONT', $pid;
	return 1;
}

# Another session's lock, until the handle is closed: keeps turns from
# committing.  Returns the sub that lets go.
sub lock_table
{
	my ($shop, $table) = @_;
	my $session = $shop->{node}->background_psql('shop', on_error_stop => 0);

	$session->query("BEGIN; LOCK TABLE payments.$table IN SHARE ROW EXCLUSIVE MODE");
	return sub { eval { $session->quit } };
}

#
# A middlebox: forwards bytes between the worker and the simulator, and does not
# tell the simulator when the worker's side is gone.  go_deaf makes it lose, from
# the connections of this moment, also the worker's last words.  To the PSP a
# payer that has died looks just like that: it goes on executing.
#
my @middleboxes;

sub go_deaf { kill 'USR1', @middleboxes; sleep 0.2 }

sub middlebox
{
	my ($shop) = @_;
	my ($toss_port) = $shop->{url} =~ /:(\d+)$/;
	my $listener = IO::Socket::INET->new(
		LocalAddr => '127.0.0.1', Listen => 128, Proto => 'tcp')
	  or die "could not listen: $!";
	my $pid = fork() // die "could not fork: $!";

	if ($pid == 0)
	{
		$SIG{PIPE} = 'IGNORE';
		forward($listener, $toss_port);
		POSIX::_exit(0);
	}
	push @middleboxes, $pid;
	$shop->{url} = 'https://localhost:' . $listener->sockport;
	$shop->{node}->append_conf('postgresql.conf', "payments.toss_url = '$shop->{url}'\n");
	return;
}

sub forward
{
	my ($listener, $toss_port) = @_;
	my $select = IO::Select->new($listener);
	my (%peer, %is_client, %is_deaf);

	local $SIG{USR1} = sub { %is_deaf = %is_client };
	while (1)
	{
		for my $from ($select->can_read)
		{
			if ($from == $listener)
			{
				my $client = $listener->accept or next;
				my $server = IO::Socket::INET->new(
					PeerAddr => '127.0.0.1', PeerPort => $toss_port, Proto => 'tcp');
				next if !$server;
				($peer{$client}, $peer{$server}) = ($server, $client);
				$is_client{$client} = 1;
				delete @is_deaf{ $client, $server };
				$select->add($client, $server);
				next;
			}
			next if !$select->exists($from);
			my $n = sysread $from, my $bytes, 65536;
			my $to = $peer{$from};

			if ($n)
			{
				syswrite $to, $bytes if $to->opened && !$is_deaf{$from};
				next;
			}
			$select->remove($from);
			delete $peer{$from};
			if (!$is_client{$from} && $to->opened)
			{
				# pass on whether it was a FIN or a RST
				setsockopt $to, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0) if !defined $n;
				$select->remove($to);
				close $to;
			}
			close $from;
		}
	}
}

END
{
	local $?;
	kill 'KILL', @middleboxes;
}

1;

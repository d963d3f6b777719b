# Crash: strike at a point of the code, let things become quiet, and audit.
#
#	my $crash = Crash->new;
#	my $what = $crash->run(point => 'claim-committed', strike => 'kill');
#	my $what = $crash->run(point => 'answer-read', fault => 'cut, done');
#	die $what if $what;			# what is wrong, as text
#	$what = $crash->storm(...);	# several of these at once
#
# Points are those of ../../src (PAY_FAULT); strikes are what ends or stops a
# process there; faults are what the simulator does to the first order.  One
# shop serves many runs, one after the other.
package Crash;

use strict;
use warnings;

use Audit;
use Exporter 'import';
use Outside;
use PaymentsTest;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More ();
use Time::HiRes qw(sleep time);

our @EXPORT = qw(%points %strikes %faults all_pairs);

# How to get there: "confirm" orders; let a worker "die" with calls in flight, or
# tell it to "stop"; let one die when the next has to read Toss's "list"; "seal"
# what orders have left in the ledger; "refund" orders that are paid, or that were
# paid by deposits to an "account" of the buyer's; let orders be given back that
# are "unclaimed"; or what Outside.pm says.  Where it is quiet no error can be
# raised, and where it is free no transaction may be open.
our %points = (
	'confirm-locked' => { by => 'confirm', client => 1 },
	'confirm-queued' => { by => 'confirm', client => 1 },
	'confirm-committed' => { by => 'confirm', client => 1, quiet => 1 },
	'claim-written' => { by => 'confirm' },
	'turn-committing' => { by => 'confirm' },
	'claim-committed' => { by => 'confirm', free => 1 },
	'request-headers-sent' => { by => 'confirm', quiet => 1, free => 1 },
	'request-half-sent' => { by => 'confirm', quiet => 1, free => 1 },
	'request-sent' => { by => 'confirm', quiet => 1, free => 1 },
	'answer-in-socket' => { by => 'confirm', quiet => 1, free => 1 },
	'answer-begun' => { by => 'confirm', quiet => 1, free => 1 },
	'answer-read' => { by => 'confirm', quiet => 1, free => 1 },
	'result-received' => { by => 'confirm', free => 1 },
	'result-recorded' => { by => 'confirm' },
	'result-posted' => { by => 'confirm' },
	'result-applied' => { by => 'confirm' },
	'result-written' => { by => 'confirm' },
	'result-committed' => { by => 'confirm', free => 1 },
	'worker-drained' => { by => 'stop', free => 1 },
	'epoch-drawn' => { by => 'die' },
	'epoch-begun' => { by => 'die', free => 1 },
	'list-noted' => { by => 'list' },
	'list-claimed' => { by => 'list', free => 1 },
	'list-asked' => { by => 'list', free => 1 },
	'list-answered' => { by => 'list', free => 1 },
	'list-compared' => { by => 'list' },
	'list-written' => { by => 'list' },
	'list-saved' => { by => 'list', free => 1 },
	'refund-reserved' => { by => 'refund', client => 1 },
	'account-erased' => { by => 'account' },
	'unclaimed-ended' => { by => 'unclaimed' },
	'deposit-awaited' => { by => 'issue' },
	'webhook-stored' => { by => 'deposit', client => 1 },
	'webhook-decided' => { by => 'deposit' },
	'deposit-recalled' => { by => 'deposit' },
	'deposit-noted' => { by => 'deposit' },
	'look-opened' => { by => 'notice' },
	'movement-written' => { by => 'reversal' },
	'account-closed' => { by => 'expiry' },
	'seal-computed' => { by => 'seal' },
	'seal-written' => { by => 'seal' },
	'seal-committed' => { by => 'seal', free => 1 });

# Those that a confirm comes to, on the way of a "refund".
for (grep { $points{$_}{by} eq 'confirm' && !$points{$_}{client} } keys %points)
{
	$points{"refund: $_"} = { %{ $points{$_} }, by => 'refund', at => $_ };
}

for (qw(claim-written claim-committed request-half-sent request-sent answer-read result-posted result-applied result-committed))
{
	$points{"account: $_"} = { %{ $points{$_} }, by => 'account', at => $_ };
}

# And on the ways of what happens outside: where it is settled.  (What comes late is
# settled as a reversal is, and the notice of one as any other answer.)
for my $by (grep { !/late|notice/ } keys %outside)
{
	for (qw(claim-committed answer-read result-posted result-applied result-committed))
	{
		$points{"$by: $_"} = { %{ $points{$_} }, by => $by, at => $_ };
	}
}
for ([ notice => 'webhook-decided' ], [ late => 'movement-written' ], [ dashboard => 'webhook-decided' ])
{
	my ($by, $at) = @$_;
	$points{"$by: $at"} = { by => $by, at => $at };
}

# What the server's settings are for that
my %settings_for = (
	(map { ($_ => { 'payments.sweep_interval' => '1s' }) } 'account', keys %outside),
	list => { 'payments.reconcile_interval' => '1d' },
	seal => { 'payments.sweep_interval' => '1s' });
my %settings_else = (
	'payments.reconcile_interval' => 0,
	'payments.sweep_interval' => '1min');

# What the process does by itself, or what is done to it while it is stopped
# there, in which case the sub gets its pid and the sub that lets it go on.
our %strikes = (
	'kill' => { plan => 'kill 1' },
	'exit' => { plan => 'exit 1' },
	'error' => { plan => 'error 1', raises => 1 },
	'SIGTERM' => { plan => 'term 1' },
	'sleep' => { plan => 'sleep 1 1500' },
	'terminate' => { act => sub {
			my ($shop, $pid, $go) = @_;
			$shop->sql("SELECT pg_terminate_backend($pid)");
			$go->();
		} },
	'cancel' => { act => sub {
			my ($shop, $pid, $go) = @_;
			$shop->sql("SELECT pg_cancel_backend($pid)");
			$go->();
		} },
	'freeze' => { act => sub {
			my ($shop, $pid, $go) = @_;
			kill 'STOP', $pid;
			$go->();
			sleep 2.5;			# no request may take half as long
			kill 'CONT', $pid;
		} },
	'kill another' => { act => sub {
			my ($shop, $pid, $go) = @_;
			my $session = $shop->{node}->background_psql('postgres', on_error_stop => 0);
			my $other = $session->query('SELECT pg_backend_pid()');
			kill 'KILL', $other;
			sleep 0.1;
			$go->();
			eval { $session->{run}->finish };
		} },
	'kill the worker' => { client => 1, act => sub {
			my ($shop, $pid, $go) = @_;
			kill 'KILL', $shop->worker('pid');
			sleep 0.1;
			$go->();
		} },
	'kill the postmaster' => { act => sub { restart('KILL', @_) } },
	'stop -m immediate' => { act => sub { restart('QUIT', @_) } },
	'stop -m fast' => { act => sub { restart('INT', @_) } },
	'promote a standby' => { prepare => \&make_standby, act => sub {
			my ($shop, $pid, $go, $self) = @_;
			my $old = $shop->{node};
			end_server('KILL', $shop, $go);
			$old->{_pid} = undef;
			$shop->{node} = delete $self->{standby};
			$shop->{node}->promote;
			$old->clean_node;
		} });

# The faults of the simulator: those that change what is true afterwards, and
# those that only change the answer.
our %faults = (
	(map { ("$_, done" => { kind => $_, after => 'done' },
			"$_, unchanged" => { kind => $_, after => 'unchanged' },
			"$_, aborted" => { kind => $_, after => 'aborted' }) }
		  qw(close cut garbage empty html502 redirect content-type)),
	(map { ("$_, done" => { kind => $_, after => 'done' }) }
		  qw(wrong-amount wrong-order wrong-key wrong-currency unknown-status
		  unknown-fields duplicate-keys drip oversize deep)),
	(map { ("slow, $_" => { kind => 'slow', after => $_, delayMs => 700 }) }
		  qw(done unchanged late aborted)),
	(map { ("too slow, $_" => { kind => 'slow', after => $_, delayMs => 1600 }) }
		  qw(done unchanged late aborted)),
	'reset-before' => { kind => 'reset-before' },
	'reset-after' => { kind => 'reset-after' },
	'lag' => { kind => 'lag', on => 'query', delayMs => 3000 },
	(map { my ($status, $code, $after) = @$_;
			("$status, $after" => { kind => 'refuse', code => $code, after => $after }) }
		[ 401, 'UNAUTHORIZED_KEY', 'unchanged' ],
		[ 403, 'REJECT_CARD_PAYMENT', 'aborted' ],
		[ 403, 'REJECT_CARD_PAYMENT', 'unchanged' ],
		[ 404, 'NOT_FOUND_PAYMENT_SESSION', 'unchanged' ],
		[ 409, 'IDEMPOTENT_REQUEST_PROCESSING', 'done' ],
		[ 409, 'IDEMPOTENT_REQUEST_PROCESSING', 'unchanged' ],
		[ 429, 'TOO_MANY_REQUESTS', 'unchanged' ],
		[ 500, 'FAILED_INTERNAL_SYSTEM_PROCESSING', 'done' ],
		[ 500, 'FAILED_INTERNAL_SYSTEM_PROCESSING', 'unchanged' ]));

# Those of a cancel besides
our %refund_faults = (
	'no-cancel' => { kind => 'no-cancel' },
	(map { my ($status, $code, $after) = @$_;
			("$status $code, $after" => { kind => 'refuse', code => $code, after => $after }) }
		[ 400, 'ALREADY_CANCELED_PAYMENT', 'done' ],
		[ 403, 'NOT_CANCELABLE_AMOUNT', 'unchanged' ],
		[ 403, 'FORBIDDEN_CONSECUTIVE_REQUEST', 'unchanged' ]));

# Those that make sense for a list, and for a cancel; the ways that end in one
my $is_refund = qr/^(?:refund|account|unclaimed)$/;
my $of_a_refund = qr/^(?!.*(?:aborted|REJECT_CARD|SESSION|lag))/;
my $of_a_list = qr/^(?:reset-|(?:slow|cut|close|garbage|empty|html502|content-type|401|429|500), unchanged)/;

# And for the queries that tell what happened outside, at one point of each way.
my $of_a_query = qr/^(?:reset-|lag|429|(?:(?:too )?slow|close|cut|garbage|empty|html502|content-type|wrong-\S+|unknown-\S+|duplicate-keys|drip|500), done)/;

# Every point with every strike that can be there, and every point with a kill
# and every fault that its requests can meet.
sub all_pairs
{
	my @pairs;

	for my $point (sort keys %points)
	{
		for my $name (sort keys %strikes)
		{
			next if $points{$point}{quiet} && $strikes{$name}{raises};
			next if $strikes{$name}{client} && !$points{$point}{client};
			push @pairs, { point => $point, strike => $name };
		}
		my $by = $points{$point}{by};
		if ($outside{$by})
		{
			push @pairs, map { { point => $point, strike => 'kill', fault => $_ } } grep { /$of_a_query/ } sort keys %faults
			  if $point =~ /: result-posted$/;
			next;
		}
		push @pairs, map { { point => $point, strike => 'kill', fault => $_ } }
		  grep { $by eq 'list' ? /$of_a_list/ : $by =~ $is_refund ? /$of_a_refund/ : 1 }
		  sort keys %faults, $by =~ $is_refund ? keys %refund_faults : ()
		  if $by ne 'seal' && ($by ne 'account' || $point =~ /: request-sent$/);
	}
	return @pairs;
}

sub new
{
	my ($class, %options) = @_;
	my $self = bless { runs => 0, dir => PostgreSQL::Test::Utils::tempdir,
		settings => {%settings_else} }, $class;
	my $faults = $ENV{FAULTS_LIBRARY}
	  // die 'FAULTS_LIBRARY does not say where the library with fault points is';

	# the server quotes statements of clients, with their payment keys
	my $shop = $self->{shop} = PaymentsTest->new(%options,
		init => { allows_streaming => 1 }, conf => qq(
dynamic_library_path = '$faults:\$libdir'
payments.fault_dir = '$self->{dir}'
payments.request_timeout = 1s
payments.shutdown_drain = 200ms
wal_writer_delay = 10s
log_min_error_statement = panic
) . ($options{conf} // ''));
	$shop->wait_for_worker;
	return $self;
}

#
# A run
#

# Returns what is wrong, or ''.
sub run
{
	my ($self, %pair) = @_;
	my $shop = $self->{shop};
	my $point = $points{ $pair{point} };
	my $strike = $strikes{ $pair{strike} };
	my ($problem, $client) = ('');

	$self->set(%{ $settings_for{ $point->{by} } // {} });
	$strike->{prepare}->($self) if $strike->{prepare};
	my $outside = $outside{ $point->{by} } && $point->{by};
	$shop->settings(Outside::settings_of($outside));
	my $has_account = $point->{by} eq 'account' || ($outside && $outside{$outside}{account});
	my @orders = $shop->orders(3, 1000 + $self->{runs}++, $has_account ? (method => 'VIRTUAL_ACCOUNT') : ());
	my $at = $point->{at} // $pair{point};
	if ($outside)
	{
		Outside::prepare($self, $outside, @orders);
	}
	elsif ($point->{by} eq 'account')
	{
		Outside::deposited($self, @orders);
	}
	elsif ($point->{by} eq 'refund')
	{
		$shop->confirm(@orders);
		$shop->wait_for($_) for @orders;
	}
	elsif ($point->{by} !~ /confirm|seal|unclaimed/)
	{
		$shop->fault($_, kind => 'hang', on => 'confirm', after => 'done') for @orders;
		$client = $self->confirm(@orders);
		$shop->poll(sub { !@{ $shop->toss('GET', '/faults') } }, 'three requests have come');
	}
	$shop->toss('POST', '/fault', { %{ $faults{ $pair{fault} } // $refund_faults{ $pair{fault} } }, count => 2,
			$point->{by} eq 'list' ? (on => 'transactions', any => JSON::PP::true)
			: (on => $point->{by} =~ $is_refund ? 'cancel' : $outside && $outside ne 'issue' ? 'query' : 'any',
				orderId => $orders[0]{order_id}) })
	  if $pair{fault};

	# A signal to whoever is about to read an answer waits until it is there.
	my $waits = $at eq 'answer-in-socket' && ($strike->{plan} // '') =~ /kill|term/;
	$self->plan($at, $strike->{act} || $waits ? 'stop 1' : $strike->{plan});
	$client = $self->confirm(@orders) if $point->{by} =~ /confirm|seal/;
	my @refunds = $point->{by} =~ /^(?:refund|account)$/ ? refund_sql($point->{by}, @orders) : ();
	$client = $self->say(@refunds) if @refunds;
	$client = $self->say(Outside::tell($self, $outside, @orders)) if $outside;
	$client = $self->say(map { $shop->confirm_sql($_) =~ s/\)$/, claim_within => '1 ms')/r } @orders)
	  if $point->{by} eq 'unclaimed';
	kill $point->{by} eq 'stop' ? 'TERM' : 'KILL', $shop->worker('pid')
	  if $point->{by} !~ /confirm|seal/ && $point->{by} !~ $is_refund && !$outside;

	my $pid = $self->taken($at);
	if (!$pid)
	{
		$problem = "nobody came to $pair{point}\n";
		$self->unplan;
	}
	elsif ($strike->{act} || $waits)
	{
		sleep 0.1 if $at eq 'answer-in-socket';
		$problem .= $self->holding($pid) if $point->{free};
		($strike->{act} // sub { kill $strike->{plan} =~ /kill/ ? 'KILL' : 'TERM', $pid })
		  ->($shop, $pid, sub { $self->unplan }, $self);
		$self->unplan;
	}
	$self->{refunds} = \@refunds;
	$self->{outside} = $outside;
	return $problem . $self->heal($client, @orders);
}

# Several things at once: plans for some points, a rain of faults from the
# simulator, and after a while a strike at the worker, wherever it is then.
sub storm
{
	my ($self, %what) = @_;
	my $shop = $self->{shop};
	my @orders = $shop->orders(6, 1000 + $self->{runs}++);

	$shop->settings(randomFaults => $what{rain}) if $what{rain};
	$self->plan($_, $what{plans}{$_}) for sort keys %{ $what{plans} };
	my $client = $self->confirm(@orders);
	sleep $what{seconds};
	if (my $strike = $strikes{ $what{strike} // '' })
	{
		my $pid = eval { $shop->worker('pid') };
		eval { $strike->{act}->($shop, $pid, sub { }, $self) } if $pid;
	}
	return $self->heal($client, @orders);
}

# Confirm in a session of its own, which may never come back.  Every other run
# in one transaction, and every third without waiting for the disk.
sub confirm
{
	my ($self, @orders) = @_;
	return $self->say(map { $self->{shop}->confirm_sql($_) } @orders);
}

# Two refunds of each, the second of all that is left
sub refund_sql
{
	my ($by, @orders) = @_;
	my $account = $by eq 'account'
	  ? q(, refund_account => '{"bank": "88", "account_number": "110123456789", "holder_name": "crash"}') : '';
	return map { my $order = $_; map { "SELECT payments.refund('$order->{order_id}', 'crash', $_$account)" }
		  "100, idempotency_key => 'part'", "idempotency_key => 'rest'" } @orders;
}

sub say
{
	my ($self, @statements) = @_;
	my $shop = $self->{shop};
	my $sql = join '', map { "$_;\n" } @statements;

	$sql = "BEGIN;\n${sql}COMMIT;\n" if $self->{runs} % 2;
	$sql = "SET synchronous_commit = off;\n$sql" if $self->{runs} % 3 == 0;
	my $pid = fork() // die "could not fork: $!";
	return $pid if $pid;

	open(STDOUT, '>', '/dev/null');
	open(STDERR, '>&', \*STDOUT);
	exec 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $shop->{node}->connstr($shop->{databases}[0]),
	  map { ('-c', $_) } split /\n/, $sql or POSIX::_exit(1);
}

# No transaction may be open, and nothing held, while the network is waited for.
sub holding
{
	my ($self, $pid) = @_;
	my $held = $self->{shop}->sql(qq(
		SELECT concat_ws(' ', a.backend_xid, a.backend_xmin, a.xact_start, l.mode, l.relation::regclass)
		FROM pg_stat_activity a LEFT JOIN pg_locks l ON l.pid = a.pid
		WHERE a.pid = $pid AND (a.backend_xid IS NOT NULL OR a.backend_xmin IS NOT NULL
			OR a.xact_start IS NOT NULL OR l.pid IS NOT NULL) LIMIT 1));
	return $held eq '' ? '' : "I7 the worker holds: $held\n";
}

# Faults end, whatever is away comes back, clients say again what they got no
# answer to, and all comes to an end by itself; then the audit.
sub heal
{
	my ($self, $client, @orders) = @_;
	my $shop = $self->{shop};
	my @problems;

	$self->unplan;
	sleep 0.1;					# whoever is dying is dead by then
	push @problems, 'the server is not back' if !server_is_back($shop);
	kill 'TERM', $client;
	waitpid $client, 0;
	push @problems, 'no worker runs' if !$self->await(60,
		sub { $shop->worker("state") eq 'running' });
	push @problems, 'orders cannot be confirmed'
	  if !$self->await(60, sub { $shop->confirm(@orders); 1 });
	my @refunds = @{ delete $self->{refunds} // [] };
	push @problems, 'orders cannot be refunded'
	  if @refunds && !$self->await(60, sub { $shop->sql(join ';', @refunds); 1 });

	# a fault that was planned happens, unless there is no need to ask any more
	my $lists = q(SELECT count(*) FROM payments.reconciliation WHERE cause = 'start' AND ended_at IS NULL);
	my $outside = delete $self->{outside};
	$self->await(6, sub {
			$shop->release;
			Outside::hurry($self, $outside, @orders) if $outside;
			!@{ $shop->toss('GET', '/faults') }
			  || ($outside && $outside ne 'issue' ? Outside::is_over($self, $outside, 0, @orders) : $shop->sql("SELECT count(*) + ($lists) FROM payments.psp_call_queue
				WHERE order_id = '$orders[0]{order_id}'") == 0) });
	$shop->toss('POST', '/faults/clear', {});
	push @problems, "calls stay open:\n" . $shop->sql('TABLE payments.open_calls')
	  if ($outside // 'issue') eq 'issue' && !$self->becomes_quiet;
	push @problems, Outside::end($self, $outside, @orders) if $outside;
	push @problems, "Toss's list was not read to its end"
	  if !$self->await(60, sub { $shop->sql($lists) == 0 });
	push @problems, 'known to Toss, and not so to us: ' . $shop->sql('TABLE payments.foreign_payments')
	  if $shop->sql('SELECT count(*) FROM payments.foreign_payments') != 0;
	push @problems, 'not all is sealed: ' . $shop->sql('SELECT payments.check_seals()')
	  if $self->{settings}{'payments.sweep_interval'} eq '1s' && !$self->await(60, sub {
			$shop->sql(q(SELECT problem IS NULL AND checked = (SELECT count(*) FROM payments.ledger_transaction)
				FROM payments.check_seals())) eq 't' });
	return join "\n", @problems, $shop->offences if @problems;
	return $shop->offences;
}

# Until no call is open.  What was refused behind doubt waits for the end of the
# payment's window: let it pass at the PSP, and ask again.
sub becomes_quiet
{
	my ($self) = @_;
	my $shop = $self->{shop};
	my $open = 'SELECT count(*) FROM payments.psp_call_queue';
	my $is_cancel = q(call_id IN (SELECT id FROM payments.psp_call WHERE operation = 'cancel'));
	my $is_quiet = sub { $shop->release; $shop->sql("$open WHERE phase <> 'R' OR $is_cancel") == 0
			&& $shop->sql("SELECT count(*) FROM payments.payment_claim c JOIN payments.payment p USING (order_id)
				WHERE claim_status = 'waiting' AND status = 'SUCCESS'") == 0 };

	eval { $shop->sql("SELECT payments.retry(order_id) FROM payments.psp_call_queue WHERE state = 'D'") };
	return 0 if !$self->await(240, $is_quiet);	# a refusal of a cancel is asked about for a minute, twice
	return 1 if $shop->sql($open) == 0;
	$shop->toss('POST', '/clock', { advance => 1900 });
	$shop->sql('SELECT payments.retry(order_id) FROM payments.psp_call_queue');
	return $self->await(30, sub { $shop->sql($open) == 0 });
}

sub await
{
	my ($self, $seconds, $check) = @_;
	my $end = time() + $seconds;

	while (time() < $end)
	{
		return 1 if eval { $check->() };
		sleep 0.05;
	}
	return 0;
}

# Change settings to these, and the others back.
sub set
{
	my ($self, %wanted) = @_;
	my $shop = $self->{shop};
	my %settings = (%settings_else, %wanted);
	my @changed = grep { $settings{$_} ne $self->{settings}{$_} } sort keys %settings;

	return if !@changed;
	$shop->configure(map { $_ => $settings{$_} } @changed);
	for my $name (@changed)
	{
		$self->await(60, sub { $shop->sql("SHOW $name") eq $settings{$name} })
		  or die "the server does not take $name\n";
	}
	$self->{settings} = \%settings;
}

#
# Plans (src/fault.c)
#

sub plan
{
	my ($self, $point, $what) = @_;
	my $file = "$self->{dir}/$point";

	open(my $out, '>', "$file.new") or die "$file: $!";
	print $out "$what\n";
	close $out;
	chmod 0666, "$file.new";
	rename "$file.new", $file or die "$file: $!";
}

# Wait until it is carried out; returns the pid of whoever does.
sub taken
{
	my ($self, $point) = @_;
	my $pid;

	$self->await(30, sub {
			my $text = slurp_file("$self->{dir}/$point");
			($pid) = $text =~ /^taken \S+ (\d+)\n/;
			return defined $pid });
	return $pid;
}

sub unplan { my ($self) = @_; unlink glob "$self->{dir}/*" }

#
# Ends of the server.  What is stopped at a point goes on meanwhile, or it would
# be waited for.
#
sub end_server
{
	my ($signal, $shop, $go) = @_;
	my $postmaster = $shop->{node}{_pid};
	my @children = split ' ', `ps -o pid= --ppid $postmaster`;

	kill $signal, $postmaster;
	sleep 0.1;
	$go->();
	return $shop->poll(sub { !grep { is_alive($_) } $postmaster, @children },
		'the server is gone', 30);
}

sub restart
{
	my ($signal, $shop, $pid, $go) = @_;

	end_server($signal, $shop, $go);
	return start_again($shop);
}

# A standby that every commit waits for.
sub make_standby
{
	my ($self) = @_;
	my $primary = $self->{shop}{node};
	my $name = 'standby' . ++$self->{standbys};
	my $standby = $self->{standby} = PostgreSQL::Test::Cluster->new($primary->name . $name);

	$primary->backup($name);
	$standby->init_from_backup($primary, $name, has_streaming => 1);
	$standby->start;
	$primary->append_conf('postgresql.conf', "synchronous_standby_names = '*'\n");
	$primary->reload;
	$self->await(30, sub { $self->{shop}->sql(
				q(SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync')) == 1 })
	  or die 'the standby does not follow';
}

1;

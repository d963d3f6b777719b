# The synchronous standby goes with requests in every stage of their way, and
# comes back after longer than any request may take.  What the worker loses in
# the wait for it is not held against the PSP: answers that came meanwhile count,
# what had not left is sent later, nothing fails, and nothing goes out while its
# claim is not safe, also when whoever queued it does not wait any more.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use PostgreSQL::Test::Cluster;
use Test::More;
use Time::HiRes qw(sleep time);

my $timeout = 3;				# of a request, in seconds
my $shop = PaymentsTest->new(
	init => { allows_streaming => 1 },
	conf => "payments.request_timeout = ${timeout}s\npayments.connect_timeout = 60s\n");
my $primary = $shop->{node};
$shop->wait_for_worker;
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
wait_for_standby(1);

sub wait_for_standby
{
	my ($n) = @_;
	return $shop->poll_sql('SELECT count(*) FROM pg_stat_replication', $n, "standbys: $n");
}

# From here on each commit waits for it.
sub need_standby
{
	my $name = $standby->name;

	$shop->configure('synchronous_standby_names' => $name);
	$shop->poll_sql('SHOW synchronous_standby_names', $name);
	$shop->poll_sql('SELECT count(*) FROM pg_stat_replication WHERE sync_state = $$sync$$', 1, 'it is synchronous');
}

# How the worker learns that it may commit again: the standby returns, or it is
# said to be needed no more.
sub return_standby { $standby->start; wait_for_standby(1) }
sub need_none { $shop->configure('synchronous_standby_names' => '') }

sub worker_waits
{
	return $shop->poll_sql(q(SELECT wait_event FROM pg_stat_activity WHERE backend_type = 'payments worker'),
		'SyncRep', 'the worker waits for the standby');
}

# Queued with a commit that does not wait, which gives the worker something to claim.
sub confirm_here
{
	my (@orders) = @_;
	$shop->sql(join ';', 'SET synchronous_commit = local', 'BEGIN', (map { $shop->confirm_sql($_) } @orders), 'COMMIT');
}

sub posts { return scalar grep { $_->{method} eq 'POST' } $shop->requests }

for my $end ([ 'the standby returns', \&return_standby ], [ 'no standby is needed any more', \&need_none ])
{
	my ($name, $let_go) = @$end;

	# a worker that has no connections yet
	my $sent = posts();
	terminate_worker($shop);
	my @answered = $shop->orders(5, 1000);
	my @refused = $shop->orders(5, 1000);
	my @connecting = $shop->orders(5, 1000);
	my @queued = $shop->orders(5, 1000);
	my @clients = $shop->orders(2, 1000);

	# Answers that hang, and will come while the worker does not look
	$shop->fault($_, kind => 'hang', on => 'confirm', delayMs => 600_000) for @answered;
	$shop->fault($_, kind => 'refuse', on => 'confirm', code => 'REJECT_CARD_PAYMENT', delayMs => 2000) for @refused;
	$shop->fault($_, kind => 'slow', on => 'confirm', delayMs => 300) for @connecting;
	$shop->confirm(@answered);
	$shop->poll(sub { $shop->worker('in_flight') == 5 }, 'in flight');
	$shop->confirm(@refused);
	$shop->poll(sub { $shop->worker('in_flight') == 10 && posts() == $sent + 10 }, 'more are, and have arrived');

	# Requests of which nothing has left: the PSP does not answer their handshake yet
	kill 'STOP', $shop->{toss_pid};
	$shop->confirm(@connecting);
	$shop->poll(sub { $shop->worker('in_flight') == 15 }, 'more connections are made');
	need_standby() if $primary->safe_psql('shop', 'SHOW synchronous_standby_names') eq '';
	$standby->stop('immediate');
	wait_for_standby(0);

	confirm_here(@queued);
	ok(worker_waits(), "$name: the worker waits");
	my $since = time();
	kill 'CONT', $shop->{toss_pid};
	$shop->poll(sub { eval { $shop->toss('GET', '/health') } }, 'the simulator goes on');
	my $posts = posts();
	$shop->release;

	# Two clients wait as well, and give up: one is cancelled, one ended.
	my @sessions = map { $primary->background_psql('shop', on_error_stop => 0) } @clients;
	my @pids = map { $_->query_safe('SELECT pg_backend_pid()') } @sessions;
	$sessions[$_]->query_until(qr/begun/, "\\echo begun\n" . $shop->confirm_sql($clients[$_]) . ";\n") for 0, 1;
	$shop->poll_sql(q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'
			AND wait_event = 'SyncRep'), 2, 'two clients wait');
	$shop->sql("SELECT pg_cancel_backend($pids[0]), pg_terminate_backend($pids[1])");
	$shop->poll_sql(q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'
			AND wait_event = 'SyncRep'), 0, 'they do not wait any more');
	for (1 .. 3)
	{
		$shop->sql(q(SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE backend_type = 'payments worker'));
		sleep 0.3;
	}
	sleep $since + $timeout + 1.5 - time() if time() < $since + $timeout + 1.5;
	ok(worker_waits(), "$name: it still does, after longer than a request may take");
	is(posts(), $posts, "$name: nothing is sent meanwhile");

	$let_go->();
	$shop->wait_until_quiet;
	eval { $_->quit } for @sessions;
	is(join(' ', map { $shop->status($_) } @answered, @queued, @clients, @connecting), join(' ', ('SUCCESS') x 17),
		"$name: what was paid is paid");
	is(join(' ', map { $shop->status($_) } @refused), join(' ', ('FAILURE') x 5), "$name: what was refused is refused");
	is(answers_of($shop, $_), 'confirm approved', "$name: an answer that came meanwhile counts") for @answered;
	is(answers_of($shop, $_), 'confirm refused', "$name: also one that says no") for @refused;
	is(scalar(arrivals($shop, $_, 'POST')), 1, "$name: sent once") for @answered, @refused, @queued, @clients, @connecting;
	is(scalar(grep { answers_of($shop, $_) !~ /^(confirm not sent, )*confirm approved$/ } @queued, @clients, @connecting), 0,
		"$name: nobody is asked about what had not left") or diag(explain([ map { answers_of($shop, $_) } @queued, @clients, @connecting ]));
	is($shop->sql('SELECT count(*) FROM payments.alerts'), 0, "$name: nothing to be alarmed about");
	unlike($shop->log, qr/stops sending/, "$name: nor is the PSP thought to be away");
	$shop->wait_for_worker;
}

audit($shop, 'a standby that is gone');
$standby->stop;
$primary->stop;
done_testing();

# Every setting of the worker is taken up by a reload, in the running process,
# and calls in flight go on as they were begun.
use strict;
use warnings;

use PaymentsTest;
use Test::More;
use Time::HiRes qw(sleep time);

# Long ones to begin with, so that the short ones show on a busy machine, too.
my $shop = PaymentsTest->new(conf => "payments.connect_timeout = 60s\npayments.shutdown_drain = 30s\n");
my $soon = 25;
my $node = $shop->{node};
$shop->wait_for_worker;
my $pid = $shop->worker('pid');

# Do not wait until the call is due; a reload may have sent it by itself.
sub push_call { my ($order) = @_; return eval { $shop->sql("SELECT payments.retry('$order->{order_id}')"); 1 } }

sub slow
{
	my ($n, $delay) = @_;
	my @orders = $shop->orders($n, 1000);
	$shop->fault($_, kind => 'slow', on => 'confirm', delayMs => $delay) for @orders;
	$shop->confirm(@orders);
	return @orders;
}

# They are not answered until they are released.
sub hang
{
	my ($n) = @_;
	my @orders = $shop->orders($n, 1000);
	$shop->fault($_, kind => 'hang', on => 'confirm') for @orders;
	$shop->confirm(@orders);
	return @orders;
}

sub in_flight { my ($n) = @_; return $shop->poll_sql('SELECT in_flight FROM payments.worker_status', $n, "in flight: $n") }

sub answers_of
{
	my ($order) = @_;
	return $shop->sql("SELECT string_agg(operation || ' ' || transport, ', ' ORDER BY attempt_no)
		FROM payments.psp_answer WHERE order_id = '$order->{order_id}'");
}

# Change it, and wait until the worker has seen it.
my $tick = 0;
sub change
{
	$shop->configure(@_);
	sleep 0.5;
	return;
}

# max_in_flight: fewer, with more than that in flight; then more.
my @many = hang(6);
in_flight(6);
change('payments.max_in_flight' => 2);
push @many, slow(4, 1000);
sleep 0.5;
is($shop->worker('in_flight'), 6, 'max_in_flight: nothing new beyond the limit');
$shop->release;
is($shop->wait_for($_), 'SUCCESS', 'what is in flight goes on') for @many[0 .. 5];
$shop->poll(sub { $shop->worker('in_flight') <= 2 }, 'all of that is over');
my $most = 0;
$shop->poll(sub { my $n = $shop->worker('in_flight'); $most = $n if $n > $most;
		return $shop->sql('SELECT count(*) FROM payments.psp_call_queue') == 0 }, 'quiet');
cmp_ok($most, '<=', 2, 'max_in_flight: then two at a time');
is(answers_of($_), 'confirm answered', 'each asked once') for @many[0, 9];
change('payments.max_in_flight' => 8);
@many = hang(8);
ok(in_flight(8), 'max_in_flight: more');
$shop->release;
$shop->wait_until_quiet;

# request_timeout
change('payments.request_timeout' => '1s');
my ($order) = hang(1);
my $start = time();
$shop->poll(sub { answers_of($order) =~ /no answer/ }, 'request_timeout');
cmp_ok(time() - $start, '<', $soon, 'request_timeout: not waited for longer');
$shop->release;
is($shop->wait_for($order), 'SUCCESS', 'its outcome is asked for');
change('payments.request_timeout' => '60s');
($order) = slow(1, 1500);
$shop->wait_for($order);
is(answers_of($order), 'confirm answered', 'request_timeout: waited for again');

# connect_timeout: an address that answers nothing (it accepts into a full
# backlog, and never speaks TLS)
use IO::Socket::INET;
my $silent = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', Proto => 'tcp') or die;
change('payments.connect_timeout' => '500ms',
	'payments.toss_url' => 'https://127.0.0.1:' . $silent->sockport);
$order = $shop->order(1000);
$start = time();
$shop->confirm($order);
$shop->poll(sub { answers_of($order) =~ /^confirm not sent/ }, 'connect_timeout');
cmp_ok(time() - $start, '<', $soon, 'toss_url, connect_timeout: nothing is sent, soon');
like($shop->worker('reason'), qr/./, 'the reason is shown');
change('payments.toss_url' => $shop->{url}, 'payments.connect_timeout' => '5s');
push_call($order);
is($shop->wait_for($order), 'SUCCESS', 'toss_url: back');

# toss_ca_file
change('payments.toss_ca_file' => '/etc/hostname');
$order = $shop->order(1000);
$shop->confirm($order);
$shop->poll(sub { answers_of($order) =~ /^confirm not sent/ }, 'toss_ca_file');
isnt($shop->status($order), 'SUCCESS', 'toss_ca_file: another one');
change('payments.toss_ca_file' => "$shop->{toss_dir}/ca.pem");
push_call($order);
is($shop->wait_for($order), 'SUCCESS', 'toss_ca_file: back');

# secret_dir
my $other = PostgreSQL::Test::Utils::tempdir;
change('payments.secret_dir' => $other);
$order = $shop->order(1000);
$shop->confirm($order);
$shop->poll(sub { $shop->worker('reason') =~ /\Q$other\E/ }, 'secret_dir: the new folder has no key');
change('payments.secret_dir' => $shop->{secret_dir});
push_call($order);
is($shop->wait_for($order), 'SUCCESS', 'secret_dir: back');

# sweep_interval: what nobody knocks for is found by the sweep only.
change('payments.sweep_interval' => '1s');
my $turn = $shop->worker('last_turn_at');
ok($shop->poll(sub { $shop->worker('last_turn_at') ne $turn }, 'a sweep', 10), 'sweep_interval: an idle worker looks');
change('payments.sweep_interval' => '3600s');
sleep 2;	# the one that was planned still comes
$turn = $shop->worker('last_turn_at');
sleep 3;
is($shop->worker('last_turn_at'), $turn, 'sweep_interval: not so soon');

# shutdown_drain
change('payments.shutdown_drain' => '0');
is($shop->worker('pid'), $pid, 'all of that in one process');
($order) = hang(1);
in_flight(1);
$start = time();
$shop->sql("SELECT pg_terminate_backend($pid)");
$shop->wait_for_other_worker($pid);
cmp_ok(time() - $start, '<', $soon, 'shutdown_drain: none');
$shop->release;
is($shop->wait_for($order), 'SUCCESS', 'nothing is lost');

# A list that says nothing, and one that says it again.
change('payments.databases' => '');
$shop->poll(sub { $node->safe_psql('postgres', q(SELECT count(*) FROM pg_stat_activity
	WHERE backend_type = 'payments worker')) == 0 }, 'databases: none');
change('payments.databases' => 'shop');
ok($shop->wait_for_worker, 'databases: one again');

$shop->books_agree;
$node->stop;
done_testing();

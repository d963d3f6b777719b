# The server's certificate changes while the worker runs: a good one is taken, and
# whoever has another, be it that a name leads to his machine, gets not one byte of
# HTTP.  Calls wait, it is to be seen why, and all are paid when the right one is
# back.  A file of authorities that was replaced counts from the reload on, for
# connections that are open as well.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

# What is idle for a moment is closed, so that there are always new handshakes; but
# not within the moment that a payment takes on a busy machine.
my $idle = 4;
my $shop = PaymentsTest->new(start => 0, simulator => { idle => $idle },
	conf => "payments.sweep_interval = 1s\nlog_min_messages = debug1\n");
my $authorities = PostgreSQL::Test::Utils::tempdir . '/ca.pem';
my $own = slurp_file("$shop->{toss_dir}/ca.pem");
trust($own);
$shop->{node}->append_conf('postgresql.conf', "payments.toss_ca_file = '$authorities'\n");
$shop->start;
$shop->wait_for_worker;
my $pid = $shop->worker('pid');

sub trust
{
	my ($text) = @_;
	open(my $file, '>', "$authorities.new") or die "could not write: $!";
	print $file $text;
	close $file;
	chmod 0644, "$authorities.new";
	rename "$authorities.new", $authorities or die "could not rename: $!";
}

sub reload { $shop->{node}->reload; sleep 0.5 }

# The simulator shows another certificate; returns that of its authority.
sub show { my ($kind) = @_; return $shop->toss('POST', '/certificate', { kind => $kind })->{authority} }

sub pays
{
	my ($name) = @_;
	my $order = $shop->order(1000);
	$shop->confirm($order);
	is($shop->wait_for($order), 'SUCCESS', $name);
	my ($request) = arrivals($shop, $order, 'POST');
	return $request->{connection};
}

# Orders that must not be sent; what is expected to be said of it
sub is_refused
{
	my ($name, $n) = @_;
	my $arrived = () = $shop->requests;
	my @orders = $shop->orders($n, 1000);
	my $ids = join ',', map { "'$_->{order_id}'" } @orders;

	$shop->confirm(@orders);
	$shop->poll_sql("SELECT count(DISTINCT order_id) FROM payments.psp_answer WHERE order_id IN ($ids)", $n, "$name: tried");
	is($shop->sql("SELECT string_agg(DISTINCT transport, ' ') FROM payments.psp_answer WHERE order_id IN ($ids)"),
		'not sent', "$name: nothing is sent");
	is(scalar(() = $shop->requests), $arrived, "$name: and nothing arrives");
	is($shop->sql("SELECT string_agg(DISTINCT status::text, ' ') FROM payments.payment WHERE order_id IN ($ids)"),
		'EXECUTING', "$name: the orders wait");
	return @orders;
}

sub are_paid
{
	my ($name, @orders) = @_;

	# the breaker closes when it has asked; then what waits for its turn is pushed
	$shop->poll_sql("SELECT breaker FROM payments.merchant_stats WHERE merchant = 'default'", 'closed', "$name: the breaker closes");
	$shop->{node}->psql('shop', join ";\n", map { "SELECT payments.retry('$_->{order_id}')" } @orders);
	is(join(' ', map { $shop->wait_for($_) } @orders), join(' ', ('SUCCESS') x @orders), "$name: all are paid");
}

# Another one of the same authority
my $connection = pays('a certificate');
show('renewed');
is(pays('the old connection is as good as it was'), $connection, 'it is used');
sleep $idle + 1.3;
isnt(pays('a renewed certificate is taken'), $connection, 'on a new connection');

# And those that are not
my $reason = '';
my @cases = (
	[ 'unknown-authority', qr/unable to get local issuer certificate|self-signed certificate/ ],
	[ 'expired', qr/certificate has expired/ ],
	[ 'wrong-host', qr/not for this host/ ]);
for (@cases)
{
	my ($kind, $why) = @$_;

	show($kind);
	sleep $idle + 1.3;
	my @orders = is_refused($kind, 5);	# which open the breaker, and then nothing more is tried
	$shop->poll(sub { ($reason = $shop->worker('reason')) =~ /certificate/ }, "$kind: the reason");
	like($reason, $why, "$kind: worker_status says what it is");
	$shop->poll_sql("SELECT string_agg(alert || ' ' || severity, ', ' ORDER BY alert) FROM payments.alerts
		WHERE alert IN ('breaker_open', 'worker_hindered')", 'breaker_open critical, worker_hindered warning', "$kind: alerts");
	like($shop->sql("SELECT detail FROM payments.alerts WHERE alert = 'worker_hindered'"), $why, "$kind: which say so, too");
	like($shop->sql("SELECT max(detail) FROM payments.psp_answer WHERE order_id = '$orders[0]{order_id}'"), $why,
		"$kind: and so does the attempt");
	show('renewed');
	are_paid($kind, @orders);
	$shop->poll_sql('SELECT count(*) FROM payments.alerts', 0, "$kind: no alert any more");
}
like($shop->log, qr/certificate has expired/, 'the log says it');

# The file of authorities is replaced: by one with another authority, which counts
# from the reload on, also for what is connected.
$connection = pays('the authority of before');
my $other = show('unknown-authority');
trust($other);
reload();
isnt(pays('the new authority is known'), $connection, 'and nothing of before is used');
show('renewed');
$connection = pays('with what was connected before');
$shop->toss('POST', '/certificate', { kind => 'renewed' });
sleep $idle + 1.3;
my @orders = is_refused('an authority that is not in the file any more', 1);
trust($own . $other);
reload();
$shop->sql("SELECT payments.retry('$orders[0]{order_id}')");
are_paid('it is back in the file', @orders);

# Taken away while a connection is open
$connection = pays('connected');
trust($other);
reload();
@orders = is_refused('an authority that was taken away while connected', 1);
trust($own);
reload();
are_paid('it is back', @orders);

is($shop->worker('pid'), $pid, 'all of that in one process');
audit($shop, 'certificates');
$shop->{node}->stop;
done_testing();

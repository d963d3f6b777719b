# Secret keys: only from a safe file, read again on reload, and never to be
# seen anywhere else.
use strict;
use warnings;

use MIME::Base64;
use PaymentsTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $secret = $PaymentsTest::secret;
my $shop = PaymentsTest->new(start => 0, conf => q(
log_statement = all
log_min_messages = debug2
log_min_duration_statement = 0
log_error_verbosity = verbose
));
unlink "$shop->{secret_dir}/default";
$shop->start;
$shop->wait_for_worker;

# The reason that is shown for the one call that waits.
my $order = $shop->order(1000);
$shop->confirm($order);

sub reason_is
{
	my ($like, $name) = @_;
	my $reason;

	# the call is due again at some time; do not wait for that
	$shop->poll(sub {
			$shop->sql("SELECT payments.retry('$order->{order_id}')");
			sleep 0.1;
			$reason = $shop->worker('reason');
			return $reason =~ $like;
		}, "$name: shown in worker_status", 20)
	  or diag("reason: $reason");
	is($shop->status($order), 'EXECUTING', "$name: nothing is lost");
	is(scalar $shop->requests, 0, "$name: nothing is sent");
}

sub reload
{
	my (%settings) = @_;
	$shop->configure(%settings);
	sleep 0.3;
}

my $file = "$shop->{secret_dir}/default";
reason_is(qr/^merchant "default" has no secret key: file ".*\/default" does not exist$/,
	'no file');
is($shop->worker('state'), 'running', 'the worker runs all the same');
is($shop->sql('SELECT max(transport) FROM payments.psp_answer'), 'not sent',
	'an attempt without a key is recorded as not sent');

$shop->write_secret('default', $secret, 0640);
reason_is(qr/can be read by others/, 'mode 0640');
$shop->write_secret('default', $secret, 0604);
reason_is(qr/can be read by others/, 'mode 0604');

$shop->write_secret('default', "sk_$secret");
reason_is(qr/does not hold a secret key/, 'something else');
$shop->write_secret('default', 'test_ck_' . 'a' x 20);
reason_is(qr/does not hold a secret key/, 'a client key');
$shop->write_secret('default', 'test_sk_' . 'a' x 300);
reason_is(qr/is too long/, 'too long');
$shop->write_secret('default', '');
reason_is(qr/does not hold a secret key/, 'empty');
$shop->write_secret('default', 'live_sk_' . 'a' x 20);
reason_is(qr/live key/, 'a live key for another host');

unlink $file;
mkdir $file;
reason_is(qr/is not a regular file/, 'a folder');
rmdir $file;
system('mkfifo', '-m', '600', $file);
reason_is(qr/is not a regular file/, 'a pipe does not hang the worker');
unlink $file;
$shop->write_secret('elsewhere', $secret);
symlink "$shop->{secret_dir}/elsewhere", $file;
reason_is(qr/is a symbolic link/, 'a link');
unlink $file;

# The folder.
reload('payments.secret_dir' => '');
reason_is(qr/payments.secret_dir is not set/, 'no folder');
reload('payments.secret_dir' => '/nonexistent');
reason_is(qr/payments.secret_dir cannot be reached/, 'a folder that is not there');
my $inside = $shop->{node}->data_dir . '/secrets';
mkdir $inside;
reload('payments.secret_dir' => $inside);
reason_is(qr/payments.secret_dir lies in the data directory/, 'in the data directory');
my $detour = PostgreSQL::Test::Utils::tempdir_short() . '/link';
symlink $inside, $detour;
reload('payments.secret_dir' => $detour);
reason_is(qr/payments.secret_dir lies in the data directory/, 'also by a link');
reload('payments.secret_dir' => 'relative');
like($shop->log, qr/The path must be absolute/, 'a relative path is refused');

# A good one: the call goes through, and the reason is gone.
$shop->write_secret('default', $secret);
reload('payments.secret_dir' => $shop->{secret_dir});
# (its time may have come already)
$shop->{node}->psql('shop', "SELECT payments.retry('$order->{order_id}')");
is($shop->wait_for($order), 'SUCCESS', 'with a good file it is sent');
is($shop->worker('reason'), '', 'and nothing is complained of');

# Warnings come now and then, however many calls have no key.
my $warnings = () = $shop->log =~ /WARNING: .*request to the PSP/g;
cmp_ok($warnings, '>=', 1, 'there was a warning');
cmp_ok($warnings, '<=', 10, 'at most ten in a minute');
cmp_ok($shop->sql(q(SELECT count(*) FROM payments.psp_answer WHERE transport = 'not sent')),
	'>', $warnings, 'and not one for each attempt');

# The key is kept until a reload.
unlink $file;
my $next = $shop->order(1000);
$shop->confirm($next);
is($shop->wait_for($next), 'SUCCESS', 'a key that was read is kept');
reload();
$order = $shop->order(1000);
my $sent = () = $shop->requests;
$shop->confirm($order);
$shop->poll(sub { $shop->worker('reason') =~ /does not exist/ }, 'a reload forgets it');
is(scalar(() = $shop->requests), $sent, 'nothing is sent without it');

# A second merchant does not suffer with the first.
$shop->sql(q(SELECT payments.set_merchant('second', 'test_ck_second0000')));
$shop->write_secret('second', $secret);
my $id = $shop->sql(q(SELECT order_id FROM payments.checkout(1,
	'[{"seller_id": 1, "amount": 500}]', merchant => 'second')));
my $made = $shop->toss('POST', '/pay', { orderId => $id, amount => 500 });
my $second = { order_id => $id, payment_key => $made->{paymentKey}, amount => 500 };
$shop->confirm($second);
is($shop->wait_for($second), 'SUCCESS', 'another merchant is served meanwhile');
like($shop->worker('reason'), qr/merchant "default"/, 'and the reason stays');
$shop->write_secret('default', $secret);
$shop->sql("SELECT payments.retry('$order->{order_id}')");
is($shop->wait_for($order), 'SUCCESS', 'the first has its key back');

# Nobody may look into the process, and it leaves no core.
my $pid = $shop->worker('pid');
my $owner = (stat "/proc/$pid/environ")[4];
is($owner, 0, 'the process cannot be dumped') if $^O eq 'linux';

# Where the key, and what is made of it, must not be.
my $header = encode_base64("$secret:", '');
my %places = (
	'the log' => $shop->log,
	'the statistics' => $shop->sql(
		q(SELECT string_agg(a::text, ' ') FROM pg_stat_activity a)),
	'the settings' => $shop->sql(
		q(SELECT string_agg(s::text, ' ') FROM pg_settings s)),
	'the status' => $shop->sql(
		q(SELECT string_agg(s::text, ' ') FROM payments.worker_status s)),
	'a dump' => scalar(run_command([ 'pg_dumpall', '-h',
				$shop->{node}->host, '-p', $shop->{node}->port ])),
);
for my $place (sort keys %places)
{
	ok(length $places{$place}, "$place can be searched");
	ok(index($places{$place}, $secret) < 0, "$place does not hold the key");
	ok(index($places{$place}, $header) < 0, "$place does not hold the header");
}

$shop->books_agree;
$shop->{node}->stop;

# The data directory, with all of its WAL.
for my $text ($secret, $header)
{
	my ($found) = run_command([ 'grep', '-rlaF', $text,
			$shop->{node}->data_dir ]);
	is($found, '', 'no file of the data directory holds it');
}
done_testing();

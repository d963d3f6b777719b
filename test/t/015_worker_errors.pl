# Answers are kept whatever fails, one bad row does not stop the others, and
# what is beyond the worker is waited out.
use strict;
use warnings;

use PaymentsTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $shop = PaymentsTest->new;
$shop->wait_for_worker;
my $node = $shop->{node};

sub statuses
{
	return $shop->sql(q(SELECT string_agg(status || ' ' || n, ', ' ORDER BY status)
		FROM (SELECT status, count(*) AS n FROM payments.payment GROUP BY status) s));
}

# All answers come in one batch: they wait until they are released.
sub confirm_together
{
	my (@orders) = @_;
	$shop->fault($_, kind => 'hang', on => 'confirm') for @orders;
	$shop->confirm(@orders);
	$shop->poll(sub {
			@orders == grep { !defined $_->{answeredUs} } $shop->requests;
		}, 'all have arrived');
}

# A row that can never be settled, in the middle of others.
# (a wallet without room: it takes no 1000 won more)
my @orders = $shop->orders(20, 1000, seller_id => { 8 => 99 });
my $bad = $orders[7]{order_id};
$shop->sql(q(INSERT INTO payments.wallet VALUES (99, 'KRW', 1e18 - 1, 0, 1, now())));
my $pid = $shop->worker('pid');
confirm_together(@orders);
$shop->release;
ok($shop->poll_sql('SELECT count(*) FROM payments.psp_call_queue', 1),
	'the others are saved');
is(statuses(), 'EXECUTING 1, SUCCESS 19', 'and only one is not');
$shop->poll(sub { $shop->worker('quarantined') == 1 }, 'it is in quarantine');
is($shop->sql("SELECT state FROM payments.open_calls WHERE order_id = '$bad'"),
	'waits for a person', 'where people see it');
is($shop->sql("SELECT action || ', ' || transport || ', ' || psp_status
	FROM payments.psp_answer WHERE order_id = '$bad'"),
	'quarantine, answered, DONE', 'with its answer');
like($shop->log, qr/answer for order "$bad" could not be applied/, 'and the log');
is($shop->worker('pid'), $pid, 'the worker lives');
is($shop->worker('state'), 'running', 'and runs');

# Once the cause is gone, people let it go on.
$shop->sql('UPDATE payments.wallet SET balance = 0 WHERE seller_id = 99');
$shop->sql("SELECT payments.retry('$bad')");
is($shop->wait_for($orders[7]), 'SUCCESS', 'and it ends as it should');

# A row that a session has locked holds up nobody else.
@orders = $shop->orders(20, 1000);
my $locked = $orders[3];
my $session = $node->background_psql('shop');
confirm_together(@orders);
$session->query_safe("BEGIN; SELECT FROM payments.payment_event
	WHERE order_id = '$locked->{order_id}' FOR UPDATE");
$shop->release;
ok($shop->poll_sql('SELECT count(*) FROM payments.psp_call_queue', 1),
	'the others are saved while it is locked');
is($shop->worker('state'), 'running', 'the worker runs');
my $order = $shop->order(1000);
$shop->confirm($order);
is($shop->wait_for($order), 'SUCCESS', 'and takes new calls meanwhile');
$session->query_safe('COMMIT');
is($shop->wait_for($locked), 'SUCCESS', 'the locked one follows');
is($shop->sql("SELECT string_agg(operation, ', ') FROM payments.psp_answer
	WHERE order_id = '$locked->{order_id}'"), 'confirm',
	'with the answer that was kept');

# Nor one that is locked for long one that is locked for a moment.
my ($long, $moment) = @orders = $shop->orders(2, 1000);
confirm_together(@orders);
my $other = $node->background_psql('shop');
$session->query_safe("BEGIN; SELECT FROM payments.payment_event WHERE order_id = '$long->{order_id}' FOR UPDATE");
$other->query_safe("BEGIN; SELECT FROM payments.payment_event WHERE order_id = '$moment->{order_id}' FOR UPDATE");
$shop->release;
$shop->poll(sub { !grep { !defined $_->{answeredUs} } $shop->requests }, 'both are answered');
sleep 0.2;
$other->query_safe('COMMIT');
$other->quit;
is($shop->wait_for($moment), 'SUCCESS', 'it is settled soon');
is($shop->status($long), 'EXECUTING', 'though the other one is locked');
$session->query_safe('COMMIT');
is($shop->wait_for($long), 'SUCCESS', 'which follows');

# What waits for a lock keeps its place among those in flight, so no more answers
# are kept than there may be; and other work goes on.
$shop->configure('payments.max_in_flight' => 4);
@orders = $shop->orders(9, 1000);
my @first = @orders[ 0 .. 3 ];
$shop->fault($_, kind => 'hang', on => 'confirm') for @first;
my $requests = () = $shop->requests;
$shop->confirm(@first);
$shop->poll(sub { $requests + 4 == (() = $shop->requests) }, 'four are in flight');
$session->query_safe('BEGIN; SELECT FROM payments.payment_event WHERE order_id IN ('
	  . join(',', map { "'$_->{order_id}'" } @first) . ') FOR UPDATE');
$shop->confirm(@orders[ 4 .. 8 ]);
$shop->release;
$shop->poll(sub { !grep { !defined $_->{answeredUs} } $shop->requests },
	'they are answered, and wait for locks');
is($shop->sql(qq(SELECT payments.receive_webhook('{"eventType": "PAYMENT_STATUS_CHANGED", "data": {
	"orderId": "$order->{order_id}", "paymentKey": "$order->{payment_key}", "status": "DONE"}}', '{}'))),
	'accepted', 'a webhook comes in');
ok($shop->poll_sql('SELECT count(*) FROM payments.webhook_queue', 0), 'and is looked at meanwhile');
sleep 1;
is(scalar(() = $shop->requests), $requests + 4, 'nothing is sent that there is no place for');
$session->query_safe('COMMIT');
is($shop->wait_for($_), 'SUCCESS', 'all are settled once there is') for $first[0], $orders[8];
ok($shop->wait_until_quiet, 'every one');
$shop->configure('payments.max_in_flight' => 256);

# Answers that come together are saved in many turns, so that a new call does not
# wait for all of them.
@orders = $shop->orders(250, 1000);
confirm_together(@orders);
$shop->release;
ok($shop->wait_until_quiet, 'many answers that come together are saved');
cmp_ok($shop->sql('SELECT count(DISTINCT xmin::text) FROM payments.psp_answer
	WHERE order_id IN (' . join(',', map { "'$_->{order_id}'" } @orders) . ')'),
	'>=', 8, 'in more than a few turns');

# A locked row of the queue is passed over.
my ($held, $free) = $shop->orders(2, 1000);
$shop->configure('payments.databases' => '');
$shop->poll(sub { !defined $shop->worker('state')
	  || $shop->worker('state') eq '' }, 'no worker');
$shop->confirm($held, $free);
$session->query_safe("BEGIN; SELECT FROM payments.psp_call_queue
	WHERE order_id = '$held->{order_id}' FOR UPDATE");
$shop->configure('payments.databases' => 'shop');
is($shop->wait_for($free), 'SUCCESS', 'what stands behind it is claimed');
is($shop->status($held), 'EXECUTING', 'it is not');
$session->query_safe('COMMIT');
is($shop->wait_for($held), 'SUCCESS', 'until it is free');

# Something that is no row's fault: the worker holds, with its answers.
# (calls may be claimed, but none may go: who publishes part of a table's rows
# must be able to tell a row that goes by its key)
@orders = $shop->orders(10, 1000);
confirm_together(@orders);
$pid = $shop->worker('pid');
$shop->sql("CREATE PUBLICATION some_calls FOR TABLE payments.psp_call_queue
	WHERE (failures = 0) WITH (publish = 'delete')");
$shop->release;
ok($shop->wait_for_worker('holding'), 'the worker holds');
like($shop->worker('reason'), qr/^SQLSTATE 42P10/, 'and says why');
$order = $shop->order(1000);
my $before = () = $shop->requests;
$shop->confirm($order);
sleep 2.5;
is(scalar(() = $shop->requests), $before, 'nothing new is sent');
is($shop->worker('quarantined'), 0, 'nothing is put into quarantine');
$shop->sql('DROP PUBLICATION some_calls');
ok($shop->wait_until_quiet, 'when it is over all is saved');
is($shop->worker('state'), 'running', 'and the worker runs');
is($shop->worker('pid'), $pid, 'the same');
is($shop->sql("SELECT string_agg(DISTINCT operation, ', ') || ' ' || count(*) FROM payments.psp_answer
	WHERE order_id IN (" . join(',', map { "'$_->{order_id}'" } @orders) . ')'),
	'confirm ' . @orders, 'with the answers that were kept');

# A database that is told to be read-only, and other hostile settings.
$pid = $shop->worker('pid');
$node->safe_psql('postgres', $_) for
  'ALTER DATABASE shop SET default_transaction_read_only = on',
  "ALTER DATABASE shop SET search_path = 'public'",
  "ALTER DATABASE shop SET statement_timeout = '1ms'",
  "ALTER DATABASE shop SET session_replication_role = 'replica'",
  "ALTER DATABASE shop SET DateStyle = 'SQL, DMY'",
  "ALTER DATABASE shop SET TimeZone = 'Asia/Seoul'",
  'ALTER DATABASE shop SET synchronous_commit = off',
  "ALTER ROLE CURRENT_USER SET default_transaction_isolation = 'serializable'";
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
$node->safe_psql('postgres', 'ALTER ROLE CURRENT_USER RESET ALL');
$shop->poll(sub { $node->safe_psql('postgres', q(SELECT count(*)
	FROM pg_stat_activity WHERE backend_type = 'payments worker')) == 1 },
	'another worker');
$node->safe_psql('postgres', 'ALTER DATABASE shop RESET ALL');
$order = $shop->order(1000);
$shop->confirm($order);
is($shop->wait_for($order), 'SUCCESS', 'settings of the database do not reach it');

# Signals, while it works.
my $end = time() + 4;
@orders = $shop->orders(200, 1000);
$shop->settings(delayMs => 20);
$shop->confirm(@orders);
$pid = $shop->worker('pid');
while (time() < $end)
{
	kill 'HUP', $pid;
	kill 'INT', $pid;
	sleep 0.002;
}
ok($shop->wait_until_quiet, 'storms of cancels and reloads pass');
is($shop->worker('pid'), $pid, 'over it');

# Who gives the secret key where the public one belongs is refused, and the
# server does not write his statement down.
my ($status, undef, $refusal) = $node->psql('shop', "SELECT payments.set_merchant('default', '$PaymentsTest::secret')");
like($refusal, qr/client_key of the merchant is not valid/, 'a secret key is no client key');
unlike($shop->log, qr/\Q$PaymentsTest::secret\E/, 'and does not come into the log');

# In a block the statement is not what the client sent: it stands in the context.
($status, undef, $refusal) = $node->psql('shop',
	"DO \$\$ BEGIN PERFORM payments.set_merchant('default', '$PaymentsTest::secret'); END \$\$");
like($refusal, qr/client_key of the merchant is not valid/, 'nor is it in a block');
is(scalar(() = $shop->log =~ /ERROR:.* client_key of the merchant is not valid/g), 2, 'the log has both errors');
unlike($shop->log, qr/\Q$PaymentsTest::secret\E/, 'and neither the statement nor its context');

$session->quit;
$shop->books_agree('in the end', log => 0);
$node->stop;
done_testing();

# A person closes what the worker cannot: the sale is booked once, whoever
# waits is told at once, and an answer that comes in too late changes nothing.
use strict;
use warnings;

use PaymentsTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $shop = PaymentsTest->new;
my $node = $shop->{node};
$shop->wait_for_worker;

sub try_to
{
	my ($sql) = @_;
	my ($status, $out, $err) = $node->psql('shop', $sql);

	return $status == 0 ? $out : $err;
}

# As if it had been asked about for an hour, and the worker had given up.
sub give_up_on
{
	my ($order, $state) = @_;

	$shop->sql("UPDATE payments.psp_call_queue SET state = '$state',
			first_sent_at = clock_timestamp() - interval '1 hour', due_at = 'infinity'
		WHERE order_id = '$order->{order_id}'");
}

# Approved by Toss, but the books could not take it: a wallet is full.
my $order = $shop->order(1000, seller_id => { 1 => 99 });
my $id = $order->{order_id};
$shop->sql(q(INSERT INTO payments.wallet VALUES (99, 'KRW', 1e18 - 1, 0, 1, now())));
$shop->confirm($order);
ok($shop->poll_sql("SELECT state FROM payments.open_calls WHERE order_id = '$id'",
		'waits for a person'), 'an answer in quarantine waits for a person');
like(try_to("SELECT payments.resolve('$id', 'failed', 'note')"),
	qr/ERROR:  order "$id" cannot be resolved/, 'it cannot have failed');
like(try_to("SELECT payments.resolve('$id', 'succeeded', 'note', 1000, '$order->{payment_key}')"),
	qr/ERROR:  /, 'nor be booked while the wallet is full');
is($shop->sql("SELECT count(*) FROM payments.operator_action WHERE order_id = '$id'"), 0,
	'nothing of that is left');
$shop->sql('UPDATE payments.wallet SET balance = 0 WHERE seller_id = 99');

# Somebody waits for it.
my $waiter = $node->background_psql('shop');
$waiter->query_until(qr/^waiting/, "\\echo waiting\nSELECT payments.wait_for('$id', '50 s');\n");
$shop->poll(sub { $shop->sql(q(SELECT count(*) FROM pg_stat_activity
	WHERE query LIKE '%wait_for%' AND wait_event_type = 'Extension' AND pid <> pg_backend_pid())) == 1 },
	'somebody waits');
my $start = time();
is($shop->sql("SELECT payments.resolve('$id', 'succeeded', 'kim: DONE', 1000, '$order->{payment_key}')"),
	'SUCCESS', 'then a person may say that it succeeded');
like($waiter->query("\\echo then"), qr/SUCCESS/, 'who waited for it is told');
cmp_ok(time() - $start, '<', 20, 'at once');
$waiter->quit;
is($shop->sql("SELECT payments.resolve('$id', 'succeeded', 'kim: DONE', 1000, '$order->{payment_key}')"),
	'SUCCESS', 'said again it is nothing');
$shop->books_agree('resolved as succeeded', log => 0);

# A call in flight is the worker's.
$order = $shop->order(2000);
$id = $order->{order_id};
$shop->fault($order, kind => 'hang', on => 'confirm');
$shop->confirm($order);
$shop->poll(sub { grep { !defined $_->{answeredUs} } $shop->requests }, 'it is in flight');
give_up_on($order, 'S');
like(try_to("SELECT payments.resolve('$id', 'failed', 'note')"),
	qr/ERROR:  order "$id" cannot be resolved\nDETAIL:  Its call is in flight/,
	'in flight: refused');

# Were it taken from him all the same, his answer would be evidence.
give_up_on($order, 'D');
is($shop->sql("SELECT payments.resolve('$id', 'failed', 'lee: not there')"),
	'FAILURE', 'resolved as failed');
$shop->release;
ok($shop->poll_sql("SELECT action || ' ' || meaning FROM payments.psp_answer
	WHERE order_id = '$id'", 'late approved'), 'the late answer is kept');
is($shop->status($order), 'FAILURE', 'and changes nothing');
is($shop->sql("SELECT count(*) FROM payments.ledger_transaction WHERE order_id = '$id'"),
	0, 'nothing is booked');
is($shop->sql(q(SELECT count(*) FROM payments.verify() WHERE NOT holds)), 0,
	'all invariants hold');
is($shop->sql(q(SELECT string_agg(outcome || ': ' || note, ', ' ORDER BY id)
	FROM payments.operator_action)), 'succeeded: kim: DONE, failed: lee: not there',
	'what people did');

# Many at once against the worker: each order ends once.  Some of them only a
# person can end, since nothing else of theirs is ever answered.
my @orders = $shop->orders(40, 1000);
my $ids = join ',', map { "'$_->{order_id}'" } @orders;
$shop->fault($_, kind => 'reset-after', on => 'confirm') for @orders;
$shop->fault($_, kind => 'reset-before', on => 'any', count => 1000) for @orders[ 30 .. 39 ];
for (@orders)
{
	$shop->confirm($_);
	sleep 0.05;
}
$shop->poll(sub { $shop->sql("SELECT count(*) FROM payments.psp_answer
	WHERE action = 'succeed' AND order_id IN ($ids)") > 0 }, 'the worker has begun');
my ($by_person, $by_answer) = (0, 0);
my $end = time() + $PaymentsTest::timeout;
while (time() < $end)
{
	# a moment at which the worker could claim it as well
	$shop->sql("UPDATE payments.psp_call_queue SET first_sent_at = clock_timestamp() - interval '1 hour'
		WHERE order_id IN ($ids) AND state = 'P'");
	$node->psql('shop', join(";\n", map {
			"SELECT payments.resolve('$_->{order_id}', 'succeeded', 'race', 1000, '$_->{payment_key}')" } @orders),
		on_error_stop => 0);
	last if $shop->sql("SELECT count(*) FROM payments.psp_call_queue WHERE order_id IN ($ids)") == 0;
}
$by_person = $shop->sql(q(SELECT count(*) FROM payments.operator_action WHERE note = 'race'));
$by_answer = $shop->sql("SELECT count(*) FROM payments.psp_answer WHERE action = 'succeed' AND order_id IN ($ids)");
is($by_person + $by_answer, 40, "each by one of them: $by_person, $by_answer");
cmp_ok($by_person, '>=', 10, 'some by a person');
cmp_ok($by_answer, '>', 0, 'some by an answer');
is($shop->sql("SELECT count(*) FROM payments.ledger_transaction WHERE order_id IN ($ids)"), 40,
	'and booked once');
is($shop->sql(q(SELECT count(*) FROM payments.verify() WHERE NOT holds)), 0, 'all invariants hold');

# It takes part in a dump.
is($shop->sql(q(SELECT count(*) FROM pg_extension, unnest(extconfig) t
	WHERE extname = 'payments' AND t = 'payments.operator_action'::regclass)), 1, 'dumped');

$node->stop;
done_testing();

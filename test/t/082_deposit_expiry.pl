# An account that nobody pays into: Toss says nothing when its due date passes,
# so it is asked, and the order fails when it has said so twice.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use Test::More;

my $shop = PaymentsTest->new(conf => q(
payments.sweep_interval = 1
));
$shop->wait_for_worker;

# How many questions about an order were answered.
sub asked_about
{
	my ($order) = @_;
	return $shop->sql("SELECT count(*) FROM payments.psp_answer WHERE order_id = '$order->{order_id}'");
}

sub payment
{
	my ($order, $columns) = @_;
	return $shop->sql("SELECT $columns FROM payments.payment WHERE order_id = '$order->{order_id}'");
}

# An order whose account is issued, and lives for so many seconds.
sub issued
{
	my ($seconds) = @_;
	$shop->settings(accountSeconds => $seconds);
	my $order = $shop->order(15000, method => 'VIRTUAL_ACCOUNT');
	$shop->confirm($order);
	$shop->poll_sql("SELECT deposit_status FROM payments.payment WHERE order_id = '$order->{order_id}'", 'awaited', 'an account is issued');
	return $order;
}

sub closed_at_toss
{
	my ($order) = @_;
	return $shop->poll(sub { $shop->toss('GET', "/payments/$order->{payment_key}")->{virtualAccount}{expired} }, 'closed at Toss');
}

# As if it were time: what waits for a deposit, or to be asked again, is due.
sub due
{
	my ($order) = @_;
	my $asked = asked_about($order);
	$shop->sql("UPDATE payments.psp_call_deposit SET due_at = now() WHERE order_id = '$order->{order_id}';
		UPDATE payments.psp_call_queue SET due_at = now() WHERE order_id = '$order->{order_id}' AND state = 'P'");
	return $shop->poll(sub { asked_about($order) > $asked }, 'asked');
}

sub phase
{
	my ($order) = @_;
	return $shop->sql("SELECT phase FROM payments.psp_call_queue WHERE order_id = '$order->{order_id}'");
}

# The worker's own timer: sooner than it would ask anyway.
my $timed = issued(100);
is($shop->sql("SELECT d.due_at BETWEEN v.due_at + '59 s' AND v.due_at + '61 s' AND d.due_at < now() + '3 min'
	FROM payments.psp_call_deposit d JOIN payments.virtual_account v USING (order_id)
	WHERE order_id = '$timed->{order_id}'"), 't', 'asked about just behind its due date');

# Nobody pays.
my $order = issued(1);
closed_at_toss($order);
due($order);
is(payment($order, 'status'), 'EXECUTING', 'one answer is not enough');
is(phase($order), 'L', 'but remembered');
is($shop->sql("SELECT due_at > now() + '20 s' FROM payments.psp_call_queue WHERE order_id = '$order->{order_id}'"), 't', 'the next comes later');
$shop->sql("SELECT payments.retry('$order->{order_id}')");
$shop->poll(sub { phase($order) eq 'L' && asked_about($order) == 3 }, 'pushed by a person: asked at once');
is(payment($order, 'status'), 'EXECUTING', 'which does not count as the second');
due($order);
is($shop->wait_for($order), 'FAILURE', 'the second does');
is(payment($order, q(concat_ws(' ', failure_code, deposit_status))), 'DEPOSIT_EXPIRED expired', 'with a code of its own');
is($shop->sql("SELECT string_agg(kind || coalesce(' ' || (payload ->> 'code'), ''), ', ' ORDER BY id) FROM payments.event
	WHERE order_id = '$order->{order_id}'"), 'deposit.awaited, payment.failed DEPOSIT_EXPIRED', 'and an event');
like($shop->sql("SELECT string_agg(story, E'\n') FROM payments.explain('$order->{order_id}')"),
	qr/the account is closed: nobody paid into it in time/, 'so says its story');

# A crash between the two questions: asked twice anew, and the same end.
$order = issued(1);
closed_at_toss($order);
due($order);
is(phase($order), 'L', 'asked once');
$shop->settings(randomFaults => { rate => 1, kinds => ['hang'], on => 'query' });
$shop->sql("UPDATE payments.psp_call_queue SET due_at = now() WHERE order_id = '$order->{order_id}'");
$shop->poll(sub { $shop->worker('in_flight') == 1 }, 'the second question is in flight');
kill_worker($shop);
$shop->settings(randomFaults => undef);
$shop->release;
$shop->poll(sub { phase($order) eq 'L' && $shop->sql("SELECT state FROM payments.psp_call_queue
	WHERE order_id = '$order->{order_id}'") eq 'P' && asked_about($order) == 3 }, 'the next run asks again');
is(payment($order, 'status'), 'EXECUTING', 'and has not seen it twice');
due($order);
is($shop->wait_for($order), 'FAILURE', 'then it has');

# A deposit at the last moment, of which the first question saw nothing: it wins.
my $late = issued(1);
closed_at_toss($late);
due($late);
is(phase($late), 'L', 'asked once');
$shop->toss('POST', '/deposit', { paymentKey => $late->{payment_key}, late => \1 });
due($late);
is($shop->wait_for($late), 'SUCCESS', 'a deposit of the last moment counts');
is(payment($late, 'deposit_status'), 'received', 'and is there');

# Toss never says that it is closed: the order waits, and a person hears of it.
$shop->settings(accountStaysOpen => \1);
my $open = issued(1);
sleep 0.1 while $shop->sql("SELECT account_due_at > now() FROM payments.payment WHERE order_id = '$open->{order_id}'") eq 't';
due($open);
is(payment($open, 'status || deposit_status'), 'EXECUTINGawaited', 'it goes on waiting');
is($shop->sql("SELECT count(*) FROM payments.alerts WHERE alert = 'deposit_overdue'"), 0, 'without an alarm for a day');
$shop->sql("UPDATE payments.virtual_account SET due_at = now() - interval '25 hours' WHERE order_id = '$open->{order_id}'");
is($shop->sql("SELECT subject FROM payments.alerts WHERE alert = 'deposit_overdue'"), $open->{order_id}, 'then there is one');
$shop->toss('POST', '/cancel', { paymentKey => $open->{payment_key} });
due($open);
is($shop->wait_for($open), 'FAILURE', 'cancelled in the dashboard, it ends');
is($shop->sql("SELECT count(*) FROM payments.alerts WHERE alert = 'deposit_overdue'"), 0, 'and so does the alarm');

# Toss's list shows the accounts too: nobody paid into them, and it is no finding.
# What comes in late is one until it is booked.
sub findings
{
	my $run = $shop->sql("SELECT payments.reconcile('default', now() - interval '3 hours')");
	$shop->poll_sql("SELECT state FROM payments.reconciliation WHERE id = $run", 'C', "run $run is complete");
	return $shop->sql('SELECT order_id, what, psp_status, amount FROM payments.foreign_payments ORDER BY 1, 2, 3');
}
is(findings(), '', 'an account that is closed has taken no money');
$shop->toss('POST', '/deposit', { paymentKey => $order->{payment_key}, late => \1 });
is(findings(), "$order->{order_id}|failed here|DONE|15000", 'a deposit that came late is money');
$shop->sql("UPDATE payments.virtual_account SET look_at = now() WHERE order_id = '$order->{order_id}'");
$shop->poll(sub { payment($order, 'deposit_status') eq 'late' }, 'it is booked');
is(findings(), '', 'and no finding then');

# What the bank took back is known by its name, though Toss's clock is ahead: booked
# here before it was taken back there.
$shop->toss('POST', '/clock', { advance => 6 });
$shop->toss('POST', '/deposit-error', { paymentKey => $late->{payment_key} });
$shop->sql("UPDATE payments.virtual_account SET look_at = now() WHERE order_id = '$late->{order_id}'");
$shop->poll(sub { phase($late) eq 'L' }, 'Toss has said it once');
due($late);
$shop->poll(sub { payment($late, 'deposit_status') eq 'reversed' }, 'it is booked');
sleep 7;
is(findings(), '', 'a reversal that is booked is no finding');

$shop->books_agree('at the end', open => 1);
$shop->{node}->stop;
done_testing();

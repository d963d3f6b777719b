# A virtual account: its buyer sees it, and the deposit pays for the order.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use Test::More;

my $shop = PaymentsTest->new(conf => q(
payments.sweep_interval = 3600
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

sub at_toss
{
	my ($order) = @_;
	return $shop->toss('GET', "/payments/$order->{payment_key}");
}

sub events
{
	my ($order) = @_;
	return $shop->sql("SELECT string_agg(kind, ', ' ORDER BY id) FROM payments.event WHERE order_id = '$order->{order_id}'");
}

# Ask about an order, and wait until that was answered.
sub ask
{
	my ($order) = @_;
	my $asked = asked_about($order);
	$shop->sql("SELECT payments.retry('$order->{order_id}')");
	return $shop->poll(sub { asked_about($order) > $asked }, 'asked');
}

my ($paid, $unpaid, $canceled, $doubtful) = $shop->orders(4, 15000, method => 'VIRTUAL_ACCOUNT');

# What is issued
$shop->confirm($paid);
ok($shop->poll_sql("SELECT deposit_status FROM payments.payment WHERE order_id = '$paid->{order_id}'", 'awaited'),
	'an account is issued');
my $account = at_toss($paid)->{virtualAccount};
is(payment($paid, q(concat_ws(' ', status, psp_status, account_bank, account_number))),
	"EXECUTING WAITING_FOR_DEPOSIT $account->{bankCode} $account->{accountNumber}", 'the buyer can be told of it');
is(payment($paid, "account_due_at = '$account->{dueDate}'"), 't', 'and until when to pay');
is(events($paid), 'deposit.awaited', 'one event');
is($shop->sql("SELECT (payload ->> 'due_at')::timestamptz = '$account->{dueDate}' AND payload ->> 'bank_code' = '$account->{bankCode}'
	AND (payload ->> 'amount')::numeric = 15000 FROM payments.event WHERE order_id = '$paid->{order_id}'"), 't', 'which says when, where and how much');
is($shop->wait_for($paid, 60), 'EXECUTING', 'nobody waits for a deposit');

# Its number and the payment's secret are in no other place.
my $secret = at_toss($paid)->{secret};
like($secret, qr/^ps_/, 'there is a secret');
for my $text ($account->{accountNumber}, $secret)
{
	is($shop->sql(qq(SELECT count(*) FROM (SELECT to_jsonb(a)::text FROM payments.psp_answer a
			UNION ALL SELECT to_jsonb(e)::text FROM payments.event e
			UNION ALL SELECT to_jsonb(e)::text FROM payments.payment_event e
			UNION ALL SELECT to_jsonb(c)::text FROM payments.psp_call c
			UNION ALL SELECT to_jsonb(x)::text FROM payments.explain('$paid->{order_id}') x) t (t)
		WHERE t LIKE '%$text%')), 0, 'not in the tables that others read');
	unlike($shop->log, qr/\Q$text\E/, 'nor in the log');
}

# The deposit
ask($paid);
is(payment($paid, 'status || deposit_status'), 'EXECUTINGawaited', 'asked, and not paid yet');
is($shop->sql('SELECT count(*) FROM payments.deposit_movement'), 0, 'nothing came in');
$shop->toss('POST', '/deposit', { paymentKey => $paid->{payment_key} });
ask($paid);
is($shop->wait_for($paid), 'SUCCESS', 'the deposit is found');
my $approved = at_toss($paid)->{approvedAt};
is(payment($paid, 'deposit_status'), 'received', 'and said to be there');
is($shop->sql("SELECT t.effective_at = '$approved' AND m.effective_at = '$approved' AND m.amount = 15000 AND m.movement_no = 1
	FROM payments.deposit_movement m JOIN payments.ledger_transaction t ON t.transaction_key = m.ledger_key
	WHERE m.order_id = '$paid->{order_id}'"), 't', 'booked as of when it came in');
is($shop->sql("SELECT a.meaning FROM payments.deposit_movement m JOIN payments.psp_answer a USING (call_id, attempt_no)
	WHERE m.order_id = '$paid->{order_id}'"), 'approved', 'with the answer that proves it');
is(events($paid), 'deposit.awaited, payment.confirmed, payment.completed', 'the usual events');
my $story = $shop->sql("SELECT string_agg(story, E'\n') FROM payments.explain('$paid->{order_id}')");
like($story, qr/account issued to pay into, at bank 20, until .*\n(.*\n)*deposit 1: 15000, effective/, 'the story of the order has it all');

# Cancelled in the dashboard before a deposit: no money moved, and that is proved.
$shop->confirm($canceled);
ok($shop->poll_sql("SELECT deposit_status FROM payments.payment WHERE order_id = '$canceled->{order_id}'", 'awaited'), 'another account');
$shop->toss('POST', '/cancel', { paymentKey => $canceled->{payment_key} });
ask($canceled);
is(payment($canceled, q(concat_ws(' ', status, failure_code, deposit_status))), 'FAILURE CANCELED canceled', 'cancelled before a deposit: it fails');

# The answer to the confirm is lost: the account is found by the same key.
$shop->fault($doubtful, on => 'confirm', kind => 'reset-after');
$shop->confirm($doubtful);
ok($shop->poll_sql("SELECT deposit_status FROM payments.payment WHERE order_id = '$doubtful->{order_id}'", 'awaited'),
	'found behind a lost answer');
$shop->toss('POST', '/deposit', { paymentKey => $doubtful->{payment_key} });
ask($doubtful);
is($shop->wait_for($doubtful), 'SUCCESS', 'and paid into');

# One that is never asked about waits in EXECUTING, however long.
$shop->confirm($unpaid);
ok($shop->poll_sql("SELECT deposit_status FROM payments.payment WHERE order_id = '$unpaid->{order_id}'", 'awaited'), 'one that nobody pays');
kill_worker($shop);
$shop->poll(sub { ($shop->worker('state') // '') eq 'running' }, 'another worker');
is(payment($unpaid, 'status'), 'EXECUTING', 'it goes on waiting');
$shop->books_agree('at the end', open => 1);
$shop->{node}->stop;
done_testing();

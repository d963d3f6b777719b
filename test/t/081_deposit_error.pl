# A bank takes a deposit back: it is booked, the order stays, and can be paid again.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $shop = PaymentsTest->new(conf => q(
payments.sweep_interval = 1
));
$shop->wait_for_worker;
$shop->sql('SELECT payments.set_seller(1, 0.1)');

sub payment
{
	my ($order, $columns) = @_;
	return $shop->sql("SELECT $columns FROM payments.payment WHERE order_id = '$order->{order_id}'");
}

# An order whose account is issued, and paid into.
sub paid
{
	my ($order) = @_;
	$shop->confirm($order);
	$shop->poll_sql("SELECT deposit_status FROM payments.payment WHERE order_id = '$order->{order_id}'", 'awaited', 'issued');
	$shop->toss('POST', '/deposit', { paymentKey => $order->{payment_key} });
	$shop->sql("SELECT payments.retry('$order->{order_id}')");
	ok($shop->poll(sub { $shop->status($order) eq 'SUCCESS' }, 'paid'), 'paid');
	return $order;
}

# Look at an order, and again as if half a minute had gone, until that is over.
sub look
{
	my ($order) = @_;
	$shop->sql("SELECT payments.retry('$order->{order_id}')");
	return $shop->poll(sub {
			$shop->sql("UPDATE payments.psp_call_queue SET due_at = now()
				WHERE order_id = '$order->{order_id}' AND state = 'P' AND due_at > now()");
			return $shop->sql("SELECT count(*) FROM payments.psp_call_queue WHERE order_id = '$order->{order_id}'") == 0;
		}, 'looked');
}

# Pay again.  Toss tells the time of a deposit in seconds: one of the same second as
# the last would be taken for that.
sub deposit_again
{
	my ($order) = @_;
	sleep 1.1;
	return $shop->toss('POST', '/deposit', { paymentKey => $order->{payment_key} });
}

sub wallet { return $shop->sql('SELECT balance FROM payments.wallet WHERE seller_id = 1') }

sub events
{
	my ($order) = @_;
	return $shop->sql("SELECT string_agg(kind, ', ' ORDER BY id) FROM payments.event
		WHERE order_id = '$order->{order_id}' AND kind LIKE 'deposit.%'");
}

sub alerts { return $shop->sql("SELECT coalesce(string_agg(alert || ' ' || subject, ', '), '') FROM payments.alerts WHERE alert LIKE 'deposit_%'") }

my ($order) = paid($shop->order(10000, method => 'VIRTUAL_ACCOUNT', seller_id => { 1 => 1 }));
my $paid_at = time;
is(wallet(), 9000, 'the seller has it');
is($shop->sql("SELECT look_at BETWEEN now() + '2 min' AND now() + '3 min' FROM payments.virtual_account"), 't', 'the worker is going to look at it');
look($order);
is(payment($order, 'deposit_status'), 'received', 'a look finds nothing new');
is($shop->psp_books($order), 'payment.captured 10000', 'and books nothing');

# Taken back, twice over, and paid again in between
$shop->toss('POST', '/deposit-error', { paymentKey => $order->{payment_key} });
look($order);
is(payment($order, q(status || ' ' || deposit_status)), 'SUCCESS reversed', 'the order stays, and says so');
is($shop->psp_books($order), 'payment.captured 10000, deposit.reversed -10000', 'a reversal is booked');
is(wallet(), 0, 'the seller gives back what he got');
is(alerts(), "deposit_reversed $order->{order_id}", 'a person hears of it');
look($order);
is($shop->psp_books($order), 'payment.captured 10000, deposit.reversed -10000', 'once');
is($shop->sql(q(SELECT count(*) FROM payments.verify() WHERE NOT holds)), 0, 'all invariants hold');

# An answer that lags shows the deposit that was taken back: it is no other one.
$shop->fault($order, on => 'query', kind => 'lag', delayMs => int((time - $paid_at) * 1000));
look($order);
is($shop->psp_books($order), 'payment.captured 10000, deposit.reversed -10000', 'what was true before is no news');

deposit_again($order);
look($order);
is(payment($order, 'deposit_status'), 'received', 'the buyer pays again');
is(wallet(), 9000, 'the seller has it again');
is(alerts(), '', 'and nobody needs to do anything');
$shop->toss('POST', '/deposit-error', { paymentKey => $order->{payment_key} });
look($order);

# One that lags further shows the deposit before the last, and none that is new.
my $twice = 'payment.captured 10000, deposit.reversed -10000, deposit.received 10000, deposit.reversed -10000';
is($shop->psp_books($order), $twice, 'taken back again');
$shop->fault($order, on => 'query', kind => 'lag', delayMs => int((time - $paid_at) * 1000));
look($order);
is($shop->psp_books($order), $twice, 'what was true long before is no news either');

deposit_again($order);
look($order);
is($shop->psp_books($order), 'payment.captured 10000, deposit.reversed -10000, deposit.received 10000, deposit.reversed -10000, deposit.received 10000',
	'several rounds add up');
is(events($order), 'deposit.awaited, deposit.reversed, deposit.received, deposit.reversed, deposit.received', 'each is told');
is($shop->sql("SELECT count(DISTINCT payload ->> 'movement_no') FROM payments.event WHERE kind LIKE 'deposit.re%'"), 4, 'with its number');
is($shop->sql(q(SELECT count(*) FROM payments.ledger_transactions WHERE kind = 'deposit.reversed' AND reverses_id IS NOT NULL)), 2,
	'reversals say what they reverse');
like($shop->sql("SELECT string_agg(story, E'\n') FROM payments.explain('$order->{order_id}')"), qr/reversal 2: 10000(.*\n)*.*deposit 3: 10000/,
	'so does the story');

# Another order
my ($other) = paid($shop->order(20000, method => 'VIRTUAL_ACCOUNT', seller_id => { 1 => 1 }));

# A crash in between: the reversal is booked once.
$shop->toss('POST', '/deposit-error', { paymentKey => $other->{payment_key} });
$shop->settings(randomFaults => { rate => 1, kinds => ['hang'], on => 'query' });
$shop->sql("SELECT payments.retry('$other->{order_id}')");
$shop->poll(sub { $shop->worker('in_flight') == 1 }, 'the look is in flight');
kill_worker($shop);
$shop->settings(randomFaults => undef);
$shop->release;
$shop->poll(sub {
		$shop->sql("UPDATE payments.psp_call_queue SET due_at = now() WHERE state = 'P' AND due_at > now()");
		return payment($other, 'deposit_status') eq 'reversed';
	}, 'the next run books the reversal');
is($shop->psp_books($other), 'payment.captured 20000, deposit.reversed -20000', 'once');

# By the worker itself, when it is time to look
deposit_again($other);
$shop->sql("UPDATE payments.virtual_account SET look_at = now() WHERE order_id = '$other->{order_id}'");
ok($shop->poll_sql("SELECT deposit_status FROM payments.payment WHERE order_id = '$other->{order_id}'", 'received'), 'the worker looks by itself');
is($shop->sql("SELECT look_at > now() FROM payments.virtual_account WHERE order_id = '$other->{order_id}'"), 't', 'and is going to again');

# Too late: the account expired, the order failed, and then the money comes.
$shop->settings(accountSeconds => 1);
my $late = $shop->order(30000, method => 'VIRTUAL_ACCOUNT', seller_id => { 1 => 1 });
$shop->confirm($late);
$shop->poll(sub { $shop->toss('GET', "/payments/$late->{payment_key}")->{virtualAccount}
			&& $shop->toss('GET', "/payments/$late->{payment_key}")->{virtualAccount}{expired} }, 'closed at Toss');
$shop->poll(sub {
		$shop->sql("UPDATE payments.psp_call_deposit SET due_at = now() WHERE order_id = '$late->{order_id}';
			UPDATE payments.psp_call_queue SET due_at = now() WHERE order_id = '$late->{order_id}' AND state = 'P' AND due_at > now()");
		return $shop->status($late) eq 'FAILURE';
	}, 'it fails');
$shop->toss('POST', '/deposit', { paymentKey => $late->{payment_key}, late => \1 });
$shop->sql("UPDATE payments.virtual_account SET look_at = now() WHERE order_id = '$late->{order_id}'");
ok($shop->poll_sql("SELECT deposit_status FROM payments.payment WHERE order_id = '$late->{order_id}'", 'late'), 'the deposit is found');
is(payment($late, 'status'), 'FAILURE', 'the order has failed all the same');
is($shop->sql("SELECT string_agg(account || ' ' || coalesce(debit, - credit), ', ' ORDER BY entry_no) FROM payments.ledger
	WHERE order_id = '$late->{order_id}'"), 'psp:toss 30000, buyer:1 -30000', 'the money is for the buyer');
is(alerts(), "deposit_to_return $late->{order_id}", 'and a person is to give it back');
$shop->toss('POST', '/cancel', { paymentKey => $late->{payment_key} });
look($late);
is(payment($late, 'deposit_status'), 'returned', 'given back in the dashboard');
is($shop->psp_books($late), 'deposit.late 30000, deposit.returned -30000', 'which is booked');
is(alerts(), '', 'and over');
$shop->books_agree('at the end');
$shop->{node}->stop;
done_testing();

# Claim or refund: what is paid and not claimed in time goes back, whoever is
# gone; what is claimed stays, and what was not paid needs nothing.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PaymentsTest;
use Test::More;

my $shop = PaymentsTest->new;

sub confirm
{
	my ($order, $within) = @_;
	return $shop->sql("SELECT payments.confirm('$order->{order_id}', '$order->{payment_key}', $order->{amount},
		claim_within => '$within')");
}

sub claim_of
{
	my ($order) = @_;
	return "SELECT concat_ws(' ', c.claim_status, r.refund_status, r.amount, r.origin) FROM payments.payment_claim c
		LEFT JOIN payments.refund r ON r.id = c.refund_id WHERE c.order_id = '$order->{order_id}'";
}

# Claimed, in the transaction that delivers
my $claimed = $shop->order(1000);
is(confirm($claimed, '1 hour'), 'EXECUTING', 'to be claimed');
is($shop->wait_for($claimed), 'SUCCESS', 'paid');
$shop->sql("CREATE TABLE delivery (order_id text);
	BEGIN; INSERT INTO delivery VALUES ('$claimed->{order_id}'); SELECT payments.claim('$claimed->{order_id}'); COMMIT");
is($shop->sql(claim_of($claimed)), 'claimed', 'claimed');

# Nobody comes back: in full, of two sellers
my $cart = $shop->sql(q(SELECT payments.set_seller(1, 0.1); SELECT order_id FROM payments.checkout(9, '[{"seller_id": 1, "amount": 10000},
	{"seller_id": 2, "amount": 3333}]')));
$cart =~ s/^\s+//;
my $paid = $shop->toss('POST', '/pay', { orderId => $cart, amount => 13333 });
my $lost = { order_id => $cart, payment_key => $paid->{paymentKey}, amount => 13333 };
confirm($lost, '1 ms');
$shop->poll_sql(claim_of($lost), 'lapsed SUCCESS 13333 claim', 'it goes back by itself');
is($shop->sql("SELECT string_agg(kind, ' ' ORDER BY id) FROM payments.event WHERE order_id = '$cart'"),
	'payment.confirmed payment.completed refund.requested payment.unclaimed refund.succeeded', 'and those who listen are told');
is($shop->sql("SELECT concat_ws(' ', status, is_refunded) FROM payments.payment WHERE order_id = '$cart'"), 'SUCCESS t', 'all of it');
my ($code, undef, $error) = $shop->{node}->psql($shop->{databases}[0], "SELECT payments.claim('$cart')");
like($error, qr/was not claimed in time/, 'and nobody can deliver it any more');

# Its time is counted from the payment on, however long that takes
my $part = $shop->order(5000);
$shop->fault($part, on => 'confirm', kind => 'hang');
confirm($part, '1 us');
$shop->poll(sub { $shop->toss('GET', '/health')->{waiting} > 0 }, 'it is being paid');
$shop->release;
is($shop->wait_for($part), 'SUCCESS', 'paid');
$shop->poll_sql(claim_of($part), 'lapsed SUCCESS 5000 claim', 'and then it goes back');

# Declined: nothing to give back
my $declined = $shop->order(3000);
$shop->fault($declined, on => 'confirm', kind => 'refuse', code => 'REJECT_CARD_COMPANY');
confirm($declined, '1 ms');
is($shop->wait_for($declined), 'FAILURE', 'declined');
my $other = $shop->order(100);		# whatever is settled makes the worker look
$shop->confirm($other);
$shop->poll_sql(claim_of($declined), 'void', 'nothing is to be claimed');

# The worker is killed while the refund is on its way
my $killed = $shop->order(7000);
$shop->fault($killed, on => 'cancel', kind => 'hang', after => 'done');
confirm($killed, '1 ms');
$shop->poll(sub { $shop->toss('GET', '/health')->{waiting} > 0 }, 'the refund is at the PSP');
my $pid = $shop->worker('pid');
kill 'KILL', $pid;
$shop->release;
$shop->poll_sql(claim_of($killed), 'lapsed SUCCESS 7000 claim', 'the worker was killed');

# A wallet that has too little keeps it waiting, where people see it
my $poor = $shop->order(8000, seller_id => { 1 => 77 });
my $seller = $shop->sql("SELECT seller_id FROM payments.payment_order WHERE order_id = '$poor->{order_id}'");
$shop->fault($poor, on => 'confirm', kind => 'hang');
$shop->sql("INSERT INTO payments.wallet (seller_id, currency, pending, may_owe, updated_at) VALUES ($seller, 'KRW', 8000, true, now())
	ON CONFLICT (seller_id, currency) DO UPDATE SET pending = 8000, may_owe = true");
confirm($poor, '1 ms');
$shop->poll(sub { $shop->toss('GET', '/health')->{waiting} > 0 }, 'it is being paid');
$shop->release;
is($shop->wait_for($poor), 'SUCCESS', 'paid');
$shop->poll_sql("SELECT problem LIKE '%PY034%' FROM payments.payment_claim WHERE order_id = '$poor->{order_id}'", 't', 'it says why');
$shop->sql("UPDATE payments.wallet SET pending = 0, may_owe = false WHERE seller_id = $seller;
	UPDATE payments.payment_claim SET due_at = now() WHERE order_id = '$poor->{order_id}'");
$other = $shop->order(100);
$shop->confirm($other);
$shop->poll_sql(claim_of($poor), 'lapsed SUCCESS 8000 claim', 'when it can, it goes back');

$shop->wait_until_quiet;
is($shop->sql('SELECT count(*) FROM payments.payment_claim WHERE claim_status = \'waiting\''), '0', 'nothing waits');
$shop->books_agree;
$shop->{node}->stop;
done_testing();

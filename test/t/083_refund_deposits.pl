# Refunds of deposits go to an account of the buyer's, which is known to nobody
# else and forgotten when they have ended.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use Test::More;

my $shop = PaymentsTest->new(conf => q(
payments.sweep_interval = 1
));
my $node = $shop->{node};
my $database = $shop->{databases}[0];
my $number = '94310200123456';
my $holder = '홍길동 "Gil\Dong"';
my $account = qq('{"bank": "88", "account_number": "943-102 00123456", "holder_name": "홍길동 \\"Gil\\\\Dong\\""}'::jsonb);
$shop->wait_for_worker;
$shop->sql('SELECT payments.set_seller(1, 0.1)');
$shop->sql("CREATE ROLE shop_$_; SELECT payments.grant_to('shop_$_', '$_')") for qw(application operator auditor bookkeeper monitor);

sub payment
{
	my ($order, $columns) = @_;
	return $shop->sql("SELECT $columns FROM payments.payment WHERE order_id = '$order->{order_id}'");
}

# An order that was paid into its account.
sub paid
{
	my ($amount, $more) = @_;
	my $order = $shop->order($amount, method => 'VIRTUAL_ACCOUNT', seller_id => { 1 => 1 });

	$shop->sql("SELECT payments.confirm('$order->{order_id}', '$order->{payment_key}', $amount @{[ $more // '' ]})");
	$shop->poll_sql("SELECT deposit_status FROM payments.payment WHERE order_id = '$order->{order_id}'", 'awaited', 'issued');
	$shop->toss('POST', '/deposit', { paymentKey => $order->{payment_key} });
	$shop->sql("SELECT payments.retry('$order->{order_id}')");
	ok($shop->poll(sub { $shop->status($order) eq 'SUCCESS' }, 'paid'), 'paid');
	return $order;
}

sub accounts { return $shop->sql('SELECT count(*) FROM payments.refund_account') }

sub refunded
{
	my ($order, $refund) = @_;
	return $shop->sql("SELECT concat_ws(' ', status, amount, failure_code) FROM payments.refunds WHERE refund_id = $refund");
}

sub cancels
{
	my ($order) = @_;
	return grep { $_->{path} =~ m{/\Q$order->{payment_key}\E/cancel$} } $shop->requests;
}

# Look at an order, and again as if half a minute had gone, until it is so.
sub look_until
{
	my ($order, $status) = @_;
	my $queue = "SELECT count(*) FROM payments.psp_call_queue WHERE order_id = '$order->{order_id}'";

	return $shop->poll(sub {
			my $is_so = payment($order, 'deposit_status') eq $status;
			$shop->sql("UPDATE payments.virtual_account SET look_at = now() WHERE order_id = '$order->{order_id}'") if !$is_so;
			$shop->sql("UPDATE payments.psp_call_queue SET due_at = now()
				WHERE order_id = '$order->{order_id}' AND state = 'P' AND due_at > now()");
			return $is_so && $shop->sql($queue) == 0;
		}, "the deposit is $status");
}

# What a caller is told, and what of it stands in the log: never the account.
my $order = paid(10000);
my (undef, undef, $error) = $node->psql($database, "SELECT payments.refund('$order->{order_id}', 'back')");
like($error, qr/refund_account of order ".*" is missing\nDETAIL:  It was paid into a virtual account\.\nHINT:  Give /, 'an account is needed');
for my $mistake ([ '"88"' => '"국민"', 'bank' ], [ '943-' => '94e', 'account_number' ], [ '홍길동' => '\n', 'holder_name' ])
{
	my ($bad, $from, $to) = ($account, @$mistake);
	$bad =~ s/\Q$from\E/$to/;
	(undef, undef, $error) = $node->psql($database, "SELECT payments.refund('$order->{order_id}', 'back', refund_account => $bad)");
	like($error, qr/refund_account has no usable $mistake->[2]\nHINT/, "an account without $mistake->[2]");
}
(undef, undef, $error) = $node->psql($database, "SELECT payments.refund('nobody', 'back', refund_account => $account)");
like($error, qr/order "nobody" does not exist/, 'the account of another order');
(undef, undef, $error) = $node->psql($database,
	"DO \$do\$ BEGIN EXECUTE \$ex\$SELECT payments.refund('nobody', 'back', refund_account => $account)\$ex\$; END \$do\$");
like($error, qr/order "nobody" does not exist/, 'out of a function');
my $card = $shop->order(500);
$shop->confirm($card);
$shop->wait_for($card);
(undef, undef, $error) = $node->psql($database, "SELECT payments.refund('$card->{order_id}', 'back', refund_account => $account)");
like($error, qr/was not paid into a virtual account/, 'an order that needs none');
is(accounts(), 0, 'nothing of that is kept');

# In two parts; the first hangs, and the second waits with its account.
$shop->fault($order, on => 'cancel', kind => 'hang', after => 'done');
my ($part, $rest) = split /\n/, $shop->sql(qq(BEGIN; SET ROLE shop_application;
	SELECT payments.refund('$order->{order_id}', 'a part', 4000, refund_account => $account, idempotency_key => 'one');
	SELECT payments.refund('$order->{order_id}', 'the rest', refund_account => $account, idempotency_key => 'two'); COMMIT));
$shop->poll(sub { $shop->toss('GET', '/health')->{waiting} > 0 }, 'a cancel is at the PSP');
is(accounts(), 2, 'both are kept as long as they are needed');
is($shop->sql("SELECT count(*) FROM payments.refund_account WHERE bank = '88' AND account_number = '$number' AND holder_name = '$holder'"),
	2, 'as they are sent');
for my $role (qw(application operator auditor bookkeeper monitor))
{
	(undef, undef, $error) = $node->psql($database, "SET ROLE shop_$role; SELECT * FROM payments.refund_account");
	like($error, qr/permission denied/, "no $role reads them");
}
my $dump = $node->data_dir . '/../open.sql';
PostgreSQL::Test::Utils::command_ok([ 'pg_dump', '-f', $dump, $node->connstr($database) ], 'a dump');
like(PostgreSQL::Test::Utils::slurp_file($dump), qr/\t88\t$number\t/, 'has what is still to be sent');
is($shop->sql("SELECT payments.refund('$order->{order_id}', 'a part', 4000, refund_account => $account, idempotency_key => 'one')"),
	$part, 'asked for again it is the same refund');
my $other = $account =~ s/123456/123457/r;
(undef, undef, $error) = $node->psql($database,
	"SELECT payments.refund('$order->{order_id}', 'a part', 4000, refund_account => $other, idempotency_key => 'one')");
like($error, qr/requested with this idempotency_key and other arguments/, 'to another account it is not');
is($shop->sql('SELECT count(*) FROM payments.verify() WHERE NOT holds'), 0, 'all invariants hold');
$shop->release;
is($shop->wait_for_refund($order, $rest), 'SUCCESS', 'all of it goes back');
is(refunded($order, $part), 'SUCCESS 4000', 'in two parts');
is(payment($order, q(concat_ws(' ', status, deposit_status, refunded_amount, is_refunded))), 'SUCCESS received 10000 t', 'which the payment says');
is($shop->psp_books($order), 'payment.captured 10000, payment.refunded -4000, payment.refunded -6000', 'and the books');
is($shop->sql('SELECT balance FROM payments.wallet WHERE seller_id = 1'), 0, 'the seller has given it back');
is(accounts(), 0, 'the accounts are gone');
is($shop->sql("SELECT payments.refund('$order->{order_id}', 'a part', 4000, refund_account => $account, idempotency_key => 'one')"),
	$part, 'and still it is the same refund');

# The bytes that were sent are those that are stored, with the account in them.
my $body = q("refundReceiveAccount":{"bank":"88","accountNumber":") . $number . q(","holderName":"홍길동 \"Gil\\\\Dong\""}});
is($shop->sql(qq(SELECT string_agg(encode(sha256(convert_to(left(request_body, -1) || ',' || \$\$$body\$\$, 'UTF8')), 'hex'), ' ' ORDER BY id)
	FROM payments.psp_call WHERE order_id = '$order->{order_id}' AND operation = 'cancel')),
	join(' ', map { $_->{bodySha256} } cancels($order)), 'they are sent as Toss wants them');

# Toss refuses the account: the refund fails, and another one goes elsewhere.
$order = paid(20000);
$shop->fault($order, on => 'cancel', kind => 'refuse', code => 'INVALID_REFUND_ACCOUNT_INFO');
my $refund = $shop->refund($order, refund_account => $account);
is($shop->wait_for_refund($order, $refund), 'FAILURE', 'the holder is another one');
is(refunded($order, $refund), 'FAILURE 20000 INVALID_REFUND_ACCOUNT_INFO', 'it says why');
is(accounts(), 0, 'that account is gone too');
is(payment($order, 'refunding_amount'), 0, 'nothing stays reserved');

# The answer is lost: it is asked for, and there is one cancel.
$shop->fault($order, on => 'cancel', kind => 'reset-after');
$refund = $shop->refund($order, refund_account => $account);
is($shop->wait_for_refund($order, $refund), 'SUCCESS', 'the answer was lost');
my (undef, @sent) = cancels($order);
is(@sent, 1, 'asked for, and not sent again');
like($sent[0]->{done}, qr/^executed/, 'and done once');

# The worker dies before it is executed: the next run has the account still.
$order = paid(30000);
$shop->fault($order, on => 'cancel', kind => 'hang', after => 'unchanged');
$refund = $shop->refund($order, amount => 1000, refund_account => $account);
$shop->poll(sub { $shop->toss('GET', '/health')->{waiting} > 0 }, 'a cancel is on its way');
kill_worker($shop);
$shop->release;
is($shop->wait_for_refund($order, $refund), 'SUCCESS', 'the next run sends it');
my ($first, $second) = cancels($order);
is($second->{bodySha256}, $first->{bodySha256}, 'the same bytes');

# The bank takes the deposit back before Toss has heard of a refund in part: there
# is nothing to give back, and the reversal is booked when the refund is over.
$order = paid(40000);
$shop->toss('POST', '/deposit-error', { paymentKey => $order->{payment_key} });
$refund = $shop->refund($order, amount => 1000, refund_account => $account);
is($shop->wait_for_refund($order, $refund), 'FAILURE', 'nothing to give back');
is(refunded($order, $refund), 'FAILURE 1000 NOT_ALLOWED_PARTIAL_REFUND_WAITING_DEPOSIT', 'it says why');
is($shop->sql("SELECT look_at <= now() OR EXISTS (SELECT FROM payments.psp_call c WHERE c.order_id = v.order_id AND c.operation = 'look')
	FROM payments.virtual_account v WHERE order_id = '$order->{order_id}'"), 't', 'the worker looks at once');
look_until($order, 'reversed');
is($shop->psp_books($order), 'payment.captured 40000, deposit.reversed -40000', 'the reversal is booked');
(undef, undef, $error) = $node->psql($database, "SELECT payments.refund('$order->{order_id}', 'back', refund_account => $account)");
like($error, qr/cannot be refunded\nDETAIL:  The bank has taken the buyer's deposit back/, 'and then no refund is taken');

# In full: Toss cancels an account that waits, and no money moves.
$order = paid(50000);
$shop->toss('POST', '/deposit-error', { paymentKey => $order->{payment_key} });
$refund = $shop->refund($order, refund_account => $account);
is($shop->wait_for_refund($order, $refund), 'FAILURE', 'nothing to give back');
is(refunded($order, $refund), 'FAILURE 50000 DEPOSIT_REVERSED', 'it says why');
look_until($order, 'reversed');
is($shop->psp_books($order), 'payment.captured 50000, deposit.reversed -50000', 'the reversal is booked');
my $looks = "SELECT count(*) FROM payments.psp_answer WHERE order_id = '$order->{order_id}' AND action = 'learn'";
my $looked = $shop->sql($looks);
$shop->sql("SELECT payments.retry('$order->{order_id}')");
$shop->poll(sub { $shop->sql($looks) > $looked }, 'looked at again');
is($shop->psp_books($order), 'payment.captured 50000, deposit.reversed -50000', 'once');
is($shop->sql("SELECT count(*) FROM payments.alerts WHERE subject = '$order->{order_id}'"), 0, 'and nobody has to do anything');

# The same by the dashboard, before we have heard of the reversal
$order = paid(55000);
$shop->toss('POST', '/deposit-error', { paymentKey => $order->{payment_key} });
$shop->toss('POST', '/cancel', { paymentKey => $order->{payment_key} });
look_until($order, 'reversed');
is($shop->psp_books($order), 'payment.captured 55000, deposit.reversed -55000', 'the dashboard cancels what waits');

# Nobody claims the order: the worker cannot give it back, and a person does.
$order = paid(60000, ", claim_within => '1 ms'");
$shop->poll_sql("SELECT claim_status FROM payments.payment_claim WHERE order_id = '$order->{order_id}'", 'lapsed', 'its time is over');
is($shop->sql("SELECT concat_ws('|', kind, problem, what_to_do) FROM payments.waits_for_person WHERE order_id = '$order->{order_id}'"),
	'unclaimed|it was paid by a deposit, and nobody has said to which account that goes back|'
	  . 'nobody claimed the paid order in time: ask the buyer for an account, then payments.refund with refund_account; or deliver it', 'a person is told');
like($shop->sql("SELECT detail FROM payments.alerts WHERE alert = 'order_unclaimed' AND subject = '$order->{order_id}'"), qr/by a deposit/, 'alarmed, even');
(undef, undef, $error) = $node->psql($database, "SELECT payments.claim('$order->{order_id}')");
like($error, qr/was not claimed in time\nDETAIL:  It was given back, or a person does that/, 'and nobody delivers it');
$refund = $shop->sql("SET ROLE shop_operator; SELECT payments.refund('$order->{order_id}', 'not completed', refund_account => $account)");
is($shop->wait_for_refund($order, $refund), 'SUCCESS', 'given back');
is($shop->sql("SELECT count(*) FROM payments.waits_for_person"), 0, 'which ends it');
is($shop->sql("SELECT count(*) FROM payments.alerts WHERE alert = 'order_unclaimed'"), 0, 'and its alert');

# A look that was asked for once too often may be on its way.
$shop->sql('UPDATE payments.virtual_account SET look_at = NULL');
$shop->poll(sub {
		$shop->sql("UPDATE payments.psp_call_queue SET due_at = now() WHERE state = 'P' AND due_at > now()");
		return $shop->sql('SELECT count(*) FROM payments.psp_call_queue') == 0;
	}, 'all is quiet');

# Nothing is left of any account.
is(accounts(), 0, 'no account is kept');
PostgreSQL::Test::Utils::command_ok([ 'pg_dump', '-f', $dump, $node->connstr($database) ], 'another dump');
for my $text ($number, '943-102 00123456', 'Gil')
{
	unlike(PostgreSQL::Test::Utils::slurp_file($dump), qr/\Q$text\E/, 'nothing of it is in a dump');
	unlike($shop->log, qr/\Q$text\E/, 'nor in the log');
}
$shop->books_agree;
$node->stop;
done_testing();

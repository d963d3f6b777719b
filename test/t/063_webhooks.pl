# Webhooks: what they say is asked for at Toss, and only Toss's answer changes
# anything.  Early, late, repeated, reordered, forged and unknown ones; and what
# a stranger can cause is bounded.
use strict;
use warnings;

use JSON::PP;
use PaymentsTest;
use Test::More;
use Time::HiRes qw(sleep time);

# Sweeps would find things out as well.
my $shop = PaymentsTest->new(conf => "payments.sweep_interval = 3600\n",
	init => { extra => [ '--encoding=UTF8', '--locale=C.UTF-8' ] });
$shop->wait_for_worker;
$shop->settings(webhookKeep => \1);
my $json = JSON::PP->new->utf8->canonical;
my $carried = 0;
my $made_up = 0;

# Those that the simulator made of this order, or since the last call
sub sent
{
	my ($order) = @_;
	my @all = $shop->records('/webhooks');
	return grep { $_->{orderId} eq $order->{order_id} } @all if $order;
	my @new = @all[ $carried .. $#all ];
	$carried = @all;
	return @new;
}

# Bring them to the database; returns what it answers.
sub carry
{
	my (@webhooks) = @_;
	return '' unless @webhooks;
	return join ' ', split /\n/, $shop->sql(join ';', map {
		'SELECT payments.receive_webhook($wh$' . $_->{body} . '$wh$, $wh$' . $json->encode($_->{headers} // {}) . '$wh$)' } @webhooks);
}

# One of the test's own, different from all others
sub hint
{
	my ($order, $status, %more) = @_;
	$made_up++;
	return { body => $json->encode({ eventType => 'PAYMENT_STATUS_CHANGED', createdAt => $more{created_at} // '2026-11-22T10:16:03.104882',
		data => { paymentKey => $order->{payment_key}, orderId => $order->{order_id}, status => $status, lastTransactionKey => "made-up-$made_up" } }) };
}

sub outcomes
{
	my ($order) = @_;
	return $shop->sql("SELECT string_agg(concat_ws(' ', kind, status, verdict, outcome), ', ' ORDER BY id)
		FROM payments.webhooks WHERE order_id = '$order->{order_id}'");
}

sub are_decided
{
	return $shop->poll_sql('SELECT count(*) FROM payments.webhook_queue', 0, 'all webhooks are looked at');
}

sub operations
{
	my ($order) = @_;
	return $shop->sql("SELECT string_agg(operation || ' ' || action, ', ' ORDER BY call_id, attempt_no) FROM payments.psp_answer
		WHERE order_id = '$order->{order_id}'");
}

sub waits_for_deposit
{
	my ($order) = @_;
	return $shop->poll_sql("SELECT count(*) FROM payments.psp_call_deposit WHERE order_id = '$order->{order_id}'", 1, 'it waits for a deposit');
}

# payments.wait_for does not wait for a deposit
sub becomes
{
	my ($order, $status) = @_;
	$shop->poll(sub { $shop->status($order) eq $status }, "$order->{order_id} is $status");
	return $shop->status($order);
}

sub issued
{
	my ($order) = $shop->orders(1, 1000, method => 'VIRTUAL_ACCOUNT');
	$shop->confirm($order);
	waits_for_deposit($order);
	return $order;
}

# Asking too soon after an attempt is put off: let the attempts of an order be old.
sub some_time_later
{
	my ($order) = @_;
	sleep 2.1;
	return;
}

# A deposit: proved by the secret, and asked for all the same
my $order = issued();
some_time_later($order);
is(carry(sent()), 'accepted', 'the account is told');
are_decided();
is(outcomes($order), 'deposit WAITING_FOR_DEPOSIT proved asked', 'proved, and asked for');
$shop->poll(sub { operations($order) eq 'confirm await deposit, query await deposit' }, 'once');
waits_for_deposit($order);
some_time_later($order);
$shop->toss('POST', '/deposit', { paymentKey => $order->{payment_key} });
my @deposit = sent();
is(carry(@deposit), 'accepted accepted', 'the deposit is told, twice');
is(becomes($order, 'SUCCESS'), 'SUCCESS', 'and learnt');
are_decided();
is(operations($order), 'confirm await deposit, query await deposit, query succeed', 'by one query');
my $before = $shop->requests;
is(carry(@deposit, @deposit, reverse @deposit), join(' ', ('duplicate') x 6), 'repeated');
are_decided();
is(scalar($shop->requests), $before, 'nothing is asked again');
$shop->books_agree('a deposit');

# Early: before our own answer
$order = $shop->order(2000);
$shop->fault($order, kind => 'hang', on => 'confirm');
$shop->confirm($order);
$shop->poll(sub { sent($order) > 0 }, 'Toss has approved, and not answered');
is($shop->worker('in_flight'), 1, 'the confirm is in flight');
is(carry(sent()), 'accepted', 'its webhook comes first');
$shop->release;
is($shop->wait_for($order), 'SUCCESS', 'the answer comes');
are_decided();
is(outcomes($order), 'payment DONE hint known', 'the webhook is known then');
is(operations($order), 'confirm succeed', 'nothing was asked');

# Reordered: what came before the approval comes in after it.  Toss says to the
# second when it approved, so let that be another one.
$order = issued();
$shop->toss('POST', '/clock', { advance => 2 });
$shop->toss('POST', '/deposit', { paymentKey => $order->{payment_key} });
my ($issue, @rest) = sent();
some_time_later($order);
is(carry(reverse @rest), 'accepted accepted', 'the deposit first');
is(becomes($order, 'SUCCESS'), 'SUCCESS', 'is learnt');
is(carry($issue), 'accepted', 'the account last');
are_decided();
like(outcomes($order), qr/^deposit DONE proved asked, payment DONE hint (asked|known), deposit WAITING_FOR_DEPOSIT proved late$/, 'and is late');

# A failure that is told
$order = $shop->order(3000);
$shop->fault($order, kind => 'refuse', code => 'REJECT_CARD_PAYMENT', after => 'aborted', on => 'confirm');
$shop->confirm($order);
is($shop->wait_for($order), 'FAILURE', 'a refusal');
carry(sent());
are_decided();
is(outcomes($order), 'payment ABORTED hint known', 'is known');

# Forged: a deposit without the secret, and statuses that are not so
$order = issued();
some_time_later($order);
sent();
$before = $shop->requests;
$shop->toss('POST', '/webhook', { kind => 'deposit', paymentKey => $order->{payment_key}, forged => \1 });
is(carry(sent()), 'ignored', 'a wrong secret');
is($shop->status($order), 'EXECUTING', 'changes nothing');
is(scalar($shop->requests), $before, 'and causes nothing');
is(carry(hint($order, 'DONE')), 'accepted', 'a status that is not so');
are_decided();
$shop->poll(sub { operations($order) eq 'confirm await deposit, query await deposit' }, 'is asked for');
waits_for_deposit($order);
is($shop->status($order), 'EXECUTING', 'and changes nothing');
my $open = $shop->order(1000);
is(carry(hint($open, 'DONE')), 'accepted', 'before anybody confirmed');
are_decided();
is(outcomes($open), 'payment DONE hint not confirmed', 'there is nothing to ask');

# About an order that is final: Toss is asked, and nothing is as the forger says.
my ($paid) = $shop->orders(1, 4000);
$shop->confirm($paid);
is($shop->wait_for($paid), 'SUCCESS', 'one is paid');
carry(sent());
are_decided();
is(outcomes($paid), 'payment DONE hint known', 'what we know is not asked for');
my $books = $shop->sql('SELECT md5(string_agg(e::text, chr(10) ORDER BY transaction_id, entry_no)) FROM payments.ledger_entry e');
my @statuses = qw(CANCELED PARTIAL_CANCELED WAITING_FOR_DEPOSIT ABORTED SOMETHING_NEW);
is(carry(map { hint($paid, $_, created_at => '2030-01-01T00:00:00.000000') } @statuses), join(' ', ('accepted') x 5), 'what is not so');
are_decided();
$shop->wait_until_quiet;
is(outcomes($paid), join(', ', 'payment DONE hint known', map { "payment $_ hint asked" } @statuses), 'is asked for');
like(operations($paid), qr/^confirm succeed(, query learn)+$/, 'by looks');
is($shop->status($paid), 'SUCCESS', 'changes nothing');
is($shop->sql('SELECT md5(string_agg(e::text, chr(10) ORDER BY transaction_id, entry_no)) FROM payments.ledger_entry e'), $books, 'and moves nothing');
is($shop->sql("SELECT psp_status FROM payments.payment WHERE order_id = '$paid->{order_id}'"), 'DONE', 'Toss says how it is');
like($shop->sql("SELECT string_agg(story, '|') FROM payments.explain('$paid->{order_id}')"),
	qr/webhook PAYMENT_STATUS_CHANGED DONE: hint, known\|webhook PAYMENT_STATUS_CHANGED CANCELED: hint, asked/, 'and the story of the order tells of it');
$before = $shop->requests;
is(carry({ body => $json->encode({ createdAt => '2026-11-22T10:16:03.104882', orderId => $paid->{order_id}, status => 'CANCELED', secret => 'ps_guess', transactionKey => 't' }) }),
	'ignored', 'a deposit into an account that there is not');
is(carry(hint({ %$paid, payment_key => 'stolen' }, 'CANCELED')), 'ignored', 'another payment of the order');
is(scalar($shop->requests), $before, 'are not asked for');

# so often at most
some_time_later($paid);
my $looks = $shop->sql("SELECT count(*) FROM payments.psp_call WHERE operation = 'look' AND order_id = '$paid->{order_id}'");
my $started = time();
carry(map { hint($paid, 'CANCELED') } 1 .. 60);
are_decided();
$shop->wait_until_quiet;
$looks = $shop->sql("SELECT count(*) FROM payments.psp_call WHERE operation = 'look' AND order_id = '$paid->{order_id}'") - $looks;
cmp_ok($looks, '>=', 1, 'a flood about it is asked for');
cmp_ok($looks, '<=', 1 + int((time() - $started) / 2), 'but every two seconds at most');
# and ten within an hour, of an order that no other limit stops
my $looked = $shop->order(4000);
$shop->confirm($looked);
is($shop->wait_for($looked), 'SUCCESS', 'another one is paid');
sent();
$shop->sql("INSERT INTO payments.psp_call (id, order_id, payment_event_id, merchant, operation, payment_key, currency, amount, idempotency_key, request_body, created_at)
	SELECT nextval('payments.psp_call_id_seq'), order_id, id, merchant, 'look', payment_key, currency, amount, 'as if one had looked ' || n, '{}', now() - interval '30 min'
		FROM payments.payment_event, generate_series(1, 10) n WHERE order_id = '$looked->{order_id}';
	INSERT INTO payments.psp_attempt SELECT id, 1, order_id, 'query', 1, created_at FROM payments.psp_call WHERE idempotency_key LIKE 'as if one had looked %';
	INSERT INTO payments.psp_answer (call_id, attempt_no, order_id, operation, transport, meaning, suspect, action, body_size, received_at)
		SELECT id, 1, order_id, 'query', 'answered', 'open', false, 'give up', 0, created_at FROM payments.psp_call WHERE idempotency_key LIKE 'as if one had looked %'");
some_time_later($looked);
$before = $shop->requests;
is(carry(hint($looked, 'CANCELED')), 'accepted', 'one more');
are_decided();
like(outcomes($looked), qr/payment CANCELED hint asked too often$/, 'is too many within an hour');
is(scalar($shop->requests), $before, 'and nothing is asked');

# A stranger: no request of ours for orders that we do not have
$before = $shop->requests;
is($shop->sql(q(SELECT DISTINCT payments.receive_webhook(format('{"eventType":"PAYMENT_STATUS_CHANGED","data":{"paymentKey":"pk_%s","orderId":"stranger-%s","status":"DONE"}}', n, n))
	FROM generate_series(1, 2000) n)), 'ignored', 'two thousand orders that are not ours');
is($shop->sql('SELECT count(*) FROM payments.webhook_queue'), 0, 'nobody looks at them');
is(scalar($shop->requests), $before, 'and nothing is asked');

# one of ours: now and then
some_time_later($order);
my $start = time();
my @flood = map { hint($order, 'DONE') } 1 .. 200;
my $answers = carry(@flood);
# 20 wait at most, beside those that the worker has looked at meanwhile: none for two seconds behind each time
my ($looked_at, $times) = split /\|/, $shop->sql("SELECT count(*), count(DISTINCT decided_at) FROM payments.webhook_outcome
	WHERE order_id = '$order->{order_id}' AND decided_at >= to_timestamp($start)");
cmp_ok(scalar(() = $answers =~ /accepted/g), '<=', 20 + $looked_at, 'of a flood about one order few are taken in');
cmp_ok($times, '<=', 1 + int((time() - $start) / 2), 'and looked at now and then');
like($answers, qr/ignored/, 'and the others written down');
are_decided();
waits_for_deposit($order);
my $asked = $shop->sql("SELECT count(*) - 2 FROM payments.psp_answer WHERE order_id = '$order->{order_id}'");
cmp_ok($asked, '<=', 1 + int((time() - $start) / 2), 'Toss is asked every two seconds at most');
cmp_ok($asked, '>=', 1, 'but it is');
# and not more often than so many times an hour
$shop->sql("INSERT INTO payments.webhook (id, order_id, received_at, kind, verdict, body_size, body_sha256)
		SELECT nextval('payments.webhook_id_seq'), '$order->{order_id}', now(), 'payment', 'hint', 1, sha256(n::text::bytea) FROM generate_series(1, 20) n;
	INSERT INTO payments.webhook_outcome (webhook_id, order_id, outcome, decided_at)
		SELECT id, order_id, 'asked', now() FROM payments.webhook WHERE order_id = '$order->{order_id}' AND body_size = 1");
some_time_later($order);
$before = $shop->requests;
is(carry(hint($order, 'DONE')), 'accepted', 'one more');
are_decided();
like(outcomes($order), qr/payment DONE hint asked too often$/, 'is too many');
is(scalar($shop->requests), $before, 'and nothing is asked');

# Signed ones: by the worker, who has the keys; two of them while one takes the other's place
sub payouts
{
	my ($forged) = @_;
	sent();
	$shop->toss('POST', '/webhook', { kind => 'payout', forged => $forged ? \1 : \0 });
	my ($payout) = sent();
	is(carry($payout), 'accepted', 'a payout is told');
	are_decided();
	return $shop->sql(q(SELECT concat_ws(' ', kind, event_type, verdict, outcome) FROM payments.webhooks ORDER BY id DESC LIMIT 1));
}
is(payouts(), 'signed payout.changed unverified no security key', 'without a key nobody knows');
$shop->write_secret('default.security', 'not a key');
is(payouts(), 'signed payout.changed unverified no security key', 'a bad one is none');
like($shop->log, qr/security key of merchant "default" is not used/, 'and told');
$shop->write_secret('default.security', '0' x 64);
is(payouts(), 'signed payout.changed unverified signature valid', 'signed');
is(payouts(1), 'signed payout.changed unverified signature wrong', 'not signed with the key');
$shop->write_secret('default.security', '1' x 64);
is(payouts(), 'signed payout.changed unverified signature wrong', 'nor with a new one');
$shop->write_secret('default.security.previous', '0' x 64);
is(payouts(), 'signed payout.changed unverified signature valid', 'but the one before');
$shop->settings(webhookTextKey => \1);
is(payouts(), 'signed payout.changed unverified signature wrong', 'signed with its text');
$shop->configure('payments.webhook_text_key' => 'on');
$shop->poll(sub { payouts() =~ /valid/ }, 'is as good when it is said so');
unlink map { "$shop->{secret_dir}/default.security$_" } '', '.previous';

# Somebody has the order's call locked: the webhook waits, and nobody waits for it.
my $locked = issued();
some_time_later($locked);
my $session = $shop->{node}->background_psql($shop->{databases}[0]);
$session->query_safe("BEGIN; SELECT count(*) FROM (SELECT FROM payments.psp_call_deposit WHERE order_id = '$locked->{order_id}' FOR UPDATE) l");
$shop->toss('POST', '/deposit', { paymentKey => $locked->{payment_key} });
is(carry(sent($locked)), 'accepted accepted accepted', 'a deposit is told');
my $other = $shop->order(1000);
$shop->confirm($other);
is($shop->wait_for($other), 'SUCCESS', 'others go on');
is($shop->sql("SELECT count(*) FROM payments.webhook_queue WHERE order_id = '$locked->{order_id}'"), 3, 'its webhooks wait');
$session->query_safe('COMMIT');
$session->quit;
is(becomes($locked, 'SUCCESS'), 'SUCCESS', 'and count when the lock is gone');
sent();

# A person's call is left to him.
my $dead = $shop->order(5000);
$shop->fault($dead, kind => 'hang', on => 'confirm');
$shop->confirm($dead);
$shop->poll(sub { $shop->worker('in_flight') == 1 }, 'a confirm is in flight');
is(carry(hint($dead, 'DONE')), 'accepted', 'a webhook meanwhile');
sleep 1.5;
is($shop->sql("SELECT count(*) FROM payments.webhook_queue WHERE order_id = '$dead->{order_id}'"), 1, 'waits for the answer');
$shop->release;
is($shop->wait_for($dead), 'SUCCESS', 'which comes');
are_decided();
$shop->wait_until_quiet;
is(outcomes($dead), 'payment DONE hint asked', 'and is looked at, since it was another transaction');
is(operations($dead), 'confirm succeed, query learn', 'once');

# What is asked twice, some time apart, before it fails: nobody makes that faster.
my $slow = $shop->order(6000);
$shop->settings(down => \1);
$shop->confirm($slow);
$shop->poll(sub { $shop->sql("WITH u AS (UPDATE payments.psp_call_queue SET phase = 'X', next_operation = 'Q', due_at = 'infinity'
		WHERE order_id = '$slow->{order_id}' AND state = 'P' AND attempt_no > 0 RETURNING 1) SELECT count(*) FROM u") }, 'it is asked about once more, later');
some_time_later($slow);
is(carry(hint($slow, 'EXPIRED')), 'accepted', 'a webhook meanwhile');
sleep 1.5;
is($shop->sql("SELECT due_at FROM payments.psp_call_queue WHERE order_id = '$slow->{order_id}'"), 'infinity', 'does not change when');
is($shop->sql("SELECT count(*) FROM payments.webhook_queue WHERE order_id = '$slow->{order_id}'"), 1, 'and waits');
$shop->settings(down => \0);
$shop->sql("UPDATE payments.psp_call_queue SET phase = 'T' WHERE order_id = '$slow->{order_id}'; SELECT payments.retry('$slow->{order_id}')");
is($shop->wait_for($slow), 'SUCCESS', 'it is paid');
are_decided();
sent();

# The worker is away, and dies while it is at it: nothing is lost.
my @late = $shop->orders(30, 700, method => 'VIRTUAL_ACCOUNT');
$shop->confirm(@late);
$shop->poll_sql("SELECT count(*) FROM payments.psp_call_deposit WHERE order_id IN (@{[ join ',', map { qq('$_->{order_id}') } @late ]})", 30, 'accounts are issued');
$shop->toss('POST', '/deposit', { paymentKey => $_->{payment_key} }) for @late;
my $pid = $shop->worker('pid');
kill 'STOP', $pid;
carry(sent());
kill 'KILL', $pid;
$shop->poll(sub { ($shop->{node}->psql('shop', 'SELECT 1'))[0] == 0 }, 'the server comes back');
$shop->poll_sql("SELECT count(*) FROM payments.payment WHERE status = 'SUCCESS' AND order_id IN (@{[ join ',', map { qq('$_->{order_id}') } @late ]})", 30, 'all are learnt');
are_decided();

# Bytes go after a month; what was read out of them stays.
my $id = $shop->sql('SELECT min(webhook_id) FROM payments.webhook_body');
$shop->sql("DELETE FROM payments.webhook_body WHERE webhook_id = $id;
	INSERT INTO payments.webhook_body VALUES ($id, NULL, now() - interval '31 days', 'x')");
$pid = $shop->worker('pid');
kill 'TERM', $pid;
$shop->wait_for_other_worker($pid);
$shop->poll_sql("SELECT count(*) FROM payments.webhook_body WHERE webhook_id = $id", 0, 'old bytes are erased');
is($shop->sql("SELECT count(*) FROM payments.webhook WHERE id = $id"), 1, 'what they said is not');
is($shop->sql("SELECT count(*) FROM payments.webhook_body WHERE convert_from(body, 'UTF8') ~ 'ps_'"), 0, 'no secret is in the others');

# All orders of four events, each once or twice: the same books
my @orders = $shop->orders(384, 600, method => 'VIRTUAL_ACCOUNT');
my $ids = join ',', map { qq('$_->{order_id}') } @orders;
$shop->confirm(@orders);
$shop->poll_sql("SELECT count(*) FROM payments.psp_call_deposit WHERE order_id IN ($ids)", 384, 'accounts are issued');
$shop->toss('POST', '/deposit', { paymentKey => $_->{payment_key} }) for @orders;
my %events;
push @{ $events{ $_->{orderId} } }, $_ for sent();
my $n = 0;
for my $permutation (permutations(0 .. 3))
{
	my @batch;
	for my $twice (0 .. 15)
	{
		my $one = $orders[ $n++ ];
		my ($account, $done, $callback) = @{ $events{ $one->{order_id} } };
		my $secret = { body => $callback->{body} =~ s/ps_\w+/ps_forged/r };
		my @four = ($account, $done, $callback, $secret);
		push @batch, map { ($four[$_]) x ($twice & 1 << $_ ? 2 : 1) } @$permutation;
		# the repeated one comes at the end as well
		push @batch, map { $twice & 1 << $_ ? $four[$_] : () } @$permutation;
	}
	carry(@batch);
}
is($n, 384, 'all permutations, with and without duplicates');
$shop->poll_sql("SELECT count(*) FROM payments.payment WHERE status = 'SUCCESS' AND order_id IN ($ids)", 384, 'all are paid');
are_decided();
is($shop->sql("SELECT count(DISTINCT (status, amount, is_payment_done, psp_status, failure_code)) FROM payments.payment WHERE order_id IN ($ids)"), 1, 'in the same way');
is($shop->sql("SELECT string_agg(DISTINCT n || ' ' || amounts, ', ') FROM (SELECT count(*) AS n, string_agg(e.amount::text, ',' ORDER BY e.entry_no) AS amounts
		FROM payments.ledger_transaction t JOIN payments.ledger_entry e ON e.transaction_id = t.id WHERE t.order_id IN ($ids) GROUP BY t.order_id) l"),
	'4 600,-600,600,-600', 'with the same books');
is($shop->sql("SELECT string_agg(DISTINCT kinds, ' | ') FROM (SELECT string_agg(kind, ',' ORDER BY id) AS kinds FROM payments.event WHERE order_id IN ($ids) GROUP BY order_id) v"),
	'deposit.awaited,payment.confirmed,payment.completed', 'and the same events');
is($shop->sql("SELECT string_agg(DISTINCT steps, ' | ') FROM (SELECT string_agg(to_status::text, ',' ORDER BY id) AS steps FROM payments.payment_order_history WHERE order_id IN ($ids) GROUP BY order_id) h"),
	'EXECUTING,SUCCESS', 'and history');
is($shop->sql("SELECT count(*) FROM payments.webhooks WHERE verdict = 'forged' AND order_id IN ($ids)"), 384, 'the forged ones are known as such');

# The same of what comes after: deposits that the bank takes back; and two cancels in
# the dashboard, with a third one that is not so
$shop->configure('payments.sweep_interval' => 1);		# half a minute need not be one
$shop->settings(cancelIntervalMs => 0);
my @back = $shop->orders(24, 700, method => 'VIRTUAL_ACCOUNT');
my @cards = $shop->orders(24, 900);
$shop->confirm(@back, @cards);
$shop->poll_sql("SELECT count(*) FROM payments.psp_call_deposit WHERE order_id IN (${\ids(@back)})", 24, 'accounts are issued');
$shop->toss('POST', '/deposit', { paymentKey => $_->{payment_key} }) for @back;
$shop->sql("SELECT payments.retry(order_id) FROM payments.psp_call_deposit WHERE order_id IN (${\ids(@back)})");
$shop->poll_sql("SELECT count(*) FROM payments.payment WHERE status = 'SUCCESS' AND order_id IN (${\ids(@back, @cards)})", 48, 'paid');
$shop->toss('POST', '/deposit-error', { paymentKey => $_->{payment_key} }) for @back;
for my $amount (100, 200)
{
	$shop->toss('POST', '/cancel', { paymentKey => $_->{payment_key}, amount => $amount }) for @cards;
}
%events = ();
push @{ $events{ $_->{orderId} } }, $_ for sent();
push @{ $events{ $_->{order_id} } }, hint($_, 'CANCELED') for @cards;
is(join(' ', sort { $a <=> $b } map { scalar @$_ } values %events), join(' ', (4) x 48), 'four events each');
carry(in_any_order(@back), in_any_order(@cards));
$shop->poll_sql("SELECT count(*) FROM payments.payment WHERE refunded_amount = 300 AND order_id IN (${\ids(@cards)})", 24, 'all cancels are recorded');
$shop->poll(sub {
		$shop->sql("UPDATE payments.psp_call_queue SET due_at = now() WHERE due_at > now() AND state = 'P'");
		return $shop->sql("SELECT count(*) FROM payments.payment WHERE deposit_status = 'reversed' AND order_id IN (${\ids(@back)})") == 24;
	}, 'all deposits are taken back');
are_decided();
$shop->poll(sub {
		$shop->sql("UPDATE payments.psp_call_queue SET due_at = now() WHERE due_at > now() AND state = 'P'");
		return $shop->sql('SELECT count(*) FROM payments.psp_call_queue') == 0;
	}, 'and nothing is asked any more');
is(books(@back), 'deposit.reversed -700, payment.captured 700', 'in any order the same books of what was taken back');
is(told(@back), 'deposit.awaited payment.confirmed payment.completed deposit.reversed', 'and events');
is(books(@cards), 'payment.captured 900, payment.refunded -100, payment.refunded -200', 'and of what was cancelled');
is(told(@cards), 'payment.confirmed payment.completed refund.recorded refund.recorded', 'and events');
$shop->books_agree('in the end', open => 1);
$shop->{node}->stop;
done_testing();

# The events of these 24 orders, of each in an order of its own, of every other one
# all of them twice and once more
sub in_any_order
{
	my (@orders) = @_;
	my $n = 0;

	return map {
		my $four = $events{ $orders[$n]{order_id} };
		$n++ % 2 ? @$four[ map { ($_) x 2 } @$_ ] : (), @$four[@$_];
	} permutations(0 .. 3);
}

sub ids
{
	return join ',', map { "'$_->{order_id}'" } @_;
}

# What there is of the orders, each different one once
sub books
{
	my $ids = ids(@_);
	return $shop->sql("SELECT string_agg(DISTINCT b, ' | ') FROM (SELECT string_agg(kind || ' ' || amount, ', ' ORDER BY kind, amount DESC) AS b FROM (
		SELECT t.order_id, t.id, t.kind, sum(e.amount) AS amount FROM payments.ledger_transaction t
			JOIN payments.ledger_entry e ON e.transaction_id = t.id JOIN payments.ledger_account a ON a.id = e.account_id
		WHERE t.order_id IN ($ids) AND a.code = 'psp:toss' GROUP BY t.id) x GROUP BY order_id) y");
}

sub told
{
	my $ids = ids(@_);
	return $shop->sql("SELECT string_agg(DISTINCT kinds, ' | ') FROM (SELECT string_agg(kind, ' ' ORDER BY id) AS kinds FROM payments.event
		WHERE order_id IN ($ids) GROUP BY order_id) v");
}

sub permutations
{
	my (@things) = @_;
	return [] unless @things;
	my @found;
	for my $i (0 .. $#things)
	{
		my @others = @things[ grep { $_ != $i } 0 .. $#things ];
		push @found, map { [ $things[$i], @$_ ] } permutations(@others);
	}
	return @found;
}

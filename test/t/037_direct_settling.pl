# What answers change is written without the executor, so without the triggers
# and constraints that bind all others.  They hold all the same: the state
# machine, history, completion, keys and checks; every index is kept, those that
# a DBA makes meanwhile too; and who changes a row at the same time loses
# nothing.
use strict;
use warnings;

use Audit;
use Constraints;
use IPC::Run ();
use PaymentsTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $shop = PaymentsTest->new;
my $script = PostgreSQL::Test::Utils::tempdir . '/pay.sql';

$shop->wait_for_worker;
$shop->sql('CREATE EXTENSION amcheck');
$shop->sql('SELECT payments.set_seller(1, 0.1), payments.set_seller(2, 0.033)');

# a DBA's indexes, some of them on columns that change
my %indexes = (
	on_done => 'payment_event (is_payment_done, psp_status)',
	on_response => 'payment_event USING gin (psp_response)',
	on_state => 'payment_order (payment_order_status, updated_at)',
	on_flags => 'payment_order (order_id) WHERE ledger_updated',
	on_reason => 'payment_order_history (lower(reason))',
	on_actor => 'payment_order_history USING hash (actor)',
	on_operation => 'psp_attempt (upper(operation), epoch)',
	on_epoch => 'psp_call_queue (epoch, state)',
	on_meaning => 'psp_answer (lower(meaning)) WHERE suspect',
	on_kept => 'psp_answer USING gin (response)',
	on_balance => 'wallet (balance)',
	on_amount => 'wallet_transaction ((amount * 2))',
	on_payload => 'event USING gin (payload)',
	on_time => 'event USING brin (occurred_at)');

settling_goes_on();
a_row_changes_meanwhile('payment_order', "UPDATE payments.payment_order SET payment_order_status = 'UNKNOWN',
		status_reason = 'meanwhile' WHERE order_id = '%s'",
	"SELECT count(*) FROM payments.payment_order_history h JOIN payments.payment_order_history l USING (payment_order_id)
		WHERE h.reason = 'meanwhile' AND l.from_status = 'UNKNOWN' AND l.to_status = 'SUCCESS'", 1);
a_row_changes_meanwhile('wallet', 'UPDATE payments.wallet SET may_owe = true',
	'SELECT count(*) FROM payments.wallet WHERE NOT may_owe', 0);
the_state_machine_is_asked();
an_answer_is_there_already();
a_second_approval_is_refused();
the_wallet_has_bounds();

$shop->{node}->stop;
done_testing();

# Payments come in, some of which fail at first, while indexes and tables are
# made anew.
sub settling_goes_on
{
	append_to_file($script, q(
\set one random(1, 3)
\set two random(1, 3)
\set first random(100, 1000000)
\set second random(100, 1000000)
SELECT quote_literal(order_id) AS id, quote_literal('auto_' || order_id) AS key, amount
	FROM payments.checkout(:client_id + 1, jsonb_build_array(
		jsonb_build_object('seller_id', :one, 'amount', :first),
		jsonb_build_object('seller_id', :two, 'amount', :second))) \gset
SELECT payments.confirm(:id, :key, :amount);
));
	$shop->settings(auto => 'auto_', randomFaults => { rate => 0.005, kinds => ['reset-after', 'html502'], on => 'confirm' });
	my $paying = IPC::Run::start([ 'pgbench', '-n', '-c', 4, '-T', is_long() ? 60 : 10, '-f', $script,
			$shop->{node}->connstr('shop') ], '>', \my $out, '2>', \my $err);

	for my $name (sort keys %indexes)
	{
		my ($table, $rest) = split / /, $indexes{$name}, 2;
		$shop->sql("CREATE INDEX CONCURRENTLY $name ON payments.$table $rest");
	}
	for my $index (qw(payment_event_order_id_key payment_order_order_id_line_no_key wallet_pkey
		psp_call_pkey psp_call_queue_pkey psp_attempt_pkey psp_answer_pkey psp_answer_one_approval))
	{
		$shop->sql("REINDEX INDEX CONCURRENTLY payments.$index");
	}
	$shop->sql('REINDEX TABLE payments.wallet_transaction');
	$shop->sql('DROP INDEX CONCURRENTLY payments.on_payload');
	$shop->sql('VACUUM (FREEZE) payments.payment_event');
	# rows move
	$shop->sql('CLUSTER payments.wallet USING wallet_pkey');
	$shop->sql('VACUUM (FULL) payments.payment_order');
	ok($paying->finish, 'payments were settled meanwhile') || diag($err);
	$shop->settings(randomFaults => undef);
	$shop->wait_until_quiet;

	cmp_ok($shop->sql('SELECT count(*) FROM payments.payment_event'), '>', 100, 'many of them');
	indexes_are_sound($shop, '^(payment_|wallet|event|psp_|on_)');
	constraints_hold($shop, '^(payment_|wallet|event|psp_)');
	what_triggers_do_was_done();
	is($shop->sql('SELECT count(*) FROM payments.verify() WHERE NOT holds'), 0, 'the books are right');
}

# History, completion and the outbox
sub what_triggers_do_was_done
{
	is($shop->sql(q(SELECT count(*) FROM (
			SELECT payment_order_status::text AS state, (SELECT string_agg(from_status || '>' || to_status, ' ' ORDER BY h.id)
				FROM payments.payment_order_history h WHERE h.payment_order_id = o.id) AS story
			FROM payments.payment_order o) o
		WHERE (state, story) NOT IN (VALUES ('SUCCESS', 'NOT_STARTED>EXECUTING EXECUTING>SUCCESS'),
			('SUCCESS', 'NOT_STARTED>EXECUTING EXECUTING>UNKNOWN UNKNOWN>SUCCESS'),
			('FAILURE', 'NOT_STARTED>EXECUTING EXECUTING>FAILURE'),
			('FAILURE', 'NOT_STARTED>EXECUTING EXECUTING>UNKNOWN UNKNOWN>FAILURE')))),
		0, 'the history tells how every order came to its state');
	is($shop->sql(q(SELECT count(*) FROM payments.payment_order_history
		WHERE (actor = 'payments worker') <> (from_status <> 'NOT_STARTED') OR reason IS NULL)),
		0, 'and who did it, and why');
	is($shop->sql(q(SELECT count(*) FROM payments.payment_event e WHERE is_payment_done <>
		(SELECT bool_and(ledger_updated AND wallet_updated) FROM payments.payment_order o WHERE o.order_id = e.order_id))),
		0, 'payments are done when all of their orders are');
	is($shop->sql(q(SELECT count(*) FROM payments.payment_event p WHERE
		(SELECT string_agg(kind, ' ' ORDER BY id) FROM payments.event e WHERE e.order_id = p.order_id) IS DISTINCT FROM
			CASE WHEN is_payment_done THEN 'payment.confirmed payment.completed' ELSE 'payment.failed' END)),
		0, 'and the outbox says so');
	is($shop->sql(q(SELECT count(*) FROM payments.payment_event
		WHERE is_payment_done AND (psp_response ->> 'status') IS DISTINCT FROM 'DONE')), 0, "with the PSP's answer");
	is($shop->sql(q(SELECT count(*) FROM payments.payment_event e WHERE is_payment_done AND
		(SELECT string_agg(concat_ws(' ', a.response = e.psp_response, a.payment_key = e.payment_key,
				a.psp_order_id, a.currency, a.amount, a.psp_status, transport, http_status, meaning, suspect,
				length(body_sha256), body_size > 0, total_us >= first_byte_us AND first_byte_us >= 0), '; ')
			FROM payments.psp_answer a WHERE a.order_id = e.order_id AND action = 'succeed') IS DISTINCT FROM
		concat_ws(' ', true, true, e.order_id, e.currency, e.amount, 'DONE', 'answered', 200, 'approved', false, 32, true, true))),
		0, 'which is kept as a row, one for each payment');
	is($shop->sql(q(SELECT count(*) FROM payments.psp_answer a JOIN payments.psp_attempt t USING (call_id, attempt_no)
		WHERE (a.order_id, a.operation) IS DISTINCT FROM (t.order_id, t.operation) OR received_at < claimed_at)),
		0, 'and answers what was sent');
}

# Requests are not answered before they are released.
sub hold_answers { $shop->settings(randomFaults => { rate => 1, kinds => ['hang'] }) }
sub release_answers { $shop->settings(randomFaults => undef); $shop->release }

# Somebody has changed a row, and commits when the worker waits for it.
sub a_row_changes_meanwhile
{
	my ($table, $change, $kept, $expected) = @_;
	my $order = $shop->order(1000, seller_id => { 1 => 1 });
	my $session = $shop->{node}->background_psql('shop', on_error_stop => 1);

	# "confirm accepted" comes first, so that only the worker meets the change
	hold_answers();
	$shop->confirm($order);
	$session->query_safe('BEGIN; ' . sprintf($change, $order->{order_id}));
	release_answers();
	$shop->poll_sql(q(SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ '^payments worker'
		AND wait_event_type = 'Lock'), 1, "the worker waits for a row of $table");
	$session->query_safe('COMMIT');
	is($shop->wait_for($order), 'SUCCESS', "a row of $table changes meanwhile");
	$session->quit;
	is($shop->sql($kept), $expected, 'the change is kept');
	is($shop->sql('SELECT count(*) FROM payments.verify() WHERE NOT holds'), 0, 'and so are the books');
}

# An answer that the state does not allow changes nothing, and is put aside.
sub the_state_machine_is_asked
{
	my $order = $shop->order(1000);

	hold_answers();
	$shop->confirm($order);
	$shop->sql("UPDATE payments.payment_order SET payment_order_status = 'FAILURE' WHERE order_id = '$order->{order_id}'");
	put_aside($order, 'PY004', 'an order that failed');
	is($shop->status($order), 'FAILURE', 'does not succeed any more');
}

# As after a turn that is taken again although it had been committed
sub an_answer_is_there_already
{
	my $order = $shop->order(1000);

	hold_answers();
	$shop->confirm($order);
	forge_answer($order, attempt_no => 1, action => 'query');
	is($shop->wait_for($order), 'SUCCESS', 'an answer that is there already is no obstacle');
	is($shop->sql("SELECT string_agg(action || ' ' || meaning, ', ') FROM payments.psp_answer
		WHERE order_id = '$order->{order_id}'"), 'query forged', 'and stays as it is');
}

sub a_second_approval_is_refused
{
	my $order = $shop->order(1000);

	hold_answers();
	$shop->confirm($order);
	forge_answer($order, attempt_no => 0, action => 'succeed');
	$shop->poll_sql("SELECT state FROM payments.psp_call_queue WHERE order_id = '$order->{order_id}'", 'D',
		'a second approval is put aside');
	is($shop->sql("SELECT string_agg(concat_ws(' ', action, right(detail, 5)), ', ' ORDER BY attempt_no) FROM payments.psp_answer
		WHERE order_id = '$order->{order_id}'"), 'succeed, quarantine 23505', 'with its answer');
	is($shop->sql("SELECT count(*) FROM payments.ledger_transaction WHERE order_id = '$order->{order_id}'"), 0, 'nothing is booked');
}

# An answer to a call that is under way, and the attempt that it would belong to
sub forge_answer
{
	my ($order, %answer) = @_;
	my $of_order = "FROM payments.psp_call_queue WHERE order_id = '$order->{order_id}'";

	$shop->poll_sql("SELECT state $of_order", 'S', 'a call is sent');
	$shop->sql("INSERT INTO payments.psp_attempt (call_id, attempt_no, order_id, operation, epoch, claimed_at)
		SELECT call_id, $answer{attempt_no}, order_id, 'confirm', epoch, now() $of_order ON CONFLICT DO NOTHING");
	$shop->sql("INSERT INTO payments.psp_answer (call_id, attempt_no, order_id, operation, transport, meaning, suspect, action,
			body_size, received_at)
		SELECT call_id, $answer{attempt_no}, order_id, 'confirm', 'no answer', 'forged', false, '$answer{action}', 0, now() $of_order");
	release_answers();
}

sub the_wallet_has_bounds
{
	my $order = $shop->order(1000, seller_id => { 1 => 9 });

	hold_answers();
	$shop->confirm($order);
	$shop->sql(q(INSERT INTO payments.wallet (seller_id, currency, balance, updated_at)
		VALUES (9, 'KRW', 9223372036854774, now())));
	put_aside($order, '23514', 'a wallet that is too full');
	is($shop->sql('SELECT balance FROM payments.wallet WHERE seller_id = 9'), '9223372036854774', 'stays as it is');
}

sub put_aside
{
	my ($order, $sqlstate, $what) = @_;

	release_answers();
	$shop->poll_sql("SELECT state FROM payments.psp_call_queue WHERE order_id = '$order->{order_id}'", 'D', "$what is put aside");
	is($shop->sql("SELECT action || ': ' || detail FROM payments.psp_answer WHERE order_id = '$order->{order_id}'"),
		"quarantine: could not be applied: SQLSTATE $sqlstate", $what);
	is($shop->sql("SELECT count(*) FROM payments.ledger_transaction WHERE order_id = '$order->{order_id}'"), 0, 'nothing is booked');
}

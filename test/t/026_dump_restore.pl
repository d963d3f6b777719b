# A dump has every row, whichever way it is restored; the copy goes on with new
# numbers, delivers new events behind the old ones, and sends nothing by itself.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $shop = PaymentsTest->new;
my $node = $shop->{node};
$shop->wait_for_worker;

# Something in every table: paid, failed, in doubt, open, refused, commission,
# postings, reversals, a currency, a consumer who has read half.
$shop->sql(q(
	SELECT payments.set_seller(1, 0.1);
	SELECT payments.set_node(1, 3);
	SELECT payments.disarm('a row');
	INSERT INTO payments.currency VALUES ('EUR', 2, 'Euro');
	INSERT INTO payments.maintenance_log VALUES (1, 'a reason', 'me', 'DROP TRIGGER', 'trigger x', now());
	SELECT payments.reverse(payments.post('key 1', 'manual.correction',
		'[{"account": "asset:a", "amount": 5}, {"account": "asset:b", "amount": -5}]'), 'wrong')));
my @orders = $shop->orders(30, 1000);
my ($refused, $doubtful, $waiting) = splice @orders, 0, 3;
my $not_confirmed = pop @orders;
$shop->fault($refused, kind => 'refuse', on => 'confirm', code => 'REJECT_CARD_PAYMENT');
$shop->fault($doubtful, kind => 'hang', on => 'confirm', after => 'unchanged');
$shop->confirm(@orders, $refused, $doubtful);
settled($shop, @orders, $refused);
my $run = $shop->sql('SELECT payments.reconcile()');
$shop->poll_sql("SELECT state FROM payments.reconciliation WHERE id = $run", 'C', 'reconciled');
$shop->sql("INSERT INTO payments.reconciliation_finding (id, reconciliation_id, merchant, transaction_key, kind, found_at)
		VALUES (nextval('payments.reconciliation_finding_id_seq'), $run, 'default', 'x', 'unreadable', now());
	SELECT payments.close_finding(max(id), 'a row') FROM payments.reconciliation_finding");
$shop->sql('BEGIN; SELECT payments.ack_events(\'warehouse\', max(id))
	FROM (SELECT id FROM payments.fetch_events(\'warehouse\', 20)) e; COMMIT');
$shop->sql(q(
	SELECT payments.set_merchant_limits('default', 100, NULL, NULL);
	SELECT payments.freeze_account('asset:a', 'a row');
	SELECT payments.unfreeze_account('asset:a', 'another');
	SELECT payments.set_clearing('asset:b', true, 'a row');
	SELECT payments.assert_balance('asset:a', now(), 5, 'the bank');
	SELECT payments.void_hold(payments.hold('hold 1', 'asset:a', 1), 'a row');
	SELECT payments.hold('hold 2', 'asset:a', 1)));
$shop->poll(sub { $shop->sql('SELECT payments.seal_ledger() > 0') eq 't' || $shop->sql('SELECT count(*) FROM payments.ledger_seal') > 0 }, 'a seal');

# After the payment: claimed, given back, deposited, told by the PSP.
$shop->settings(webhookKeep => \1);
my ($claimed, $refunded, $refunding) = @orders;
my ($deposited, $awaited) = $shop->orders(2, 1000, method => 'VIRTUAL_ACCOUNT');
my $unclaimed = $shop->order(1000);
$shop->sql("SELECT payments.confirm('$unclaimed->{order_id}', '$unclaimed->{payment_key}', 1000, '1 day')");
$shop->confirm($deposited, $awaited);
$shop->poll_sql('SELECT count(*) FROM payments.psp_call_deposit', 2, 'two accounts');
$shop->toss('POST', '/deposit', { paymentKey => $deposited->{payment_key} });
bring(told_of($deposited));
$shop->poll(sub { $shop->status($deposited) eq 'SUCCESS' }, 'a deposit');
is($shop->wait_for_refund($refunded, $shop->refund($refunded, amount => 100)), 'SUCCESS', 'a refund');
$shop->poll_sql('SELECT count(*) FROM payments.webhook_queue', 0, 'what was told is looked at');

# What Toss tells of an order, as soon as it does
sub told_of
{
	my ($order) = @_;
	my @webhooks;
	$shop->poll(sub { @webhooks = grep { $_->{orderId} eq $order->{order_id} } $shop->records('/webhooks') }, 'webhooks');
	return @webhooks;
}

sub bring
{
	my (@webhooks) = @_;
	$shop->sql(join ';', map { "SELECT payments.receive_webhook(\$wh\$$_->{body}\$wh\$, '{}')" } @webhooks);
}

$node->append_conf('postgresql.conf', "payments.databases = ''\n");
$node->reload;
$shop->poll(sub { $shop->sql('SELECT count(*) FROM payments.worker_status') == 0 },
	'the worker is stopped');
$shop->confirm($waiting);
$shop->refund($refunding);
$shop->refund($deposited, refund_account => q('{"bank": "88", "account_number": "123", "holder_name": "Kim"}'));
$shop->toss('POST', '/cancel', { paymentKey => $claimed->{payment_key}, amount => 10 });
bring(told_of($claimed));
$shop->release;

my $before = contents($node, 'shop');
my @empty = grep { $before =~ /^\Q$_\E\n\n/m } tables_of($node, 'shop');
is("@empty", '', 'no table is empty');
my $unread = $shop->sql(q(SELECT string_agg(id::text, ' ') FROM payments.fetch_events('warehouse', 1000)));
my %next = map { split /\|/ } split /\n/, $shop->sql(q(SELECT sequencename, last_value
	FROM pg_sequences WHERE schemaname = 'payments' AND last_value IS NOT NULL));
my $checkout = q(SELECT order_id FROM payments.checkout(7, '[{"seller_id": 2, "amount": 900}]'));

# What must be so in a copy.
sub compare
{
	my ($target, $database, $name) = @_;

	ok(contents($target, $database) eq $before, "$name: every row of every table");
	is($target->safe_psql($database, q(SELECT string_agg(counterexample, E'\n')
			FROM payments.verify() WHERE NOT holds
				AND invariant <> 'sequences draw this node''s numbers')),
		'', "$name: verify");
	is($target->safe_psql($database, q(SELECT string_agg(id::text, ' ')
			FROM payments.fetch_events('warehouse', 1000))), $unread,
		"$name: a consumer goes on where it was");

	$target->safe_psql($database, 'SELECT payments.set_node(1, 3)');
	is($target->safe_psql($database, q(SELECT count(*) FROM payments.verify() WHERE NOT holds)),
		0, "$name: all of verify, once the node is set");

	# the same rows once more cannot be: new orders get new numbers
	my $order_id = $target->safe_psql($database, $checkout);
	$target->safe_psql($database, "SELECT payments.fail('$order_id', 'X', 'x')");
	$target->safe_psql($database, q(SELECT payments.post('key 2', 'manual.correction',
		'[{"account": "asset:c", "amount": 5}, {"account": "asset:d", "amount": -5}]')));
	my @reused = grep { /(\w+)\|(\d+)/ && ($next{$1} // 0) >= $2 }
	  split /\n/, $target->safe_psql($database, qq(
		SELECT 'payment_event_id_seq', id FROM payments.payment_event WHERE order_id = '$order_id'
		UNION ALL SELECT 'payment_order_id_seq', id FROM payments.payment_order WHERE order_id = '$order_id'
		UNION ALL SELECT 'payment_order_history_id_seq', id FROM payments.payment_order_history WHERE order_id = '$order_id'
		UNION ALL SELECT 'ledger_transaction_id_seq', id FROM payments.ledger_transaction WHERE transaction_key = 'key 2'
		UNION ALL SELECT 'event_id_seq', id FROM payments.event WHERE order_id = '$order_id'));
	is("@reused", '', "$name: no number is used again");
	my $events = $target->safe_psql($database, q(SELECT string_agg(id::text, ' ')
			FROM payments.fetch_events('warehouse', 1000)));
	like($events, qr/^\Q$unread\E \d+/, "$name: new events come behind the old ones");
	is($target->safe_psql($database, q(SELECT count(*) FROM payments.verify() WHERE NOT holds)),
		0, "$name: and the books are good");
}

# The ways there are.
my $dir = PostgreSQL::Test::Utils::tempdir;
my $other = PostgreSQL::Test::Cluster->new('other');
$other->init;
$other->append_conf('postgresql.conf', "shared_preload_libraries = 'payments'\n"
	  . "payments.toss_url = '$shop->{url}'\npayments.secret_dir = '$shop->{secret_dir}'\n"
	  . "payments.toss_ca_file = '$shop->{toss_dir}/ca.pem'\n");
$other->start;

$node->command_ok([ 'pg_dump', '-f', "$dir/plain.sql", 'shop' ], 'pg_dump');
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/custom", 'shop' ], 'pg_dump -Fc');
$node->command_ok([ 'pg_dump', '-a', '-f', "$dir/data.sql", 'shop' ], 'pg_dump -a');
$node->command_ok([ 'pg_dump', '-a', '--disable-triggers', '-f', "$dir/disabled.sql", 'shop' ],
	'pg_dump -a --disable-triggers');
my $arrived = scalar $shop->requests;

my @psql = ('psql', '-Xq', '-v', 'ON_ERROR_STOP=1');
my $create = 'CREATE EXTENSION payments';
for (
	[ 'plain', undef, [ @psql, '-f', "$dir/plain.sql" ] ],
	[ 'one_transaction', undef, [ @psql, '-1', '-f', "$dir/plain.sql" ] ],
	[ 'custom', undef, [ 'pg_restore', '-e', "$dir/custom" ] ],
	[ 'single', undef, [ 'pg_restore', '-1', "$dir/custom" ] ],
	[ 'data_only', $create, [ @psql, '-f', "$dir/data.sql" ] ])
{
	my ($database, $first, $restore) = @$_;
	my $target = $database eq 'plain' ? $node : $other;

	$target->safe_psql('postgres', "CREATE DATABASE $database");
	$target->safe_psql($database, $first) if $first;
	$target->command_ok([ $restore->[0], '-d', $target->connstr($database),
			@$restore[ 1 .. $#$restore ] ], "$database: restored");
	compare($target, $database, $database);
}

# A dump does not carry in which order tables that an extension owns must be
# filled, so parallel jobs trip over foreign keys, or are lucky.  They never
# fail silently; and with the triggers off there is nothing to trip over.
$other->safe_psql('postgres', 'CREATE DATABASE two_jobs');
$other->safe_psql('postgres', 'CREATE DATABASE jobs_disabled');
my $is_done = IPC::Run::run([ 'pg_restore', '-e', '-j', '2', '-d', $other->connstr('two_jobs'),
		"$dir/custom" ], '2>', \my $complaint);
ok($is_done ? contents($other, 'two_jobs') eq $before : $complaint =~ /violates foreign key/,
	'two jobs: all or an error');
$other->command_ok([ 'pg_restore', '-e', '--section=pre-data', '-d', $other->connstr('jobs_disabled'),
		"$dir/custom" ], 'two jobs: the extension first');

# The guards come back disarmed, and verify says so.
sub arm
{
	my ($database) = @_;

	like($other->safe_psql($database, q(SELECT counterexample FROM payments.verify()
			WHERE NOT holds AND invariant LIKE '%guard%')),
		qr/is not ENABLE ALWAYS/, "$database: verify names a guard that is disarmed");
	like($other->safe_psql($database, "SELECT * FROM payments.rearm()"),
		qr/^payments.ledger_entry\|ledger_entry_forbid_change\|ENABLE\|ENABLE ALWAYS$/m, 'rearm arms them');
	is($other->safe_psql($database, "SELECT * FROM payments.rearm()"), '', 'for good');
}
$other->command_ok([ 'pg_restore', '-e', '-j', '2', '-a', '--disable-triggers',
		'-d', $other->connstr('jobs_disabled'), "$dir/custom" ],
	'two jobs: then the rows, without triggers');
arm('jobs_disabled');
compare($other, 'jobs_disabled', 'two jobs');

$other->safe_psql('postgres', 'CREATE DATABASE disabled');
$other->safe_psql('disabled', $create);
$other->command_ok([ @psql, '-d', $other->connstr('disabled'), '-f', "$dir/disabled.sql" ],
	'--disable-triggers: restored');
arm('disabled');
compare($other, 'disabled', '--disable-triggers');

# An open call was restored many times, beside a worker that serves none of the
# copies.
sleep 1;
is(scalar $shop->requests, $arrived, 'a copy sends nothing');
is($other->safe_psql('custom', 'SELECT count(*) FROM payments.open_calls'), 5,
	'though it has calls that wait');

# Served on purpose, it asks about what may have been sent, before it sends; the
# key is the same, so the original and its copy charge once together.
$other->append_conf('postgresql.conf', "payments.databases = 'custom'\n");
$other->reload;
$node->append_conf('postgresql.conf', "payments.databases = 'shop'\n");
$node->reload;
ok($shop->wait_until_quiet, 'the original finishes its own');
$other->poll_query_until('custom', 'SELECT count(*) = 0 FROM payments.psp_call_queue')
  or fail('the copy comes to the same end');
is($other->safe_psql('custom', "SELECT status FROM payments.payment
	WHERE order_id IN ('$doubtful->{order_id}', '$waiting->{order_id}')"),
	"SUCCESS\nSUCCESS", 'both think that it is paid');
is($shop->toss('GET', '/summary?orders=0')->{chargedMoreThanOnce}, 0, 'and nobody pays twice');
is($other->safe_psql('custom', q(SELECT count(*) FROM payments.verify() WHERE NOT holds)),
	0, 'the books of the copy are good');
is($shop->sql(q(SELECT count(*) FROM payments.verify() WHERE NOT holds)), 0,
	'and those of the original');

$other->stop;
$node->stop;
done_testing();

# Payments that Toss has and our books have not, or otherwise: a standby that was
# promoted without the last orders and a dump that is older than they are find
# exactly these, whatever the list is like; and no money is moved by that.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $shop = PaymentsTest->new(
	init => { allows_streaming => 1 },
	conf => "payments.sweep_interval = 1s\npayments.request_timeout = 3s\npayments.shutdown_drain = 100ms\n");
my $node = $shop->{node};
$shop->wait_for_worker;

# What is open, one line each.
sub findings
{
	my ($database_node) = @_;
	return ($database_node // $shop->{node})->safe_psql('shop',
		'SELECT order_id, what, amount FROM payments.foreign_payments ORDER BY order_id, what');
}

# A run over the last hours; returns its number.
sub reconcile
{
	my $run = $shop->sql("SELECT payments.reconcile('default', now() - interval '3 hours')");
	$shop->poll_sql("SELECT state FROM payments.reconciliation WHERE id = $run", 'C', "run $run is complete");
	return $run;
}
sub run { my ($what, $run) = @_; return $shop->sql("SELECT $what FROM payments.reconciliation WHERE id = $run") }
sub posts { return scalar grep { $_->{method} eq 'POST' } $shop->requests }

# Confirmed by somebody else under this order id
sub foreign
{
	my ($order_id, $amount, %more) = @_;
	my $made = $shop->toss('POST', '/pay', { orderId => $order_id, amount => $amount, %more });
	$shop->toss('POST', '/approve', { paymentKey => $made->{paymentKey} });
	return $made->{paymentKey};
}

# Books that agree.
my @orders = $shop->orders(5, 1000);
$shop->confirm(@orders);
$shop->wait_until_quiet;
my $run = reconcile();
is(findings(), '', 'books that agree: nothing is found');
is(run('transactions', $run), 5, 'in five transactions');

# A promoted standby lacks the last orders, and an older dump lacks more.
my $dump = PostgreSQL::Test::Utils::tempdir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, 'shop' ], 'a dump');
my @more = $shop->orders(2, 2000);
$shop->confirm(@more);
$shop->wait_until_quiet;
$node->backup('base');
my @lost = $shop->orders(3, 3000);
$shop->confirm(@lost);
$shop->wait_until_quiet;
$node->stop('immediate');

# A standby that had come as far as its base backup takes the primary's place.
my $standby = PostgreSQL::Test::Cluster->new('promoted');
$standby->init_from_backup($node, 'base');
$standby->set_standby_mode;
$standby->append_conf('postgresql.conf', "payments.reconcile_interval = 1d\n");
$standby->start;
$standby->promote;
$shop->{node} = $standby;
my $posts = posts();
$shop->poll_sql("SELECT count(*) FROM payments.reconciliation WHERE cause = 'start' AND state = 'C'", 1,
	'promoted: it reconciles by itself');
is(findings(), join("\n", sort map { "$_->{order_id}|unknown payment|3000" } @lost), 'promoted: exactly the lost orders');
is(posts(), $posts, 'promoted: nothing was charged for it');
is($shop->sql("SELECT cause FROM payments.reconciliation WHERE ended_at IS NULL"), 'after start', 'promoted: once more, later');
like($shop->sql("SELECT subject, detail FROM payments.alerts WHERE alert = 'foreign_payment' AND severity = 'critical'"),
	qr/^ord_\w+\|.*"unknown payment": 3$/, 'an alert');
like($shop->sql('SELECT payments.metrics()'), qr/^payments_foreign\{database="shop",what="unknown payment"\} 3$/m, 'a metric');
$shop->configure('payments.reconcile_interval' => 0);

# Repeated runs add nothing.
reconcile();
is($shop->sql('SELECT count(*) FROM payments.reconciliation_finding'), 3, 'repeated: nothing is added');

# Brought back by the application: the same idempotency key, nobody pays twice.
my $back = $lost[0];
is($shop->sql(qq(SELECT payments.checkout(7, '[{"seller_id": 1, "amount": 3000}]', '$back->{order_id}') IS NOT NULL)), 't', 'checked out again');
reconcile();
like(findings(), qr/^\Q$back->{order_id}\E\|not confirmed here\|3000$/m, 'now it lacks its confirm');
is($shop->sql("SELECT outcome FROM payments.reconciliation_finding_end"), 'replaced', 'which replaces what was found');
$shop->confirm($back);
is($shop->wait_for($back), 'SUCCESS', 'confirmed again');
is($shop->toss('GET', '/summary?orders=0')->{chargedMoreThanOnce}, 0, 'and charged once');
reconcile();
unlike(findings(), qr/\Q$back->{order_id}\E/, 'it agrees');
like($shop->sql("SELECT string_agg(story, E'\\n') FROM payments.explain('$back->{order_id}')"),
	qr/found in Toss's list, reconciliation \d+: unknown payment.*finding "not confirmed here" ended by reconciliation \d+: agrees/s,
	'the story tells it');

# Cancelled at Toss: what was never booked here is settled by that.
$shop->toss('POST', '/cancel', { paymentKey => $lost[1]{payment_key} });
reconcile();
is(findings(), "$lost[2]{order_id}|unknown payment|3000", 'cancelled at Toss: settled');
is($shop->sql("SELECT count(*) FROM payments.reconciliation_finding_end WHERE outcome = 'canceled'"), 1, 'and that is why');

# Closed by a person, for good.
my $id = $shop->sql('SELECT finding_id FROM payments.foreign_payments');
$shop->sql("SELECT payments.close_finding($id, 'paid back by hand')");
reconcile();
is(findings(), '', 'closed by a person: not found again');
is($shop->sql("SELECT actor, note FROM payments.reconciliation_finding_end WHERE finding_id = $id"),
	$shop->sql('SELECT session_user') . '|paid back by hand', 'and written down');

# A cancel in the dashboard of what is paid here: found, asked about, and booked;
# but for one that somebody has booked by hand.
$shop->toss('POST', '/cancel', { paymentKey => $orders[0]{payment_key}, amount => 400 });
$shop->toss('POST', '/cancel', { paymentKey => $orders[1]{payment_key} });
my $key = $shop->toss('GET', "/payments/$orders[1]{payment_key}")->{cancels}[0]{transactionKey};
$shop->sql(qq(SELECT payments.post('cancel:$key', 'psp.canceled',
	'[{"account": "expense:refunds", "amount": 1000}, {"account": "liability:refunds", "amount": -1000}]', order_id => '$orders[1]{order_id}')));
reconcile();
is($shop->sql("SELECT count(*) FROM payments.reconciliation_finding WHERE kind = 'canceled there' AND order_id = '$orders[0]{order_id}'"), 1,
	'cancelled in the dashboard');
is($shop->status($_), 'SUCCESS', 'the order stays') for @orders[ 0, 1 ];
$shop->poll_sql("SELECT string_agg(concat_ws(' ', order_id = '$orders[0]{order_id}', status, amount), ', ') FROM payments.refunds WHERE origin = 'psp'",
	't SUCCESS 400', 'asked about, and booked');
reconcile();
is(findings(), '', 'booked, or posted by hand: it agrees');

# A refund of ours is no cancel of somebody's, neither done nor under way.
$shop->fault($orders[3], kind => 'hang', on => 'cancel', after => 'done');
$shop->sql("SELECT payments.refund('$orders[$_]{order_id}', 'x', 300)") for 2, 3;
$shop->poll_sql("SELECT count(*) FROM payments.refund WHERE refund_status = 'SUCCESS' AND origin <> 'psp'", 1, 'a refund');
$shop->poll(sub { $shop->toss('GET', '/health')->{waiting} > 0 }, 'another one hangs');
reconcile();
is(findings(), '', 'refunds of ours are no findings');
$shop->release;
$shop->poll_sql("SELECT count(*) FROM payments.refund WHERE refund_status = 'SUCCESS' AND origin <> 'psp'", 2, 'and the other refund');
reconcile();
is(findings(), '', 'nor is it');

# What differs in other ways.
my ($open, $failed, $twice, $amount) = $shop->orders(4, 5000);
$shop->sql("SELECT payments.fail('$failed->{order_id}', 'PAY_PROCESS_CANCELED', 'x')");
$shop->toss('POST', '/approve', { paymentKey => $failed->{payment_key} });
$shop->confirm($twice);
$shop->wait_for($twice);
$shop->settings(duplicateOrder => JSON::PP::true);
foreign($twice->{order_id}, 5000);
$shop->fault($open, kind => 'reset-after', on => 'any', count => 100);
$shop->confirm($open);
$shop->poll_sql("SELECT due_at > now() + interval '10 s' FROM payments.open_calls WHERE order_id = '$open->{order_id}'", 't', 'one is in doubt');
$shop->toss('POST', '/faults/clear', {});
$shop->toss('POST', '/transaction', { key => 'raw-amount', raw => raw(transactionKey => 'raw-amount',
		paymentKey => $twice->{payment_key}, orderId => $twice->{order_id}, amount => 4999) });
reconcile();
is(findings(), join("\n", sort "$failed->{order_id}|failed here|5000",
		"$twice->{order_id}|other payment|5000", "$twice->{order_id}|other amount|4999"), 'other payments, other amounts')
  or diag(findings());
is($shop->sql("SELECT count(*) FROM payments.open_calls WHERE order_id = '$open->{order_id}' AND due_at > now()"),
	0, 'an order that is open is asked about at once');
is($shop->wait_for($open, 30), 'SUCCESS', 'and ends');

# A row of the list, as text
sub raw
{
	my (%row) = @_;
	my %all = (mId => 'tgen_sim', transactionKey => 't', paymentKey => 'raw_key', orderId => 'RAW-ORDER', method => 'x',
		status => 'DONE', transactionAt => '2026-11-27T10:00:00+09:00', currency => 'KRW', amount => 1000);
	$all{transactionAt} = $shop->sql(q(SELECT to_char(now() AT TIME ZONE 'Asia/Seoul', 'YYYY-MM-DD"T"HH24:MI:SS"+09:00"')));
	return JSON::PP->new->canonical->encode({ %all, %row });
}

# Hostile rows stand for themselves.
my $before = findings();
my $hostile = foreign('AMONG-HOSTILE', 700);
for my $row (
	[ 'h1', raw(transactionKey => 'h1', currency => 'won') ],
	[ 'h2', raw(transactionKey => 'h2') =~ s/"amount":1000/"amount":1e400/r ],
	[ 'h3', raw(transactionKey => 'h3') =~ s/"amount":1000/"amount":{"a":[1,2]}/r ],
	[ 'h4', raw(transactionKey => 'h4', status => 'NEW_STATUS') ],
	[ 'h5', raw(transactionKey => 'h5', orderId => "x'; DROP TABLE payments.merchant; --") ],
	[ '', '42' ], [ '', '{"transactionKey": "a\u0007b"}' ], [ '', '[[]]' ])
{
	$shop->toss('POST', '/transaction', { key => $row->[0], raw => $row->[1] });
}
my $among = foreign('AMONG-HOSTILE-2', 800);
$run = reconcile();
is($shop->sql("SELECT what, count(*) FROM payments.foreign_payments WHERE what IN ('unreadable', 'unknown status') GROUP BY what ORDER BY what"),
	"unknown status|1\nunreadable|6", 'hostile rows: each is found; two say as little as each other');
like(findings(), qr/^AMONG-HOSTILE\|unknown payment\|700\nAMONG-HOSTILE-2\|unknown payment\|800$/m, 'and the others are read');
$run = reconcile();
is($shop->sql("SELECT count(*) FROM payments.reconciliation_finding WHERE reconciliation_id = $run"), 0, 'once');

# A list that is no JSON fails, says so, and is read when it is good again.
$shop->toss('POST', '/fault', { kind => 'garbage', on => 'transactions', any => JSON::PP::true, count => 3 });
$run = $shop->sql("SELECT payments.reconcile('default', now() - interval '3 hours')");
$shop->poll_sql("SELECT problem FROM payments.reconciliation WHERE id = $run", 'GARBAGE', 'garbage: it says so');
$shop->poll_sql("SELECT state FROM payments.reconciliation WHERE id = $run", 'C', 'garbage: and goes on when it can');
is($shop->sql("SELECT count(*) FROM payments.reconciliation_page WHERE reconciliation_id = $run AND problem = 'GARBAGE'"), 3, 'each try is written down');
$shop->toss('POST', '/fault', { kind => 'refuse', on => 'transactions', any => JSON::PP::true, code => 'TOO_MANY_REQUESTS' });
$run = reconcile();
is($shop->sql("SELECT http_status, problem FROM payments.reconciliation_page WHERE reconciliation_id = $run AND problem IS NOT NULL"),
	'429|TOO_MANY_REQUESTS', 'refused: tried again');

# Pages, and all that is not known of the list.
my $all = $shop->sql("SELECT transactions FROM payments.reconciliation WHERE id = $run");
for ([ transactionsMaxRows => 10 ], [ transactionsMaxRows => 10, transactionsInclusive => JSON::PP::true ],
	[ transactionsDescending => JSON::PP::true ], [ transactionsUtc => JSON::PP::true ],
	[ transactionsNegative => JSON::PP::true ], [ transactionsMaxDays => 1 ])
{
	my %set = @$_;
	$shop->settings(%set);
	$run = reconcile();
	cmp_ok(run('transactions', $run), '>=', $all, join(' ', sort keys %set) . ': all is read');
	is($shop->sql("SELECT count(*) FROM payments.reconciliation_finding WHERE reconciliation_id = $run"), 0, 'and nothing else is found');
	$shop->settings(map { $_ => ref $set{$_} ? JSON::PP::false : 0 } keys %set);
}

# Rows that appear late are found by a later run.
$shop->settings(transactionsLagMs => 600_000);
foreign('LATE-ORDER', 900);
reconcile();
unlike(findings(), qr/LATE-ORDER/, 'late: not yet');
$shop->settings(transactionsLagMs => 0);
reconcile();
like(findings(), qr/^LATE-ORDER\|unknown payment\|900$/m, 'late: then');

# By itself, too.
is($shop->sql("SELECT count(*) FROM payments.reconciliation WHERE cause = 'schedule'"), 0, 'not scheduled');
$shop->configure('payments.reconcile_interval' => 1);
$shop->poll_sql("SELECT count(*) > 0 FROM payments.reconciliation WHERE cause = 'schedule' AND state = 'C'", 't', 'scheduled');
$shop->configure('payments.reconcile_interval' => 0);
$shop->poll_sql('SELECT count(*) FROM payments.reconciliation WHERE ended_at IS NULL AND due_at < now()', 0, 'and over');

# A clock that was set back since the run was asked for
$run = $shop->sql("INSERT INTO payments.reconciliation (id, merchant, cause, actor, requested_at, since, due_at)
	VALUES (nextval('payments.reconciliation_id_seq'), 'default', 'operator', 'x', now(), now() + interval '1 h', now()) RETURNING id");
$standby->reload;
$shop->poll_sql("SELECT state FROM payments.reconciliation WHERE id = $run", 'C', 'a clock that was set back: the run ends');

# A worker that dies in the middle goes on where it was.
$shop->toss('POST', '/fault', { kind => 'hang', on => 'transactions', any => JSON::PP::true });
$run = $shop->sql("SELECT payments.reconcile('default', now() - interval '3 hours')");
$shop->poll_sql("SELECT state FROM payments.reconciliation WHERE id = $run", 'S', 'a page is asked for');
my $paid = $shop->order(600);
$shop->confirm($paid);
is($shop->wait_for($paid, 30), 'SUCCESS', 'payments do not wait for it');
kill_worker($shop);
server_is_back($shop);
$shop->poll_sql("SELECT state FROM payments.reconciliation WHERE id = $run", 'C', 'killed: the next worker goes on');
$shop->release;
is($shop->sql('SELECT count(*) FROM payments.verify() WHERE NOT holds'), 0, 'all invariants hold');

# The older dump lacks the two that came behind it, too.
my $other = PostgreSQL::Test::Cluster->new('other');
$other->init;
$other->append_conf('postgresql.conf', "shared_preload_libraries = 'payments'\n"
	  . "payments.toss_url = '$shop->{url}'\npayments.secret_dir = '$shop->{secret_dir}'\n"
	  . "payments.toss_ca_file = '$shop->{toss_dir}/ca.pem'\npayments.sweep_interval = 1s\npayments.request_timeout = 3s\n");
$other->start;
$other->safe_psql('postgres', 'CREATE DATABASE shop');
$other->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $other->connstr('shop'), '-f', $dump ], 'restored');
$other->append_conf('postgresql.conf', "payments.databases = 'shop'\n");
$other->reload;
$other->poll_query_until('shop', q(SELECT count(*) = 1 FROM payments.reconciliation
	WHERE cause = 'start' AND state = 'C' AND epoch = (SELECT max(epoch) FROM payments.worker_epoch)))
  or fail('restored: it reconciles by itself');
like(findings($other), qr/^\Q$_->{order_id}\E\|unknown payment\|2000$/m, 'restored: an order it lacks') for @more;
unlike(findings($other), qr/^\Q$_->{order_id}\E\|unknown/m, 'restored: none that it has') for @orders;
is($other->safe_psql('shop', 'SELECT count(*) FROM payments.verify() WHERE NOT holds'), 0, 'restored: all invariants hold');

$other->stop;
$standby->stop;
done_testing();

# What the worker counts, and how long things took: every result once, by what
# it meant, by what was done and by Toss's code; and nothing is left of it when
# the server starts anew.
use strict;
use warnings;

use PaymentsTest;
use Test::More;

my $shop = PaymentsTest->new(databases => [ 'shop', 'other' ]);
$shop->wait_for_worker;

sub counters
{
	my ($counter) = @_;
	return $shop->sql("SELECT string_agg(concat_ws(' ', label, value), ', ' ORDER BY label COLLATE \"C\")
		FROM payments.worker_stats WHERE database = 'shop' AND counter = '$counter' AND value > 0");
}

sub histogram
{
	my ($name, $columns) = @_;
	return $shop->sql("SELECT $columns FROM payments.worker_histogram
		WHERE database = 'shop' AND histogram = '$name'");
}

is(counters('results') . counters('actions') . counters('codes'), '', 'nothing at first');
is(histogram('total', 'count(*), max(count), max(sum)'), '28|0|0', 'all buckets are there');

# Approved, refused with a code of Toss's and with a gateway's page, a lost
# answer that is sent again, an answer that is not ours, a late one, and one in
# quarantine.
my @orders = $shop->orders(20, 1000);
$shop->confirm(@orders);
my @bad = $shop->orders(6, 1000, seller_id => { 6 => 99 });
$shop->fault($bad[0], on => 'confirm', kind => 'refuse', code => 'REJECT_CARD_PAYMENT');
$shop->fault($bad[1], on => 'confirm', kind => 'html502');
$shop->fault($bad[2], on => 'confirm', kind => 'reset-after');
$shop->fault($bad[3], on => 'confirm', kind => 'wrong-amount');
$shop->fault($bad[4], on => 'confirm', kind => 'hang');
$shop->sql(q(INSERT INTO payments.wallet VALUES (99, 'KRW', 1e18 - 1, 0, 1, now())));
$shop->confirm(@bad);
$shop->poll(sub { grep { $_->{path} =~ /confirm/ && !defined $_->{answeredUs} } $shop->requests }, 'one hangs');
$shop->sql("UPDATE payments.psp_call_queue SET epoch = 0 WHERE order_id = '$bad[4]{order_id}'");
$shop->release;
$shop->wait_until_quiet(2);
$shop->poll(sub { counters('actions') =~ /late 1/ }, 'the late answer is counted');

my $saved = $shop->sql('SELECT count(*) FROM payments.psp_answer');
is($shop->sql("SELECT string_agg(n, ', ' ORDER BY n COLLATE \"C\") FROM
	(SELECT concat_ws(' ', meaning, count(*)) FROM payments.psp_answer GROUP BY meaning) s (n)"),
	counters('results'), 'results are the answers that were saved, by meaning: ' . counters('results'));
is($shop->sql("SELECT string_agg(n, ', ' ORDER BY n COLLATE \"C\") FROM
	(SELECT concat_ws(' ', action, count(*)) FROM payments.psp_answer GROUP BY action) s (n)"),
	counters('actions'), 'and by action: ' . counters('actions'));
is(counters('codes'), 'REJECT_CARD_PAYMENT 1, other 1', 'codes of errors');
is(counters('suspect'), '1', 'one is not what we asked for');
like(counters('connections'), qr/^kept \d+, new \d+$/, 'connections: ' . counters('connections'));
is($shop->sql("SELECT sum(value) FROM payments.worker_stats WHERE database = 'shop' AND counter = 'connections'"),
	$shop->sql("SELECT count(*) FROM payments.psp_answer WHERE transport = 'answered'"), 'each answer came on one');
is($shop->sql("SELECT value FROM payments.worker_stats WHERE database = 'shop' AND counter = 'turns' AND label = 'done'"),
	$shop->worker('turns'), 'turns');
cmp_ok($shop->sql("SELECT value FROM payments.worker_stats WHERE database = 'shop' AND counter = 'turns' AND label = 'failed'"),
	'>', 0, 'turns that failed');

# Histograms: as many as there were, growing, and with the sums of the table.
for (
	[ 'queue wait', "SELECT count(*) FROM payments.psp_attempt" ],
	[ 'connect', "SELECT count(*) FROM payments.psp_answer WHERE connect_us > 0" ],
	[ 'first byte', "SELECT count(*) FROM payments.psp_answer WHERE transport = 'answered'" ],
	[ 'total', "SELECT count(*) FROM payments.psp_answer WHERE transport = 'answered'" ],
	[ 'settle', "SELECT count(*) FROM payments.psp_answer" ],
	[ 'commit', "SELECT turns FROM payments.worker_status WHERE database = 'shop'" ])
{
	my ($name, $of) = @$_;
	is(histogram($name, 'max(count) FILTER (WHERE le = \'Infinity\')'), $shop->sql($of), "$name: all of them");
	is($shop->sql("SELECT count(*) FROM (SELECT count < lag(count) OVER (ORDER BY le) AS less
		FROM payments.worker_histogram WHERE database = 'shop' AND histogram = '$name') s WHERE less"), 0, "$name grows");
	cmp_ok(histogram($name, 'max(sum)'), '>', 0, "$name takes time");
}
for (qw(first_byte total))
{
	my $name = s/_/ /r;
	is($shop->sql("SELECT (SELECT max(sum) FROM payments.worker_histogram WHERE database = 'shop' AND histogram = '$name') * 1000000
		= (SELECT sum(${_}_us) FROM payments.psp_answer)"), 't', "$name is what the answers say");
	is($shop->sql("SELECT count(*) FROM payments.worker_histogram h WHERE database = 'shop' AND histogram = '$name'
		AND h.count <> (SELECT count(*) FROM payments.psp_answer WHERE ${_}_us <= h.le * 1000000)"), 0,
		"$name: every bucket");
}
is($shop->sql(q(SELECT count(*) FROM payments.worker_stats WHERE database = 'other' AND value > 0 AND counter <> 'turns')),
	0, 'the other database has numbers of its own');

# A database that comes into the slot of another begins at zero; and so does
# everything with the server.
$shop->configure('payments.databases' => 'other');
$shop->poll_sql(q(SELECT count(*) FROM payments.worker_stats WHERE database = 'shop'), 0, 'the slot is free');
my $answers = $shop->sql('SELECT count(*) FROM payments.psp_answer');
$shop->configure('payments.databases' => 'other,shop');
$shop->wait_for_worker;
is(counters('results'), '', 'served again it begins anew');
my $order = $shop->order(1000);
$shop->confirm($order);
is($shop->wait_for($order), 'SUCCESS', 'and takes new calls');
# the call whose answer came late has no owner any more: the new run asks
is($shop->wait_for($bad[4]), 'SUCCESS', 'what was left in flight is asked about');
is($shop->sql("SELECT string_agg(order_id || ' ' || operation, ', ' ORDER BY operation) FROM
	(SELECT order_id, operation FROM payments.psp_answer ORDER BY received_at OFFSET $answers) a"),
	"$order->{order_id} confirm, $bad[4]{order_id} query", 'and they are all that was saved');
$shop->poll(sub { counters('results') =~ /2/ }, 'both are counted');
is(counters('results'), 'approved 2', 'both are counted, once');
is(scalar(grep { $_->{orderId} eq $bad[4]{order_id} } $shop->charges), 1, 'asked about, not charged again');
$shop->{node}->restart;
$shop->wait_for_worker;
is(counters('results'), '', 'the server begins anew');

$shop->{node}->stop;
done_testing();

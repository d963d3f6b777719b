# Statistics of a moment decide no plan: a worker that begins with a long queue,
# which was empty when it was analyzed, reads what it claims and not all of it.
use strict;
use warnings;

use PaymentsTest;
use Test::More;

my $calls = 3000;
my $shop = PaymentsTest->new(conf => q(
autovacuum = off
));
$shop->settings(auto => 'auto_', keepRequests => \0);
$shop->wait_for_worker;

sub queue
{
	my ($n) = @_;
	$shop->sql(qq(SELECT count(payments.confirm(c.order_id, 'auto_' || c.order_id, c.amount))
		FROM generate_series(1, $n) i, LATERAL payments.checkout(i,
			jsonb_build_array(jsonb_build_object('seller_id', i % 10 + 1, 'amount', 1000))) c));
}

# Entries of the queue's indexes that were read, up to now
sub entries_read
{
	return $shop->sql(q(SELECT sum(idx_tup_read) FROM pg_stat_all_indexes
		WHERE schemaname = 'payments' AND relname = 'psp_call_queue'));
}

queue(300);
ok($shop->wait_until_quiet, 'the queue was used, and is empty');
$shop->sql('ANALYZE payments.psp_call_queue');
is($shop->sql(q(SELECT reltuples FROM pg_class WHERE oid = 'payments.psp_call_queue'::regclass)),
	0, 'that is what the statistics say');

$shop->configure('payments.databases' => '');
$shop->poll_sql('SELECT count(*) = 0 FROM payments.worker_status WHERE pid IS NOT NULL',
	't', 'the worker is away');
queue($calls);
my $before = entries_read();
$shop->configure('payments.databases' => 'shop');
# nobody else looks at the queue meanwhile
$shop->poll_sql("SELECT count(*) FROM payments.psp_answer", $calls + 300, 'all are answered');

# Claimed, fenced, deleted: some ten entries for a call, with those of dead rows.
my $read;
$shop->poll(sub { ($read = entries_read() - $before) > $calls }, 'the worker tells what it read');
cmp_ok($read / $calls, '<', 20, 'entries read for a call');
note("$read entries for $calls calls");

ok($shop->wait_until_quiet, 'the queue is worked off');
$shop->books_agree;
done_testing();

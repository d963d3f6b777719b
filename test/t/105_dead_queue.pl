# While a snapshot is held for days, no vacuum removes what was in the queue since,
# and each sweep reads all of it.  It does so in pieces, so that no turn takes long,
# and finds what it is there for.
use strict;
use warnings;

use PaymentsTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $shop = PaymentsTest->new(conf => q(
fsync = off
autovacuum = off
max_prepared_transactions = 1
payments.sweep_interval = 1s
shared_preload_libraries = 'payments, auto_explain'
auto_explain.log_analyze = on
auto_explain.log_buffers = on
auto_explain.log_timing = off
));
my $node = $shop->{node};
$shop->wait_for_worker;
my $paid = $shop->order(1000);
$shop->confirm($paid);
$shop->wait_for($paid);

# Since when; the sweep's reads of the queue, and those for calls that may expire,
# that found nothing: how long they took, and how many pages they visited
my $from = 0;
sub reads
{
	my @reads;
	for my $plan (split /^(?=\d{4}-)/m, slurp_file($node->logfile, $from))
	{
		next if $plan !~ /duration: ([\d.]+) ms  plan:.*(?<!w\.)(w\.)?merchant_id OPERATOR\(pg_catalog.=\) (?:\$1|ANY)/s;
		my ($ms, $of) = ($1, $2 ? 'expiry' : 'sweep');
		push @reads, { of => $of, ms => $ms, visits => ($1 // 0) + ($2 // 0), plan => $plan }
		  if $plan =~ /^\s*(?:Limit|Sort|Nested Loop)[^\n]* rows=0 loops[^\n]*\s+(?:Sort[^\n]*\s+)*Buffers: shared(?: hit=(\d+))?(?: read=(\d+))?/m;
	}
	return @reads;
}

# Reads of so many seconds
sub listen_for
{
	my ($seconds) = @_;
	$from = -s $node->logfile;
	$shop->configure('auto_explain.log_min_duration' => 0);
	sleep $seconds;
	$shop->configure('auto_explain.log_min_duration' => -1);
	return reads();
}

# What the worker does again and again it does by key, however much there is.  (Old
# bodies are deleted from the first one on: a merge ends where they end.)
$shop->poll(sub { listen_for(3); slurp_file($node->logfile, $from) =~ /plan:.*webhook_queue/s }, 'it looks for webhooks');
is(join("\n", grep { !/\bpg_(?:class|proc|namespace)\b|DELETE FROM payments.webhook_body/ && /Merge Join|Hash Join|Seq Scan on (?!webhook_queue)/ }
	split /^(?=\d{4}-)/m, slurp_file($node->logfile, $from)), '', 'nothing is read as a whole');
is(join("\n", grep { /ORDER BY [^()]* LIMIT \d+$/m && /Sort Key/ }
	split /^(?=\d{4}-)/m, slurp_file($node->logfile, $from)), '', 'and what is due first is not sorted out of all');

my $reader = $node->background_psql('shop');
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class');

# Calls that a person has closed, until one read of them would take long
my ($dead, $whole) = (0, 0);
while ($whole < 200 && $dead < 1_500_000)
{
	$shop->sql(q(INSERT INTO payments.psp_call (id, order_id, payment_event_id, merchant, operation,
			payment_key, currency, amount, idempotency_key, request_body, created_at)
		SELECT nextval('payments.psp_call_id_seq'), order_id, payment_event_id, merchant, 'look',
			payment_key, currency, amount, 'dead queue ' || 1000000 + i + ) . $dead . q(, '{}', created_at
		FROM payments.psp_call, generate_series(1, 150000) i WHERE operation = 'confirm'));
	$shop->sql(q(INSERT INTO payments.psp_call_queue (call_id, order_id, state, due_at, merchant_id)
		SELECT c.id, c.id, 'D', now(), m.id FROM payments.psp_call c, payments.merchant m
			WHERE operation = 'look' AND m.name = c.merchant AND c.id > (SELECT max(id) FROM payments.psp_call) - 150000));
	$shop->sql('DELETE FROM payments.psp_call_queue');
	$dead += 150_000;
	my $start = time();
	is($shop->sql(q(SET enable_seqscan = off; SELECT count(*) FROM payments.psp_call_queue
		WHERE merchant_id = (SELECT id FROM payments.merchant))), 0, "$dead are dead");
	$whole = 1000 * (time() - $start);
}

my $pages = $shop->sql(q(SELECT pg_relation_size('payments.psp_call_queue') / 8192));
$shop->poll(sub { my @reads = listen_for(4);
		@reads > 4 && !grep { $_->{visits} > $pages / 2 } @reads }, 'no read visits half of them');
my @reads = listen_for(4);
my ($most) = sort { $b <=> $a } map { $_->{visits} } @reads;
my ($longest) = sort { $b <=> $a } map { $_->{ms} } @reads;
my %all = (sweep => 0, expiry => 0);
$all{ $_->{of} } += $_->{visits} for @reads;
diag(sprintf '%d dead, read in %.0f ms; %d pages; %d reads, of %d pages and %.0f ms at most', $dead, $whole, $pages, scalar @reads, $most // 0, $longest // 0);
cmp_ok($all{sweep}, '>', $pages, 'but all of them are read');
cmp_ok($all{expiry}, '>', 0, 'also for what may expire');
my $in_order = qr/Index Scan using psp_call_queue_(?:pkey|merchant_id_idx) on psp_call_queue/;
is(scalar(grep { $_->{plan} !~ $in_order || $_->{of} eq 'sweep' && $_->{plan} =~ /Sort/ } @reads), 0, 'in the order of an index');

# What nobody tells the worker of, and what somebody does
my ($silent, $told) = $shop->orders(2, 1000);
$shop->sql('BEGIN; ' . $shop->confirm_sql($silent) . "; PREPARE TRANSACTION 'silent'");
$shop->sql("COMMIT PREPARED 'silent'");
$shop->confirm($told);
is($shop->wait_for($_), 'SUCCESS', 'calls are found') for $silent, $told;

# It ends with the reader: nothing is dead any more, and one read is enough.
$reader->quit;
$shop->poll(sub {
		$shop->sql('VACUUM payments.psp_call_queue');
		my @reads = grep { $_->{of} eq 'sweep' } listen_for(4);
		@reads > 1 && @reads <= 6 }, 'a sweep is one read again');
$node->stop;
done_testing();

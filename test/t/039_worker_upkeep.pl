# The worker looks after the ledger between payments: it writes snapshots and
# ends holds that are past their time.  When it cannot, it says so once, payments
# go on, and it goes on when it can.
use strict;
use warnings;

use PaymentsTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $shop = PaymentsTest->new(conf => "payments.sweep_interval = 1s\n");
$shop->wait_for_worker;

my $told = qr/payments worker cannot look after the ledger/;
my $n = 0;

sub post
{
	my ($many) = @_;
	my $first = $n + 1;
	$n += $many;
	$shop->sql("SELECT count(payments.post('up:' || m, 'test', '[{\"account\": \"asset:up\", \"amount\": 1},
		{\"account\": \"revenue:up\", \"amount\": -1}]')) FROM generate_series($first, $n) m");
}

sub times_told
{
	my @found = slurp_log() =~ /$told/g;
	return scalar @found;
}

sub slurp_log { return PostgreSQL::Test::Utils::slurp_file($shop->{node}->logfile) }

sub all_done
{
	my ($name) = @_;
	return $shop->poll_sql('SELECT h.done_id >= s.last_value
		FROM payments.ledger_horizon h, payments.ledger_transaction_id_seq s', 't', $name);
}

# Snapshots, with nobody calling.
post(300);
all_done('what is posted is taken in');
is($shop->sql(q(SELECT count(*) FROM payments.ledger_snapshot s JOIN payments.ledger_account a ON a.id = s.account_id
	WHERE a.code = 'asset:up')), 4, 'in rows of 64');
is($shop->sql(q(SELECT payments.balance('asset:up', 'infinity'))), 300, 'and right');

# More than one step takes
post(2500);
all_done('many are taken in');
is($shop->sql(q(SELECT count(*) FROM payments.verify() WHERE NOT holds)), 0, 'the books are sound');

# Holds past their time
$shop->sql(q(SELECT payments.hold('up:hold', 'revenue:up', 5, expires_in => '1 s')));
$shop->poll_sql(q(SELECT count(*) FROM payments.ledger_hold_end WHERE outcome = 'expired'), 1, 'a hold is ended');

# Idle, it writes nothing.
$shop->poll_sql(q(SELECT candidate_id = final_id FROM payments.ledger_horizon), 't', 'nothing is under way');
my $before = $shop->sql('SELECT ctid, xmin FROM payments.ledger_horizon');
sleep 2.5;
is($shop->sql('SELECT ctid, xmin FROM payments.ledger_horizon'), $before, 'nothing new, nothing written');
is(times_told(), 0, 'nothing to tell');

# It cannot: told once, and payments go on.
$shop->sql('ALTER SEQUENCE payments.ledger_transaction_id_seq CACHE 2');
my $order = $shop->order(1000);
$shop->confirm($order);
is($shop->wait_for($order), 'SUCCESS', 'a payment goes through');
$shop->poll(sub { times_told() > 0 }, 'it tells that it cannot');
sleep 3.5;
is(times_told(), 1, 'once');
$order = $shop->order(1000);
$shop->confirm($order);
is($shop->wait_for($order), 'SUCCESS', 'payments still go through');
is($shop->sql('SELECT state FROM payments.worker_status'), 'running', 'the worker runs');
$shop->sql('ALTER SEQUENCE payments.ledger_transaction_id_seq CACHE 1');
all_done('it goes on');

# Somebody sits on a balance whose hold is past its time: nobody waits for him.
$shop->sql(q(SELECT payments.hold('up:locked', 'revenue:up', 5, expires_in => '1 s')));
my $session = $shop->{node}->background_psql($shop->{databases}[0]);
$session->query_safe(q(BEGIN));
$session->query_safe(q(SELECT count(*) FROM (SELECT 1 FROM payments.ledger_balance b JOIN payments.ledger_account a ON a.id = b.account_id
	WHERE a.code = 'revenue:up' FOR UPDATE OF b) l));
$shop->poll(sub { times_told() > 1 }, 'a lock is not waited for');
$order = $shop->order(1000);
$shop->confirm($order);
is($shop->wait_for($order), 'SUCCESS', 'a payment goes through meanwhile');
$session->query_safe(q(COMMIT));
$session->quit;
$shop->poll_sql(q(SELECT count(*) FROM payments.ledger_hold_end WHERE outcome = 'expired'), 2, 'then the hold is ended');
is($shop->sql(q(SELECT count(*) FROM payments.verify() WHERE NOT holds)), 0, 'the books are sound');
$shop->books_agree;

done_testing();

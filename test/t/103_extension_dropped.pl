# DROP EXTENSION with calls in flight: refused, and nothing is lost by trying.  By
# force (maintenance mode) the books go, with a call in doubt in them; the next
# extension finds in Toss's list what was charged.
use strict;
use warnings;

use PaymentsTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $shop = PaymentsTest->new(databases => [ 'shop', 'branch' ], conf => "payments.sweep_interval = 1s\npayments.request_timeout = 60s\n");
my $node = $shop->{node};
$shop->wait_for_worker;

# Orders that Toss has charged, and whose answers do not come.
sub in_flight
{
	my ($n) = @_;
	my @orders = $shop->orders($n, 1000);
	$shop->fault($_, kind => 'hang', on => 'confirm', after => 'done', delayMs => 600_000) for @orders;
	$shop->confirm(@orders);
	$shop->poll(sub { $shop->worker('in_flight') == $n }, "in flight: $n");
	return @orders;
}

# Seen from the other database: the one may have no extension.
sub reason
{
	return $node->safe_psql('branch', "SELECT reason FROM payments.worker_status WHERE database = 'shop'");
}

sub fails
{
	my ($sql, $error, $name) = @_;
	my ($status, undef, $said) = $node->psql('shop', "\\set VERBOSITY verbose\n$sql");
	isnt($status, 0, "$name: fails");
	like($said, $error, $name);
	return;
}

# Whoever tries, and however: the worker and its calls do not notice.
my @orders = in_flight(3);
my $pid = $shop->worker('pid');
$node->safe_psql('postgres', 'CREATE ROLE passer LOGIN');
fails('DROP EXTENSION payments', qr/ERROR:  PY024/, 'DROP EXTENSION');
fails('DROP EXTENSION payments CASCADE', qr/ERROR:  PY024/, 'DROP EXTENSION CASCADE');
fails('BEGIN; DROP EXTENSION payments CASCADE; CREATE EXTENSION payments; COMMIT', qr/ERROR:  PY024/, 'in a transaction');
fails('DROP SCHEMA payments CASCADE', qr/ERROR:  (?:PY024|2BP01)/, 'DROP SCHEMA');
fails('DROP OWNED BY CURRENT_USER CASCADE', qr/ERROR:  (?:PY024|2BP01)/, 'DROP OWNED');
fails('SET ROLE passer; DROP EXTENSION payments CASCADE', qr/ERROR:  42501/, 'DROP EXTENSION by anybody');
is($shop->worker('pid'), $pid, 'the worker is left alone');
is($shop->worker('in_flight'), 3, 'with its calls in flight');
is($shop->sql(q(SELECT count(*) FROM payments.psp_call_queue WHERE state = 'S')), 3, 'which are in the queue');
$shop->release;
is($shop->wait_for($_), 'SUCCESS', 'the answer is saved') for @orders;
is(scalar $shop->charges, 3, 'each was charged once');
is(join(',', map { scalar $shop->requests_of($_) } @orders), '1,1,1', 'and asked for once');
$shop->books_agree('after the attempts');

# By force: a call is in doubt when the server goes down, and maintenance mode asks
# about none.
my ($lost) = in_flight(1);
$shop->poll(sub { scalar $shop->charges == 4 }, 'Toss has charged');
$node->append_conf('postgresql.conf', "payments.maintenance = 'to be dropped'\n");
$node->stop('immediate');
$shop->release;
$node->start;
$shop->wait_for_worker('holding');
is($shop->sql('SELECT count(*) FROM payments.open_calls'), 1, 'a call is open');
$node->safe_psql('shop', 'DROP EXTENSION payments CASCADE');
$shop->poll(sub { reason() =~ /does not have the extension/ }, 'the worker sees that it is gone');
like(reason(), qr/does not have the extension/, 'and says so');
like($shop->log, qr/payments maintenance \(to be dropped\): DROP EXTENSION for table payments\.psp_call_queue$/m, 'the log tells of it');

# What there is now knows of nothing, and Toss's list tells.
$node->adjust_conf('postgresql.conf', 'payments.maintenance', undef);
$node->restart;
$shop->install('shop');
$shop->wait_for_worker;
my $requests = scalar grep { $_->{method} eq 'POST' } $shop->requests;
$shop->sql("SELECT payments.reconcile('default', now() - interval '3 hours')");
$shop->poll_sql("SELECT count(*) FROM payments.reconciliation WHERE state = 'C'", 1, 'reconciled');
is($shop->sql("SELECT string_agg(concat_ws(' ', order_id, what, amount), ', ' ORDER BY order_id COLLATE \"C\") FROM payments.foreign_payments"),
	join(', ', map { "$_->{order_id} unknown payment $_->{amount}" } sort { $a->{order_id} cmp $b->{order_id} } @orders, $lost),
	'all that was charged is found');
is(scalar(grep { $_->{method} eq 'POST' } $shop->requests), $requests, 'and nothing is sent for it');
my $order = $shop->order(1000);
$shop->confirm($order);
is($shop->wait_for($order), 'SUCCESS', 'payments go on');
done_testing();

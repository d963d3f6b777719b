# The receiver for Node that the tutorial shows: Toss's webhooks reach the database
# through it, whatever happens to them on the way, and it answers what Toss needs
# to hear.
use strict;
use warnings;

use HTTP::Tiny;
use PaymentsTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $modules = $ENV{NODE_MODULES} // die 'NODE_MODULES does not say where modules of node are';
plan skip_all => 'there is no node with the module pg' unless -e "$modules/pg/package.json"
  && system('node -e 0 2>/dev/null') == 0;

my ($code) = slurp_file('../doc/tutorial.md') =~ m{^```js\n(// receiver\.js.*?)^```$}ms;
my $dir = PostgreSQL::Test::Utils::tempdir;
append_to_file("$dir/receiver.js", $code // die 'the tutorial has no receiver');

# Nothing but webhooks makes the worker ask about deposits here.
my $shop = PaymentsTest->new(conf => "payments.sweep_interval = 3600\n",
	init => { extra => [ '--encoding=UTF8', '--locale=C.UTF-8' ] });
$shop->wait_for_worker;
$shop->sql(q(CREATE ROLE receiver LOGIN; SELECT payments.grant_to('receiver', 'application')));
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $url = "http://127.0.0.1:$port/webhooks/toss";
my $http = HTTP::Tiny->new(timeout => 10);
my $node;

sub start_receiver
{
	$node = fork() // die "could not fork: $!";
	if ($node == 0)
	{
		%ENV = (%ENV, NODE_PATH => $modules, PORT => $port, PGUSER => 'receiver',
			PGHOST => $shop->{node}->host, PGPORT => $shop->{node}->port, PGDATABASE => 'shop');
		open(STDOUT, '>>', "$dir/log");
		open(STDERR, '>>', "$dir/log");
		exec 'node', "$dir/receiver.js" or die $!;
	}
	return $shop->poll(sub { $http->post($url, { content => '' })->{status} == 200 }, 'the receiver runs');
}

sub stop_receiver
{
	return unless $node;
	kill 'TERM', $node;
	waitpid $node, 0;
	undef $node;
	return;
}

END { local $?; stop_receiver() }

sub accounts
{
	my ($n) = @_;
	my @orders = $shop->orders($n, 1000, method => 'VIRTUAL_ACCOUNT');
	$shop->confirm(@orders);
	$shop->poll_sql('SELECT count(*) FROM payments.psp_call_queue', 0, 'accounts are issued');
	return @orders;
}

# Nothing that is on its way is counted with what comes.
sub all_arrived
{
	return $shop->poll(sub { !grep { $_->{state} eq 'waits' } $shop->records('/webhooks') }, 'all have arrived');
}

sub deposit { $shop->toss('POST', '/deposit', { paymentKey => $_->{payment_key} }) for @_; return }

sub are_paid
{
	my ($what, @orders) = @_;
	my $ids = join ',', map { "'$_->{order_id}'" } @orders;
	return ok($shop->poll_sql("SELECT count(*) FROM payments.payment WHERE status = 'SUCCESS' AND order_id IN ($ids)", scalar @orders), $what);
}

ok(start_receiver(), 'it runs');
$shop->settings(webhookUrl => $url);
my @orders = accounts(5);
deposit(@orders);
are_paid('deposits are learnt from webhooks', @orders);
is($shop->sql(q(SELECT string_agg(DISTINCT verdict, ', ' ORDER BY verdict) FROM payments.webhooks WHERE order_id IS NOT NULL)), 'hint, proved', 'all are Toss\'s');
is($shop->sql(q(SELECT count(*) FROM payments.webhooks WHERE order_id IS NOT NULL AND (transmission_id !~ '^whtrans_' OR retried_count <> 0))), 0, 'with their headers');
is($shop->sql(q(SELECT count(*) FROM payments.webhooks w JOIN payments.webhook_body b ON b.webhook_id = w.id
	WHERE kind = 'payment' AND convert_from(b.body, 'UTF8') LIKE '%테스트 상품%')), 5, 'and their bytes');

# Whatever happens on the way
$shop->settings(webhookDuplicatePercent => 40, webhookReorderPercent => 40, webhookForgePercent => 40);
@orders = accounts(40);
deposit(@orders);
are_paid('repeated, reordered, forged', @orders);
$shop->settings(webhookDuplicatePercent => 0, webhookReorderPercent => 0, webhookForgePercent => 0);
cmp_ok($shop->sql(q(SELECT count(*) FROM payments.webhooks WHERE verdict = 'forged')), '>', 0, 'some were forged');

# The receiver is away: Toss tries again.
all_arrived();
stop_receiver();
@orders = accounts(3);
deposit(@orders);
$shop->poll(sub { 9 == grep { $_->{state} eq 'waits' && $_->{tries} == 1 } $shop->records('/webhooks') }, 'none is delivered');
ok(start_receiver(), 'it runs again');
$shop->toss('POST', '/clock', { advance => 61 });
are_paid('a minute later they are', @orders);

# The database is away: 500, and Toss tries again.
@orders = accounts(3);
all_arrived();
$shop->{node}->stop('fast');
is($http->post($url, { content => '{}' })->{status}, 500, 'without a database it does not say that it has taken it');
deposit(@orders);
$shop->poll(sub { 6 == grep { $_->{state} eq 'waits' && $_->{status} == 500 } $shop->records('/webhooks') }, 'Toss hears that');
$shop->{node}->start;
$shop->wait_for_worker;
$shop->toss('POST', '/clock', { advance => 61 });
are_paid('a minute later they are learnt', @orders);

# Strangers
is($http->post($url, { content => $_ })->{status}, 200, 'a stranger hears nothing') for '', 'garbage', "\0\xff\xfe", 'x' x 200000,
  '{"eventType":"PAYMENT_STATUS_CHANGED","data":{"paymentKey":"a","orderId":"nobodys-order","status":"DONE"}}';
is($http->get($url)->{status}, 200, 'whatever he does');
is($shop->sql(q(SELECT string_agg(DISTINCT verdict, ', ' ORDER BY verdict) FROM payments.webhooks WHERE verdict NOT IN ('hint', 'proved', 'forged'))),
	'garbage, unknown order', 'and is written down');
$shop->poll_sql('SELECT count(*) FROM payments.webhook_queue', 0, 'all are looked at');
$shop->books_agree('in the end', log => 0);
$shop->{node}->stop;
done_testing();

# A promoted standby is not what was armed: it asks, and charges nobody until a
# person arms it.  With payments.arm_on_promotion it arms itself, but only after
# it has asked about what was open, and not beside a primary that nobody fenced.
# The old primary that comes back without its token only asks.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $shop = PaymentsTest->new(
	init => { allows_streaming => 1 },
	conf => "payments.test_keys_need_arming = on\npayments.sweep_interval = 1s\n"
	  . "payments.request_timeout = 3s\npayments.shutdown_drain = 100ms\n");
my $primary = $shop->{node};
$shop->wait_for_worker('disarmed');
$shop->sql("SELECT payments.arm('go live')");
$shop->wait_for_worker;

sub posts { return scalar grep { $_->{method} eq 'POST' } $shop->requests }

# A standby of the present primary, with keys of its own, or the same folder.
my $n = 0;
sub standby
{
	my (%options) = @_;
	my $standby = PostgreSQL::Test::Cluster->new('standby' . ++$n);

	$primary->backup("base$n");
	$standby->init_from_backup($primary, "base$n", has_streaming => 1);
	if (!$options{same_folder})
	{
		my $folder = PostgreSQL::Test::Utils::tempdir;
		chmod 0700, $folder;
		system('cp', '-p', "$shop->{secret_dir}/default", $folder);
		$standby->append_conf('postgresql.conf', "payments.secret_dir = '$folder'\n");
		$standby->{folder} = $folder;
	}
	$standby->append_conf('postgresql.conf', $options{conf}) if $options{conf};
	$standby->start;
	$primary->wait_for_catchup($standby);
	return $standby;
}

# The primary dies with a call in flight, which was executed or not.
sub fail_over
{
	my ($standby, $after) = @_;
	my $order = $shop->order(1000);

	$shop->fault($order, kind => 'hang', on => 'confirm', after => $after);
	$shop->confirm($order);
	in_flight($shop, 1);
	$primary->wait_for_catchup($standby);
	$primary->stop('immediate');
	$standby->promote;
	$shop->{node} = $standby;
	$shop->toss('POST', '/faults/clear', {});
	return $order;
}

# Off, the default.
my $standby = standby();
my $open = fail_over($standby, 'unchanged');
my $new = $shop->order(1000);
$shop->confirm($new);
my $posts = posts();
$shop->wait_for_worker('disarmed');
$shop->poll(sub { $shop->sql("SELECT count(*) FROM payments.psp_answer
		WHERE order_id = '$open->{order_id}' AND operation = 'query' AND transport = 'answered'") > 0 },
	'it asks about what was open');
like($shop->worker('reason'), qr/another timeline/, 'and says why it does not charge');
sleep 2;
is(posts(), $posts, 'no charge is sent');
is($shop->sql('SELECT actor, reason FROM payments.arming ORDER BY id DESC LIMIT 1'),
	'payments worker|what was armed was another timeline', 'that is recorded');

# Too late to be allowed to.
$shop->configure('payments.arm_on_promotion' => 'on');
sleep 2;
is($shop->worker('state'), 'disarmed', 'what was recorded stays');
$shop->sql("SELECT payments.arm('failover')");
$shop->release;
is($shop->wait_for($_), 'SUCCESS', 'armed by a person it charges') for $open, $new;
$shop->books_agree('by hand', log => 0);

# The old primary comes back, fenced: its token was taken away.
my ($token) = glob "$shop->{secret_dir}/arming.*";
unlink $token;
$primary->start;
my $old = bless { %$shop, node => $primary }, 'PaymentsTest';
$old->wait_for_worker('disarmed');
like($old->worker('reason'), qr/does not exist/, 'the old primary has no token');
$posts = posts();
my $lost = $old->order(1000);
$old->confirm($lost);
is($old->wait_for($open), 'SUCCESS', 'it asks, too, and learns');
sleep 1.5;
is(posts(), $posts, 'and charges nobody');
$primary->stop;

# On: it asks first, then it arms itself.
$primary = $standby;
$standby = standby(conf => "payments.arm_on_promotion = on\n");
$open = fail_over($standby, 'done');
$new = $shop->order(1000);
$shop->confirm($new);
$posts = posts();
$shop->poll(sub { $shop->worker('reason') =~ /was promoted, and asks about what was open first/ },
	'on: asks first');
is(posts(), $posts, 'on: no charge before');
$shop->release;
is($shop->wait_for($_), 'SUCCESS', 'on: then it charges') for $open, $new;
my ($first, $then) = map { ($shop->requests_of($_))[-1]{number} } $open, $new;
cmp_ok($first, '<', $then, 'on: in this order');
is($shop->sql('SELECT action, actor, reason FROM payments.arming ORDER BY id DESC LIMIT 1'),
	'arm|payments worker|was promoted', 'on: that is recorded');
ok(-e (glob "$standby->{folder}/arming.*")[0], 'on: with a token of its own');
$standby->restart;
$new = $shop->order(1000);
$shop->confirm($new);
is($shop->wait_for($new), 'SUCCESS', 'on: it stays armed');
is($shop->sql('SELECT count(*) FROM payments.verify() WHERE NOT holds'), 0, 'on: all invariants hold');

# On, but the token of the primary is there: nobody has fenced it.
$shop->{secret_dir} = $standby->{folder};
$primary = $standby;
$standby = standby(same_folder => 1);
$open = fail_over($standby, 'done');
$new = $shop->order(1000);
$shop->confirm($new);
$shop->wait_for_worker('disarmed');
$shop->poll(sub { $shop->worker('reason') =~ /the old primary's token is still there/ },
	'not fenced: it says so');
$posts = posts();
$shop->release;
is($shop->wait_for($open), 'SUCCESS', 'not fenced: it asks');
sleep 1.5;
is(posts(), $posts, 'not fenced: and charges nobody');
unlink glob "$shop->{secret_dir}/arming.*";
is($shop->wait_for($new), 'SUCCESS', 'fenced: it charges');

# An operator who disarmed the pair disarmed both.
$primary = $standby;
$standby = standby(conf => "payments.arm_on_promotion = on\n");
$shop->sql("SELECT payments.disarm('an incident')");
$primary->wait_for_catchup($standby);
$primary->stop;
$standby->promote;
$shop->{node} = $standby;
$shop->wait_for_worker('disarmed');
$new = $shop->order(1000);
$shop->confirm($new);
sleep 1.5;
like($shop->worker('reason'), qr/disarmed it: an incident/, 'disarmed before the promotion');
is($shop->status($new), 'EXECUTING', 'stays disarmed');
is($shop->toss('GET', '/summary?orders=0')->{chargedMoreThanOnce}, 0, 'nobody was charged twice');

$standby->stop;
done_testing();

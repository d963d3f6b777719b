# Outside: what happens to payments outside of the shop, for Crash.
#
# Buyers pay into accounts, banks take deposits back, due dates pass, and people
# cancel in Toss's dashboard.  Of some orders the shop is told by webhooks, of
# others it learns when it asks: the first, second and third order of a run.
#
#	prepare		up to where the strike is to come
#	tell		statements by which the shop hears of it
#	hurry		as if time had passed: what waits to be asked about is due
#	end			what still has to happen, and the wait until the shop knows it
package Outside;

use strict;
use warnings;

use Exporter 'import';
use JSON::PP;
use Time::HiRes qw(sleep time);

our @EXPORT = qw(%outside);

my $json = JSON::PP->new->utf8->canonical;

# For each way what payments are, and what becomes of them in the end.
our %outside = (
	issue => { account => 1, becomes => [ ('received') x 3 ] },
	deposit => { account => 1, becomes => [ ('received') x 3 ] },
	reversal => { account => 1, becomes => [ ('reversed') x 3 ] },
	notice => { account => 1, becomes => [ ('reversed') x 3 ] },
	expiry => { account => 1, becomes => [ 'expired', 'expired', 'received' ] },
	late => { account => 1, becomes => [ ('late') x 3 ] },
	dashboard => { becomes => [ ('canceled') x 3 ] });

# How the simulator is to be: short accounts are closed a second later.
sub settings_of
{
	my ($by) = @_;
	return (webhookKeep => $outside{ $by // "" } ? \1 : \0,
		accountSeconds => ($by // '') =~ /expiry|late/ ? 1 : 604800);
}

sub prepare
{
	my ($crash, $by, @orders) = @_;
	my $shop = $crash->{shop};

	return if $by eq 'issue';
	$shop->confirm(@orders);
	if ($by eq 'dashboard')
	{
		$shop->wait_for($_) for @orders;
		happens($shop, 'cancel', @orders);
		return;
	}
	all_of($crash, "deposit_status = 'awaited'", 0, @orders);
	if ($by =~ /expiry|late/)
	{
		$crash->await(60, sub { !grep { !$shop->toss('GET', "/payments/$_->{payment_key}")->{virtualAccount}{expired} } @orders })
		  or die "the accounts stay open\n";
		if ($by eq 'late')
		{
			all_of($crash, "deposit_status = 'expired'", 1, @orders);
			happens($shop, 'deposit', @orders);
			return;
		}
		is_said_once($crash, @orders);
		happens($shop, 'deposit', $orders[2]);
		return;
	}
	happens($shop, 'deposit', @orders);
	return if $by eq 'deposit';
	all_of($crash, "deposit_status = 'received'", 1, @orders);
	happens($shop, 'deposit-error', @orders);
	return if $by eq 'notice';
	$shop->sql("SELECT payments.retry('$_->{order_id}')") for @orders;
	is_said_once($crash, @orders);
}

# Orders that were paid into their accounts, to be given back.
sub deposited
{
	my ($crash, @orders) = @_;
	my $shop = $crash->{shop};
	my $list = list_of(@orders);

	$shop->confirm(@orders);
	all_of($crash, "deposit_status = 'awaited'", 0, @orders);
	happens($shop, 'deposit', @orders);
	all_of($crash, "deposit_status = 'received'", 1, @orders);
	$shop->sql("UPDATE payments.virtual_account SET look_at = NULL WHERE order_id IN ($list)");
}

# What Toss says of an account that waits is asked twice: wait for the first time.
sub is_said_once
{
	my ($crash, @orders) = @_;
	my $list = list_of(@orders);

	$crash->await(60, sub {
			due($crash->{shop}, 'payments.psp_call_deposit', @orders);
			$crash->{shop}->sql("SELECT count(*) FROM payments.psp_call_queue
				WHERE order_id IN ($list) AND state = 'P' AND phase = 'L'") == @orders })
	  or die "not all have been asked about\n";
}

sub happens
{
	my ($shop, $what, @orders) = @_;
	$shop->toss('POST', "/$what", { paymentKey => $_->{payment_key}, $what eq 'deposit' ? (late => \1) : () }) for @orders;
}

sub tell
{
	my ($crash, $by, @orders) = @_;
	my $list = list_of(@orders);

	return map { $crash->{shop}->confirm_sql($_) } @orders if $by eq 'issue';
	return "UPDATE payments.psp_call_queue SET due_at = now() WHERE order_id IN ($list) AND state = 'P'"
	  if $by =~ /reversal|expiry/;
	my $table = $by eq 'deposit' ? 'psp_call_deposit SET due_at' : 'virtual_account SET look_at';
	return (webhooks($crash, $orders[0]),
		$by eq 'dashboard' ? "SELECT payments.retry('$orders[1]{order_id}')"
		: "UPDATE payments.$table = now() WHERE order_id = '$orders[1]{order_id}'",
		"SELECT payments.retry('$orders[2]{order_id}')");
}

# All that Toss tells of an order, as it would be brought
sub webhooks
{
	my ($crash, $order) = @_;
	return map { my $webhook = $json->decode($_);
		'SELECT payments.receive_webhook($wh$' . $webhook->{body} . '$wh$, $wh$' . $json->encode($webhook->{headers} // {}) . '$wh$)' }
	  grep { index($_, "\"orderId\":\"$order->{order_id}\"") >= 0 } split /\n/, $crash->{shop}->toss('GET', '/webhooks');
}

sub hurry
{
	my ($crash, $by, @orders) = @_;
	my $shop = $crash->{shop};

	return if $by eq 'issue' && !$crash->{deposited} || time() < ($crash->{hurried} // 0) + 0.3;
	$crash->{hurried} = time();
	due($shop, 'payments.psp_call_queue', @orders);
	my @late = grep { !is_over($crash, $by, $_, @orders) } 0 .. $#orders or return;
	due($shop, 'payments.psp_call_deposit', @orders[@late]);
	due($shop, 'payments.virtual_account', @orders[@late]) if $by =~ /reversal|notice|late/;
	return if $by ne 'dashboard';
	eval { $shop->sql("SELECT payments.retry('$orders[$_]{order_id}')") } for @late;
}

# Nothing here may wait for a lock: the worker may be stopped with it.
sub due
{
	my ($shop, $table, @orders) = @_;
	my $list = list_of(@orders);
	my $column = $table =~ /virtual_account/ ? 'look_at' : 'due_at';
	my $more = $table =~ /queue/ ? "AND state = 'P' AND phase = 'L'" : '';

	$shop->sql("UPDATE $table SET $column = now() WHERE order_id IN (SELECT order_id FROM $table
		WHERE order_id IN ($list) AND $column > now() $more FOR UPDATE SKIP LOCKED)");
}

sub list_of { return join ', ', map { "'$_->{order_id}'" } @_ }

# Does the shop know what has become of this one?
sub is_over
{
	my ($crash, $by, $n, @orders) = @_;
	my $becomes = $outside{$by}{becomes}[$n];
	my $known = $becomes eq 'canceled' ? 'is_refunded'
	  : $by eq 'issue' ? "deposit_status = '$becomes' OR deposit_status IS NULL AND status = 'FAILURE'" : "deposit_status = '$becomes'";
	return all_are($crash->{shop}, $known, $orders[$n]);
}

sub all_are
{
	my ($shop, $known, @orders) = @_;
	my $list = list_of(@orders);
	return $shop->sql("SELECT count(*) FROM payments.payment WHERE order_id IN ($list) AND ($known)") == @orders;
}

sub all_of
{
	my ($crash, $known, $hurry, @orders) = @_;

	$crash->await(60, sub {
			if ($hurry)
			{
				due($crash->{shop}, $_, @orders) for qw(payments.psp_call_deposit payments.psp_call_queue);
				sleep 0.1;
			}
			all_are($crash->{shop}, $known, @orders) }) or die "not all of them: $known\n";
}

# Webhooks come again, and in another order; returns what is wrong.
sub end
{
	my ($crash, $by, @orders) = @_;
	my $shop = $crash->{shop};
	my @waiting = grep { $by eq 'issue' && $shop->toss('GET', "/payments/$_->{payment_key}")->{status} eq 'WAITING_FOR_DEPOSIT' } @orders;

	happens($shop, 'deposit', @waiting);
	$crash->{deposited} = 1;
	$crash->await(60, sub { $shop->sql(join ';', reverse(webhooks($crash, $orders[0])), 'SELECT 1'); 1 })
	  or return 'webhooks are not taken in';
	my $list = list_of(@orders);
	my $known = $crash->await(120, sub {
			$shop->release;
			$shop->sql("SELECT payments.retry(order_id) FROM payments.psp_call_queue WHERE state = 'D'");
			hurry($crash, $by, @orders);
			!grep { !is_over($crash, $by, $_, @orders) } 0 .. $#orders });
	delete $crash->{deposited};

	# later looks would come in the midst of other runs
	$shop->sql("UPDATE payments.virtual_account SET look_at = NULL WHERE order_id IN ($list)");
	return 'calls stay open' if !$crash->await(60, sub {
			due($shop, 'payments.psp_call_queue', @orders);
			$shop->sql("SELECT (SELECT count(*) FROM payments.psp_call_queue) + (SELECT count(*) FROM payments.webhook_queue)
				+ (SELECT count(*) FROM payments.psp_call_deposit)") == 0 });
	return $known ? () : "not known to the shop, $by:\n" . $shop->sql("SELECT concat_ws(' ', order_id, status, deposit_status, refunded_amount)
		FROM payments.payment WHERE order_id IN ($list)");
}

1;

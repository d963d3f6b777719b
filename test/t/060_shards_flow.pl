# The limits, pauses and breaker of a merchant are those of all workers of the
# database together, and none of the workers is left out.
use strict;
use warnings;

use PaymentsTest;
use Test::More;
use Time::HiRes qw(sleep time);

# No sweep comes to help.
my $shop = PaymentsTest->new(
	conf => "payments.sweep_interval = 1h\npayments.shutdown_drain = 500ms\n");
workers(2);

sub workers
{
	my ($n) = @_;
	$shop->configure('payments.workers_per_database' => $n);
	return $shop->poll_sql("SELECT string_agg(concat_ws(' ', shard, shards, state, reason), ', ' ORDER BY shard) FROM payments.worker_status",
		join(', ', map { "$_ $n running" } 0 .. $n - 1), "$n workers run");
}

sub limits { my (@limits) = @_; $shop->sql("SELECT payments.set_merchant_limits(" . join(', ', "'default'", @limits) . ')') }

sub stats { my ($column) = @_; return $shop->sql("SELECT $column FROM payments.merchant_stats WHERE merchant = 'default'") }

# So many orders of each of the two shards
sub orders_of_each
{
	my ($n) = @_;
	my @of = ([], []);
	while (@{ $of[0] } < $n || @{ $of[1] } < $n)
	{
		my @new = $shop->orders(8, 1000);
		my %shard = map { split / / } split /\n/, $shop->sql("SELECT concat_ws(' ', o, (hashtext(o) & 2147483647) % 2)
			FROM unnest('{" . join(',', map { $_->{order_id} } @new) . "}'::text[]) o");
		push @{ $of[ $shard{ $_->{order_id} } ] }, $_ for @new;
	}
	return map { @{$_}[ 0 .. $n - 1 ] } @of;
}

sub confirm_at_once { my (@orders) = @_; $shop->sql('BEGIN; ' . join('; ', map { $shop->confirm_sql($_) } @orders) . '; COMMIT') }

# Whose turn it was, in order, among the attempts of these orders
sub turns
{
	my (@orders) = @_;
	return split / /, $shop->sql("SELECT string_agg(e.shard::text, ' ' ORDER BY a.claimed_at, a.call_id)
		FROM payments.psp_attempt a JOIN payments.worker_epoch e USING (epoch)
		WHERE a.order_id IN (" . join(', ', map { "'$_->{order_id}'" } @orders) . ')');
}

sub longest_row
{
	my ($longest, $row, $last) = (0, 0, '');
	for (@_)
	{
		$row = $_ eq $last ? $row + 1 : 1;
		$longest = $row if $row > $longest;
		$last = $_;
	}
	return $longest;
}

# The most that the other side had in hand at a time, of the requests behind one
sub most_at_once
{
	my ($behind) = @_;
	my ($now, $most) = (0, 0);

	for (sort { $a->[0] <=> $b->[0] || $a->[1] <=> $b->[1] }
		map { ([ $_->{timeUs}, 1 ], [ $_->{answeredUs}, -1 ]) } grep { $_->{number} > $behind } $shop->requests)
	{
		$now += $_->[1];
		$most = $now if $now > $most;
	}
	return $most;
}

sub last_request { my ($last) = reverse $shop->requests; return $last ? $last->{number} : 0 }

# Places on the wire
for my $places (1, 3)
{
	my @orders = orders_of_each(12);
	limits($places);
	$shop->fault($_, kind => 'slow', on => 'confirm', delayMs => 100) for @orders;
	my $behind = last_request();
	confirm_at_once(@orders);
	ok($shop->wait_until_quiet, "$places: all are paid");
	is(most_at_once($behind), $places, "$places on the wire, of all workers together");
	my @turns = turns(@orders);
	is(scalar @turns, 24, "$places: each was sent once");
	cmp_ok(longest_row(@turns), '<=', 4 * $places, "$places: neither worker waits for the other's backlog: @turns");
}

# A rate
my @orders = orders_of_each(3);
limits('NULL', 120, 1);
confirm_at_once(@orders);
ok($shop->wait_until_quiet, 'with a rate all are paid');
cmp_ok($shop->sql("SELECT extract(epoch FROM max(claimed_at) - min(claimed_at)) FROM payments.psp_attempt
	WHERE order_id IN (" . join(', ', map { "'$_->{order_id}'" } @orders) . ')'), '>', 2.4, 'six at two a second, of both workers together');
limits();

# A breaker: one probe of all workers, and all go on when it has been answered.
$shop->settings(down => \1);
my @failing = orders_of_each(4);
confirm_at_once(@failing);
$shop->poll(sub { stats('breaker') ne 'closed' }, 'the breaker opens');
my @waiting = orders_of_each(4);
confirm_at_once(@waiting);
$shop->poll(sub { stats('breaker') eq 'probing' || stats('next_probe_at') ne '' }, 'it probes');
$shop->settings(down => \0);
ok($shop->wait_until_quiet, 'afterwards all workers go on');
is(join(' ', map { $shop->status($_) } @failing, @waiting), join(' ', ('SUCCESS') x 16), 'and all is paid');

# A worker that goes leaves no place taken and no probe behind.
limits(1);
my ($own, $other) = (orders_of_each(1))[ 1, 0 ];
$shop->fault($own, kind => 'hang', on => 'confirm', after => 'done');
$shop->confirm($own);
$shop->poll(sub { stats('in_flight') == 1 }, 'the second worker has the only place');
$shop->confirm($other);
workers(1);
$shop->release;
ok($shop->wait_until_quiet, 'which is free when it is gone');
is(join(' ', map { $shop->status($_) } $own, $other), 'SUCCESS SUCCESS', 'and all is paid');
is(stats('in_flight'), 0, 'nothing counts as on the wire');
limits();

# Calls that were never sent expire, whichever worker they would have had.
workers(2);
limits('NULL', 1);
$shop->confirm($shop->orders(1, 1000));
my @late;
while (keys %{ { map { $_->[1] => 1 } @late } } < 2)
{
	my ($order) = split /\n/, $shop->sql("SELECT order_id FROM payments.checkout(1,
		'[{\"seller_id\": 1, \"amount\": 1000}]', expires_in => '5 s')");
	push @late, [ $order, $shop->sql("SELECT (hashtext('$order') & 2147483647) % 2") ];
	$shop->sql("SELECT payments.confirm('$order', 'key-of-$order', 1000)");
}
$shop->configure('payments.sweep_interval' => '1s');
is($shop->sql("SELECT payments.wait_for('$_->[0]', '60 s')"), 'FAILURE', "a call of shard $_->[1] expires") for @late;
is($shop->sql("SELECT string_agg(DISTINCT failure_code, ' ') FROM payments.payment_order WHERE order_id IN ("
	. join(', ', map { "'$_->[0]'" } @late) . ')'), 'EXPIRED_UNSENT', 'and says so');
limits();
$shop->books_agree;
is($shop->toss('GET', '/summary?orders=0')->{chargedMoreThanOnce}, 0, 'nobody was charged twice');
$shop->{node}->stop;
done_testing();

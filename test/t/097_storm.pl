# Somebody ends, or cancels, whatever works for the shop, at random instants, many
# times a second: workers, launcher, and sessions that pay and refund.  Whatever
# was under way, all of it ends right.  A worker that is cancelled is not even
# ended by that, nor does it ask twice.  The short form takes some seconds of
# each, make slow a minute.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = is_long('slow') ? 60 : 6;
my $shop = PaymentsTest->new(conf => "payments.shutdown_drain = 100ms\npayments.sweep_interval = 1s\n");
my $node = $shop->{node};
$shop->wait_for_worker;
$shop->settings(auto => 'auto_', delayMs => 5, delayJitterMs => 30);

# Sells, pays and refunds until it is told to stop; whoever ends its session only
# makes it begin another one.
my $pay = q(
	SET application_name = 'load';
	SELECT count(payments.confirm(c.order_id, 'auto_' || c.order_id, 1000))
		FROM generate_series(1, 10) i, LATERAL payments.checkout(i,
			jsonb_build_array(jsonb_build_object('seller_id', i, 'amount', 1000))) c;
	SELECT quote_literal(order_id) AS id, quote_literal('auto_' || order_id) AS key
		FROM payments.checkout(7, '[{"seller_id": 7, "amount": 500}]') \gset
	CALL payments.pay(:id, :key, 500, '2 s', NULL);
	SELECT payments.refund(:id, 'storm', amount => 100);
	SELECT pg_sleep(0.02);
);

sub start_client
{
	my $pid = fork() // die "could not fork: $!";

	return $pid if $pid;
	my $over = 0;
	local $SIG{TERM} = sub { $over = 1 };
	until ($over)
	{
		eval { $node->psql('shop', $pay, on_error_stop => 0) };
	}
	POSIX::_exit(0);
}

# Strike at one of these at a time, from within the server, which is quicker;
# returns how often.
sub storm
{
	my ($function, $victims) = @_;
	my @clients = map { start_client() } 1 .. 3;
	my $strikes = $shop->sql(qq(
		CREATE TEMP TABLE strikes (n int);
		DO \$\$
		DECLARE
			victim int;
			n int := 0;
			ends timestamptz := clock_timestamp() + '$seconds s';
		BEGIN
			WHILE clock_timestamp() < ends OR (n < 10 * $seconds AND clock_timestamp() < ends + '1 min') LOOP
				PERFORM pg_stat_clear_snapshot();
				SELECT pid INTO victim FROM pg_stat_activity WHERE $victims ORDER BY random() LIMIT 1;
				IF found AND $function(victim) THEN n := n + 1; END IF;
				COMMIT;
				PERFORM pg_sleep(random() * 0.02);
			END LOOP;
			INSERT INTO strikes VALUES (n);
		END \$\$;
		SELECT n FROM strikes));

	kill 'TERM', @clients;
	waitpid $_, 0 for @clients;
	note("$function: $strikes strikes");
	$node->psql('shop', $pay);	# a refund that nobody strikes at, if all others were
	return $strikes;
}

# All that was begun ends: what was confirmed is paid, what was asked back is
# refunded, and nothing else.
sub ends_right
{
	my ($name) = @_;

	$shop->wait_for_worker;
	my $end = time() + $PaymentsTest::timeout;
	while (time() < $end && $shop->sql('SELECT count(*) FROM payments.psp_call_queue') > 0)
	{
		$shop->sql(q(SELECT payments.retry(order_id) FROM payments.psp_call_queue
			WHERE state = 'P' AND due_at > clock_timestamp() + '3 s'));
		sleep 1;
	}
	is($shop->sql('SELECT count(*) FROM payments.psp_call_queue'), 0, "$name: no call is left");
	is($shop->sql(q(SELECT string_agg(DISTINCT p.status::text, ', ') FROM payments.payment p
			WHERE EXISTS (SELECT FROM payments.psp_call c WHERE c.order_id = p.order_id AND c.operation = 'confirm'))), 'SUCCESS', "$name: all that was confirmed is paid");
	is(scalar(grep { $_->{kind} eq 'charge' } $shop->charges),
		$shop->sql("SELECT count(*) FROM payments.psp_call WHERE operation = 'confirm'"), "$name: once");
	is($shop->sql(q(SELECT string_agg(DISTINCT refund_status::text, ', ') FROM payments.refund)), 'SUCCESS', "$name: refunds, too");
	audit($shop, $name);
}

# Cancels: the worker lives, and each call is made once, since no answer is lost.
my $pid = $shop->worker('pid');
my $ours = q(backend_type IN ('payments worker', 'payments launcher') OR application_name = 'load');
my $strikes = storm('pg_cancel_backend', q(backend_type = 'payments worker' OR application_name = 'load'));
cmp_ok($strikes, '>=', 10 * $seconds, "$strikes cancels");
ends_right('cancels');
is($shop->worker('pid'), $pid, 'cancels: the worker lives');
is($shop->worker('quarantined'), 0, 'cancels: no answer was put aside');
is($shop->sql(q(SELECT string_agg(a.story, E'\n') FROM (SELECT call_id, string_agg(concat_ws(' ', attempt_no, operation,
		transport, http_status, code, action, received_at), ', ' ORDER BY attempt_no) AS story
		FROM payments.psp_answer GROUP BY call_id HAVING count(*) > 1) a)), '', 'cancels: nothing was asked twice');

$strikes = storm('pg_terminate_backend', $ours);
cmp_ok($strikes, '>=', 10 * $seconds, "$strikes ends");
ends_right('ends');
isnt($shop->worker('pid'), $pid, 'ends: another worker runs');
my $order = $shop->order(1000);
$shop->confirm($order);
is($shop->wait_for($order), 'SUCCESS', 'and business goes on');

$node->stop;
done_testing();

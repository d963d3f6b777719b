# After a start nobody is charged before the calls that the run before left in
# doubt have been asked about once; or a time has passed, and that is said.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use Test::More;

my $shop = PaymentsTest->new(
	conf => "payments.request_timeout = 3s\npayments.connect_timeout = 500ms\n");
my $node = $shop->{node};
$shop->wait_for_worker;

# How many requests of this order came before the first of that one, and when.
sub before
{
	my ($asked, $charged) = @_;
	my ($post) = arrivals($shop, $charged, 'POST');
	return scalar grep { $_->{number} < $post->{number} } arrivals($shop, $asked, 'GET');
}

# The worker is killed with two in flight; a third order comes meanwhile.
my ($done, $lost) = $shop->orders(2, 1000);
$shop->fault($done, kind => 'hang', on => 'confirm', after => 'done');
$shop->fault($lost, kind => 'hang', on => 'confirm', after => 'unchanged');
$shop->confirm($done, $lost);
in_flight($shop, 2);
kill_worker($shop);
my $new = $shop->order(1000);
server_is_back($shop);
$shop->toss('POST', '/faults/clear', {});
$shop->confirm($new);
$shop->poll(sub { $shop->worker('reason') =~ /asked about calls in doubt: 2/ }, 'it says that charges wait');
is($shop->worker('state'), 'running', 'while it runs');
is(scalar arrivals($shop, $new, 'POST'), 0, 'the new order waits');
is($shop->wait_for($new), 'SUCCESS', 'then it is charged');
is(before($_, $new), 1, 'after the ones in doubt were asked about') for $done, $lost;
$shop->release;
is($shop->wait_for($_), 'SUCCESS', 'they come to an end') for $done, $lost;
is($shop->worker('reason'), '', 'and nothing is complained of any more');
like($shop->log, qr/has asked about all calls in doubt: 2/, 'the log has it');

# A query that is not answered is an answer, too: nobody waits for ever.
my $mute = $shop->order(1000);
$shop->fault($mute, kind => 'hang', on => 'any', count => 100);
$shop->confirm($mute);
in_flight($shop, 1);
$node->stop('immediate');
$node->start;
$new = $shop->order(1000);
$shop->confirm($new);
is($shop->wait_for($new), 'SUCCESS', 'unanswered: charged in the end');
is(before($mute, $new), 1, 'unanswered: after one query');
is($shop->status($mute), 'UNKNOWN', 'unanswered: the other is still in doubt');
$shop->toss('POST', '/faults/clear', {});
$shop->release;
is($shop->wait_for($mute), 'SUCCESS', 'unanswered: and comes to an end');

# One that cannot even be asked about, since somebody has locked it.
my $locked = $shop->order(1000);
$shop->fault($locked, kind => 'hang', on => 'confirm');
$shop->confirm($locked);
in_flight($shop, 1);
$node->stop('immediate');
$node->append_conf('postgresql.conf', "payments.databases = ''\n");
$node->start;
my $session = $node->background_psql('shop');
$session->query_safe("BEGIN; SELECT FROM payments.psp_call_queue WHERE order_id = '$locked->{order_id}' FOR UPDATE");
$shop->release;
$new = $shop->order(1000);
$shop->confirm($new);
$shop->configure('payments.databases' => 'shop');
# the adoption itself waits for that lock, so let go of it, and take it again
$session->query_safe('COMMIT');
$shop->poll(sub { $shop->sql("SELECT state FROM payments.psp_call_queue
		WHERE order_id = '$locked->{order_id}'") eq 'P' }, 'adopted');
$session->query_safe("BEGIN; SELECT FROM payments.psp_call_queue WHERE order_id = '$locked->{order_id}' FOR UPDATE");
is($shop->wait_for($new), 'SUCCESS', 'locked: charged after a time');
is($shop->sql("SELECT claimed_at > started_at + '8 s' FROM payments.psp_attempt JOIN payments.worker_epoch USING (epoch)
	WHERE order_id = '$new->{order_id}'"), 't', 'locked: not at once');
like($shop->log, qr/charges again, with calls in doubt that could not be asked about: 1 of 1/, 'locked: and the log says so');
is(scalar arrivals($shop, $locked, 'GET'), 0, 'locked: without having asked');
$session->query_safe('COMMIT');
$session->quit;
is($shop->wait_for($locked), 'SUCCESS', 'locked: and comes to an end');

$shop->wait_until_quiet;
$shop->books_agree;
$node->stop;
done_testing();

# While a secret key is replaced, a call goes on with the key that it was first
# sent with, for queries and for the same confirm again; new calls use the new
# one.  Toss recognizes a repeated call by its key as well.
use strict;
use warnings;

use Audit;
use Digest::SHA qw(sha256_hex);
use PaymentsTest;
use Test::More;
use Time::HiRes qw(sleep);

my $old = $PaymentsTest::secret;
my $new = 'test_sk_rotated0key00000000000000000';
my $shop = PaymentsTest->new(simulator => { secret => $new });
my $node = $shop->{node};
$shop->wait_for_worker;

# Under which key an order was charged
sub key_of
{
	my ($order) = @_;
	my ($charge) = grep { $_->{kind} eq 'charge' && $_->{orderId} eq $order->{order_id} } $shop->charges;
	my %names = map { substr(sha256_hex($_), 0, 16) => $_ eq $old ? 'old' : 'new' } $old, $new;
	return $charge ? $names{ $charge->{apiKey} } // "another: $charge->{apiKey}" : 'none';
}

sub rotate
{
	my (%files) = @_;
	for my $name (qw(default default.previous))
	{
		if ($files{$name}) { $shop->write_secret($name, $files{$name}) }
		else { unlink "$shop->{secret_dir}/$name" }
	}
	$node->reload;
	sleep 0.5;
}

# Three that are open when the key changes: executed with its answer lost; lost
# on the way; and one that has not been sent.
my ($executed, $lost) = $shop->orders(2, 1000);
$shop->fault($executed, kind => 'hang', on => 'confirm', after => 'done');
$shop->fault($lost, kind => 'hang', on => 'confirm', after => 'unchanged');
$shop->fault($_, kind => 'hang', on => 'query', count => 1) for $executed, $lost;
$shop->confirm($executed, $lost);
in_flight($shop, 2);
$node->stop('immediate');
rename "$shop->{secret_dir}/default", "$shop->{secret_dir}/default.previous" or die;
$shop->write_secret('default', $new);
$node->start;
$shop->toss('POST', '/faults/clear', {});
$shop->release;
my $fresh = $shop->order(1000);
$shop->confirm($fresh);
is($shop->wait_for($_), 'SUCCESS', 'all come to an end') for $executed, $lost, $fresh;
is(key_of($executed), 'old', 'what was executed was so with the old key');
is(key_of($lost), 'old', 'what was lost is sent again with the old one');
is(key_of($fresh), 'new', 'a new call uses the new one');
is($shop->sql(q(SELECT count(DISTINCT sent_as), count(*) FROM payments.psp_call_queue)), '0|0', 'none is open');

# In a running worker, by a reload: the very same confirm is repeated.
rotate(default => $old);
my $again = $shop->order(1000);
$shop->fault($again, kind => 'reset-after', on => 'confirm', count => 1);
$shop->fault($again, kind => 'html502', on => 'query', count => 1);
$shop->confirm($again);
$shop->poll(sub { $shop->status($again) eq 'UNKNOWN' }, 'in doubt');
rotate(default => $new, 'default.previous' => $old);
is($shop->wait_for($again), 'SUCCESS', 'by a reload: an end');
is(key_of($again), 'old', 'by a reload: with the old key');
like(answers_of($shop, $again), qr/^confirm no answer, query lookup failed, confirm approved$/,
	'by a reload: the repeated confirm is answered with the first answer') or diag(answers_of($shop, $again));

# The old key is gone: the call is asked about, and never sent again.
rotate(default => $old);
my $late = $shop->order(1000);
$shop->fault($late, kind => 'reset-before', on => 'any', count => 100);
$shop->confirm($late);
$shop->poll(sub { $shop->status($late) eq 'UNKNOWN' }, 'in doubt again');
rotate(default => $new);
my ($posts, $gets) = map { scalar(() = arrivals($shop, $late, $_)) } 'POST', 'GET';
$shop->toss('POST', '/faults/clear', {});
$shop->poll(sub { $node->psql('shop', "SELECT payments.retry('$late->{order_id}')");
		return (() = arrivals($shop, $late, 'GET')) > $gets + 1 }, 'without the old key: it is asked about');
is(scalar(() = arrivals($shop, $late, 'POST')), $posts, 'without the old key: and not sent');
is($shop->status($late), 'UNKNOWN', 'without the old key: nor judged');
rotate(default => $new, 'default.previous' => $old);
$shop->sql("SELECT payments.retry('$late->{order_id}')");
is($shop->wait_for($late), 'SUCCESS', 'with it: it is sent');
is(key_of($late), 'old', 'with it: under the old key');

# A previous key that nobody may use is no key, and said to be none.
$shop->write_secret('default.previous', $old, 0644);
$node->reload;
sleep 0.5;
$fresh = $shop->order(1000);
$shop->confirm($fresh);
is($shop->wait_for($fresh), 'SUCCESS', 'a bad previous key does no harm');
like($shop->log, qr/previous secret key of merchant "default" is not used/, 'and the log says so');
my $said = () = $shop->log =~ /previous secret key of merchant/g;
$shop->confirm($fresh = $shop->order(1000));
$shop->wait_for($fresh);
is(scalar(() = $shop->log =~ /previous secret key of merchant/g), $said, 'once');

$shop->wait_until_quiet;
$shop->books_agree;
$node->stop;
done_testing();

# payments.notify: one notification per settling turn, from the worker's own
# transaction, and none while it is off.
use strict;
use warnings;

use PaymentsTest;
use Test::More;

my $shop = PaymentsTest->new;
$shop->wait_for_worker;
my $listener = $shop->{node}->background_psql('shop');
$listener->query_safe('LISTEN payments_event');

my $order = $shop->order(1000);
$shop->confirm($order);
is($shop->wait_for($order), 'SUCCESS', 'paid');
unlike(scalar $listener->query('SELECT 1'), qr/payments_event/, 'off: nobody is told');

$shop->configure('payments.notify' => 'on');
$shop->poll(sub { $shop->sql('SHOW payments.notify') eq 'on' }, 'it is on');
$order = $shop->order(1000);
$shop->confirm($order);
is($shop->wait_for($order), 'SUCCESS', 'paid');
like(scalar $listener->query('SELECT 1'), qr/notification "payments_event"/,
	'on: whoever listens is told');
is($shop->sql("SELECT string_agg(kind, ', ' ORDER BY id) FROM payments.fetch_events('listener')
	WHERE order_id = '$order->{order_id}'"),
	'payment.confirmed, payment.completed', 'and the events are there to be read');
$listener->quit;

done_testing();

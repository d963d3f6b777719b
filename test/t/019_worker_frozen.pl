# What happened at Toss is booked, whatever the state and the limits of the
# accounts: freezing stops people, not payments that were made.
use strict;
use warnings;

use PaymentsTest;
use Test::More;

my $shop = PaymentsTest->new;

$shop->wait_for_worker;
my $first = $shop->order(1000);
$shop->confirm($first);
is($shop->wait_for($first), 'SUCCESS', 'a payment opens the accounts');

$shop->sql(q(
	SELECT payments.set_account_stripes(account, 1, 'to have limits'), payments.set_account_limits(account, normal_balance, normal_balance, 'as it is')
	FROM payments.accounts WHERE account ~ '^(psp|seller):';
	SELECT payments.freeze_account(account, 'an audit') FROM payments.accounts WHERE state = 'open'));
is($shop->sql(q(SELECT string_agg(DISTINCT state, ', ') FROM payments.accounts)), 'frozen', 'all are frozen');
my (undef, undef, $error) = $shop->{node}->psql('shop', q(\set VERBOSITY sqlstate
	SELECT payments.post('frozen', 'test', '[{"account": "psp:toss", "amount": 1}, {"account": "revenue:test", "amount": -1}]')));
like($error, qr/PY018/, 'and take no posting by hand');

my @orders = $shop->orders(5, 700);
$shop->confirm(@orders);
$shop->wait_until_quiet;
is($shop->sql(q(SELECT count(*) FROM payments.payment WHERE status = 'SUCCESS' AND is_payment_done)), 6, 'payments are booked all the same');
is($shop->sql(q(SELECT balance FROM payments.accounts WHERE account = 'psp:toss')), 1000 + 5 * 700, 'to the last won');
is($shop->sql(q(SELECT string_agg(DISTINCT state, ', ') FROM payments.accounts WHERE state_reason = 'an audit')), 'frozen', 'and nothing is thawed');
is($shop->worker('quarantined'), 0, 'no answer was put aside');

$shop->books_agree;
$shop->{node}->stop;
done_testing();

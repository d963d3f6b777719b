# In a database of another encoding than UTF-8 payments work as in any; of Toss's
# texts what is not ASCII is lost, and nothing else.
use strict;
use warnings;

use PaymentsTest;
use Test::More;

my @encodings = qw(EUC_KR SQL_ASCII LATIN1);
my $shop = PaymentsTest->new;
my $node = $shop->{node};

for my $encoding (@encodings)
{
	my $database = lc $encoding;

	$node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE template0
		ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C'");
	$shop->install($database);
}
$shop->configure('payments.databases' => join ',', map { lc } @encodings);

for my $encoding (@encodings)
{
	$shop->{databases} = [ lc $encoding ];
	$shop->wait_for_worker;

	my ($paid, $refused, $damaged, $lost) = my @orders = $shop->orders(4, 1000);
	$shop->fault($refused, kind => 'refuse', on => 'confirm', code => 'REJECT_CARD_PAYMENT', after => 'aborted');
	$shop->fault($damaged, kind => 'garbage', on => 'confirm');
	$shop->fault($lost, kind => 'close', on => 'confirm');
	$shop->confirm(@orders);
	is($shop->wait_for($_), 'SUCCESS', "$encoding: paid") for $paid, $damaged, $lost;
	is($shop->wait_for($refused), 'FAILURE', "$encoding: refused");
	is($shop->sql("SELECT code || ' ' || (detail ~ '^[ -~]+\$') || ' ' || (detail ~ '\\?') FROM payments.psp_answer
		WHERE order_id = '$refused->{order_id}' AND meaning = 'refused'"),
		'REJECT_CARD_PAYMENT true true', "$encoding: with a text that fits");
	is($shop->sql("SELECT bool_and(story <> '') FROM payments.explain('$_->{order_id}')"), 't', "$encoding: explained")
	  for @orders;
	like($shop->sql('SELECT payments.metrics()'), qr/# EOF$/, "$encoding: measured");
	is($shop->sql('SELECT count(*) FROM payments.alerts'), 0, "$encoding: no alert");
	is($shop->sql(q(SELECT string_agg(invariant, ', ') FROM payments.verify() WHERE NOT holds)), '',
		"$encoding: the invariants hold");
}
is($shop->toss('GET', '/summary?orders=0')->{chargedMoreThanOnce}, 0, 'nobody was charged twice');
unlike($shop->log, qr/PANIC|invalid byte sequence|has no equivalent/, 'nothing of it troubles the server');
$node->stop;
done_testing();

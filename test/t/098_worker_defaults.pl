# Whatever ALTER SYSTEM, ALTER DATABASE and ALTER ROLE make the default of every
# session, the worker's turns mean the same and are as durable, when it starts
# with that, and when a reload brings it.
use strict;
use warnings;

use Audit;
use PaymentsTest;
use Test::More;
use Time::HiRes qw(sleep time);

my %hostile = (
	array_nulls => 'off',
	bytea_output => 'escape',
	check_function_bodies => 'off',
	client_encoding => 'SQL_ASCII',
	cursor_tuple_fraction => '0',
	DateStyle => 'SQL, DMY',
	debug_print_parse => 'on',
	debug_print_plan => 'on',
	debug_print_rewritten => 'on',
	default_transaction_deferrable => 'on',
	default_transaction_isolation => 'serializable',
	default_transaction_read_only => 'on',
	extra_float_digits => '-15',
	force_parallel_mode => 'on',
	from_collapse_limit => '1',
	geqo_threshold => '2',
	idle_in_transaction_session_timeout => '1ms',
	idle_session_timeout => '1ms',
	IntervalStyle => 'sql_standard',
	jit => 'on',
	jit_above_cost => '0',
	join_collapse_limit => '1',
	lc_messages => korean(),
	lock_timeout => '1ms',
	plan_cache_mode => 'force_generic_plan',
	quote_all_identifiers => 'on',
	row_security => 'on',
	search_path => 'hostile, pg_catalog',
	session_replication_role => 'replica',
	standard_conforming_strings => 'off',
	statement_timeout => '1ms',
	synchronous_commit => 'off',
	TimeZone => 'Asia/Kolkata',
	transform_null_equals => 'on',
	work_mem => '64kB',
	xmloption => 'document',
	map { ("enable_$_" => 'off') }
	  qw(bitmapscan hashagg hashjoin indexonlyscan indexscan material memoize mergejoin nestloop seqscan sort tidscan));

sub korean
{
	my ($locale) = grep { /^ko_KR\.utf-?8$/i } split /\n/, `locale -a`;
	return $locale // 'C.UTF-8';
}

my $shop = PaymentsTest->new(conf => "wal_writer_delay = 10s\npayments.sweep_interval = 1s\npayments.connect_timeout = 30s\n");
my $node = $shop->{node};
$shop->wait_for_worker;

# The test's own sessions are to be as ever.
my %ours = %{ { map { split /\|/ } split /\n/, $node->safe_psql('postgres',
	'SELECT name, reset_val FROM pg_settings WHERE lower(name) IN (' . join(', ', map { lc "'$_'" } keys %hostile) . ')') } };
$ENV{PGOPTIONS} = join ' ', map { my $value = $ours{$_}; $value =~ s/([ \\])/\\$1/g; "-c $_=$value" } grep { $ours{$_} ne '' } sort keys %ours;

# Names that a search_path could find in the place of the server's
$shop->sql(q(
	CREATE SCHEMA hostile;
	CREATE FUNCTION hostile.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT '-infinity'::timestamptz $$;
	CREATE FUNCTION hostile.never(text, text) RETURNS bool LANGUAGE sql IMMUTABLE AS $$ SELECT false $$;
	CREATE OPERATOR hostile.= (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.never);
	CREATE FUNCTION hostile.never(bigint, bigint) RETURNS bool LANGUAGE sql IMMUTABLE AS $$ SELECT false $$;
	CREATE OPERATOR hostile.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = hostile.never);
	CREATE TABLE hostile.psp_call_queue (LIKE payments.psp_call_queue)));

# Pay, be refused, lose an answer, give back: what the tables then say
my $first;
sub day
{
	my ($name) = @_;
	my @orders = $shop->orders(6, 1000);

	$shop->fault($orders[0], kind => 'refuse', on => 'confirm', code => 'REJECT_CARD_PAYMENT');
	$shop->fault($orders[1], kind => 'reset-after', on => 'confirm');
	$shop->fault($orders[2], kind => 'garbage', on => 'confirm');
	$shop->confirm(@orders);
	settled($shop, @orders);
	is(join(' ', map { $shop->status($_) } @orders), join(' ', 'FAILURE', ('SUCCESS') x 5), "$name: each ends as it must");
	is($shop->wait_for_refund($orders[3], $shop->refund($orders[3], amount => 300)), 'SUCCESS', "$name: refunded");
	my $ids = join ',', map { "'$_->{order_id}'" } @orders;
	my $told = $shop->sql(qq(SELECT string_agg(concat_ws(' ', operation, transport, meaning, http_status, psp_status, code), E'\n'
		ORDER BY order_id = '$orders[0]{order_id}', order_id = '$orders[1]{order_id}', order_id = '$orders[2]{order_id}', order_id = '$orders[3]{order_id}', call_id, attempt_no)
		FROM payments.psp_answer WHERE order_id IN ($ids)));
	$first //= $told;
	is($told, $first, "$name: and tells the same");
	is($shop->worker('state') . ' ' . $shop->worker('quarantined'), 'running 0', "$name: the worker is well");
}

sub set_all
{
	my ($what) = @_;
	$node->safe_psql('postgres', join ";\n", map { "ALTER $what SET $_ = " .
		(/search_path|DateStyle/ ? $hostile{$_} : "'$hostile{$_}'") } grep { $what ne 'SYSTEM' || $_ ne 'client_encoding' } sort keys %hostile)
	  if $what ne 'SYSTEM';
	return if $what ne 'SYSTEM';
	$node->safe_psql('postgres', "ALTER SYSTEM SET $_ = " . (/search_path|DateStyle/ ? $hostile{$_} : "'$hostile{$_}'"))
	  for sort keys %hostile;
	$node->reload;
	sleep 0.5;
}

sub reset_all
{
	my ($what) = @_;
	$node->safe_psql('postgres', "ALTER $what RESET ALL");
	$node->reload if $what eq 'SYSTEM';
}

day('nothing set');
my $me = $node->safe_psql('postgres', 'SELECT quote_ident(rolname) FROM pg_roles WHERE oid = 10');
for my $what ('DATABASE shop', "ROLE $me", 'SYSTEM')
{
	my $pid = $shop->worker('pid');

	set_all($what);
	if ($what eq 'SYSTEM')
	{
		day('a reload');
		is($shop->worker('pid'), $pid, 'a reload: in the same worker');
	}
	terminate_worker($shop);
	day($what =~ s/ .*//r);
	reset_all($what) if $what ne 'SYSTEM';
}

# Still asynchronous for everybody, and the WAL writer sleeps: what was sent is
# known after a crash all the same.
my $order = $shop->order(1000);
$shop->fault($order, kind => 'hang', on => 'confirm', after => 'done');
$shop->sql('CHECKPOINT');
$shop->sql('SET synchronous_commit = off;' . $shop->confirm_sql($order));
in_flight($shop, 1);
kill_postmaster($shop);
recover($shop);
settled($shop, $order);
is($shop->status($order), 'SUCCESS', 'what was sent was durable');
reset_all('SYSTEM');

# Statements of the engine were not shown to the log.
audit($shop, 'hostile defaults');
$node->stop;
done_testing();

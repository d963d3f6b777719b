# payments.metrics() is OpenMetrics text, to the letter, and Debian's exporter
# with our queries tells the same numbers, both to a role that may only watch.
use strict;
use warnings;

use HTTP::Tiny;
use IPC::Run qw(start);
use PaymentsTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $shop = PaymentsTest->new;
my $node = $shop->{node};
$shop->wait_for_worker;
$node->append_conf('pg_hba.conf', "local all all trust\n");
$shop->sql(q(CREATE ROLE watcher LOGIN; SELECT payments.grant_to('watcher', 'monitor')));

sub metrics
{
	return $node->safe_psql('shop', 'SELECT payments.metrics()', extra_params => [ '-U', 'watcher' ]);
}

# Paid, refused, sent again.
my @orders = $shop->orders(12, 1000);
$shop->fault($orders[0], on => 'confirm', kind => 'refuse', code => 'REJECT_CARD_PAYMENT');
$shop->fault($orders[1], on => 'confirm', kind => 'reset-after');
$shop->confirm(@orders);
$shop->wait_until_quiet;
my $order = $shop->order(1000);
$shop->fault($order, on => 'confirm', kind => 'hang');
$shop->confirm($order);
$shop->poll(sub { $shop->worker('in_flight') == 1 }, 'one is in flight');

# As OpenMetrics
my ($found, $problems) = read_openmetrics(metrics());
is(join("\n", @$problems), '', 'it is OpenMetrics text');
my %expected = (
	'payments_build_info{database="shop",version="0.1"}' => 1,
	'payments_worker_up{database="shop",shard="0"}' => 1,
	'payments_worker_state{database="shop",payments_worker_state="running",shard="0"}' => 1,
	'payments_worker_state{database="shop",payments_worker_state="holding",shard="0"}' => 0,
	'payments_worker_in_flight{database="shop",shard="0"}' => 1,
	'payments_worker_settled_total{database="shop",shard="0"}' => 12,
	'payments_worker_claimed_total{database="shop",shard="0"}' => 14,
	'payments_results_total{database="shop",meaning="approved",shard="0"}' => 11,
	'payments_results_total{database="shop",meaning="refused",shard="0"}' => 1,
	'payments_results_total{database="shop",meaning="no answer",shard="0"}' => 1,
	'payments_results_total{database="shop",meaning="busy",shard="0"}' => 0,
	'payments_actions_total{action="succeed",database="shop",shard="0"}' => 11,
	'payments_errors_total{code="REJECT_CARD_PAYMENT",database="shop",shard="0"}' => 1,
	'payments_calls_open{database="shop",kind="trying"}' => 1,
	'payments_calls_open{database="shop",kind="dead"}' => 0,
	'payments_calls_overdue_seconds{database="shop"}' => 0,
	'payments_duration_seconds_count{database="shop",shard="0",stage="total"}' => 12,
	'payments_duration_seconds_bucket{database="shop",le="+Inf",shard="0",stage="total"}' => 12,
);
is($found->{$_} // 'nothing', $expected{$_}, $_) for sort keys %expected;
is(scalar(grep { /^payments_alerts/ } keys %$found), 0, 'no alert');
cmp_ok($found->{'payments_duration_seconds_sum{database="shop",shard="0",stage="total"}'}, '>', 0, 'a sum');
$shop->release;
$shop->wait_until_quiet;

# What counts only grows, and stays.
{
	my $before = (read_openmetrics(metrics()))[0];
	my $paid = $shop->order(1000);
	$shop->confirm($paid);
	$shop->wait_until_quiet;
	my ($after, $of_after) = read_openmetrics(metrics());
	my @counting = grep { /^\w+(?:_total|_bucket|_count|_sum)\{/ } sort keys %$before;
	is(join("\n", @$of_after), '', 'it is OpenMetrics text later, too');
	cmp_ok(scalar(@counting), '>', 50, 'many series count');
	is(join("\n", grep { !defined $after->{$_} || $after->{$_} < $before->{$_} } @counting), '', 'none goes back, or is gone');
	cmp_ok(scalar(grep { $after->{$_} > $before->{$_} } @counting), '>', 5, 'some have grown');
}

# A database of an odd name that nobody serves
my $odd = qq(we"ird\\shop);
$node->safe_psql('postgres', q(CREATE DATABASE "we""ird\shop"));
$node->safe_psql($odd, 'CREATE EXTENSION payments');
my ($other, $of_other) = read_openmetrics($node->safe_psql($odd, 'SELECT payments.metrics()'));
is(join("\n", @$of_other), '', 'it is OpenMetrics text where no worker is');
is($other->{q(payments_worker_up{database="we\"ird\\\\shop",shard="0"})}, 0, 'with an odd name, and no worker');
is($other->{q(payments_alerts_active{alert="worker_down",database="we\"ird\\\\shop",severity="critical"})}, 1, 'which is an alert');

# What Toss has and the books have not
my $made = $shop->toss('POST', '/pay', { orderId => 'FOREIGN-1', amount => 700 });
$shop->toss('POST', '/approve', { paymentKey => $made->{paymentKey} });
$shop->configure('payments.reconcile_interval' => 1);
$shop->poll_sql("SELECT count(*) FROM payments.reconciled", 1, 'reconciled');
$shop->configure('payments.reconcile_interval' => 0);
$shop->poll_sql('SELECT count(*) FROM payments.reconciliation WHERE ended_at IS NULL', 0, 'and no more');

# The exporter
my $program = (grep { -x } map { "$_/prometheus-postgres-exporter" } split(/:/, $ENV{PATH}), $ENV{EXPORTER_DIR} // ())[0];
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $exporter;
ok(defined $program, 'there is an exporter: make packages') or goto END;
{
	local $ENV{DATA_SOURCE_NAME} = 'user=watcher dbname=shop sslmode=disable host=' . $node->host . ' port=' . $node->port;
	my $log = "$PostgreSQL::Test::Utils::log_path/exporter.log";
	$exporter = start([ $program, '--disable-default-metrics', '--disable-settings-metrics',
			'--no-collector.database', '--no-collector.bgwriter',
			'--extend.query-path=../doc/postgres-exporter.yaml',
			"--web.listen-address=127.0.0.1:$port" ], '>', $log, '2>&1');
}
same_numbers('it tells the same');
cmp_ok(scalar(keys %{ scrape() }), '>', 150, 'which are many');

# And when something is wrong
$shop->configure('payments.databases' => '');
$shop->poll_sql('SELECT count(*) FROM payments.worker_status', 0, 'no worker');
my $now = scrape();
is($now->{'payments_worker_up{database="shop",shard="0"}'}, 0, 'no worker');
is($now->{'payments_alerts_active{alert="worker_down",database="shop",severity="critical"}'}, 1, 'an alert');
$exporter->signal('TERM');
$exporter->finish;

END:
$node->stop;
done_testing();

# The series of the exporter, without its own label
sub scrape
{
	my $text;
	$shop->poll(sub {
			my $answer = HTTP::Tiny->new(timeout => 10)->get("http://127.0.0.1:$port/metrics");
			$text = $answer->{content};
			return $answer->{success} && $text =~ /^payments_/m && $text =~ /^pg_exporter_last_scrape_error 0/m;
		}, 'the exporter answers') or diag(substr($text // '', 0, 2000));
	my %series;
	for (grep { /^payments_/ } split /\n/, $text)
	{
		my ($name, $labels, $value) = /^(\w+)\{(.*)\} (\S+)$/ or next;
		$labels = join ',', sort grep { !/^server=/ } $labels =~ /(\w+="(?:[^"\\]|\\.)*")/g;
		$series{ canonical("$name\{$labels}") } = $value + 0;
	}
	return \%series;
}

# But for what the clock alone changes
sub same_numbers
{
	my ($name) = @_;
	my %theirs = %{ scrape() };
	my ($ours) = read_openmetrics(metrics());
	my @differ;

	for my $key (sort keys %{ { %theirs, %$ours } })
	{
		next if $key =~ /^payments_(?:build_info|worker_state|calls_(?:oldest|overdue)_seconds)/;
		my ($a, $b) = ($theirs{$key}, $ours->{$key});
		push @differ, "$key: " . ($a // 'nothing') . ', ' . ($b // 'nothing')
		  if !defined $a || !defined $b || abs($a - $b) > 0.001;
	}
	is(join("\n", @differ), '', $name);
}

# le as a number is spelled in many ways.
sub canonical
{
	my ($key) = @_;
	$key =~ s/\ble="([^"+]+)"/sprintf('le="%.9g"', $1)/e;
	return $key;
}

# Read OpenMetrics text strictly: series by name and sorted labels, and problems.
sub read_openmetrics
{
	my $label = qr/[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"/;
	my ($text) = @_;
	my (%series, %family, @problems, $current, %last, %group);

	push @problems, 'does not end with # EOF' if $text !~ /^# EOF\n\z/m;
	push @problems, 'an empty line' if $text =~ /^\n/m;
	push @problems, 'a carriage return' if $text =~ /\r/;
	push @problems, 'more than one # EOF' if 1 < (() = $text =~ /^# EOF$/mg);
	for (split /\n/, $text =~ s/# EOF\n\z//r)
	{
		if (/^# (TYPE|UNIT|HELP) (\w+) (.*)$/)
		{
			my ($what, $name, $rest) = ($1, $2, $3);
			if (($current // '') ne $name)
			{
				push @problems, "$name comes twice" if $family{$name};
				$current = $name;
				$family{$name} = { };
			}
			push @problems, "$what of $name comes twice" if defined $family{$name}{$what};
			push @problems, "$what of $name comes before its type" if $what ne 'TYPE' && !defined $family{$name}{TYPE};
			push @problems, "help of $name is not escaped" if $what eq 'HELP' && $rest !~ /^(?:[^\\"]|\\[\\n"])+$/;
			push @problems, "$name, a $family{$name}{TYPE}, has a unit" if $what eq 'UNIT' && ($family{$name}{TYPE} // '') =~ /info|stateset/;
			push @problems, "$what of $name comes behind its samples" if $family{$name}{samples};
			push @problems, "type $rest" if $what eq 'TYPE' && $rest !~ /^(?:counter|gauge|histogram|info|stateset)$/;
			push @problems, "unit $rest of $name" if $what eq 'UNIT' && $name !~ /_\Q$rest\E$/;
			$family{$name}{$what} = $rest;
			next;
		}
		my ($name, $labels, $value) = /^([a-zA-Z_:][a-zA-Z0-9_:]*)\{($label(?:,$label)*)\} (-?\d+(?:\.\d+)?)$/a
		  or push(@problems, "line: $_"), next;
		my %suffix = (counter => qr/_total/, gauge => qr//, info => qr/_info/, stateset => qr//,
			histogram => qr/_(?:bucket|sum|count)/);
		my $type = $family{$current}{TYPE} // 'none';
		push @problems, "$name is not of $current, a $type" if $name !~ /^\Q$current\E$suffix{$type}$/;
		push @problems, "$name is not whole" if $type =~ /counter/ && $value =~ /\./;
		push @problems, "$name is negative" if $value < 0;
		$family{$current}{samples}++;
		my @labels = sort $labels =~ /(\w+="(?:[^"\\]|\\.)*")/g;
		my %labels = map { /^(\w+)="(.*)"$/ } @labels;
		push @problems, "$name\{$labels}: a label comes twice" if keys %labels != @labels;
		push @problems, "$name\{$labels}: a label that is reserved" if grep { /^__/ } keys %labels;
		push @problems, "$name: $value, but it is an info" if $type eq 'info' && $value ne '1';
		push @problems, "$name\{$labels}: no state" if $type eq 'stateset' && ($value !~ /^[01]$/ || !defined $labels{$current});
		push @problems, "$name: le of no bucket" if defined $labels{le} && $name !~ /_bucket$/;

		# the samples of a metric stand together
		my $metric = "$current " . join ',', grep { !/^(?:le|\Q$current\E)=/ } @labels;
		push @problems, "$name\{$labels}: apart from its like" if $group{$metric} && $group{-last} ne $metric;
		$group{-last} = $metric;
		$group{$metric}{ $name =~ s/^\Q$current\E//r } = $labels{le} // '';
		my $key = canonical("$name\{" . join(',', @labels) . '}');
		push @problems, "$key comes twice" if exists $series{$key};
		$series{$key} = $value;
		if ($name =~ /_bucket$/)
		{
			my $of = join ',', grep { !/^le=/ } @labels;
			my ($le) = map { /^le="(.*)"$/ } @labels;
			push @problems, "$key: less than before" if $value < ($last{$of}{count} // 0);
			push @problems, "$key: not in order" if $le ne '+Inf' && $le <= ($last{$of}{le} // -1);
			$last{$of} = { count => $value, le => $le };
		}
		if ($name =~ /_count$/)
		{
			my $of = join ',', @labels;
			push @problems, "$key: is not the last bucket" if ($last{$of}{le} // '') ne '+Inf' || $last{$of}{count} != $value;
		}
	}
	for my $metric (grep { !/^-/ && $family{ (split / /)[0] }{TYPE} eq 'histogram' } sort keys %group)
	{
		push @problems, "$metric: not a whole histogram"
		  if join(' ', map { "$_=$group{$metric}{$_}" } sort keys %{ $group{$metric} }) ne '_bucket=+Inf _count= _sum=';
	}

	# no name may be taken for a sample of another family
	for my $name (sort keys %family)
	{
		push @problems, "$name is " . $name =~ s/_[a-z]+$//r . ' with a suffix'
		  if $name =~ /^(\w+)_(?:total|created|bucket|count|sum|info|gcount|gsum)$/ && $family{$1};
	}
	push @problems, map { "$_ has no type or help" } grep { !$family{$_}{TYPE} || !$family{$_}{HELP} } sort keys %family;
	return (\%series, \@problems);
}

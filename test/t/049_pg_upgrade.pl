# pg_upgrade starts both servers with our library in them, and with a list of
# databases to serve: it sends nothing.  The new cluster has every call, and
# goes on with them: those never sent, and those whose outcome is unknown.
use strict;
use warnings;

use PaymentsTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $shop = PaymentsTest->new(conf => "payments.shutdown_drain = 300ms\npayments.request_timeout = 5s\n");
my $old = $shop->{node};
$shop->wait_for_worker;
my $paid = $shop->order(1000);
$shop->confirm($paid);
is($shop->wait_for($paid), 'SUCCESS', 'a payment that is over');

# Executed, and not answered before the server stops; never sent.
my @unknown = $shop->orders(3, 1000);
$shop->fault($_, kind => 'hang', on => 'confirm', delayMs => 600_000) for @unknown;
$shop->confirm(@unknown);
$shop->poll(sub { $shop->worker('in_flight') == 3 }, 'in flight');
$shop->poll(sub { scalar($shop->charges) == 4 }, 'executed');
$shop->settings(down => JSON::PP::true);
my @unsent = $shop->orders(3, 1000);
$shop->confirm(@unsent);
sleep 0.5;
$old->stop('fast');
$shop->release;
$shop->settings(down => JSON::PP::false);

# The same settings, so that a worker would have all it needs.
my $new = PostgreSQL::Test::Cluster->new('new');
$new->init;
my ($settings) = slurp_file($old->data_dir . '/postgresql.conf') =~ /(^shared_preload_libraries = 'payments'.*)/ms;
$settings =~ s/^(?:port|unix_socket_directories|listen_addresses) = .*\n//mg;
$new->append_conf('postgresql.conf', $settings);
my $requests = () = $shop->requests;
my $bindir = $old->config_data('--bindir');
chdir PostgreSQL::Test::Utils::tempdir;
command_ok([ 'pg_upgrade', '--no-sync', '-b', $bindir, '-B', $bindir, '-d', $old->data_dir, '-D', $new->data_dir,
		'-s', $new->host, '-p', $old->port, '-P', $new->port ], 'pg_upgrade');
is(scalar(() = $shop->requests), $requests, 'sends nothing');

$shop->{node} = $new;
$new->start;
is($shop->sql('SELECT count(*) FROM payments.rearm()') > 0, 1, 'triggers of foreign keys are armed again');
$shop->wait_for_worker;
my @not = grep { $shop->wait_for($_) ne 'SUCCESS' } @unknown, @unsent;
is(scalar @not, 0, 'the new cluster brings every payment to its end');
ok($shop->wait_until_quiet, 'nothing is open');
is(scalar(() = $shop->charges), 7, 'each was charged once');

# Commit times do not survive, so the audit, which needs them, has no say here.
is($shop->sql(q(SELECT string_agg(invariant || ': ' || counterexample, E'\n') FROM payments.verify() WHERE NOT holds)),
	'', 'all invariants hold');
$new->stop;
done_testing();

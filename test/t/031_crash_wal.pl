# Whatever record of the log is the last that reached the disk: after recovery
# the books have every row of every transaction whose commit record is there,
# and no other row; they are sound; and the run, repeated from the start, leads
# to the same books as a run without a crash.
#
# One run of everything a ledger does is made, its log is cut behind each of
# its records in turn, and a copy of the data folder, as it was on disk before
# the run or in the middle of it, recovers from what is left; or a backup
# recovers to that record and is promoted.  make check takes a sample (SEED=...
# repeats one), make crash-wal every record.  AT=n takes the n-th only, and
# keeps its folder.
use strict;
use warnings;

use File::Temp;
use LedgerRun;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use IPC::Run;
use Test::More;
use Time::HiRes qw(sleep time);

my $all = ($ENV{LONG} // '') eq 'crash_wal';
my $sample = $ENV{SAMPLE} || 120;
my $workers = $ENV{JOBS} || 2;
my $seed = $ENV{SEED} || int(rand(1 << 31));
srand($seed);
diag("SEED=$seed");

my $segment_size = 1 << 20;
my $dir = scratch_folder();

# Copying files is most of the work: in memory, if there is room.
sub scratch_folder
{
	my ($free) = (`df -Pm /dev/shm 2>/dev/null` // '') =~ /^\S+\s+\d+\s+\d+\s+(\d+)/m;

	return PostgreSQL::Test::Utils::tempdir if ($free // 0) < 1000 || !-w '/dev/shm';
	return File::Temp::tempdir('payments-XXXXXX', DIR => '/dev/shm');
}

my $test = $$;
END { local $?; run_quietly('rm', '-rf', $dir) if $test == $$ && $dir =~ m{^/dev/shm/} && !$ENV{AT} }

#
# The run
#

# Nothing writes but the run itself.  There are no full-page images that would
# hide what a record changes, and each record carries a copy of its pages, with
# which recovery compares its own.  Few buffers: pages reach the disk at odd
# moments.
my $node = PostgreSQL::Test::Cluster->new('run');
$node->init(extra => ['--wal-segsize=1']);
$node->append_conf('postgresql.conf', q(
shared_preload_libraries = 'payments'
max_prepared_transactions = 20
wal_level = replica
wal_keep_size = 1GB
full_page_writes = off
wal_consistency_checking = all
autovacuum = off
shared_buffers = 1MB
max_connections = 10
log_statement = none
restart_after_crash = off
));
$node->start;

# One database is enough to copy.
$node->safe_psql('postgres', 'CREATE DATABASE shop');
$node->safe_psql('shop', 'CREATE EXTENSION payments');
$node->safe_psql('shop', 'CREATE EXTENSION amcheck')
  if $node->safe_psql('shop', q(SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'));
$node->safe_psql('shop', q(UPDATE pg_database SET datistemplate = false));
$node->safe_psql('shop', "DROP DATABASE $_") for qw(postgres template0 template1);

my @steps = ledger_steps();
my ($rows, $books, $audit) =
  map { $_->($node, 'shop') } \&ledger_rows_sql, \&ledger_books_sql, \&ledger_audit_sql;
my $backup = image('backup', 'fast');
$node->safe_psql('shop', 'CHECKPOINT');
my @images = ({ dir => image('before', 'immediate'), from => 0 });

# lsn: where the log was when the step was done.  state: what must be so if its
# last event is in the log.  answer: what it printed.
my $session = $node->background_psql('shop', on_error_stop => 1);
my $start = position();
my @states = ({ lsn => $start, rows => state_of(), step => -1 });

for my $i (0 .. $#steps)
{
	my $step = $steps[$i];

	if ($step->{session})
	{
		$session->query_safe($step->{sql});
	}
	elsif ($step->{fails})
	{
		my ($status) = $node->psql('shop', $step->{sql}, on_error_stop => 1);
		is($status, 3, "$step->{name}: fails");
	}
	else
	{
		$step->{answer} = $node->safe_psql('shop', $step->{sql});
	}
	push @states, { lsn => position(), rows => state_of(), step => $i };

	# A crash on the way, with a prepared transaction: the folder then has pages
	# of all times.
	if ($step->{name} eq 'another session commits')
	{
		$session->quit;
		push @images, { dir => image('amid', 'immediate'), from => $states[-1]{lsn} };
		$session = $node->background_psql('shop', on_error_stop => 1);
	}
}
my $end = position();
my $final_books = $node->safe_psql('shop', $books);
is($node->safe_psql('shop', $audit), '', 'the books are sound without a crash');
is($node->safe_psql('shop', 'SELECT count(*) FROM pg_prepared_xacts'), 0, 'and nothing is left open');
is(join(' ', grep { $node->safe_psql('shop', "SELECT NOT EXISTS (SELECT FROM payments.$_)") eq 't' }
		split /\n/, $node->safe_psql('shop', q(SELECT relname FROM pg_class
			WHERE relnamespace = 'payments'::regnamespace AND relkind = 'r' AND relname LIKE 'ledger%'))),
	'', 'no table of the ledger is empty');
$session->quit;
$node->stop('immediate');

# The data folder as a stop or crash leaves it, without its log
sub image
{
	my ($name, $mode) = @_;

	$node->stop($mode);
	system_or_bail('cp', '-a', $node->data_dir, "$dir/$name");
	system_or_bail('rm', '-rf', "$dir/$name/pg_wal", "$dir/$name/postmaster.pid", "$dir/$name/pg_stat_tmp");
	mkdir "$dir/$name/$_", 0700 for qw(pg_wal pg_wal/archive_status pg_stat_tmp);
	append_to_file("$dir/$name/postgresql.conf", qq(
listen_addresses = ''
port = 5432
fsync = off
wal_consistency_checking = ''
full_page_writes = on
shared_buffers = 16MB
));
	$node->start;
	return "$dir/$name";
}

sub position { return to_number($node->safe_psql('shop', 'SELECT pg_current_wal_insert_lsn()')) }

sub to_number
{
	my ($high, $low) = split m{/}, $_[0];
	return hex($high) * 2**32 + hex($low);
}

sub to_lsn { my ($n) = @_; return sprintf('%X/%X', int($n / 2**32), $n % 2**32) }

sub state_sql
{
	return "$rows; SELECT 'prepared ' || gid FROM pg_prepared_xacts ORDER BY gid";
}

sub state_of { return $node->safe_psql('shop', state_sql()) }

#
# The log
#

# Its records from the run's first to its last, and behind which of them a
# transaction was committed or prepared, or ended that had been.
my $wal = $node->data_dir . '/pg_wal';
my @records;
for (split /\n/, run_quietly('pg_waldump', '-p', $wal, '-s', to_lsn($start), '-e', to_lsn($end)))
{
	my ($kind, $size, $lsn, $what) =
	  m{^rmgr: (\S+) +len \(rec/tot\): +\d+/ +(\d+), .*? lsn: ([0-9A-F]+/[0-9A-F]+), .*?desc: (\S+)} or next;

	push @records, { name => "$kind $what", size => $size, lsn => to_number($lsn),
		is_event => !!($kind eq 'Transaction' && $what =~ /^(COMMIT|PREPARE|COMMIT_PREPARED|ABORT_PREPARED)$/) };
}
for my $i (0 .. $#records)
{
	$records[$i]{end} = $i < $#records ? $records[$i + 1]{lsn} : $end;
	$records[$i]{next} = $i < $#records ? $records[$i + 1]{size} : 0;
}

# What a command prints
sub run_quietly
{
	my @command = @_;
	my ($out, $err);

	IPC::Run::run(\@command, '>', \$out, '2>', \$err) or die "@command: $err";
	return $out;
}

# One event a step, so that what must be there after each record is known.
my (@wrong, $state);
$state = 0;
for my $record (@records)
{
	if ($record->{is_event})
	{
		my $next = $state + 1;

		$next++ while $next < @states && $states[$next]{lsn} < $record->{end};
		push @wrong, "$record->{name} at " . to_lsn($record->{lsn})
		  if $next > $#states || $states[$next]{is_used}++;
		$state = $next;
	}
	$record->{state} = $state;
}
is("@wrong", '', 'each step ended one transaction at most');
my %events = map { $_->{name} => 1 } grep { $_->{is_event} } @records;
is(join(' ', sort keys %events), join(' ', map { "Transaction $_" }
		qw(ABORT_PREPARED COMMIT COMMIT_PREPARED PREPARE)), 'there are all kinds of ends');

# Which: all of them, or those around the ends of transactions and others.
my @points = 0 .. $#records;
if (!$all)
{
	my @near = grep { $records[$_]{is_event} || ($_ < $#records && $records[$_ + 1]{is_event}) } @points;

	@points = map { $_->[1] } sort { $a->[0] <=> $b->[0] } map { [ rand, $_ ] } @points;
	@near = map { $_->[1] } sort { $a->[0] <=> $b->[0] } map { [ rand, $_ ] } @near;
	my %some = map { $_ => 1 } @near[ 0 .. $sample / 4 - 1 ], @points[ 0 .. $sample * 3 / 4 - 1 ];
	@points = sort { $a <=> $b } keys %some;
}
@points = ($ENV{AT}) if $ENV{AT};
note(scalar @records, ' records, ', scalar(grep { $_->{is_event} } @records), ' ends of transactions; ',
	scalar @points, ' to try');

#
# A crash
#

# Each returns a list of what is wrong, by the promise that is broken.
sub try_point
{
	my ($n, $copy) = @_;
	my $record = $records[$n];
	my $expected = $states[ $record->{state} ];
	my @crashes = grep { $_->{from} <= $record->{end} } @images;
	my $to_target = $n % 8 == 5;

	run_quietly('cp', '-a', $to_target ? $backup : $crashes[ rand @crashes ]{dir}, $copy);
	if ($to_target)
	{
		cut_log($copy, $end, 0);
		append_to_file("$copy/postgresql.conf", "hot_standby = off\nrestore_command = 'false'\n"
			  . "recovery_target_lsn = '" . to_lsn($record->{lsn}) . "'\nrecovery_target_action = promote\n");
		append_to_file("$copy/recovery.signal", '');
	}
	else
	{
		# Every second time some of the next record is there, half of it at
		# most: its last bytes may be zero, like those that take their place.
		cut_log($copy, $record->{end}, $n % 2 ? 1 + int(rand($record->{next} / 2)) : 0);
	}
	my $pid = start_server($copy) // return ("does not recover:\n" . slurp_file("$copy.log"));
	my @problems = audit_copy($copy, $expected);

	stop_server($pid);
	push @problems, "the log says: $1" if slurp_file("$copy.log") =~ /(.*(?:PANIC|TRAP|inconsistent page).*)/;
	return @problems;
}

# The log from where recovery begins as far as a position, and some bytes of
# what follows
sub cut_log
{
	my ($copy, $lsn, $more) = @_;
	my ($redo) = run_quietly('pg_controldata', $copy) =~ /REDO location: +(\S+)/;
	my ($first, $last) = map { int($_ / $segment_size) } to_number($redo), $lsn + $more - 1;
	my @names = map { sprintf '00000001%08X%08X', 0, $_ } $first .. $last;

	run_quietly('cp', (map { "$wal/$_" } @names), "$copy/pg_wal");
	truncate "$copy/pg_wal/$names[-1]", $lsn + $more - $last * $segment_size or die;
	truncate "$copy/pg_wal/$names[-1]", $segment_size or die;
}

sub start_server
{
	my ($copy) = @_;
	my $end = time() + $PostgreSQL::Test::Utils::timeout_default;
	my $pid = fork() // die "could not fork: $!";

	if ($pid == 0)
	{
		open(STDOUT, '>', "$copy.log");
		open(STDERR, '>&', \*STDOUT);
		exec 'postgres', '-D', $copy, '-k', $copy or POSIX::_exit(1);
	}
	while (time() < $end)
	{
		sleep 0.005;
		return undef if waitpid($pid, 1) == $pid;
		next if !-s "$copy/postmaster.pid";
		return $pid if slurp_file("$copy/postmaster.pid") =~ /^ready *$/m;
	}
	stop_server($pid);
	return undef;
}

sub stop_server
{
	my ($pid) = @_;
	kill 'QUIT', $pid;
	waitpid $pid, 0;
}

# One session: what is there, is it sound, the run again, the books then.
sub audit_copy
{
	my ($copy, $expected) = @_;
	my @script = ('\set ON_ERROR_STOP 1', q(SET lock_timeout = '10s';),
		state_sql() . ';',
		'\echo @ sound', $audit,
		ledger_repeat_sql(\@steps, $expected->{step}, $expected->{rows} =~ /^prepared (.*)$/mg),
		'\echo @ books', "$books;",
		'\echo @ sound at last', $audit, q(SELECT 'prepared ' || gid FROM pg_prepared_xacts;));
	my @problems;

	my $is_done = IPC::Run::run([ 'psql', '-XAtq', '-h', $copy, '-p', 5432, '-d', 'shop', '-f', '-' ],
		'<', \join("\n", @script), '>', \my $out, '2>', \my $err);
	my ($rows, %said) = split /^@ (.*)\n/m, $out, -1;

	push @problems, "the run cannot be repeated:\n$err" if !$is_done;
	push @problems, "rows differ:\n" . differences("$expected->{rows}\n", $rows) if $rows ne "$expected->{rows}\n";
	for ('sound', 'sound at last')
	{
		push @problems, "not $_:\n$said{$_}" if ($said{$_} // 'not reached') ne '';
	}
	push @problems, ledger_repeated(\@steps, $expected->{step}, %said);
	push @problems, "books differ in the end:\n" . differences("$final_books\n", $said{books} // '')
	  if ($said{books} // '') ne "$final_books\n";
	return @problems;
}

#
# All crashes, by some workers
#
my $began = time();
my @reports = map {
	my $me = $_;
	my $pid = open(my $report, '-|') // die "could not fork: $!";

	if ($pid == 0)
	{
		srand($seed + $me);
		for my $n (@points[ grep { $_ % $workers == $me } 0 .. $#points ])
		{
			my $copy = "$dir/copy$me";
			my $record = $records[$n];
			my $name = "record $n, $record->{name} at " . to_lsn($record->{lsn})
			  . ", behind step \"" . ($record->{state} ? $steps[ $states[ $record->{state} ]{step} ]{name} : 'none') . '"';

			print "$name: $_\n" for try_point($n, $copy);
			print "tried $n\n";
			run_quietly('rm', '-rf', $copy, "$copy.log") if !$ENV{AT};
		}
		close STDOUT;
		POSIX::_exit(0);
	}
	$report;
} 0 .. $workers - 1;
my $report = join '', map { my $r = $_; my $text = join '', <$r>; close $r; $text } @reports;
my $tried = () = $report =~ /^tried \d+$/mg;

$report =~ s/^tried \d+\n//mg;
is($tried, scalar @points, 'every crash was tried');
is(substr($report, 0, 20000), '', 'after every crash the books are right');
diag(sprintf '%d of %d records in %d s', $tried, scalar @records, time() - $began);

#
# Would the auditor see it?  Without the library's hooks and without triggers
# anything can be done to the rows.
#
my $copy = "$dir/tampered";
run_quietly('cp', '-a', $images[0]{dir}, $copy);
cut_log($copy, $end, 0);
append_to_file("$copy/postgresql.conf", "shared_preload_libraries = ''\n");
my $pid = start_server($copy) // BAIL_OUT('the last copy does not recover');
my $disarmed = join ' ', 'BEGIN;', map { "ALTER TABLE payments.$_ DISABLE TRIGGER ALL;" }
  qw(ledger_account ledger_transaction ledger_entry ledger_balance);

is(audit_after($disarmed, 'own'), '', 'a copy is sound');
for ([ 'an entry is gone', q(DELETE FROM payments.ledger_entry WHERE transaction_id = 1 AND entry_no = 1) ],
	[ 'a header is gone', q(DELETE FROM payments.ledger_transaction WHERE transaction_key = 'many 7') ],
	[ 'all its entries are', q(DELETE FROM payments.ledger_entry WHERE transaction_id = 1) ],
	[ 'an amount is another', q(UPDATE payments.ledger_entry SET amount = amount + 1 WHERE transaction_id = 1 AND entry_no = 1) ],
	[ 'a currency is', q(UPDATE payments.ledger_entry SET currency = 'USD' WHERE transaction_id = 1) ],
	[ 'a balance is', q(UPDATE payments.ledger_balance SET balance = balance + 1
		WHERE account_id = (SELECT min(account_id) FROM payments.ledger_entry)) ],
	[ 'two balances are swapped', q(UPDATE payments.ledger_balance SET balance = - balance
		WHERE account_id IN (SELECT id FROM payments.ledger_account WHERE code IN ('asset:p1', 'asset:p2'))) ],
	[ 'a balance is gone', q(DELETE FROM payments.ledger_balance WHERE balance = 0) ],
	[ 'an account is gone', q(DELETE FROM payments.ledger_account WHERE code = 'asset:a') ])
{
	my ($name, $sql) = @$_;
	isnt(audit_after("$disarmed $sql;", 'own'), '', "$name: seen");
}
stop_server($pid);

# What the auditor says then; "own" leaves verify() out.
sub audit_after
{
	my ($sql, $own) = @_;
	my $audit = $own ? $audit =~ s/SELECT format\('verify.*//sr : $audit;

	return run_quietly('psql', '-XAtq', '-h', $copy, '-p', 5432, '-d', 'shop', '-v', 'ON_ERROR_STOP=1',
		'-c', "$sql $audit");
}

done_testing();

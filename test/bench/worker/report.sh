# report.sh
#	What the worker's benchmark says in the end.  Sourced, never run.
#
# shellcheck shell=bash

describe()
{
	sql <<-'SQL'
		SELECT format('payments %s, PostgreSQL %s, shared_buffers %s, fsync %s, synchronous_commit %s',
			payments.version(), current_setting('server_version'), current_setting('shared_buffers'),
			current_setting('fsync'), current_setting('synchronous_commit'));
	SQL
	echo "$(curl-config --version 2>/dev/null || echo libcurl), $(uname -sr)," \
		"$(nproc) cores, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
	echo "load average at the start: $(cut -d ' ' -f 1-3 /proc/loadavg)"
	echo "$rounds rounds; $payments payments of one line a drain, $seconds s of an open loop," \
		"a backlog of $backlog, a session of $commits commits"
	echo
}

# The median of what was noted, or nothing
median()
{
	[ -e "$files/$1" ] || return 0
	sort -n "$files/$1" | awk '{ v[NR] = $1 }
		END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# bar TITLE least|most BAR VALUE
bar()
{
	[ -n "$4" ] || return 0
	awk -v title="$1" -v way="$2" -v bar="$3" -v value="$4" 'BEGIN {
		met = way == "least" ? value >= bar : value <= bar
		printf "| %-66s | %-5s %5s | %9.2f | %-3s |\n", title, way, bar, value, met ? "yes" : "no" }'
}

# fact TITLE VALUE
fact()
{
	[ -n "$2" ] || return 0
	printf '| %-66s | %11s | %9.2f | %-3s |\n' "$1" '' "$2" ''
}

# The difference of two medians, or nothing
difference()
{
	local a b

	a=$(median "$1")
	b=$(median "$2")
	[ -z "$a" ] || [ -z "$b" ] || calc "$a - $b" %.2f
}

report()
{
	printf '\n| %-66s | %-11s | %9s | %-3s |\n|---|---|---:|---|\n' "measure" "bar" "here" "met"
	bar "settled per second, answers at once" least 4000 "$(median drain-rate)"
	fact "- CPU of the worker per payment, us" "$(median drain-cpu)"
	fact "- CPU of the simulator per payment, us" "$(median drain-toss)"
	fact "- log per payment, bytes" "$(median drain-wal)"
	report_pg_net_drain drain 2000 4000
	fact "- the same by two workers" "$(median two-rate)"
	fact "- CPU of both per payment, us" "$(median two-cpu)"
	bar "settled per second, answers after 300 ms, 1,000 in flight" least 2800 "$(median slow-rate)"
	fact "- CPU of the worker per payment, us" "$(median slow-cpu)"
	report_pg_net_drain slow 1000 4000
	bar "commit of the call until the request arrives, 100/s, p50 in ms" most 3 "$(median steady-wire-p50)"
	bar "- p99" most 15 "$(median steady-wire-p99)"
	report_pg_net_steady
	bar "answer until settled and committed, 100/s, p50 in ms" most 2 "$(median steady-settled-p50)"
	bar "- p99" most 10 "$(median steady-settled-p99)"
	bar "a call that hangs: longer for the others, p50 of the whole, in ms" most 5 \
		"$(difference hang-wire-p50 steady-wire-p50)"
	bar "- p99 of the whole" most 5 "$(difference hang-whole-p99 steady-whole-p99)"
	report_pg_net_hang
	bar "settled per second with a backlog of $backlog" least 4000 "$(median backlog-rate)"
	fact "- CPU of the worker per payment, us" "$(median backlog-cpu)"
	fact "- log per payment, bytes" "$(median backlog-wal)"
	bar "- another merchant's call until its request arrives, p50 in ms" most 20 "$(median backlog-wire-p50)"
	fact "- p99" "$(median backlog-wire-p99)"
	bar "cost of a call in one session, percent more after $commits commits" most 5 "$(median session-more)"
	bar "idle worker: times it woke up in $((seconds < 10 ? seconds : 10)) s" most 0 "$(median idle-wakeups)"
	bar "DROP DATABASE of another with calls in flight, ms" most 250 "$(median drop-ms)"
	report_pg_net_drop
	echo
}

check()
{
	if [ -z "$2" ]; then
		echo "ok - $1"
	else
		echo "not ok - $1: ${2:0:500}"
		failed=yes
	fi
}

# What Toss charged is what we hold settled, and the books balance.
audit()
{
	local theirs ours n amount failed=

	wait_until_settled
	theirs=$(curl -sS "$TOSS_CONTROL_URL/summary?orders=0")
	read -r n amount <<<"$(pg_net_sent)"
	ours=$(sql -c "SELECT format('{\"charges\":%s,\"orders\":%s,\"chargedMoreThanOnce\":0,\"amount\":{\"KRW\":%s}',
			count(*) + $n, count(*) + $n, sum(amount) + $amount)
		FROM payments.payment_order WHERE payment_order_status = 'SUCCESS'")
	check "Toss charged what was settled, once" \
		"$([[ $theirs = "$ours"* ]] || echo "Toss says ${theirs:0:200}, we say $ours")"
	check "every payment that was confirmed was settled" "$(sql -c "SELECT order_id FROM payments.payment_order
		WHERE payment_order_status NOT IN ('SUCCESS', 'NOT_STARTED') LIMIT 1")"
	check "payments.verify() holds" "$(sql -c "SELECT * FROM payments.verify() WHERE holds IS NOT TRUE" 2>&1)"
	[ -z "$failed" ]
}

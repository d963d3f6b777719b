# measure.sh
#	How the worker's benchmark counts.  Sourced, never run.
#
# note WHAT VALUE adds a line to $files/WHAT, one per round.
#
# shellcheck shell=bash

ticks=$(getconf CLK_TCK)

sql()
{
	psql -X -q -At -v ON_ERROR_STOP=1 "$@"
}

# toss CALL BODY: the simulator's control interface
toss()
{
	curl -sS --fail-with-body -o "$files/toss" -d "$2" "$TOSS_CONTROL_URL/$1"
}

configure()
{
	sql -c "ALTER SYSTEM SET $1" -c 'SELECT pg_reload_conf()' >>"$files/log"
}

note()
{
	echo "$2" >>"$files/$1"
	printf '\t%-24s %s\n' "$1" "$2"
}

# Seconds of CPU that processes used up to now
cpu()
{
	awk -v hz="$ticks" '{ sub(/^.*\) /, ""); sum += $12 + $13 } END { if (!NR) exit 1; print sum / hz }' \
		$(printf '/proc/%s/stat ' "$@")
}

wal()
{
	sql -c "SELECT pg_current_wal_insert_lsn() - '0/0'"
}

# calc EXPRESSION [FORMAT]
calc()
{
	awk "BEGIN { printf \"${2-%.0f}\", $1 }"
}

# wait_for_worker running|gone
wait_for_worker()
{
	local i state

	for ((i = 0; i < 300; i++)); do
		state=$(sql -c 'SELECT DISTINCT state FROM payments.worker_status WHERE pid IS NOT NULL')
		[ "${state:-gone}" != "$1" ] || return 0
		sleep 0.1
	done
	echo "not ok - the worker should be $1; see $SHOP_DIR/server.log"
	return 1
}

worker_away()
{
	configure "payments.databases = ''"
	wait_for_worker gone
}

worker_back()
{
	sql -c 'ALTER SYSTEM RESET payments.databases' -c 'SELECT pg_reload_conf()' >>"$files/log"
}

worker_pids()
{
	sql -c 'SELECT pid FROM payments.worker_status WHERE pid IS NOT NULL'
}

# queue N: that many payments are confirmed, and wait for the worker
queue()
{
	PGUSER=bench pgbench -n -M prepared -c 8 -j 2 -t $((($1 + 7) / 8)) \
		-f "$here/../queue.sql" >"$files/pgbench" 2>&1 || { cat "$files/pgbench"; return 1; }
}

# The same until the process $queueing is ended
queue_on()
{
	PGUSER=bench pgbench -n -M prepared -c 2 -j 1 -T 600 \
		-f "$here/../queue.sql" >"$files/pgbench" 2>&1 &
	queueing=$!
}

# Without a snapshot that would keep old versions of rows
wait_until_settled()
{
	sql -f "$here/settled.sql"
}

# drain WHAT N: from the first claim of the worker's run until all is settled
drain()
{
	local n lsn epoch toss used rate

	n=$(sql -c 'SELECT count(*) FROM payments.psp_call_queue')
	toss=$(<"$SHOP_DIR/toss/pid")
	used=$(cpu "$toss")
	lsn=$(wal)
	epoch=$(sql -c 'SELECT max(epoch) FROM payments.worker_epoch')
	worker_back
	wait_until_settled
	rate=$(sql -c "SELECT $n / extract(epoch FROM clock_timestamp() - min(claimed_at)) FROM payments.psp_attempt
		WHERE epoch > $epoch")
	note "$1-rate" "$(calc "$rate")"
	# shellcheck disable=SC2046
	note "$1-cpu" "$(calc "$(cpu $(worker_pids)) / $n * 1e6")"
	note "$1-wal" "$(calc "($(wal) - $lsn) / $n")"
	note "$1-toss" "$(calc "($(cpu "$toss") - $used) / $n * 1e6")"
}

# steady WHAT: the open loop
steady()
{
	local since

	toss settings '{"keepRequests":true}'
	since=$(sql -c 'SELECT coalesce(max(id), 0) FROM payments.psp_call')
	PGUSER=bench pgbench -n -M prepared -c 8 -j 1 -R 100 -T "$seconds" \
		-f "$here/../queue.sql" >"$files/pgbench" 2>&1 || { cat "$files/pgbench"; return 1; }
	sleep 1
	latencies "$1" "c.id > $since"
	toss settings '{"keepRequests":false}'
}

# latencies WHAT CONDITION: of calls c
latencies()
{
	note_latencies "$1" -v condition="$2" -f "$here/calls.sql"
}

# note_latencies WHAT OPTION...: of the calls in the view that the options make
note_latencies()
{
	local values

	curl -sS --fail-with-body -o "$files/requests" "$TOSS_CONTROL_URL/requests"
	values=$(sql "${@:2}" -v file="$files/requests" -f "$here/latencies.sql")
	read -r to_wire_50 to_wire_99 to_settled_50 to_settled_99 whole_99 n <<<"$values"
	note "$1-wire-p50" "$to_wire_50"
	note "$1-wire-p99" "$to_wire_99"
	note "$1-settled-p50" "$to_settled_50"
	note "$1-settled-p99" "$to_settled_99"
	note "$1-whole-p99" "$whole_99"
	note "$1-n" "$n"
}

# While the backlog lasts: how much goes through, and how long newcomers wait
measure_backlog()
{
	local i order since n lsn started used worker ended

	wait_for_worker running
	mapfile -t worker < <(worker_pids)
	sleep 1
	toss settings '{"keepRequests":true}'
	since=$(sql -c 'SELECT max(id) FROM payments.psp_call')
	n=$(closed_calls) lsn=$(wal) used=$(cpu "${worker[@]}") started=$EPOCHREALTIME
	for ((i = 0; i < seconds * 2; i++)); do
		order=$(sql -c "SELECT order_id FROM payments.checkout(1, '[{\"seller_id\": 1, \"amount\": 1000}]',
			merchant => 'other')")
		sql -o "$files/log" -c "SELECT payments.confirm('$order', 'auto_$order', 1000)"
		sleep 0.45
	done
	n=$(($(closed_calls) - n)) ended=$EPOCHREALTIME
	note backlog-rate "$(calc "$n / ($ended - $started)")"
	note backlog-cpu "$(calc "($(cpu "${worker[@]}") - $used) / $n * 1e6")"
	note backlog-wal "$(calc "($(wal) - $lsn) / $n")"
	wait_for_merchant other
	latencies backlog "c.id > $since AND c.merchant = 'other'"
	toss settings '{"keepRequests":false}'
}

closed_calls()
{
	sql -c 'SELECT sum(settled) FROM payments.worker_slots()'
}

wait_for_merchant()
{
	while [ "$(sql -c "SELECT count(*) FROM payments.psp_call_queue q JOIN payments.psp_call c ON c.id = q.call_id
			WHERE c.merchant = '$1'")" != 0 ]; do
		sleep 0.5
	done
}

# CPU of one session per call: in the second tenth of what was seen of it, and in
# the last.
measure_session()
{
	local pid='' client start samples=$files/session

	PGUSER=bench PGAPPNAME=bench-session pgbench -n -M prepared -c 1 -t $((commits / 2)) \
		-f "$here/../queue.sql" >"$files/pgbench" 2>&1 &
	client=$!
	while [ -z "$pid" ]; do
		pid=$(sql -c "SELECT pid FROM pg_stat_activity WHERE application_name = 'bench-session'")
	done
	start=$(sql -c 'SELECT last_value FROM payments.psp_call_id_seq')
	while used=$(cpu "$pid" 2>/dev/null); do
		echo "$(sql -c "SELECT last_value - $start FROM payments.psp_call_id_seq") $used"
		sleep 0.2
	done >"$samples"
	wait "$client" || { cat "$files/pgbench"; return 1; }
	wait_until_settled
	note session-more "$(awk '{ n[NR] = $1; used[NR] = $2 }
		END { step = int(NR / 10); if (step < 1) { print 0; exit }
			first = (used[2 * step] - used[step]) / (n[2 * step] - n[step])
			last = (used[NR] - used[NR - step]) / (n[NR] - n[NR - step])
			printf "%.2f", (last / first - 1) * 100 }' "$samples")"
}

# Times that the worker went to sleep in so many seconds
measure_idle()
{
	local status before

	status=/proc/$(worker_pids)/status
	before=$(awk '/^voluntary/ { print $2 }' "$status")
	sleep "$1"
	note idle-wakeups $(($(awk '/^voluntary/ { print $2 }' "$status") - before))
}

# drop_neighbour WHAT: DROP DATABASE takes a checkpoint, which has little to do here.
drop_neighbour()
{
	local started

	started=$EPOCHREALTIME
	sql -d postgres -c 'DROP DATABASE neighbour'
	note "$1" "$(calc "($EPOCHREALTIME - $started) * 1000")"
}

measure_drop()
{
	drop_neighbour drop-ms
	[ "$(in_flight)" -gt 0 ] || { echo "not ok - no call was in flight"; return 1; }
}

in_flight()
{
	sql -c 'SELECT sum(in_flight) FROM payments.worker_slots()'
}

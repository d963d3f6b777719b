# pg_net.sh
#	pg_net beside the worker: the same requests to the same simulator, in the same
#	server.  Sourced, never run.
#
# It is built from a copy of the checkout PG_NET, into the folder that throw-away
# servers look for extensions in, and works in a database of its own.  One of its
# calls is done when the row of its response, with status 200, is committed.
# "ships" stands for its batches of 200, other numbers for pg_net.batch_size.
#
# shellcheck shell=bash

pg_net_items="drain slow steady hang drop"

net_sql()
{
	sql -d bench_pg_net "$@"
}

# Odd rounds begin with ours, even ones with pg_net.
run_beside_pg_net()
{
	if [ -z "${PG_NET-}" ] || [[ " $pg_net_items " != *" $1 "* ]]; then
		"run_$1"
	elif ((round % 2)); then
		"run_$1"
		"run_pg_net_$1"
	else
		"run_pg_net_$1"
		"run_$1"
	fi
}

# Before the server starts again: its library has to be there, and its database.
install_pg_net()
{
	local copy=$SHOP_DIR/pg_net destdir=${SHOP_DIR%/*}/stage

	[ -s "${SHOP_DIR%/*}/stage.conf" ] || destdir=
	rm -rf "$copy"
	mkdir "$copy"
	tar -C "$PG_NET" --exclude=./.git -cf - . | tar -C "$copy" -xf -
	{
		make -C "$copy" clean
		CPPFLAGS="-include $here/pg_net_trust.h -DBENCH_CA_FILE='\"$TOSS_CA_FILE\"'" \
			make -C "$copy" COPT=-Wno-error
		sed -i 's,\$libdir/,,' "$copy/pg_net.control"
		make -C "$copy" install DESTDIR="$destdir"
	} >"$files/pg_net" 2>&1 || { cat "$files/pg_net"; return 1; }
	sql -d postgres -c 'CREATE DATABASE bench_pg_net'
	"$root/test/setup/cluster" set "${SHOP_DIR##*/}" "shared_preload_libraries = 'payments, pg_net'" \
		"pg_net.database_name = 'bench_pg_net'"
}

prepare_pg_net()
{
	net_sql -v url="$TOSS_URL" -v secret="$TOSS_SECRET_KEY" -f "$here/pg_net_schema.sql"
	net_sql -o "$files/log" -v n=20 -f "$here/pg_net_queue.sql"
	pg_net_settled
	echo "pg_net $(net_sql -c "SELECT extversion FROM pg_extension WHERE extname = 'pg_net'")" \
		"($(git -C "$PG_NET" rev-parse --short HEAD 2>/dev/null || echo unknown))"
}

# pg_net_batch ships|N: returns when its worker sleeps with that
pg_net_batch()
{
	configure "pg_net.batch_size = ${1/ships/200}"
	pg_net_wait "state = 'idle'"
	sleep 0.5
}

pg_net_wait()
{
	local i

	for ((i = 0; i < 3000; i++)); do
		[ "$(sql -c "SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'pg_net' AND $1")" = 0 ] || return 0
		sleep 0.01
	done
	echo "not ok - pg_net's worker never came to: $1"
	return 1
}

# Until every call has its response; one that is no 200 is no payment.
pg_net_settled()
{
	local other

	net_sql -f "$here/pg_net_settled.sql"
	other=$(net_sql -c "SELECT concat_ws(' ', status_code, error_msg, left(content, 200)) FROM net._http_response
		WHERE status_code IS DISTINCT FROM 200 LIMIT 1")
	[ -z "$other" ] || { echo "not ok - pg_net got: $other"; return 1; }
	pg_net_wait "state = 'idle'"
}

# pg_net_drain WHAT N: from the start of its first batch until the last is committed
pg_net_drain()
{
	local pid used_toss used toss

	pid=$(sql -c "SELECT pid FROM pg_stat_activity WHERE backend_type ~ 'pg_net'")
	toss=$(<"$SHOP_DIR/toss/pid")
	used=$(cpu "$pid") used_toss=$(cpu "$toss")
	net_sql -o "$files/log" -v n="$2" -f "$here/pg_net_queue.sql"
	pg_net_settled
	note "$1-rate" "$(calc "$(net_sql -c "SELECT $2 / extract(epoch FROM
		max(pg_xact_commit_timestamp(xmin)) - min(created)) FROM net._http_response HAVING count(*) = $2")")"
	note "$1-cpu" "$(calc "($(cpu "$pid") - $used) / $2 * 1e6")"
	note "$1-toss" "$(calc "($(cpu "$toss") - $used_toss) / $2 * 1e6")"
}

# As it ships a tenth has to do: it takes its time.
pg_net_drains()
{
	local batch n

	for batch in ships "${@:2}"; do
		n=$payments
		[ "$batch" != ships ] || n=$((payments / 10))
		pg_net_batch "$batch"
		pg_net_drain "net-$1-$batch" "$n"
	done
}

run_pg_net_drain()
{
	pg_net_drains drain 2000 4000
}

run_pg_net_slow()
{
	toss settings '{"delayMs":300}'
	pg_net_drains slow 1000 4000
	toss settings '{"delayMs":0}'
}

# pg_net_steady WHAT: the open loop, and what it left behind
pg_net_steady()
{
	local since

	toss settings '{"keepRequests":true}'
	since=$(net_sql -c 'SELECT coalesce(max(request), 0) FROM sent')
	PGUSER=bench pgbench -n -M prepared -c 8 -j 1 -R 100 -T "$seconds" -f "$here/pg_net_post.sql" \
		bench_pg_net >"$files/pgbench" 2>&1 || { cat "$files/pgbench"; return 1; }
	[ "${1%-hang-*}" = "$1" ] || toss release '{}'
	pg_net_settled
	note_latencies "$1" -d bench_pg_net -v since="$since" -f "$here/pg_net_calls.sql"
	toss settings '{"keepRequests":false}'
}

run_pg_net_steady()
{
	local batch

	for batch in ships 4000; do
		pg_net_batch "$batch"
		pg_net_steady "net-steady-$batch"
	done
}

# The call hangs as long as the loop lasts, as ours does.
run_pg_net_hang()
{
	local batch order

	for batch in ships 4000; do
		pg_net_batch "$batch"
		order=ord_$(uuidgen 2>/dev/null || cat /proc/sys/kernel/random/uuid)
		toss fault "{\"orderId\":\"$order\",\"kind\":\"hang\",\"on\":\"confirm\"}"
		net_sql -o "$files/log" -c "SELECT post('$order', 1000)"
		sleep 0.5
		pg_net_steady "net-hang-$batch"
	done
}

# Ours has dropped the neighbour, or will: there is another one each time.
run_pg_net_drop()
{
	local batch

	toss settings '{"delayMs":300}'
	for batch in ships 4000; do
		pg_net_batch "$batch"
		sql -d postgres -c 'ALTER DATABASE neighbour RENAME TO neighbour_kept' 2>>"$files/log" || true
		sql -d postgres -c 'CREATE DATABASE neighbour' -c CHECKPOINT
		net_sql -o "$files/log" -v n=$((payments / 20)) -f "$here/pg_net_queue.sql"
		pg_net_wait 'backend_xid IS NOT NULL'
		drop_neighbour "net-drop-$batch"
		pg_net_settled
		sql -d postgres -c 'ALTER DATABASE neighbour_kept RENAME TO neighbour' 2>>"$files/log" || true
	done
	toss settings '{"delayMs":0}'
}

# What it charged: how many, and how much
pg_net_sent()
{
	if [ -z "${PG_NET-}" ]; then
		echo 0 0
	else
		net_sql -c "SELECT count(*) || ' ' || coalesce(sum(amount), 0) FROM sent"
	fi
}

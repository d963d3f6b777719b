#!/bin/sh
#
# bench.sh BUILD [connections [seconds]]
#
# Measures confirms per second over kept-alive TLS connections, the server
# pinned to the first core and the load generator to the last one.  Judge by
# "server CPU": wall-clock figures suffer from whatever else is running.
set -eu
build=$1
connections=${2:-64}
seconds=${3:-10}
dir=$(mktemp -d)
last=$(($(nproc) - 1))

taskset -c 0 "$build/toss-simulator" --dir "$dir" >"$dir/out" &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null || :; rm -rf "$dir"' EXIT
while [ ! -e "$dir/ready" ]; do sleep 0.05; done

control=http://127.0.0.1:$(cat "$dir/control-port")
curl -sSf -o /dev/null -d '{"auto":"auto_"}' "$control/settings"
taskset -c "$last" "$build/toss-load" -p "$(cat "$dir/port")" \
	-a "$dir/ca.pem" -c "$connections" -s "$seconds" -i "$server"
echo "memory              $(awk '/VmRSS/ {print $2, $3}' /proc/$server/status)"
curl -sSf "$control/summary?orders=0"

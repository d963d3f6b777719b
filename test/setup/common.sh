# common.sh
#	What the scripts of this folder share.  Sourced, never run.
#
# Two promises: PostgreSQL never runs as root, and everything that the server's
# user has to reach lies below $run.  That is build/run, or, when the checkout
# lies in a folder closed to that user (/root, say), a folder in /tmp that
# build/run then links to.
#
# shellcheck shell=bash

set -euo pipefail
umask 022

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
build=$root/build
export PG_CONFIG=${PG_CONFIG:-pg_config}

# The key of the simulator's only merchant.
secret_key=test_sk_simulator0only0000000000000

# Started by make, these scripts start make again, in a world of their own:
# no flags of the outer make, and no connection settings of the caller.
# PGLEDGER_SQL is for the ledger's benchmark.
unset MAKEFLAGS MFLAGS MAKELEVEL
for name in "${!PG@}"; do
	[[ $name = PG_* || $name = PGLEDGER_SQL ]] || unset "$name"
done
export LC_ALL=C.UTF-8

say()
{
	printf '%s\n' "$*" >&2
}

die()
{
	say "${0##*/}: $*"
	exit 1
}

# as_server COMMAND...: run it as that user, in a folder it can stand in, with as
# many files open as the machine lets it: a thousand requests need as many.
all_files=(bash -c 'ulimit -S -n hard; exec "$@"' bash)
as_server()
(
	cd "${run:-/}"
	export HOME=${run:-/}
	if [ "$EUID" = 0 ]; then
		exec runuser -u "$server_user" -- "${all_files[@]}" "$@"
	fi
	exec "${all_files[@]}" "$@"
)

# The user that servers run as: ourselves, or somebody harmless for root.
find_server_user()
{
	if [ "$EUID" != 0 ]; then
		server_user=$(id -un)
	elif id postgres >/dev/null 2>&1; then
		server_user=postgres
	else
		server_user=nobody
	fi
}

# open_run: make $run.
open_run()
{
	local link=$build/run

	find_server_user
	mkdir -p "$build"
	[ -e "$link" ] || rm -f "$link"		# a link to a folder that is gone
	[ -e "$link" ] || mkdir "$link" || die "cannot write to $build"
	run=$(cd "$link" && pwd -P)
	server_can_use "$run" && return

	[ "$EUID" = 0 ] ||
		die "$build belongs to another user; remove it, then run again"
	rm -rf "$link"
	run=$(mktemp -d /tmp/payments-XXXXXX)
	chmod 755 "$run"
	ln -s "$run" "$link"
	server_can_use "$run" || die "user \"$server_user\" cannot use $run"
	say "user \"$server_user\" cannot reach $build: using $run"
}

# Give the folder to the server's user; can that user come in and write?
server_can_use()
{
	[ "$EUID" != 0 ] || chown "$server_user" "$1"
	(run=/ as_server test -w "$1" -a -x "$1")
}

# open_tree: set $tree to the checkout as the server's user can read it, the
# checkout itself or a fresh copy.
open_tree()
{
	tree=$root
	if ! as_server test -r "$root/Makefile" -a -x "$root/test"; then
		tree=$run/tree
		rm -rf "$tree"
		mkdir "$tree"
		tar -C "$root" --exclude=./.git --exclude=./build/run -cf - . |
			tar -C "$tree" -xf -
	fi
}

# The server that PG_CONFIG names
server_paths()
{
	bindir=$("$PG_CONFIG" --bindir)
	pkglibdir=$("$PG_CONFIG" --pkglibdir)
	sharedir=$("$PG_CONFIG" --sharedir)
	pgxs=$(dirname "$("$PG_CONFIG" --pgxs)")/../..
	export PATH=$bindir:$PATH
}

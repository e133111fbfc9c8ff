# What the scripts that a person runs on a fresh machine share.  Sourced.

here=$(cd "$(dirname "$0")/../.." && pwd)
[ -f "$here/extension.control" ] || here=$(cd "$(dirname "$0")/.." && pwd)
[ -f "$here/extension.control" ] || { echo "$0 is not in the sources" >&2; exit 1; }

# need PACKAGE...: install those of Debian's packages that are missing.
need() {
	missing=
	for package in make gcc libc6-dev postgresql postgresql-server-dev-all libpq-dev libjansson-dev "$@"; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
	done
	[ -z "$missing" ] && return 0
	sudo=
	[ "$(id -u)" = 0 ] || sudo=sudo
	echo "installing:$missing" >&2
	log=$(mktemp)
	$sudo sh -c "export DEBIAN_FRONTEND=noninteractive
		apt-get update -q && apt-get install -q -y --no-install-recommends $missing" >"$log" 2>&1 || {
		cat "$log" >&2
		echo "could not install:$missing" >&2
		exit 1
	}
	rm -f "$log"
}

# work_copy: a copy of the tree in a folder of its own that goes away at the
# end, and $as, the way to run as one whom initdb accepts.
work_copy() {
	work=$(mktemp -d "${TMPDIR:-/tmp}/matrix_events.XXXXXX")
	trap 'stop_cluster; rm -rf "$work"' EXIT
	trap 'exit 130' INT TERM
	tar -C "$here" --exclude=.git --exclude=tmp_install --exclude=tmp_check --exclude='*.o' --exclude='*.so' \
		--exclude='*.bc' --exclude=./matrix-events -cf - . | tar -C "$work" -xf -
	as=
	if [ "$(id -u)" = 0 ]; then
		chown -R postgres "$work"
		as="runuser -u postgres --"
	fi
	cd "$work" || exit 1
}

# start_cluster OPTION...: build, copy the installed PostgreSQL, and start a
# throw-away cluster on a unix socket that psql then finds.
start_cluster() {
	$as make -s tmp_install >build.log 2>&1 || { cat build.log >&2; exit 1; }
	bin=$work/tmp_install$(pg_config --bindir)
	$as "$bin/initdb" -D "$work/data" -E UTF8 --locale=C.UTF-8 -A trust -U matrix >build.log 2>&1 || {
		cat build.log >&2
		exit 1
	}
	$as "$bin/pg_ctl" -D "$work/data" -l "$work/server.log" -w -s \
		-o "-k $work -c listen_addresses='' $*" start || { cat "$work/server.log" >&2; exit 1; }
	export PGHOST="$work" PGPORT=5432 PGUSER=matrix PGDATABASE=postgres
}

stop_cluster() {
	[ -f "$work/data/postmaster.pid" ] && $as "$bin/pg_ctl" -D "$work/data" -m immediate -s stop
}

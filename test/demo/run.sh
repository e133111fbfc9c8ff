#!/bin/sh
# The demo: a recorded conversation in a store, and what one asks of it.
#
# Without PGHOST it builds the extension and starts a throw-away cluster; with
# PGHOST it uses that server, which must have the extension installed, and a
# store of its own that it drops again.
set -u
. "$(dirname "$0")/../lib.sh"
if [ -z "${PGHOST:-}" ]; then
	need
	echo "Building matrix_events and starting a throw-away cluster ..."
	work_copy
	start_cluster
else
	cd "$here" || exit 1
fi
psql -X -q -v ON_ERROR_STOP=1 -f test/demo/demo.sql

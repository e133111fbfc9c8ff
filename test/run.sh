#!/bin/sh
# All tests, on a private copy of the installed PostgreSQL: test/run.sh
#
# Installs what is missing with apt when it runs as root, works on a copy of the
# tree in a folder of its own (as user postgres when run as root, since initdb
# refuses root), and ends with "N passed, N failed".
set -u
here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/test/install.sh"
need postgresql-server-dev-all libjansson-dev libipc-run-perl

work=$(mktemp -d "${TMPDIR:-/tmp}/matrix_events.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
tar -C "$here" --exclude=.git --exclude=tmp_install --exclude=tmp_check --exclude='*.o' --exclude='*.so' \
	--exclude='*.bc' -cf - . | tar -C "$work" -xf -

as=
if [ "$(id -u)" = 0 ]; then
	chown -R postgres "$work"
	as="runuser -u postgres --"
fi
log=$work/log.txt
cd "$work" || exit 1

# The core alone, then everything that needs a server; both run whatever the other does.
$as env -u PGHOST -u PGPORT -u PGUSER -u PGDATABASE -u PGSERVICE LC_ALL=C.UTF-8 \
	sh -c "make -s unitcheck; make -s localcheck PROVE_FLAGS='--timer'" </dev/null 2>&1 | tee "$log"

awk -v started="$(grep -c 'installcheck\|test .* ... \|^ok\|unit:' "$log")" '
	/^unit: [0-9]+ passed/ { passed += $2; failed += $4; unit = 1 }
	/^(test|ok|not ok) .*\.\.\. +ok|^test .* ok +[0-9]+ ms|^ok [0-9]+ +- / { passed++; server = 1; next }
	/^test .*FAILED|^not ok [0-9]+ +- / { failed++; print; next }
	/^Files=[0-9]+, Tests=[0-9]+/ { split($2, part, "="); passed += part[2]; tap = 1 }
	/Failed test|Failed subtest|^# Looks like you failed|Dubious, test returned/ { failed++; print }
	/Error [0-9]+$|Segmentation|Assertion|AddressSanitizer|runtime error/ { broken++ }
	END {
		if (!unit) { failed++; print "the unit tests did not run" }
		if (!server) { failed++; print "the regression tests did not run" }
		if (!tap) { failed++; print "the TAP tests did not run" }
		if (broken && !failed) failed = broken
		printf "%d passed, %d failed\n", passed, failed
		exit failed > 0
	}' "$log" || {
	status=$?
	for diff in "$work"/regression.diffs "$work"/output_iso/regression.diffs; do
		[ -f "$diff" ] && head -n 200 "$diff" >&2
	done
	exit $status
}

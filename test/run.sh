#!/bin/sh
# All tests, on a private copy of the installed PostgreSQL: test/run.sh
#
# Installs what is missing with apt, works on a copy of the tree (as user
# postgres when run as root, since initdb refuses root), and ends with
# "N passed, N failed".
set -u
. "$(dirname "$0")/lib.sh"
need libipc-run-perl libdbd-pg-perl python3-psycopg pgbouncer
work_copy
log=$work/log.txt

# The core alone, then everything that needs a server; both run whatever the other does.
$as env -u PGHOST -u PGPORT -u PGUSER -u PGDATABASE -u PGSERVICE LANG=C.UTF-8 LC_ALL=C.UTF-8 \
	sh -c "make -s unitcheck; make -s localcheck" </dev/null 2>&1 | tee "$log"

awk '
	/^unit: [0-9]+ passed/ { passed += $2; failed += $4; unit = 1 }
	/^test .*\.\.\. ok +[0-9]+ ms|^ok [0-9]+ +- / { passed++; server = 1; next }
	/^test .*FAILED|^not ok [0-9]+ +- / { failed++; print; next }
	/^Files=[0-9]+, Tests=[0-9]+/ { split($2, part, "="); passed += part[2]; tap = 1 }
	/Failed test|Dubious, test returned/ { failed++; print }
	/Error [0-9]+$|AddressSanitizer|runtime error/ { broken++ }
	END {
		if (!unit) { failed++; print "the unit tests did not run" }
		if (!server) { failed++; print "the regression tests did not run" }
		if (!tap) { failed++; print "the TAP tests did not run" }
		if (broken && !failed) failed = broken
		printf "%d passed, %d failed\n", passed, failed
		exit failed > 0
	}' "$log" > sum.txt
status=$?
[ "$status" = 0 ] || [ ! -f regression.diffs ] || head -n 300 regression.diffs
cat sum.txt
exit $status

#!/bin/sh
# make bench: the benchmark on a throw-away cluster.  BENCH_EVENTS (20000),
# BENCH_ROUNDS (9) and BENCH_ONLY (a pattern of works; writes no docs) change it.
set -eu
. "$(dirname "$0")/../lib.sh"
need perl
# In memory and without fsync: what is measured is the processor, which is ours to spend.
[ -w /dev/shm ] && export TMPDIR="${TMPDIR:-/dev/shm}"
work_copy
start_cluster -c fsync=off -c shared_buffers=512MB -c max_wal_size=8GB -c checkpoint_timeout=1h -c autovacuum=off
$as mkdir bench && cd bench
$as gcc -O2 -I"$(pg_config --includedir)" -o insert ../test/bench/insert.c -lpq
$as perl ../test/bench/generate.pl "${BENCH_EVENTS:-20000}" > events.ndjson
# Events of one kind, in the form that COPY reads.
$as perl ../test/bench/generate.pl 200000 | sed 's/\\/\\\\/g' > many.tsv
for kind in member presence call; do grep "\"type\":\"m\.\(room\.\)\?$kind[\".]" many.tsv | head -n 4000 > $kind.tsv; done
psql -Xq -v ON_ERROR_STOP=1 -f ../test/bench/bench.sql -f ../test/bench/plpgsql_validator.sql \
	-f ../test/bench/plpgsql_derivations.sql >/dev/null
for file in raw columns; do head -n 5000 $file.tsv > $file-few.tsv; done
perl ../test/bench/bench.pl "$work/bench" "$here/docs"

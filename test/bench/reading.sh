#!/bin/sh
# sh test/bench/reading.sh: what reading costs beside plain SQL as the store grows,
# what each index costs who inserts, and hashes beside Python and Node; on a
# throw-away cluster in memory.  BENCH_SIZES (10000 100000 1000000), BENCH_ROUNDS
# (3) and BENCH_ONLY (a pattern of works; writes no page) change it.
set -eu
. "$(dirname "$0")/../lib.sh"
need perl python3
[ -w /dev/shm ] && export TMPDIR="${TMPDIR:-/dev/shm}"
work_copy
start_cluster -c fsync=off -c shared_buffers=4GB -c max_wal_size=8GB -c checkpoint_timeout=1h -c autovacuum=off
$as mkdir bench && cd bench
$as perl ../test/bench/generate.pl 20000 > events.ndjson
sed 's/\\/\\\\/g' events.ndjson > raw.tsv
psql -Xq -v ON_ERROR_STOP=1 -f ../test/bench/reading.sql >/dev/null
perl ../test/bench/reading.pl "$here/docs"

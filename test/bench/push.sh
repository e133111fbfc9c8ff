#!/bin/sh
# sh test/bench/push.sh: what pushing and reading the stream cost, on a throw-away
# cluster on disk, with durable commits.  BENCH_ROUNDS (3) changes it.
set -eu
. "$(dirname "$0")/../lib.sh"
need libpq-dev perl libdbd-pg-perl
work_copy
start_cluster -c max_connections=60 -c shared_buffers=512MB -c max_wal_size=8GB -c checkpoint_timeout=1h -c autovacuum=off
$as mkdir bench && cd bench
$as gcc -O2 -I"$(pg_config --includedir)" -o insert ../test/bench/insert.c -lpq
$as perl ../test/bench/generate.pl 20000 > events.ndjson
sed 's/\\/\\\\/g' events.ndjson > raw.tsv
head -n 4000 raw.tsv > few.tsv
PATH="$bin:$PATH" perl ../test/bench/push.pl "$here/docs"

#!/bin/sh
# Runs the built fuzzer on a corpus made of the test data: run.sh SOURCE SECONDS
corpus=$(mktemp -d)
trap 'rm -rf "$corpus"' EXIT
n=0
cat "$1"/test/data/*.ndjson "$1"/test/data/events/*.ndjson | while IFS= read -r line; do
	n=$((n + 1))
	printf '%s' "$line" > "$corpus/$n"
done
./fuzz-core -max_total_time="$2" -max_len=8192 -timeout=10 -rss_limit_mb=2048 -print_final_stats=0 -verbosity=0 "$corpus"

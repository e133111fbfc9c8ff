#!/bin/sh
# The fuzzer for a minute, in a folder of its own: what CI runs.
here=$(cd "$(dirname "$0")/../.." && pwd)
. "$here/test/install.sh"
need clang libclang-rt-14-dev libjansson-dev postgresql-server-dev-all
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" && make -s -f "$here/Makefile" fuzz FUZZ_SECONDS="${FUZZ_SECONDS:-60}" && echo "fuzzing: no finding"

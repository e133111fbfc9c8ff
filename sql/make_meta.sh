#!/bin/sh
# META.json of PGXN, from the control file.  Usage: make_meta.sh extension.control
value() { sed -n "s/^$1 *= *'\([^']*\)'.*/\1/p" "$control"; }
control=$1
version=$(value default_version)
cat <<END
{
   "name": "matrix_events",
   "abstract": "$(value comment)",
   "version": "$version",
   "maintainer": "the matrix_events authors",
   "license": "postgresql",
   "provides": {
      "matrix_events": {
         "abstract": "$(value comment)",
         "file": "sql/00_extension.sql",
         "docfile": "README.md",
         "version": "$version"
      }
   },
   "prereqs": {"runtime": {"requires": {"PostgreSQL": "14.0.0"}}},
   "tags": ["matrix", "events", "stream", "validation", "jsonb"],
   "meta-spec": {"version": "1.0.0"}
}
END

# From event_types.json to rows of C: {"name", "the block as JSON text"},
# one for each member of the top level, which must be sorted.
/^  "/ {
	split($0, part, "\"")
	name = part[2]
	if (name <= last) {
		print "event_types.json: " name " is not in order" > "/dev/stderr"
		exit 1
	}
	last = name
	printf "{\"%s\",\n\"{\"\n", name
	next
}
/^  }/ {
	print "\"}\"},"
	next
}
/^    / {
	sub(/^ +/, "")
	gsub(/\\/, "&&")
	gsub(/"/, "\\\"")
	printf "\"%s\"\n", $0
}

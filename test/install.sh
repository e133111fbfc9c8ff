# need PACKAGE...: install those of Debian's packages that are missing.  Sourced
# by the scripts that a person runs on a fresh machine.
need() {
	missing=
	for package; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
	done
	for package in make gcc libc6-dev postgresql; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
	done
	[ -z "$missing" ] && return 0
	sudo=
	[ "$(id -u)" = 0 ] || sudo=sudo
	# No cluster of Debian's own is wanted: what runs here is thrown away.
	$sudo sh -c "export DEBIAN_FRONTEND=noninteractive
		mkdir -p /etc/postgresql-common/createcluster.d
		apt-get update -q >/dev/null && apt-get install -q -y --no-install-recommends $missing >/dev/null" || {
		echo "could not install:$missing" >&2
		exit 1
	}
}

#!/usr/bin/env bash
# Installs the Debian packages that are missing. `--optional`: a package that cannot be installed is only named.
set -eu
optional=false
if [ "${1:-}" = --optional ]; then optional=true; shift; fi

missing=()
for package in "$@"; do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
	echo "TG_SETUP_PACKAGES: missing: ${missing[*]}; run as root: apt-get install ${missing[*]}" >&2
	$optional && exit 0
	exit 1
fi
printf '\033[36m▶\033[0m apt-get install %s\n' "${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# Servers come for their programs: none is started or left running.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
fi
if ! { apt-get update -q && apt-get install -y -q --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
	tail -20 "$log" >&2
	echo "TG_SETUP_PACKAGES: could not install ${missing[*]}; see the lines above" >&2
	rm -f "$log"
	$optional && exit 0
	exit 1
fi
rm -f "$log"

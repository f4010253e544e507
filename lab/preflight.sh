#!/bin/sh
# What this machine needs before the lab can build and boot kernels: checks it,
# prints one list, and installs Debian packages that are missing.
#
#   lab/preflight.sh [ARGUMENT…]    the arguments of `lab run`, if any
#
# Asks nothing. Exit status 0: ready; 3: this host can't, and each line marked
# FAIL says why and the way out; nothing was installed or started then.
set -u
LC_ALL=C
export LC_ALL
here=$(dirname -- "$0")
repo=$here/..

failed=
line() { printf '  %-8s %-14s %s\n' "$1" "$2" "$3"; }
ok() { line ok "$1" "$2"; }
fail() { line FAIL "$1" "$2"; failed=yes; }
has() { command -v "$1" >/dev/null 2>&1; }

# older A B: version A.B.C is lower than another one.
older() {
	awk -v a="$1" -v b="$2" 'BEGIN {
		split(a, x, "."); split(b, y, ".")
		for (i = 1; i <= 3; i++) if (x[i] + 0 != y[i] + 0) exit !(x[i] + 0 < y[i] + 0)
		exit 1
	}'
}

check_machine() {
	machine="$(uname -s) $(uname -m)"
	if [ "$machine" = "Linux x86_64" ]; then
		ok architecture "$machine"
	else
		fail architecture "$machine: the lab builds and boots x86-64 kernels on x86-64 Linux only"
	fi
}

# Go 1.21 and newer fetch the toolchain that go.mod names. The version is asked
# for outside the module, where go doesn't do so yet.
check_go() {
	if ! has go; then
		fail Go "not found: install Go 1.21 or newer (go.dev/dl); Debian 12's own package, 1.19, is too old"
		return
	fi
	have=$(cd / && GOTOOLCHAIN=local go version 2>/dev/null | sed -n 's/.*go\([0-9][0-9]*\.[0-9][0-9.]*\).*/\1/p')
	want=$(sed -n 's/^go \([0-9.]*\)$/\1/p' "$repo/go.mod")
	choice=$(cd / && go env GOTOOLCHAIN 2>/dev/null)
	if [ -z "$have" ]; then
		fail Go "\`go version\` doesn't work: install Go 1.21 or newer (go.dev/dl)"
	elif older "$have" 1.21; then
		fail Go "$have is too old: install Go 1.21 or newer (go.dev/dl), which fetches $want itself"
	elif older "$have" "$want" && [ "$choice" = local ]; then
		fail Go "$have, and GOTOOLCHAIN=local forbids to fetch $want: unset GOTOOLCHAIN, or install Go $want"
	elif older "$have" "$want"; then
		ok Go "$have (fetches $want itself)"
	else
		ok Go "$have"
	fi
}

# A source tree, its build and nine kernels with their samples need about 4 GB.
# Where the tree is there already, what is left to come is small.
check_disk() {
	cache=${SPLICELAB_CACHE:-${LAB_CACHE:-}}
	if [ -z "$cache" ]; then
		home=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}
		if [ -z "$home" ]; then
			fail disk "no cache folder: set SPLICELAB_CACHE to one with 4 GB free"
			return
		fi
		cache=$home/splicelab
	fi
	folder=$cache
	while [ ! -d "$folder" ]; do folder=$(dirname -- "$folder"); done
	free=$(df -Pk "$folder" 2>/dev/null | awk 'NR == 2 { print int($4 / 1024) }')
	need=4096
	[ -d "$cache/trees" ] && need=512
	if [ "${free:-0}" -lt "$need" ]; then
		fail disk "${free:-0} MiB free in $folder, $need needed: free some, or set SPLICELAB_CACHE to a folder elsewhere"
	else
		ok disk "$free MiB free in $folder"
	fi
}

# A machine sold with 2 GB shows a little less.
check_memory() {
	total=$(awk '/^MemTotal:/ { print int($2 / 1024) }' "${PREFLIGHT_MEMINFO:-/proc/meminfo}" 2>/dev/null)
	if [ "${total:-0}" -lt 1800 ]; then
		fail memory "${total:-0} MiB, 2 GB needed to link a kernel and boot it"
	else
		ok memory "$total MiB"
	fi
}

# header NAME: the C compiler finds it.
header() { printf '#include <%s>\n' "$1" | gcc -E -x c -o /dev/null - >/dev/null 2>&1; }

# The kernel's configuration needs neither openssl, nor kmod, nor cpio: it has
# no modules, no signatures, and the lab writes the initramfs itself. libelf is
# for objtool.
find_missing() {
	missing=
	while read -r kind name package; do
		"$kind" "$name" || missing="$missing $package"
	done <<-LIST
		has gcc gcc
		has ld binutils
		has make make
		has git git
		has flex flex
		has bison bison
		has bc bc
		has perl perl-base
		has tar tar
		has xz xz-utils
		has gzip gzip
		has lz4 lz4
		has qemu-system-x86_64 qemu-system-x86
		header stdio.h libc6-dev
		header gelf.h libelf-dev
	LIST
	missing=${missing# }
}

# key NAME: its value in configs/default.yaml, which pins the source of each
# kernel line.
key() {
	awk -v line="$kernel_line" -v key="$1:" '
		$1 == "-" && $2 == "line:" { gsub(/"/, "", $3); here = $3 == line }
		here && $1 == key { print $2; exit }' "$repo/configs/default.yaml"
}

# find_line ARGUMENT…: the kernel line that lab will take.
find_line() {
	kernel_line=${LAB_LINE:-$(sed -n 's/^line: *"\([^"]*\)".*/\1/p' "$repo/configs/default.yaml")}
	before=
	for argument in "$@"; do
		case $before in --line) kernel_line=$argument ;; esac
		case $argument in --line=*) kernel_line=${argument#*=} ;; esac
		before=$argument
	done
}

# The package with the kernel's source is needed unless the source comes from
# elsewhere, or is in the cache. It is downloaded later, never installed. One
# from another suite isn't in this system's lists: lab reads those of the suite
# itself, and needs the keys that sign them.
find_source() {
	source=
	find_line "$@"
	for argument in "$@"; do
		case $argument in
		--source* | --tarball* | --resume* | -c* | --config*)
			ok "kernel source" "as $argument says"
			return
			;;
		esac
	done
	if [ "$(key kind)" != debian ]; then
		ok "kernel source" "as configs/default.yaml says"
		return
	fi
	if [ -e "${cache:-}/sources/$(key sha256).tar" ]; then
		ok "kernel source" "in the cache"
		return
	fi
	suite=$(key suite)
	if [ -z "$suite" ] || ! has apt-get; then
		source=$(key package)
		return
	fi
	has_keyring || missing="$missing debian-archive-keyring"
	missing=${missing# }
	ok "kernel source" "$(key package), from suite $suite of Debian's archive"
}

# has_keyring: the keys of Debian's archive are there, where lab looks for them.
has_keyring() {
	for f in "$keyrings"/debian-archive-keyring.gpg "$keyrings"/debian-archive-keyring.pgp; do
		[ ! -e "$f" ] || return 0
	done
	return 1
}
keyrings=${PREFLIGHT_KEYRINGS:-/usr/share/keyrings}

# listed PACKAGE: the package lists have it.
listed() { [ -n "$(apt-cache madison "$1" 2>/dev/null)" ]; }

# unlisted PACKAGE…: those that the lists lack.
unlisted() { for p in "$@"; do listed "$p" || printf '%s ' "$p"; done; }

no_source() {
	version=$(key version)
	fail "kernel source" "no $source in this system's package lists: get linux-${version%%-*}.tar.xz from kernel.org, then make lab ARGS='--tarball FILE --sha256 HEX' (or kind: tarball under sources in configs/default.yaml)"
}

# become_root finds how to be root without being asked anything.
become_root() {
	if [ "$(id -u)" = 0 ]; then
		root=
	elif has sudo && sudo -n true >/dev/null 2>&1; then
		root="sudo -n"
	else
		return 1
	fi
}

install_missing() {
	if ! has apt-get; then
		[ -z "$missing" ] || fail packages "no apt-get here: install what holds the following (Debian's names): $missing"
		[ -z "$source" ] || no_source
		return
	fi
	# shellcheck disable=SC2086 # lists of words
	lacking=$(unlisted $missing $source)
	command="apt-get install -y --no-install-recommends $missing"
	[ -n "$missing" ] || command=
	[ -z "$lacking" ] || command="apt-get update${command:+ && sudo $command}"
	if [ -n "$command" ] && ! become_root; then
		fail packages "neither root nor sudo without a password: type  sudo $command"
		return
	fi
	[ -z "$failed" ] || return # nothing is installed on a host that can't
	if [ -n "$lacking" ]; then
		run "package lists" apt-get update || return
		# shellcheck disable=SC2086
		lacking=$(unlisted $missing)
		[ -z "$lacking" ] || fail packages "not in this system's package lists: $lacking"
		[ -z "$source" ] || listed "$source" || no_source
		[ -z "$failed" ] || return
	fi
	# shellcheck disable=SC2086
	[ -z "$missing" ] || run packages apt-get install -y --no-install-recommends $missing || return
	ok packages "all there"
	[ -z "$source" ] || ok "kernel source" "$source, from the package archive"
}

# run WHAT COMMAND…: as root, quietly; its output is shown when it fails.
run() {
	what=$1
	shift
	line ... "$what" "$*"
	output=$($root env DEBIAN_FRONTEND=noninteractive "$@" 2>&1 </dev/null) && return
	printf '%s\n' "$output"
	fail "$what" "$* failed: its output stands above"
	return 1
}

echo "Preflight"
check_machine
check_go
check_disk
check_memory
find_missing
find_source "$@"
install_missing
[ -z "$failed" ] || exit 3

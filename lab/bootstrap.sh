#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes a fresh Debian or Ubuntu ready: lab/bootstrap.sh demo|test|check|bench|conformance
# First the distribution's packages, then, by Python, everything that lies under .build.
# POSIX shell, because there may be no Python yet.
set -eu

cd "$(dirname "$0")/.."
profile=${1:-}
top=$(pwd)
log=$top/.build/setup.log

fail() {
    echo "$1" >&2
    exit 1
}

# To build libvirt-python, and to have a Python at all.
build='python3 python3-venv python3-dev gcc libc6-dev pkg-config libvirt-dev ca-certificates'
# To run guests; dnsmasq and iptables are for libvirt's NAT network.
guests='libvirt-daemon libvirt-daemon-system libvirt-daemon-driver-qemu libvirt-clients qemu-system-x86 qemu-utils dnsmasq-base iptables iproute2 util-linux'
# To make the guest image.
image='busybox-static dropbear-bin mtools syslinux zstd'
# A libvirtd that asks for a password, which only tests need.
sasl='sasl2-bin libsasl2-modules'
# Guests are reached by ssh.
reach='openssh-client'
# In front of the API processes of a fleet.
balancer='haproxy'
# Shows the web page to tests and measurements.
browser='chromium fonts-dejavu-core'
# Makes more requests per second than a Python program can.
load='wrk'

case $profile in
demo) packages="$build $guests $image" rest='a Python environment, the OpenStack client and a guest image' minutes='2 to 4 minutes' ;;
bench) packages="$build $guests $image $balancer $load $browser" rest='a Python environment, the OpenStack client and a guest image' minutes='2 to 4 minutes' ;;
test) packages="$build $guests $image $sasl $reach $balancer $browser" rest='a Python environment, the OpenStack client and a guest image' minutes='2 to 4 minutes' ;;
check) packages=$build rest='a Python environment' minutes='1 to 2 minutes' ;;
conformance) packages=$build rest='a Python environment and Tempest' minutes='1 to 2 minutes' ;;
*) fail 'usage: lab/bootstrap.sh demo|test|check|bench|conformance' ;;
esac

command -v dpkg-query >/dev/null 2>&1 ||
    fail 'This set-up knows Debian and Ubuntu only: dpkg is not here.'
case $profile in
demo | bench | test)
    [ "$(uname -m)" = x86_64 ] ||
        fail "The guest image is made for x86-64 machines only, and this one is $(uname -m). Without guests: make check"
    ;;
esac

is_missing() {
    ! echo "$installed" | grep -qx "$1"
}

find_missing() {
    # shellcheck disable=SC2086
    installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' $packages 2>/dev/null | sed -n 's/^installed //p' || true)
    missing=''
    for package in $packages; do
        is_missing "$package" && missing="$missing $package"
    done
    missing=${missing# }
}

# Not every release splits libvirt in the same way: what the index does not know is not asked for.
# An index that has never been fetched knows nothing, and is no judge.
drop_unknown() {
    set -- /var/lib/apt/lists/*Packages*
    [ -e "$1" ] || return 0
    # shellcheck disable=SC2086
    missing=$(apt-cache policy $missing 2>/dev/null |
        awk '/^[^ ].*:$/ { name = substr($1, 1, length($1) - 1) } /^  Candidate:/ && $2 != "(none)" { printf "%s%s", gap, name; gap = " " }')
}

may_be_root() {
    [ "$(id -u)" = 0 ] && return 0
    command -v sudo >/dev/null 2>&1 || return 1
    sudo -n true 2>/dev/null && return 0
    # sudo may ask for a password where somebody sits who can type it.
    [ -t 0 ] && [ -t 2 ] && id -Gn | grep -qwE 'sudo|wheel|admin'
}

# Runs as root in the place of this (sub)shell, so that what is watched and ended is the command itself.
as_root() {
    [ "$(id -u)" = 0 ] || set -- sudo "$@"
    exec "$@" >>"$log" 2>&1 </dev/null
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$@"
}

# Shows that something goes on while a command runs in the background; its status is the command's.
watch() {
    title=$1
    shift
    begun=$(date +%s)
    "$@" &
    child=$!
    trap 'kill "$child" 2>/dev/null; wait "$child" 2>/dev/null; echo; echo "Interrupted; the same command goes on from here." >&2; exit 130' INT TERM
    if [ -t 1 ]; then
        while [ -d "/proc/$child" ]; do
            printf '\r\033[K  .. %s  %s s' "$title" "$(($(date +%s) - begun))"
            sleep 0.5
        done
        printf '\r\033[K'
    else
        echo "  .. $title"
    fi
    status=0
    wait "$child" || status=$?
    trap - INT TERM
    [ $status -ne 0 ] || echo "  ok $title ($(($(date +%s) - begun)) s)"
    return $status
}

install_packages() {
    count=$(echo "$missing" | wc -w)
    echo "make $profile sets this machine up first: $count Debian packages, then $rest. About $minutes, once; log in $log."
    mkdir -p "$top/.build" || fail "The directory $top/.build cannot be written."
    : >>"$log"
    # Asked for now, so that the password prompt does not come under the progress.
    [ "$(id -u)" = 0 ] || sudo -v || fail "sudo said no. An administrator can run: apt-get install -y --no-install-recommends $missing"
    watch 'package index' apt update || true
    drop_unknown
    # shellcheck disable=SC2086
    if ! watch 'system packages' apt install -y --no-install-recommends $missing; then
        # An interrupted installation is finished first.
        watch 'interrupted packages' as_root dpkg --configure -a || true
        watch 'package index, again' apt update || true
        # shellcheck disable=SC2086
        watch 'system packages, again' apt install -y --no-install-recommends $missing || {
            tail -n 8 "$log" | sed 's/^/    | /' >&2
            fail "The system packages could not be installed; the whole log is $log. Cure: look at it, then: $(prefix)apt-get install -y --no-install-recommends $missing"
        }
    fi
}

prefix() {
    [ "$(id -u)" = 0 ] || echo 'sudo '
}

# A Python that is new enough, can make environments, and has the headers to build against.
good_python() {
    command -v "$1" >/dev/null 2>&1 && "$1" -c '
import sys, sysconfig, os
assert sys.version_info >= (3, 11)
import venv, ensurepip, sqlite3, ssl
assert os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h"))
print(sys.executable)' 2>/dev/null
}

find_missing
[ -z "$missing" ] || drop_unknown
if [ -n "$missing" ]; then
    may_be_root || fail "Not root and no sudo here, and these packages are missing. An administrator can run: apt-get update && apt-get install -y --no-install-recommends $missing"
    install_packages
fi

python=$(good_python python3 || good_python /usr/bin/python3) ||
    fail 'Python 3.11 or later, with venv and headers, is needed (Debian 12, Ubuntu 24.04 or later have it), and neither python3 nor /usr/bin/python3 is one.'
exec "$python" -m lab.setup "$profile"

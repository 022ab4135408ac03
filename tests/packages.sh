#!/bin/sh -e
# Installs, and says so, the Debian packages that the tests need and this machine lacks; with "arm64" also those for
# guests of that architecture.
missing=
need() { # COMMAND PACKAGE
    command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || missing="$missing $2"
}
need bpftool bpftool            # the peer
need pahole pahole              # the peer of btf show
need clang clang                # programs whose types bpftool and we merge
need qemu-system-x86_64 qemu-system-x86 # guests
need busybox busybox-static     # their first program
need depmod kmod
need zstd zstd
need ip iproute2                # network namespaces of the zoo
need unshare util-linux
if [ "$1" = arm64 ]; then
    need qemu-system-aarch64 qemu-system-arm
    need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu # our extension for them
fi
[ -z "$missing" ] && exit 0
echo "installing for the tests:$missing"
apt-get update -q
apt-get install -y -q --no-install-recommends $missing

#!/bin/sh -e
# Installs, and says so, the Debian packages that the tests need and this machine lacks, on Ubuntu those that have the
# same programs; with "arm64" also those for guests of that architecture.
missing=
need() { # COMMAND PACKAGE
    command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || missing="$missing $2"
}
works() { # COMMAND WORD PACKAGE: before 25.04 Ubuntu has scripts that look for the programs of the running kernel
    PATH=$PATH:/usr/sbin "$1" "$2" >/dev/null 2>&1 || missing="$missing $3"
}
works bpftool version bpftool   # the peer
need pahole pahole              # the peer of btf show
need clang clang                # programs whose types bpftool and we merge
need qemu-system-x86_64 qemu-system-x86 # guests
need busybox busybox-static     # their first program
need depmod kmod
need zstd zstd
need objdump binutils           # the peer of prog dump jited, and of what we read in ELF files
need gcc gcc                    # programs that are probed
need g++ g++
need dwz dwz                    # makes programs share their debugging information
need /usr/bin/python3 python3   # Debian's own has static probes
need openssl openssl            # signs programs
need ip iproute2                # network namespaces of the zoo
need unshare util-linux
works perf --version linux-perf # the peer of counters and stacks
need bpftrace bpftrace          # the peer of probes
need zsh zsh                    # completes
need fish fish
need groff groff-base           # sets the man pages
need dot graphviz                # draws the graphs of programs
need chromium chromium          # opens flame graphs
need chromedriver chromium-driver
if [ "$1" = arm64 ]; then
    need qemu-system-aarch64 qemu-system-arm
    need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu # our extension for them
fi
knows_v4() { # any llvm-mc; the peer of the disassembler
    for mc in /usr/lib/llvm-*/bin/llvm-mc; do
        [ -x "$mc" ] && "$mc" -triple=bpf -mcpu=help </dev/null 2>&1 | grep -q "^ *v4 " && return
    done
    return 1
}
llvm=
knows_v4 || llvm=newest
. /etc/os-release
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ "$ID" = debian ] || [ -e $keys ] || missing="$missing debian-archive-keyring" # of the kernels that guests run
[ -z "$missing$llvm" ] && exit 0
apt-get update -q
[ -z "$llvm" ] || missing="$missing $(apt-cache search --names-only '^llvm-[0-9]+$' | cut -d' ' -f1 | sort -V | tail -n 1)"
real() { # PACKAGE, and not only a name that others provide
    apt-cache show "$1" 2>/dev/null | grep -q '^Package:'
}
packages=
for package in $missing; do
    if ! real "$package"; then
        case $package in
        bpftool | linux-perf)
            package=linux-tools-$(uname -r)
            real "$package" || package=linux-tools-generic
            package="linux-tools-common $package" ;;
        chromium) package=chromium-browser ;;            # a snap, as is the next
        chromium-driver) package=chromium-chromedriver ;;
        esac
    fi
    packages="$packages $package"
done
echo "installing for the tests:$packages"
apt-get install -y -q --no-install-recommends $packages
case $packages in *linux-tools-generic*)
    # The scripts know no other kernel than Ubuntu's own; the programs run on any.
    if [ ! -e "/usr/lib/linux-tools/$(uname -r)" ]; then
        newest=$(ls -d /usr/lib/linux-tools/*-generic | sort -V | tail -n 1)
        echo "linking /usr/lib/linux-tools/$(uname -r) to $newest"
        ln -s "$newest" "/usr/lib/linux-tools/$(uname -r)"
    fi
esac

"""What bpf(2) means by an errno: where it is answered, the usual cause, and what to do."""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

from bpfctl.feature.answer import ENOTSUPP


class Cause(NamedTuple):
    """Why an errno is answered: to which call, what it means there, and what helps; that may be empty."""

    call: str
    means: str
    help: str = ""


_ANY, _LOAD, _ATTACH = "any command", "PROG_LOAD", "attaching"
_CREATE, _UPDATE, _LOOKUP, _BATCH = "MAP_CREATE", "MAP_UPDATE_ELEM", "MAP_LOOKUP_ELEM", "MAP_*_BATCH"

ANSWERS: dict[int, tuple[Cause, ...]] = {
    errno.E2BIG: (
        Cause(
            _ANY,
            "the attributes say something in a field that is newer than this kernel",
            "leave out what it does not know: 'bpfctl feature probe --full-report' tells",
        ),
        Cause(
            _UPDATE, "the map is full, or an array has no such index", "make it with more entries, or as an lru_hash"
        ),
        Cause(_CREATE, "keys, values or all entries together are larger than a map may be"),
        Cause(
            _LOAD,
            "the program is empty or has too many instructions (4096 for who lacks CAP_BPF), or the verifier gave up"
            " after looking at a million, or it uses more than 64 maps",
            "loop less or with bpf_loop(), or make functions global, which are verified once",
        ),
        Cause(_ATTACH, "64 programs are attached there already"),
    ),
    errno.EPERM: (
        Cause(
            _ANY,
            "a capability is missing, and kernel.unprivileged_bpf_disabled is not 0",
            "'bpfctl explain' of the type tells which; CAP_SYS_ADMIN stands for all of them",
        ),
        Cause(_CREATE, "before Linux 5.11: RLIMIT_MEMLOCK is used up", "raise it: ulimit -l unlimited"),
        Cause(_UPDATE, "the map is frozen, or the descriptor was opened for reading alone (BPF_F_RDONLY)"),
        Cause("MAP_FREEZE", "the map is frozen already"),
        Cause(_LOAD, "kernel lockdown, or a security policy, forbids it", "'bpfctl feature probe --full-report' tells"),
        Cause(_ATTACH, "a cgroup above has a program that allows no others below it"),
        Cause("LINK_UPDATE", "the program that was to be replaced is not the one that is attached"),
    ),
    errno.EACCES: (
        Cause(
            _LOAD,
            "the verifier refuses what the program does, such as access outside of a value or without a check for NULL",
            "its log tells the instruction: 'bpfctl feature check --load OBJ' shows it",
        ),
        Cause("OBJ_PIN, OBJ_GET", "the file system does not permit it to you"),
    ),
    errno.EINVAL: (
        Cause(
            _ANY,
            "the kernel does not know the command, the type or a flag, or a field is set that must be zero",
            "'bpfctl feature probe --full-report' tells what it knows",
        ),
        Cause(
            _LOAD,
            "the verifier refuses the form of the program: an unknown instruction or helper, a jump out of it, a wrong"
            " attach type or license",
            "its log tells which",
        ),
        Cause(_CREATE, "sizes or flags do not suit the type of the map"),
        Cause(
            _ATTACH, "the attach type does not suit the program, or a program is attached in a way that allows no more"
        ),
        Cause("a descriptor", "it is open, but of another kind than is wanted"),
    ),
    errno.ENOSPC: (
        Cause(
            "PROG_LOAD, BTF_LOAD",
            "the buffer for the verifier's log is too small",
            "give more room, or a lower log_level; the program itself may be right",
        ),
        Cause(_BATCH, "there is not enough room for a whole bucket of the hash", "ask for more entries at once"),
        Cause("PROG_QUERY, PROG_TEST_RUN", "the buffer for the answer is too small; it tells how much is wanted"),
    ),
    errno.ENOENT: (
        Cause(_LOOKUP, "the map has no such key, or a queue or stack is empty"),
        Cause("MAP_GET_NEXT_KEY, *_GET_NEXT_ID, " + _BATCH, "this was the last one: the end, and no failure"),
        Cause("*_GET_FD_BY_ID", "no object has this id any more"),
        Cause("RAW_TRACEPOINT_OPEN", "the kernel has no such tracepoint, or its module is not loaded"),
        Cause(_UPDATE, "BPF_EXIST was said, and there is no such key"),
        Cause("PROG_DETACH, LINK_CREATE", "the program that was named is not attached there"),
        Cause(
            "TOKEN_CREATE", "the BPF file system was mounted without anything to delegate (delegate_cmds and its kin)"
        ),
    ),
    errno.EEXIST: (
        Cause(_UPDATE, "BPF_NOEXIST was said, and the key is there; in an array all keys are"),
        Cause("OBJ_PIN", "there is a file of that name"),
        Cause(_ATTACH, "this program is attached there already, or something else is in its place"),
    ),
    errno.EBUSY: (
        Cause(
            _ATTACH, "another program is in the only place that there is", "detach it first: 'bpfctl link show', 'net'"
        ),
        Cause(
            "MAP_FREEZE",
            "somebody writes to the map or has it mapped for writing, or, on older kernels, it is frozen already",
        ),
        Cause("a map's helpers", "the program has interrupted another that is changing the same part of the map"),
        Cause("struct_ops", "it is registered already, or still in use"),
    ),
    ENOTSUPP: (
        Cause(_BATCH, "maps of this type have no such command"),
        Cause(_LOOKUP, "there is nothing to read for user space: in a perf_event_array or cgroup_array"),
        Cause(
            _LOAD, "the JIT compiler cannot do what the program wants, or struct_ops has no such function for programs"
        ),
        Cause("PROG_TEST_RUN", "programs of this type cannot be run so"),
        Cause("MAP_FREEZE", "the map is of struct_ops, or its values have timers, locks or kernel objects"),
        Cause(_ATTACH, "a trampoline cannot call a function with such arguments on this kind of CPU"),
    ),
    errno.EOPNOTSUPP: (
        Cause(_LOOKUP, "user space cannot read the values of such a map: an xskmap, or an arena"),
        Cause("LINK_DETACH", "links of this type cannot be detached", "close them, and remove their pins"),
        Cause(_ATTACH, "the driver of the device does not support it", "try XDP's generic mode"),
        Cause("TOKEN_CREATE", "tokens are for user namespaces other than the first"),
    ),
    errno.EFAULT: (
        Cause(_ANY, "an address in the attributes cannot be read or written"),
        Cause(_LOAD, "the verifier contradicts itself, which is a bug of the kernel", "report it with the log"),
    ),
    errno.EAGAIN: (
        Cause(_LOAD, "a signal interrupted the verifier", "try again"),
        Cause("bpf_send_signal()", "the signal could not be sent just now", "let the program try again"),
    ),
    errno.EBADF: (Cause(_ANY, "a descriptor in the attributes is not open, or the map is not open for that"),),
    errno.EBADFD: (Cause("OBJ_GET_INFO_BY_FD", "the descriptor is not open"),),
    errno.ENOMEM: (
        Cause(
            "MAP_CREATE, PROG_LOAD",
            "there is no memory for it, or that of the cgroup is used up",
            "make the map smaller; BPF_F_NO_PREALLOC takes memory for elements when they are set",
        ),
        Cause(_UPDATE, "there was no memory for an element that was not allocated at first (BPF_F_NO_PREALLOC)"),
    ),
    errno.ESRCH: (
        Cause(
            "LINK_CREATE", "a function of a kprobe.multi link, or the process of a uprobe.multi link, does not exist"
        ),
    ),
    errno.EDEADLK: (Cause("a map's helpers", "waiting for a lock would never end: the kernel noticed (Linux 6.15)"),),
    errno.ETIMEDOUT: (Cause("a map's helpers", "a lock was not to be had in time (Linux 6.15)"),),
    errno.ERANGE: (Cause("tcx, netkit", "64 programs are attached there, or the position does not fit"),),
    errno.ESTALE: (
        Cause(
            "tcx, netkit, cgroup",
            "what is attached has changed since it was asked for (expected_revision)",
            "ask again",
        ),
    ),
    errno.ENOLINK: (Cause("LINK_UPDATE, LINK_DETACH", "what the link was attached to is gone"),),
    errno.ENODEV: (Cause(_ATTACH, "there is no such network device (tcx, netkit), or infrared receiver"),),
    errno.EAFNOSUPPORT: (Cause("a netfilter link", "the protocol is neither IPv4 nor IPv6, or not in the kernel"),),
    errno.EINTR: (Cause("PROG_TEST_RUN", "a signal came before all runs were done", "run it again"),),
    errno.EMFILE: (Cause(_ANY, "this process has as many descriptors as it may", "raise it: ulimit -n"),),
    errno.ENFILE: (Cause(_ANY, "the system has as many open files as it may (fs.file-max)"),),
    errno.ENOSYS: (Cause(_ANY, "the kernel was built without bpf(2) (CONFIG_BPF_SYSCALL)"),),
    errno.EKEYREJECTED: (Cause(_LOAD, "the signature does not suit the program (Linux 6.18)"),),
    errno.ENOKEY: (Cause(_LOAD, "the kernel has no key for the signature (Linux 6.18)"),),
}


#: What the kernel's source calls them, of several names.
_NAMES = {ENOTSUPP: "ENOTSUPP", errno.EOPNOTSUPP: "EOPNOTSUPP", errno.EAGAIN: "EAGAIN", errno.EDEADLK: "EDEADLK"}
#: What else user space calls them.
_ALSO = {errno.EOPNOTSUPP: "ENOTSUP", errno.EAGAIN: "EWOULDBLOCK", errno.EDEADLK: "EDEADLOCK"}


def name_of(number: int) -> str:
    """Return the name of an errno."""
    return _NAMES.get(number) or errno.errorcode[number]


def told(number: int) -> str:
    """Return what is said of an errno everywhere, and whether there is more to say here."""
    if number == ENOTSUPP:
        return "An error of the kernel's own, for which user space has neither name nor words. With bpf(2):"
    words = os.strerror(number)
    return f"{words}. With bpf(2):" if number in ANSWERS else f"{words}. With bpf(2) it means nothing more than that."


def number_of(word: str) -> int | None:
    """Return the errno of a number or name, with or without a minus; None for a word that is neither."""
    bare = word.removeprefix("-").upper()
    names = {name: number for known in (errno.errorcode, _NAMES, _ALSO) for number, name in known.items()}
    number = int(bare) if bare.isascii() and bare.isdecimal() and len(bare) < 10 else names.get(bare)
    return number if number in errno.errorcode or number == ENOTSUPP else None

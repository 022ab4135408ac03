"""Map types: a line on each."""

from __future__ import annotations

from bpfctl.uapi.enums import MapType as M

MAP_TYPES: dict[M, str] = {
    M.HASH: "Keys of any bytes and their values, in no order.",
    M.ARRAY: "Values by their number, all of them there from the beginning; none can be deleted.",
    M.PROG_ARRAY: "Programs by their number, for bpf_tail_call().",
    M.PERF_EVENT_ARRAY: "Perf events by CPU: programs send records through it to user space, or read counters.",
    M.PERCPU_HASH: "A hash with a value for each CPU under each key, which needs no lock.",
    M.PERCPU_ARRAY: "An array with a value for each CPU under each number.",
    M.STACK_TRACE: "Stacks by an id that bpf_get_stackid() returns.",
    M.CGROUP_ARRAY: "Cgroups by their number, for helpers that ask whether something is in one.",
    M.LRU_HASH: "A hash that drops what was not used for long when it is full.",
    M.LRU_PERCPU_HASH: "A hash with a value for each CPU that drops what was not used for long when it is full.",
    M.LPM_TRIE: "Networks: a lookup finds the longest prefix that matches. A key is the length in bits, and the bytes.",
    M.ARRAY_OF_MAPS: "Maps by their number; all of them are like the one that it was made with.",
    M.HASH_OF_MAPS: "Maps by keys of any bytes; all of them are like the one that it was made with.",
    M.DEVMAP: "Network devices by their number, to which XDP redirects packets.",
    M.SOCKMAP: "Sockets by their number, among which programs redirect data.",
    M.CPUMAP: "CPUs, on which XDP has packets processed further.",
    M.XSKMAP: "AF_XDP sockets by queue, to which XDP redirects packets, past the kernel's network stack.",
    M.SOCKHASH: "Sockets by keys of any bytes, among which programs redirect data.",
    M.CGROUP_STORAGE: "A value for each cgroup that a program is attached to; cgrp_storage is newer and suits more"
    " programs.",
    M.REUSEPORT_SOCKARRAY: "Sockets that share a port, of which a program chooses one.",
    M.PERCPU_CGROUP_STORAGE: "A value for each CPU and each cgroup that a program is attached to.",
    M.QUEUE: "Values without keys: the first that came in comes out first.",
    M.STACK: "Values without keys: the last that came in comes out first.",
    M.SK_STORAGE: "A value for each socket, which goes when the socket does.",
    M.DEVMAP_HASH: "Network devices by any 32-bit key, to which XDP redirects packets.",
    M.STRUCT_OPS: "A kernel structure of functions whose functions are programs; a value that is set registers it.",
    M.RINGBUF: "Records in order for user space, one buffer for all CPUs; its size is a power of two, in bytes.",
    M.INODE_STORAGE: "A value for each inode, which goes when the inode does.",
    M.TASK_STORAGE: "A value for each thread, which goes when the thread does.",
    M.BLOOM_FILTER: "A set that can tell that a value is not in it, or that it may be.",
    M.USER_RINGBUF: "Records in order from user space to programs.",
    M.CGRP_STORAGE: "A value for each cgroup, which goes when the cgroup does.",
    M.ARENA: "Memory that programs and user space share, with pointers that mean the same to both.",
    M.INSN_ARRAY: "Places in a program's code, to which it can jump.",
    M.RHASH: "A hash that grows and shrinks with what is in it.",
}

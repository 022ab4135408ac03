"""Link types: a line on each. A link keeps a program attached until it is closed, unless it is pinned."""

from __future__ import annotations

from bpfctl.uapi.enums import LinkType as L

LINK_TYPES: dict[L, str] = {
    L.RAW_TRACEPOINT: "Keeps a program at a tracepoint whose arguments it sees as the kernel passes them.",
    L.TRACING: "Keeps a program at a kernel function, tracepoint or security hook, or in the place of a function of"
    " another program.",
    L.CGROUP: "Keeps a program at a cgroup.",
    L.ITER: "Keeps an iterator: each file opened from it, or from its pin, goes over the kernel's objects once.",
    L.NETNS: "Keeps a flow dissector or a socket lookup at a network namespace.",
    L.XDP: "Keeps an XDP program at a network device.",
    L.PERF_EVENT: "Keeps a program at a perf event: a kprobe, uprobe, tracepoint or counter.",
    L.KPROBE_MULTI: "Keeps a program at any number of kernel functions at once.",
    L.STRUCT_OPS: "Keeps a kernel structure of functions registered.",
    L.NETFILTER: "Keeps a program at a hook of netfilter, with a priority.",
    L.TCX: "Keeps a program at what comes in or goes out of a network device, before or after others.",
    L.UPROBE_MULTI: "Keeps a program at any number of places of one file at once.",
    L.NETKIT: "Keeps a program at a netkit device or its peer.",
    L.SOCKMAP: "Keeps a program at a sockmap or sockhash.",
    L.TRACING_MULTI: "Keeps a program at the entry or exit of many kernel functions at once, with trampolines.",
}

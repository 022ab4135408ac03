"""Program types: a line on each."""

from __future__ import annotations

from bpfctl.uapi.enums import ProgType as P

PROGRAM_TYPES: dict[P, str] = {
    P.SOCKET_FILTER: "Looks at the packets that come to a socket, and decides how much of each the socket gets.",
    P.KPROBE: "Runs at a place in the kernel (kprobe) or in a process (uprobe, USDT), and sees the registers there.",
    P.SCHED_CLS: "Looks at packets that come in or go out of a network device (tc, tcx, netkit), and may change,"
    " redirect or drop them.",
    P.SCHED_ACT: "Is an action of tc, which a classifier calls for a packet; SCHED_CLS does both in one.",
    P.TRACEPOINT: "Runs at a tracepoint of the kernel, and sees its fields as tracefs describes them.",
    P.XDP: "Sees each packet in the driver of a network device, before the kernel makes a socket buffer of it; it may"
    " drop, send back or redirect it.",
    P.PERF_EVENT: "Runs when a perf event fires: at a sample of a profile, or when a counter overflows.",
    P.CGROUP_SKB: "Lets packets of sockets in a cgroup pass, or drops them.",
    P.CGROUP_SOCK: "Decides whether a process of a cgroup may make a socket, or bind it; sees it closed, too.",
    P.LWT_IN: "Runs for packets that come in on a route (lightweight tunnel).",
    P.LWT_OUT: "Runs for packets that are about to leave by a route (lightweight tunnel).",
    P.LWT_XMIT: "Runs for packets that leave by a route, and may change or redirect them (lightweight tunnel).",
    P.SOCK_OPS: "Is told of events of the TCP connections of a cgroup, and sets their options.",
    P.SK_SKB: "Decides for data that a socket of a sockmap receives to which socket it goes.",
    P.CGROUP_DEVICE: "Decides which device files the processes of a cgroup may open or make.",
    P.SK_MSG: "Decides for data that is sent on a socket of a sockmap whether and to which socket it goes.",
    P.RAW_TRACEPOINT: "Runs at a tracepoint of the kernel, and sees the arguments as the kernel passes them.",
    P.CGROUP_SOCK_ADDR: "Sees the address when a process of a cgroup binds, connects or sends, and may put another in"
    " its place.",
    P.LWT_SEG6LOCAL: "Runs for packets of IPv6 segment routing whose next segment is here.",
    P.LIRC_MODE2: "Decodes the pulses of an infrared receiver into keys.",
    P.SK_REUSEPORT: "Chooses which of the sockets that share a port (SO_REUSEPORT) gets a packet or connection.",
    P.FLOW_DISSECTOR: "Finds addresses, ports and protocols in a packet, in the place of the kernel's own dissector.",
    P.CGROUP_SYSCTL: "Decides whether processes of a cgroup may read or write a setting in /proc/sys, and its value.",
    P.RAW_TRACEPOINT_WRITABLE: "Runs at a tracepoint that lets programs change a buffer it passes.",
    P.CGROUP_SOCKOPT: "Sees what processes of a cgroup do by setsockopt(2) and getsockopt(2), and may change it.",
    P.TRACING: "Runs at the entry or exit of a kernel function or at a tracepoint, with typed arguments, or is an"
    " iterator over kernel objects.",
    P.STRUCT_OPS: "Is a function of a kernel structure of functions, such as TCP congestion control or a scheduler.",
    P.EXT: "Takes the place of a function in another BPF program (freplace).",
    P.LSM: "Runs at a hook of the Linux security modules, and may deny what is asked for.",
    P.SK_LOOKUP: "Chooses the socket for an incoming connection or packet, whatever address and port it listens on.",
    P.SYSCALL: "Runs when user space calls it, may sleep, and may call bpf(2) itself: loaders are made of it.",
    P.NETFILTER: "Is a hook of netfilter, and lets packets pass or drops them.",
}

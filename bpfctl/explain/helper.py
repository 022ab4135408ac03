"""Helper functions: the release that brought each, and a line on it."""

from __future__ import annotations

from bpfctl.explain.told import Told
from bpfctl.uapi.helpers import Helper

HELPERS: dict[Helper, Told] = {
    Helper.map_lookup_elem: Told("3.19", "Returns a pointer to the value of a key in a map, or NULL."),
    Helper.map_update_elem: Told("3.19", "Sets the value of a key in a map."),
    Helper.map_delete_elem: Told("3.19", "Deletes a key from a map."),
    Helper.probe_read: Told(
        "4.1", "Copies memory of the kernel or of the process, as the address decides; newer code says which."
    ),
    Helper.ktime_get_ns: Told(
        "4.1", "Tells the nanoseconds since boot, without the time that the machine was suspended."
    ),
    Helper.trace_printk: Told("4.1", "Writes a line into the kernel's trace, for debugging; bpf_printk() calls it."),
    Helper.get_prandom_u32: Told("4.1", "Returns a pseudo-random number."),
    Helper.get_smp_processor_id: Told("4.1", "Tells on which CPU the program runs."),
    Helper.skb_store_bytes: Told("4.1", "Writes bytes into a packet."),
    Helper.l3_csum_replace: Told("4.1", "Corrects the checksum of the IP header after a change."),
    Helper.l4_csum_replace: Told("4.1", "Corrects the checksum of the TCP or UDP header after a change."),
    Helper.tail_call: Told(
        "4.2", "Goes on in another program of a prog_array, and does not come back unless that fails."
    ),
    Helper.clone_redirect: Told("4.2", "Sends a copy of the packet out of another network device."),
    Helper.get_current_pid_tgid: Told(
        "4.2", "Tells the process and the thread that run: tgid in the upper half, pid in the lower."
    ),
    Helper.get_current_uid_gid: Told(
        "4.2", "Tells user and group of the running thread: gid in the upper half, uid in the lower."
    ),
    Helper.get_current_comm: Told("4.2", "Copies the name of the running thread."),
    Helper.get_cgroup_classid: Told("4.3", "Tells the net_cls class of the cgroup that sent the packet."),
    Helper.skb_vlan_push: Told("4.3", "Puts a VLAN tag on the packet."),
    Helper.skb_vlan_pop: Told("4.3", "Takes the VLAN tag off the packet."),
    Helper.skb_get_tunnel_key: Told("4.3", "Reads through which tunnel the packet came: its id and addresses."),
    Helper.skb_set_tunnel_key: Told("4.3", "Says through which tunnel the packet is to go: its id and addresses."),
    Helper.perf_event_read: Told(
        "4.3", "Reads a counter of perf; errors look like counts, so perf_event_read_value is better."
    ),
    Helper.redirect: Told("4.4", "Has the packet go to another network device when the program returns."),
    Helper.get_route_realm: Told("4.4", "Tells the realm of the packet's route, which tclassid matches."),
    Helper.perf_event_output: Told("4.4", "Sends a record to user space through a perf_event_array."),
    Helper.skb_load_bytes: Told("4.5", "Copies bytes out of a packet, wherever its data is."),
    Helper.get_stackid: Told("4.6", "Walks the stack and returns the id under which a stack_trace map keeps it."),
    Helper.csum_diff: Told("4.6", "Computes by how much a checksum changes if one buffer takes another's place."),
    Helper.skb_get_tunnel_opt: Told("4.6", "Reads the options of the tunnel that the packet came through."),
    Helper.skb_set_tunnel_opt: Told("4.6", "Sets the options of the tunnel that the packet is to go through."),
    Helper.skb_change_proto: Told(
        "4.8", "Turns the packet from IPv4 into IPv6 or back; filling in the header is left to the program."
    ),
    Helper.skb_change_type: Told("4.8", "Changes whom the packet is for, such as this host or others (pkt_type)."),
    Helper.skb_under_cgroup: Told(
        "4.8", "Tells whether the packet's socket is in a cgroup of a cgroup_array, or below it."
    ),
    Helper.get_hash_recalc: Told("4.8", "Returns the packet's flow hash, computed anew if need be."),
    Helper.get_current_task: Told("4.8", "Returns the address of the running thread's task_struct as a number."),
    Helper.probe_write_user: Told(
        "4.8", "Writes into the memory of the running process: for experiments, since it may break it."
    ),
    Helper.current_task_under_cgroup: Told(
        "4.9", "Tells whether the running thread is in a cgroup of a cgroup_array, or below it."
    ),
    Helper.skb_change_tail: Told("4.9", "Makes the packet longer or shorter at its end."),
    Helper.skb_pull_data: Told("4.9", "Makes the first bytes of the packet readable and writable directly."),
    Helper.csum_update: Told("4.9", "Adds to the checksum that the hardware has computed of the packet."),
    Helper.set_hash_invalid: Told("4.9", "Forgets the packet's flow hash, so that it is computed anew."),
    Helper.get_numa_node_id: Told("4.10", "Tells the NUMA node of the CPU that the program runs on."),
    Helper.skb_change_head: Told("4.10", "Makes room in front of the packet, for a new link layer header."),
    Helper.xdp_adjust_head: Told("4.10", "Moves where the packet begins, to add or remove headers."),
    Helper.probe_read_str: Told(
        "4.11", "Copies a string of the kernel or of the process, as the address decides; newer code says which."
    ),
    Helper.get_socket_cookie: Told(
        "4.12", "Returns a number that identifies a socket for as long as the machine runs."
    ),
    Helper.get_socket_uid: Told("4.12", "Tells which user owns the packet's socket."),
    Helper.set_hash: Told("4.13", "Sets the packet's flow hash."),
    Helper.setsockopt: Told("4.13", "Sets an option of a socket, as setsockopt(2)."),
    Helper.skb_adjust_room: Told(
        "4.13", "Makes or removes room between the headers of a packet, to encapsulate it or undo that."
    ),
    Helper.redirect_map: Told("4.14", "Has the packet go to what a devmap, cpumap or xskmap holds at a key."),
    Helper.sk_redirect_map: Told("4.14", "Has data of a stream go to a socket of a sockmap."),
    Helper.sock_map_update: Told("4.14", "Puts the socket at hand into a sockmap."),
    Helper.xdp_adjust_meta: Told(
        "4.15", "Moves where the metadata in front of the packet begins, which later programs can read."
    ),
    Helper.perf_event_read_value: Told("4.15", "Reads a counter of perf, and how long it was counting."),
    Helper.perf_prog_read_value: Told("4.15", "Reads the counter of the perf event that the program hangs on."),
    Helper.getsockopt: Told("4.15", "Reads an option of a socket, as getsockopt(2)."),
    Helper.override_return: Told(
        "4.16",
        "Makes the probed kernel function return a value at once, where the kernel allows errors to be injected.",
    ),
    Helper.sock_ops_cb_flags_set: Told("4.16", "Chooses for which events of a TCP connection the program is called."),
    Helper.msg_redirect_map: Told("4.17", "Has a message go to a socket of a sockmap instead."),
    Helper.msg_apply_bytes: Told("4.17", "Has the verdict apply to so many bytes, also of later messages."),
    Helper.msg_cork_bytes: Told("4.17", "Waits with the verdict until so many bytes are there."),
    Helper.msg_pull_data: Told("4.17", "Makes a range of the message readable and writable directly."),
    Helper.bind: Told("4.17", "Chooses the address that a socket connects from."),
    Helper.xdp_adjust_tail: Told("4.18", "Moves where the packet ends."),
    Helper.skb_get_xfrm_state: Told("4.18", "Reads a state of IPsec that the packet went through."),
    Helper.get_stack: Told("4.18", "Walks the stack of the kernel or the process into a buffer."),
    Helper.skb_load_bytes_relative: Told(
        "4.18", "Copies bytes out of a packet, from the link layer or network header on."
    ),
    Helper.fib_lookup: Told("4.18", "Looks up in the routing tables where a packet would go."),
    Helper.sock_hash_update: Told("4.18", "Puts the socket at hand into a sockhash."),
    Helper.msg_redirect_hash: Told("4.18", "Has a message go to a socket of a sockhash instead."),
    Helper.sk_redirect_hash: Told("4.18", "Has data of a stream go to a socket of a sockhash."),
    Helper.lwt_push_encap: Told("4.18", "Wraps the packet into an outer header: IPv6 segment routing, or IP."),
    Helper.lwt_seg6_store_bytes: Told("4.18", "Writes into the flags, tag or options of a segment routing header."),
    Helper.lwt_seg6_adjust_srh: Told("4.18", "Makes the options of a segment routing header longer or shorter."),
    Helper.lwt_seg6_action: Told("4.18", "Does one of the kernel's actions of segment routing on the packet."),
    Helper.rc_repeat: Told("4.18", "Says that a remote control's key is still held down."),
    Helper.rc_keydown: Told("4.18", "Says that a remote control's key was pressed."),
    Helper.skb_cgroup_id: Told("4.18", "Tells the id of the cgroup that the packet's socket belongs to."),
    Helper.get_current_cgroup_id: Told("4.18", "Tells the id of the cgroup that the running thread is in."),
    Helper.get_local_storage: Told("4.19", "Returns the value of this cgroup in a cgroup_storage map."),
    Helper.sk_select_reuseport: Told("4.19", "Chooses the socket of a reuseport_sockarray that gets the packet."),
    Helper.skb_ancestor_cgroup_id: Told(
        "4.19", "Tells the id of the cgroup of the packet's socket, at a level counted from the root."
    ),
    Helper.sk_lookup_tcp: Told("4.20", "Finds the TCP socket of addresses and ports; sk_release gives it back."),
    Helper.sk_lookup_udp: Told("4.20", "Finds the UDP socket of addresses and ports; sk_release gives it back."),
    Helper.sk_release: Told("4.20", "Gives back a socket that another helper has found."),
    Helper.map_push_elem: Told("4.20", "Puts a value into a queue, stack or bloom filter."),
    Helper.map_pop_elem: Told("4.20", "Takes the next value out of a queue or stack."),
    Helper.map_peek_elem: Told(
        "4.20", "Reads the next value of a queue or stack and leaves it there; asks a bloom filter for one."
    ),
    Helper.msg_push_data: Told("4.20", "Makes room inside a message."),
    Helper.msg_pop_data: Told("5.0", "Cuts a range out of a message."),
    Helper.rc_pointer_rel: Told("5.0", "Says how far a remote control's pointer has moved."),
    Helper.spin_lock: Told("5.1", "Takes the lock in a map's value."),
    Helper.spin_unlock: Told("5.1", "Lets the lock in a map's value go."),
    Helper.sk_fullsock: Told(
        "5.1", "Returns the full socket behind one, or NULL for a request or a connection in TIME_WAIT."
    ),
    Helper.tcp_sock: Told("5.1", "Returns what TCP knows of a socket's connection, or NULL for other sockets."),
    Helper.skb_ecn_set_ce: Told("5.1", "Marks in the IP header that there is congestion, if the sender knows ECN."),
    Helper.get_listener_sock: Told("5.1", "Returns the listening socket that a connection came from, or NULL."),
    Helper.skc_lookup_tcp: Told(
        "5.2",
        "Finds the TCP socket of addresses and ports, also a request or one in TIME_WAIT; sk_release gives it back.",
    ),
    Helper.tcp_check_syncookie: Told("5.2", "Tells whether an ACK answers a SYN cookie of a listening socket."),
    Helper.sysctl_get_name: Told("5.2", "Copies the name of the setting that is read or written."),
    Helper.sysctl_get_current_value: Told("5.2", "Copies the value that the setting has now."),
    Helper.sysctl_get_new_value: Told("5.2", "Copies the value that is about to be written."),
    Helper.sysctl_set_new_value: Told("5.2", "Has another value written than the one that was meant."),
    Helper.strtol: Told("5.2", "Reads a signed number in the beginning of a string."),
    Helper.strtoul: Told("5.2", "Reads an unsigned number in the beginning of a string."),
    Helper.sk_storage_get: Told("5.2", "Returns a socket's value in an sk_storage map, and makes one if asked to."),
    Helper.sk_storage_delete: Told("5.2", "Deletes a socket's value from an sk_storage map."),
    Helper.send_signal: Told("5.3", "Sends a signal to the running process; any of its threads may take it."),
    Helper.tcp_gen_syncookie: Told("5.4", "Makes the SYN cookie with which a listening socket would answer a SYN."),
    Helper.skb_output: Told(
        "5.5", "Sends a record with the first bytes of a packet through a perf_event_array, from a traced function."
    ),
    Helper.probe_read_user: Told("5.5", "Copies memory of the running process."),
    Helper.probe_read_kernel: Told("5.5", "Copies memory of the kernel."),
    Helper.probe_read_user_str: Told("5.5", "Copies a string of the running process, up to its zero."),
    Helper.probe_read_kernel_str: Told("5.5", "Copies a string of the kernel, up to its zero."),
    Helper.tcp_send_ack: Told("5.6", "Has TCP send an ACK, from a program that is congestion control."),
    Helper.send_signal_thread: Told("5.6", "Sends a signal to the running thread."),
    Helper.jiffies64: Told("5.6", "Returns the kernel's count of timer ticks."),
    Helper.read_branch_records: Told("5.7", "Copies the branches that the CPU had recorded when the perf event fired."),
    Helper.get_ns_current_pid_tgid: Told("5.7", "Tells process and thread as a pid namespace numbers them."),
    Helper.xdp_output: Told(
        "5.7", "Sends a record with the first bytes of a packet through a perf_event_array, from what traces XDP."
    ),
    Helper.get_netns_cookie: Told("5.7", "Returns a number that identifies the network namespace."),
    Helper.get_current_ancestor_cgroup_id: Told(
        "5.7", "Tells the id of the running thread's cgroup, at a level counted from the root."
    ),
    Helper.sk_assign: Told("5.7", "Chooses the socket that gets the packet or the new connection."),
    Helper.ktime_get_boot_ns: Told(
        "5.8", "Tells the nanoseconds since boot, with the time that the machine was suspended."
    ),
    Helper.seq_printf: Told("5.8", "Writes formatted text into the file of an iterator."),
    Helper.seq_write: Told("5.8", "Writes bytes into the file of an iterator."),
    Helper.sk_cgroup_id: Told("5.8", "Tells the id of the cgroup that a socket belongs to."),
    Helper.sk_ancestor_cgroup_id: Told("5.8", "Tells the id of a socket's cgroup, at a level counted from the root."),
    Helper.ringbuf_output: Told("5.8", "Copies a record into a ring buffer."),
    Helper.ringbuf_reserve: Told(
        "5.8", "Makes room for a record in a ring buffer, which is filled in place; NULL when it is full."
    ),
    Helper.ringbuf_submit: Told("5.8", "Hands a reserved record over to who reads the ring buffer."),
    Helper.ringbuf_discard: Told("5.8", "Drops a reserved record, which readers then skip."),
    Helper.ringbuf_query: Told(
        "5.8", "Tells how much a ring buffer holds, its size, or how far reader and writer have come."
    ),
    Helper.csum_level: Told(
        "5.8", "Says how many checksums of the packet have been found right already, or forgets that."
    ),
    Helper.skc_to_tcp6_sock: Told("5.9", "Casts a socket to struct tcp6_sock; NULL if it is none."),
    Helper.skc_to_tcp_sock: Told("5.9", "Casts a socket to struct tcp_sock; NULL if it is none."),
    Helper.skc_to_tcp_timewait_sock: Told("5.9", "Casts a socket to struct tcp_timewait_sock; NULL if it is none."),
    Helper.skc_to_tcp_request_sock: Told("5.9", "Casts a socket to struct tcp_request_sock; NULL if it is none."),
    Helper.skc_to_udp6_sock: Told("5.9", "Casts a socket to struct udp6_sock; NULL if it is none."),
    Helper.get_task_stack: Told("5.9", "Walks the stack of another thread into a buffer."),
    Helper.load_hdr_opt: Told("5.10", "Reads an option of the TCP header."),
    Helper.store_hdr_opt: Told("5.10", "Writes an option into the TCP header, in room that was reserved."),
    Helper.reserve_hdr_opt: Told("5.10", "Reserves room for an option in the TCP header."),
    Helper.inode_storage_get: Told(
        "5.10", "Returns an inode's value in an inode_storage map, and makes one if asked to."
    ),
    Helper.inode_storage_delete: Told("5.10", "Deletes an inode's value from an inode_storage map."),
    Helper.d_path: Told("5.10", "Writes the full name of a path of the kernel."),
    Helper.copy_from_user: Told(
        "5.10", "Copies memory of the running process, and waits for it to be brought in; for programs that may sleep."
    ),
    Helper.snprintf_btf: Told("5.10", "Writes what is in memory into a buffer as text, by its type in BTF."),
    Helper.seq_printf_btf: Told(
        "5.10", "Writes what is in memory into an iterator's file as text, by its type in BTF."
    ),
    Helper.skb_cgroup_classid: Told(
        "5.10", "Tells the net_cls class of the cgroup that the packet's socket belongs to."
    ),
    Helper.redirect_neigh: Told(
        "5.10", "Sends the packet out of another device, with the link layer address of its neighbour filled in."
    ),
    Helper.per_cpu_ptr: Told(
        "5.10", "Returns the address of a kernel variable on a CPU; NULL where there is no such CPU."
    ),
    Helper.this_cpu_ptr: Told("5.10", "Returns the address of a kernel variable on the CPU at hand."),
    Helper.redirect_peer: Told(
        "5.10", "Has the packet come in at the other end of a veth or netkit pair, in its namespace."
    ),
    Helper.task_storage_get: Told("5.11", "Returns a thread's value in a task_storage map, and makes one if asked to."),
    Helper.task_storage_delete: Told("5.11", "Deletes a thread's value from a task_storage map."),
    Helper.get_current_task_btf: Told(
        "5.11", "Returns the running thread's task_struct as a typed pointer, whose members can be read."
    ),
    Helper.bprm_opts_set: Told("5.11", "Sets how a new program is executed, such as with AT_SECURE."),
    Helper.ktime_get_coarse_ns: Told(
        "5.11", "Tells the nanoseconds since boot as of the last timer tick, which is quicker."
    ),
    Helper.ima_inode_hash: Told("5.11", "Copies the hash that IMA has of a file's content already."),
    Helper.sock_from_file: Told("5.11", "Returns the socket behind an open file; NULL if there is none."),
    Helper.check_mtu: Told("5.12", "Tells whether a packet fits a device's MTU."),
    Helper.for_each_map_elem: Told("5.13", "Calls a function of the program for each element of a map."),
    Helper.snprintf: Told("5.13", "Writes formatted text into a buffer."),
    Helper.sys_bpf: Told("5.14", "Calls bpf(2) from a program."),
    Helper.btf_find_by_name_kind: Told("5.14", "Finds the id of a type in the kernel's BTF."),
    Helper.sys_close: Told("5.14", "Closes a descriptor, as close(2)."),
    Helper.timer_init: Told("5.15", "Makes a timer that lives in a map's value."),
    Helper.timer_set_callback: Told("5.15", "Chooses the function of the program that a timer calls."),
    Helper.timer_start: Told("5.15", "Starts a timer, which fires after so many nanoseconds."),
    Helper.timer_cancel: Told("5.15", "Stops a timer, and waits for its function to end."),
    Helper.get_func_ip: Told("5.15", "Returns the address of the function that is probed or traced."),
    Helper.get_attach_cookie: Told("5.15", "Returns the number that was given when the program was attached."),
    Helper.task_pt_regs: Told("5.15", "Returns the registers that a thread had in user mode."),
    Helper.get_branch_snapshot: Told("5.16", "Copies the last branches of the CPU as they are now."),
    Helper.trace_vprintk: Told(
        "5.16", "Writes a line into the kernel's trace with more than three values, for debugging."
    ),
    Helper.skc_to_unix_sock: Told("5.16", "Casts a socket to struct unix_sock; NULL if it is none."),
    Helper.kallsyms_lookup_name: Told("5.16", "Finds the address of a kernel symbol."),
    Helper.find_vma: Told(
        "5.17", "Calls a function of the program with the mapping of a thread's memory that has an address."
    ),
    Helper.loop: Told("5.17", "Calls a function of the program so many times."),
    Helper.strncmp: Told("5.17", "Compares a string with a constant one."),
    Helper.get_func_arg: Told("5.17", "Reads an argument of the traced function by its number."),
    Helper.get_func_ret: Told("5.17", "Reads what the traced function returned."),
    Helper.get_func_arg_cnt: Told("5.17", "Tells how many arguments the traced function has."),
    Helper.get_retval: Told(
        "5.18", "Reads the error that user space will get, as earlier programs of the cgroup left it."
    ),
    Helper.set_retval: Told("5.18", "Sets the error that user space will get."),
    Helper.xdp_get_buff_len: Told("5.18", "Tells the length of the packet over all its buffers."),
    Helper.xdp_load_bytes: Told("5.18", "Copies bytes out of a packet that may be in several buffers."),
    Helper.xdp_store_bytes: Told("5.18", "Writes bytes into a packet that may be in several buffers."),
    Helper.copy_from_user_task: Told(
        "5.18", "Copies memory of another process, and waits for it to be brought in; for programs that may sleep."
    ),
    Helper.skb_set_tstamp: Told("5.18", "Sets the time of the packet, and which clock it is of."),
    Helper.ima_file_hash: Told(
        "5.18", "Has IMA compute the hash of a file's content if there is none yet, and copies it."
    ),
    Helper.kptr_xchg: Told("5.19", "Puts a kernel object into a map's value, and returns the one that was there."),
    Helper.map_lookup_percpu_elem: Told("5.19", "Returns a pointer to the value that a CPU has for a key, or NULL."),
    Helper.skc_to_mptcp_sock: Told("5.19", "Casts a socket to struct mptcp_sock; NULL if it is none."),
    Helper.dynptr_from_mem: Told(
        "5.19", "Makes a dynptr, a checked pointer with a length, of memory of a map's value."
    ),
    Helper.ringbuf_reserve_dynptr: Told(
        "5.19", "Makes room for a record of any length in a ring buffer, and a dynptr to it."
    ),
    Helper.ringbuf_submit_dynptr: Told("5.19", "Hands a record over that was reserved through a dynptr."),
    Helper.ringbuf_discard_dynptr: Told("5.19", "Drops a record that was reserved through a dynptr."),
    Helper.dynptr_read: Told("5.19", "Copies bytes from where a dynptr points."),
    Helper.dynptr_write: Told("5.19", "Copies bytes to where a dynptr points."),
    Helper.dynptr_data: Told(
        "5.19", "Returns a plain pointer into a dynptr's memory; NULL where that is read-only or too short."
    ),
    Helper.tcp_raw_gen_syncookie_ipv4: Told("6.0", "Makes a SYN cookie for IPv4 headers, without a listening socket."),
    Helper.tcp_raw_gen_syncookie_ipv6: Told("6.0", "Makes a SYN cookie for IPv6 headers, without a listening socket."),
    Helper.tcp_raw_check_syncookie_ipv4: Told(
        "6.0", "Tells whether an ACK over IPv4 answers a SYN cookie that was made without a socket."
    ),
    Helper.tcp_raw_check_syncookie_ipv6: Told(
        "6.0", "Tells whether an ACK over IPv6 answers a SYN cookie that was made without a socket."
    ),
    Helper.ktime_get_tai_ns: Told("6.1", "Tells the nanoseconds of atomic time (TAI), which has no leap seconds."),
    Helper.user_ringbuf_drain: Told(
        "6.1", "Calls a function of the program for each record that user space has put into a user_ringbuf."
    ),
    Helper.cgrp_storage_get: Told("6.2", "Returns a cgroup's value in a cgrp_storage map, and makes one if asked to."),
    Helper.cgrp_storage_delete: Told("6.2", "Deletes a cgroup's value from a cgrp_storage map."),
}

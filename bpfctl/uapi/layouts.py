"""Structures that the kernel fills for us (include/uapi/linux/bpf.h)."""

from bpfctl.uapi.layout import Layout

PROG_INFO = Layout(232, (
    ("type", 0, "I"), ("id", 4, "I"), ("tag", 8, "8s"), ("jited_prog_len", 16, "I"), ("xlated_prog_len", 20, "I"),
    ("jited_prog_insns", 24, "Q"), ("xlated_prog_insns", 32, "Q"), ("load_time", 40, "Q"), ("created_by_uid", 48, "I"),
    ("nr_map_ids", 52, "I"), ("map_ids", 56, "Q"), ("name", 64, "16s"), ("ifindex", 80, "I"), ("gpl_compatible", 84, "I"),
    ("netns_dev", 88, "Q"), ("netns_ino", 96, "Q"), ("nr_jited_ksyms", 104, "I"), ("nr_jited_func_lens", 108, "I"),
    ("jited_ksyms", 112, "Q"), ("jited_func_lens", 120, "Q"), ("btf_id", 128, "I"), ("func_info_rec_size", 132, "I"),
    ("func_info", 136, "Q"), ("nr_func_info", 144, "I"), ("nr_line_info", 148, "I"), ("line_info", 152, "Q"),
    ("jited_line_info", 160, "Q"), ("nr_jited_line_info", 168, "I"), ("line_info_rec_size", 172, "I"),
    ("jited_line_info_rec_size", 176, "I"), ("nr_prog_tags", 180, "I"), ("prog_tags", 184, "Q"), ("run_time_ns", 192, "Q"),
    ("run_cnt", 200, "Q"), ("recursion_misses", 208, "Q"), ("verified_insns", 216, "I"), ("attach_btf_obj_id", 220, "I"),
    ("attach_btf_id", 224, "I"),
))
MAP_INFO = Layout(104, (
    ("type", 0, "I"), ("id", 4, "I"), ("key_size", 8, "I"), ("value_size", 12, "I"), ("max_entries", 16, "I"),
    ("map_flags", 20, "I"), ("name", 24, "16s"), ("ifindex", 40, "I"), ("btf_vmlinux_value_type_id", 44, "I"),
    ("netns_dev", 48, "Q"), ("netns_ino", 56, "Q"), ("btf_id", 64, "I"), ("btf_key_type_id", 68, "I"),
    ("btf_value_type_id", 72, "I"), ("btf_vmlinux_id", 76, "I"), ("map_extra", 80, "Q"), ("hash", 88, "Q"),
    ("hash_size", 96, "I"),
))
BTF_INFO = Layout(32, (
    ("btf", 0, "Q"), ("btf_size", 8, "I"), ("id", 12, "I"), ("name", 16, "Q"), ("name_len", 24, "I"), ("kernel_btf", 28, "I"),
))
_LINK = (("type", 0, "I"), ("id", 4, "I"), ("prog_id", 8, "I"))
LINK_INFO = Layout(64, _LINK)
LINK_INFO_RAW_TRACEPOINT = Layout(64, (*_LINK, ("tp_name", 16, "Q"), ("tp_name_len", 24, "I"), ("cookie", 32, "Q")))
LINK_INFO_TRACING = Layout(64, (
    *_LINK, ("attach_type", 16, "I"), ("target_obj_id", 20, "I"), ("target_btf_id", 24, "I"), ("cookie", 32, "Q"),
))
LINK_INFO_CGROUP = Layout(64, (*_LINK, ("cgroup_id", 16, "Q"), ("attach_type", 24, "I")))
LINK_INFO_ITER = Layout(64, (
    *_LINK, ("target_name", 16, "Q"), ("target_name_len", 24, "I"), ("map_id", 28, "I"), ("cgroup_id", 32, "Q"),
    ("order", 40, "I"),
))
LINK_INFO_ITER_TASK = Layout(64, (*_LINK, ("tid", 32, "I"), ("pid", 36, "I")))
LINK_INFO_NETNS = Layout(64, (*_LINK, ("netns_ino", 16, "I"), ("attach_type", 20, "I")))
LINK_INFO_XDP = Layout(64, (*_LINK, ("ifindex", 16, "I")))
LINK_INFO_STRUCT_OPS = Layout(64, (*_LINK, ("map_id", 16, "I")))
LINK_INFO_NETFILTER = Layout(64, (*_LINK, ("pf", 16, "I"), ("hooknum", 20, "I"), ("priority", 24, "i"), ("flags", 28, "I")))
LINK_INFO_KPROBE_MULTI = Layout(64, (
    *_LINK, ("addrs", 16, "Q"), ("count", 24, "I"), ("flags", 28, "I"), ("missed", 32, "Q"), ("cookies", 40, "Q"),
))
LINK_INFO_UPROBE_MULTI = Layout(64, (
    *_LINK, ("path", 16, "Q"), ("offsets", 24, "Q"), ("ref_ctr_offsets", 32, "Q"), ("cookies", 40, "Q"),
    ("path_size", 48, "I"), ("count", 52, "I"), ("flags", 56, "I"), ("pid", 60, "I"),
))
LINK_INFO_TRACING_MULTI = Layout(64, (
    *_LINK, ("attach_type", 16, "I"), ("count", 20, "I"), ("btf_obj_id", 24, "I"), ("ids", 32, "Q"), ("addrs", 40, "Q"),
    ("cookies", 48, "Q"),
))
LINK_INFO_PERF_EVENT = Layout(64, (*_LINK, ("perf_type", 16, "I")))
LINK_INFO_PERF_UPROBE = Layout(64, (
    *_LINK, ("perf_type", 16, "I"), ("file_name", 24, "Q"), ("name_len", 32, "I"), ("offset", 36, "I"),
    ("cookie", 40, "Q"), ("ref_ctr_offset", 48, "Q"),
))
LINK_INFO_PERF_KPROBE = Layout(64, (
    *_LINK, ("perf_type", 16, "I"), ("func_name", 24, "Q"), ("name_len", 32, "I"), ("offset", 36, "I"),
    ("addr", 40, "Q"), ("missed", 48, "Q"), ("cookie", 56, "Q"),
))
LINK_INFO_PERF_TRACEPOINT = Layout(64, (
    *_LINK, ("perf_type", 16, "I"), ("tp_name", 24, "Q"), ("name_len", 32, "I"), ("cookie", 40, "Q"),
))
LINK_INFO_PERF_EVENT_EVENT = Layout(64, (
    *_LINK, ("perf_type", 16, "I"), ("config", 24, "Q"), ("event_type", 32, "I"), ("cookie", 40, "Q"),
))
LINK_INFO_TCX = Layout(64, (*_LINK, ("ifindex", 16, "I"), ("attach_type", 20, "I")))
LINK_INFO_NETKIT = Layout(64, (*_LINK, ("ifindex", 16, "I"), ("attach_type", 20, "I")))
LINK_INFO_SOCKMAP = Layout(64, (*_LINK, ("map_id", 16, "I"), ("attach_type", 20, "I")))

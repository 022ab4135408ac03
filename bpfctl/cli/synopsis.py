"""The words that each command takes, for whoever explains or completes them.

In a synopsis, words in small letters are keywords, which may be cut short, and words in capitals stand for something:
what is in `DEFINITIONS`, or a value of a kind that `bpfctl.cli.candidates` knows. ``[ ]`` is what may be left out,
``{ | }`` a choice, and ``...`` comes after what may be repeated.
"""

from __future__ import annotations

_PROGRAM_HANDLE = "{ id PROG_ID | tag PROG_TAG | name PROG_NAME | pinned PROG_FILE }"
_MAP_HANDLE = "{ id MAP_ID | name MAP_NAME | pinned MAP_FILE }"

DEFINITIONS = {
    "PROG": _PROGRAM_HANDLE,
    "MAP": _MAP_HANDLE,
    "QUEUE": "{ id QUEUE_ID | name QUEUE_NAME | pinned MAP_FILE }",
    "RING": "{ id RING_ID | name RING_NAME | pinned MAP_FILE }",
    "PERF": "{ id PERF_ID | name PERF_NAME | pinned MAP_FILE }",
    "STRUCT": "{ id STRUCT_ID | name STRUCT_NAME }",
    "LINK": "{ id LINK_ID | pinned LINK_FILE }",
    "SOURCE": "{ id BTF_ID | prog PROG | map MAP [ { key | value | kv | all } ] | { file BTF_FILE } ... }",
    "VALUE": "{ DATA ... | MAP | PROG }",
    "FLAG": "{ any | exist | noexist }",
    "ATTACH_TYPE": "{ sk_msg_verdict | sk_skb_verdict | sk_skb_stream_verdict | sk_skb_stream_parser"
    " | flow_dissector }",
    "CGROUP_TYPE": "{ cgroup_inet_ingress | cgroup_inet_egress | cgroup_inet_sock_create | cgroup_inet_sock_release"
    " | cgroup_sock_ops | cgroup_device | cgroup_inet4_bind | cgroup_inet6_bind | cgroup_inet4_post_bind"
    " | cgroup_inet6_post_bind | cgroup_inet4_connect | cgroup_inet6_connect | cgroup_unix_connect"
    " | cgroup_inet4_getpeername | cgroup_inet6_getpeername | cgroup_unix_getpeername | cgroup_inet4_getsockname"
    " | cgroup_inet6_getsockname | cgroup_unix_getsockname | cgroup_udp4_sendmsg | cgroup_udp6_sendmsg"
    " | cgroup_unix_sendmsg | cgroup_udp4_recvmsg | cgroup_udp6_recvmsg | cgroup_unix_recvmsg | cgroup_sysctl"
    " | cgroup_getsockopt | cgroup_setsockopt }",
    "NET_TYPE": "{ xdp | xdpgeneric | xdpdrv | xdpoffload | tcx_ingress | tcx_egress }",
    "METRIC": "{ cycles | instructions | l1d_loads | llc_misses | itlb_misses | dtlb_misses | cpu_clock }",
    "GROUP": "{ prog_types | map_types | attach_types | link_types | helpers }",
}

_LOADED = (
    "{ type SECTION | map { idx N | name OBJECT_MAP } MAP | offload_dev DEV | xdpmeta_dev DEV | pinmaps PIN"
    " | autoattach | kernel_btf BTF_FILE }"
)
_SHOWN = {"prog": "[ PROG ]", "map": "[ MAP ]", "link": "[ LINK ]"}
_LISTED = {f"{object_} {word}": words for object_, words in _SHOWN.items() for word in ("show", "list")}

SYNOPSES = _LISTED | {
    "batch file": "FILE",
    "prog dump": "{ xlated PROG [ { file FILE | [ opcodes ] [ linum ] [ visual ] } ]"
    " | jited PROG [ { file FILE | [ opcodes ] [ linum ] } ] }",
    "prog pin": "PROG PIN",
    "prog load": f"OBJECT PIN [ {_LOADED} ... ]",
    "prog loadall": f"OBJECT PIN [ {_LOADED} ... ]",
    "prog diff": "PROG PROG",
    "prog attach": "PROG ATTACH_TYPE [ MAP ]",
    "prog detach": "PROG ATTACH_TYPE [ MAP ]",
    "prog tracelog": "[ { stdout | stderr } PROG ]",
    "prog run": "PROG [ data_in FILE [ data_out FILE ] [ data_size_out N ] ]"
    " [ ctx_in FILE [ ctx_out FILE ] [ ctx_size_out N ] ] [ repeat N ]",
    "prog profile": "PROG [ duration N ] METRIC ...",
    "prog top": "[ PROG ]",
    "map pin": "MAP PIN",
    "map dump": "MAP",
    "map lookup": "MAP [ { key DATA ... | value DATA ... } ]",
    "map getnext": "MAP [ key DATA ... ]",
    "map event_pipe": "PERF [ cpu N index N ]",
    "map peek": "QUEUE",
    "map update": "MAP [ key DATA ... ] [ value VALUE ] [ FLAG ]",
    "map push": "QUEUE value VALUE [ FLAG ]",
    "map enqueue": "QUEUE value VALUE [ FLAG ]",
    "map delete": "MAP key DATA ...",
    "map create": "PIN type MAP_TYPE key N value N entries N name NAME [ flags N ] [ inner_map MAP ]"
    " [ offload_dev DEV ]",
    "map freeze": "MAP",
    "map pop": "QUEUE",
    "map dequeue": "QUEUE",
    "map watch": "MAP",
    "map stat": "[ MAP ]",
    "map restore": "MAP FILE [ FLAG ]",
    "map copy": "MAP { MAP | create PIN [ name NAME ] [ entries N ] }",
    "map diff": "MAP { MAP | FILE }",
    "map edit": "MAP [ key DATA ... ]",
    "link pin": "LINK PIN",
    "link detach": "LINK",
    "cgroup show": "CGROUP_FOLDER [ effective ]",
    "cgroup list": "CGROUP_FOLDER [ effective ]",
    "cgroup tree": "[ CGROUP_FOLDER [ effective ] ]",
    "cgroup attach": "CGROUP_FOLDER CGROUP_TYPE PROG [ { multi | override } ]",
    "cgroup detach": "CGROUP_FOLDER CGROUP_TYPE PROG",
    "perf show": "",
    "perf list": "",
    "net show": "[ dev DEV ]",
    "net list": "[ dev DEV ]",
    "net attach": "NET_TYPE PROG dev DEV [ { overwrite | prepend } ]",
    "net detach": "NET_TYPE dev DEV",
    "feature probe": "[ { kernel | dev DEV } ] [ full ] [ unprivileged ] [ macros [ prefix PREFIX ] ]",
    "feature list_builtins": "GROUP",
    "feature check": "OBJECT ...",
    "feature diff": "FILE [ FILE ]",
    "btf show": "[ { id BTF_ID | [ { struct | union | enum | typedef | func | var } ] TYPE [ SOURCE ] } ]",
    "btf list": "[ id BTF_ID ]",
    "btf dump": "SOURCE [ { format { raw | c } | unsorted | root_id N } ... ]",
    "btf find": "[ TYPE ] [ SOURCE ]",
    "btf diff": "{ SOURCE | BTF_FILE } [ { SOURCE | BTF_FILE } ]",
    "btf check": "OBJECT ...",
    "gen min_core_btf": "BTF_FILE FILE OBJECT ...",
    "struct_ops show": "[ STRUCT ]",
    "struct_ops list": "[ STRUCT ]",
    "struct_ops dump": "[ STRUCT ]",
    "struct_ops register": "OBJECT [ PIN ]",
    "struct_ops unregister": "STRUCT",
    "iter pin": "OBJECT PIN [ map MAP ]",
    "token show": "",
    "token list": "",
    "probe list": "[ SPEC ]",
    "probe count": "SPEC ...",
    "probe trace": "SPEC ...",
    "probe hist": "SPEC ...",
    "probe stacks": "SPEC ...",
    "probe latency": "[ SPEC ... ]",
    "probe stat": "[ SPEC ... ] [ -- COMMAND ... ]",
    "probe show": "SPEC ...",
    "probe dry-run": "SPEC ...",
    "probe attach": "SPEC ... PROG",
    "probe clean": "",
    "probe run": "FILE",
    "plugin list": "",
    "events ": "RING",
    "completion ": "{ bash | zsh | fish }",
    "explain ": "EXPLAINED",
}

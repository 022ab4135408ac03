"""docs/differences.md and the tests hold each other: every row there is shown by a test."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.bpftool import differences

TESTS = Path(__file__).parents[1]
WORDS = "bpftool/test_words.py::test_wrong_words_that_are_answered_otherwise_on_purpose"

SHOWN = {
    "`-h` and `--help`": ["bpftool/test_differences.py::test_help_that_an_option_asks_for"],
    differences.NO_MATCH: ["bpftool/test_zoo.py::test_no_match"],
    differences.LINK_STATUS: [
        "bpftool/test_zoo.py::test_a_link_by_its_handles",
        "bpftool/test_link.py::test_one_link_alone",
    ],
    "functions of a `kprobe_multi` link whose address no symbol has": [
        "unit/views/test_link.py::test_in_bpftools_words"
    ],
    "functions of a `kprobe_multi` link where the kernel hides addresses": [
        "unit/views/test_link.py::test_in_bpftools_words"
    ],
    "a cgroup iterator over `children`": ["unit/views/test_link.py::test_in_bpftools_words"],
    differences.STALE_BTF_ID: ["bpftool/test_zoo.py::test_lists", "bpftool/test_differences.py::test_stale_btf_id"],
    differences.NOT_ESCAPED: [
        "bpftool/test_differences.py::test_hostile_words",
        "unit/render/test_json.py::test_hostile_names",
    ],
    differences.RAW_TEXT: ["bpftool/test_differences.py::test_hostile_pins"],
    "single characters beyond ASCII, or tabs and line breaks, in values with types (`-j`)": [
        "bpftool/test_map_values.py::test_single_characters",
        "bpftool/test_prog_types.py::test_metadata_of_every_sort",
    ],
    "enumerators above the sign bit of an enum of 1 or 2 bytes": [
        "bpftool/test_map_values.py::test_enumerators_above_the_sign_of_a_small_enum"
    ],
    "several members without a name in a struct (`-j`)": [
        "bpftool/test_map_values.py::test_several_without_a_name",
        "unit/views/test_value.py::test_members_without_name_do_not_hide_each_other",
    ],
    "values of types that bpftool cannot show (such as `float`)": [
        "bpftool/test_map_values.py::test_floating_point",
        "unit/views/test_value.py::test_both_forms",
    ],
    differences.NEW_TYPES: ["bpftool/test_differences.py::test_types_newer_than_the_tool"],
    differences.OWNERS: ["bpftool/test_zoo.py::test_owners_are_all_that_owners_add"],
    differences.BATCH_ERRNO: ["bpftool/test_differences.py::test_a_batch_that_succeeds"],
    differences.BATCH_LINE: ["bpftool/test_zoo.py::test_a_batch_that_fails"],
    "an option such as `-j` inside a line of a `batch` file": [
        "bpftool/test_differences.py::test_options_inside_a_batch"
    ],
    "a NUL byte in a `batch` file": ["bpftool/test_differences.py::test_a_nul_byte_in_a_batch"],
    differences.PINNED_LINK: ["bpftool/test_zoo.py::test_mistakes", "bpftool/test_map.py::test_a_links_pin_is_no_map"],
    differences.RIGHTS: ["kernel/test_adversity.py::test_a_refusal_is_one_sentence_with_advice"],
    differences.MEANT: [
        "bpftool/test_map_write.py::test_create",
        "unit/cli/test_meant.py::test_a_mistake_is_told_with_what_was_meant",
    ],
    differences.SHORT: ["unit/cli/test_meant.py::test_who_says_too_little_is_told_where_the_words_are_explained"],
    "a tag or a name of several objects, where one is needed": [
        "bpftool/test_map.py::test_several_maps_cannot_be_pinned_at_once"
    ],
    "pinning by a name with dots": ["bpftool/test_map.py::test_mistakes_about_pins"],
    differences.MOUNT: ["bpftool/test_differences.py::test_mounting"],
    differences.FULL_DISK: [
        "bpftool/test_differences.py::test_where_nothing_can_be_written",
        "unit/cli/test_ends.py::test_a_full_disk",
    ],
    differences.CLOSED: ["bpftool/test_differences.py::test_where_nothing_can_be_written"],
    "`prog dump` with too few words, or with others behind the program": [
        "bpftool/test_prog_dump.py::test_too_few_words",
        "bpftool/test_prog_dump.py::test_words_behind_the_program",
    ],
    "`prog dump` with `visual`, an exit that is not the end of its function": [
        "bpftool/test_prog_dump.py::test_graphs_of_exits"
    ],
    "`prog load` and `loadall` that fail": [
        "kernel/test_together.py::test_maps_pinned_by_name",
        "kernel/test_together.py::test_somebody_stops_it",
        "bpftool/test_prog_load.py::test_where_nothing_is_mounted",
    ],
    "`prog loadall` of an object with programs that are not loaded": [
        "bpftool/test_prog_load.py::test_programs_that_are_not_loaded"
    ],
    "`prog load autoattach`, a program that cannot be attached": [
        "bpftool/test_prog_load.py::test_what_cannot_be_attached"
    ],
    "`prog load autoattach`, a static probe (`usdt`)": ["bpftool/test_prog_load.py::test_static_probes"],
    "`prog loadall autoattach` into a folder that is not there, a program that has no place to be attached to": [
        "bpftool/test_prog_load.py::test_a_folder_for_programs_without_a_place"
    ],
    "`prog load pinmaps`, maps that are pinned by their names": ["kernel/test_together.py::test_maps_pinned_by_name"],
    "`prog load` with a path in `/`, or `loadall` with `/` itself": [
        "bpftool/test_prog_load.py::test_where_nothing_is_mounted"
    ],
    "`prog load -L`, with or without `-S`": ["bpftool/test_prog_load.py::test_loader_programs"],
    "`perf help` and `iter help` with `-j`": ["bpftool/test_words.py::test_help"],
    "`-l`, which older ones have": ["bpftool/test_words.py::test_an_option_of_the_past"],
    "`gen` and `iter pin` with `-j`": [
        "bpftool/test_min_core_btf.py::test_words",
        "bpftool/test_iter.py::test_pin",
    ],
    "what `gen min_core_btf` writes": ["bpftool/test_min_core_btf.py::test_the_same_types"],
    "`gen min_core_btf` of a file without types": ["bpftool/test_min_core_btf.py::test_words"],
    "`gen min_core_btf` with too few words": ["bpftool/test_min_core_btf.py::test_words"],
    "`struct_ops register`, one of several structs is refused": [
        "bpftool/test_struct_ops.py::test_what_cannot_be_registered"
    ],
    "`struct_ops unregister` of a struct that a link holds, or that is out of use already": [
        "bpftool/test_struct_ops.py::test_unregister_what_cannot_be",
        "bpftool/test_struct_ops.py::test_what_is_out_of_use_but_held",
    ],
    "`prog tracelog` where no tracefs is mounted": ["bpftool/test_prog_tracelog.py::test_without_a_tracefs"],
    "`prog tracelog` while another process reads the trace": [
        "bpftool/test_prog_tracelog.py::test_another_reader_is_named"
    ],
    "`prog tracelog stdout` and `stderr` with `-j`": [
        "bpftool/test_prog_tracelog.py::test_streams_are_harmless_and_in_json_an_array"
    ],
    "`prog tracelog` with other words, or too few": ["bpftool/test_prog_tracelog.py::test_mistakes"],
    "`prog dump` with `visual`, subprograms": ["bpftool/test_prog_dump.py::test_graphs_of_subprograms"],
    "`prog dump` with `visual`, an instruction of more than 63 characters": [
        "bpftool/test_prog_dump.py::test_graphs_of_long_names"
    ],
    "`cgroup show` of a cgroup without programs (`-j`)": ["bpftool/test_cgroup.py::test_nothing_attached"],
    "programs of cgroups that are not asked for as effective, before Linux 6.0": [
        "bpftool/test_cgroup.py::test_before_linux_6_0",
        "kernel/test_attached.py::test_a_kernel_that_does_not_tell_flags",
    ],
    "`cgroup attach` and `cgroup detach` that the kernel refuses, a folder that cannot be opened or is no cgroup": [
        "bpftool/test_cgroup.py::test_the_kernels_answer"
    ],
    "words behind the program of `cgroup detach`": ["bpftool/test_cgroup.py::test_words_that_are_answered_otherwise"],
    "`net show`, filters of tc at an `ingress` qdisc, or at a qdisc with the same handle as one of another device": [
        "bpftool/test_net.py::test_each_filter_once"
    ],
    "`net show`, a flow dissector (`-j`)": ["bpftool/test_net.py::test_a_flow_dissector"],
    "`net show` with other words than `dev NAME`": ["bpftool/test_net.py::test_words_that_are_answered_otherwise"],
    "`net attach` and `net detach` that the kernel refuses": ["bpftool/test_net.py::test_the_kernels_words"],
    "`net detach` of an XDP program that is attached in another mode": [
        "bpftool/test_net.py::test_detach_in_another_mode"
    ],
    "words behind those of `net attach` and `net detach`": [
        "bpftool/test_net.py::test_words_that_are_answered_otherwise"
    ],
    "words behind `perf show`": ["bpftool/test_perf.py::test_words_that_are_answered_otherwise"],
    "the command in the error `needs at least`": ["bpftool/test_cgroup.py::test_words_that_are_answered_otherwise"],
    "`prog dump jited`, what an instruction leads to": [
        "bpftool/test_prog_jited.py::test_plain",
        "bpftool/test_prog_jited.py::test_symbols",
    ],
    "`prog dump jited`, a prefix such as `lock`": [
        "bpftool/test_prog_jited.py::test_plain",
        "bpftool/test_prog_jited.py::test_json_of_prefixes",
    ],
    "`prog dump jited`, an operand in memory (`-j`)": ["bpftool/test_prog_jited.py::test_json"],
    "`prog dump jited` with `visual`": ["bpftool/test_prog_jited.py::test_visual"],
    "`prog dump jited` with `file`, without a disassembler": ["bpftool/test_prog_jited.py::test_without_capstone"],
    "why there is no machine code to see": [
        "bpftool/test_prog_jited.py::test_hidden_addresses",
        "unit/kernel/test_jited.py::test_why_there_is_none",
    ],
    "`prog run` that the kernel refuses": ["bpftool/test_prog_run.py::test_why_the_kernel_refuses"],
    "`prog run` of a raw tracepoint program with `ctx_in`, or of a syscall program": [
        "bpftool/test_prog_run.py::test_what_runs_once"
    ],
    "a file of `prog run` that cannot be written": [
        "bpftool/test_prog_run.py::test_files_that_cannot_be_written",
        "bpftool/test_prog_run.py::test_a_full_disk",
    ],
    "an input of `prog run` that cannot be read, or has more than 16 MiB": [
        "bpftool/test_prog_run.py::test_inputs_that_cannot_be_read"
    ],
    "`prog run` with `data_size_out` and `data_out -`, and no data": [
        "bpftool/test_prog_run.py::test_room_without_data"
    ],
    "`prog attach` and `prog detach` that the kernel refuses": ["bpftool/test_prog_attach.py::test_the_kernels_answer"],
    "words behind the map of `prog attach` and `prog detach`": [
        "bpftool/test_prog_attach.py::test_words_behind_the_map"
    ],
    "`feature probe unprivileged`, ordinary users may use BPF": [
        "bpftool/test_feature.py::test_where_ordinary_users_may_use_bpf"
    ],
    "tables and the full report of `feature probe`, struct_ops maps before Linux 6.9": [
        "bpftool/test_feature.py::test_the_full_report_says_the_same",
        "kernel/test_feature_attach.py::test_a_type_is_there_if_one_of_it_lives",
    ],
    "tables and the full report of `feature probe`, what lockdown or a lack of rights forbids to ask": [
        "bpftool/test_feature.py::test_the_full_report_says_the_same",
        "kernel/test_feature.py::test_who_may_not_ask_is_told_nothing_wrong",
        "kernel/test_feature_attach.py::test_a_type_is_there_if_one_of_it_lives",
        "unit/views/test_feature.py::test_tables_have_three",
    ],
    "`feature list_builtins` without a group": ["bpftool/test_feature.py::test_list_builtins_of_nothing"],
    "`btf show` with words that are no `id N`": ["kernel/test_btf_questions.py::test_show_a_struct"],
    "`btf dump` of a file without types": ["bpftool/test_btf_dump.py::test_files_without_types"],
    "`btf dump` of a map or program without types": ["bpftool/test_btf_dump.py::test_objects_without_types"],
    "`btf dump` of an object that is gone": ["bpftool/test_btf_dump.py::test_an_object_that_is_gone"],
    "`btf dump` with too few words": ["bpftool/test_btf_dump.py::test_what_is_wrong"],
    "`btf dump` with nothing behind `format` (`-j`)": ["bpftool/test_btf_dump.py::test_what_is_wrong"],
    "bytes above 255, or with a sign, in `key` and `value`": [
        "bpftool/test_map_write.py::test_bytes_over_255_are_refused",
        "unit/cli/test_data.py::test_mistakes",
    ],
    "one word where several bytes are wanted": ["bpftool/test_map_write.py::test_integers_and_addresses"],
    "`dump` of a map whose entries the kernel cannot list": ["bpftool/test_map_dump.py::test_what_cannot_be_listed"],
    "`dump` of several maps of a name, one without types after one with": [
        "bpftool/test_map_dump.py::test_types_are_those_of_the_map"
    ],
    "`dump` of a map from which others delete, that has no batches": [
        "kernel/test_walk_beside_writer.py::test_key_by_key"
    ],
    "`dump`, `lookup` and `getnext` with too few words, `dump` with too many": [
        "bpftool/test_map_dump.py::test_too_few_words"
    ],
    "`update` and `delete` with too few words": ["bpftool/test_map_write.py::test_too_few_words"],
    "`lookup` and `peek` of a bloom filter": ["bpftool/test_map_types.py::test_bloom_filters"],
    "`pop` on a map with keys": ["bpftool/test_map_write.py::test_pop_on_other_maps"],
    "words behind the map of `pop`": ["bpftool/test_map_write.py::test_pop_on_other_maps"],
    differences.PROG_ARRAY: [
        "bpftool/test_map_write.py::test_maps_in_maps_and_programs",
        "bpftool/test_map_write.py::test_every_type",
    ],
    "`event_pipe` of a map that another process reads": ["bpftool/test_event_pipe.py::test_another_reader_is_named"],
    "`event_pipe` where the kernel refuses a buffer": ["bpftool/test_event_pipe.py::test_mistakes"],
    "`event_pipe` with too few words": ["bpftool/test_event_pipe.py::test_too_few_words"],
    differences.VERSION: ["bpftool/test_differences.py::test_version"],
    "an unknown object or command under `-j`": ["bpftool/test_words.py::test_words_that_begin_nothing"],
    "numbers above 4294967295": [WORDS],
    "an empty word where an id belongs": [WORDS],
    "a tag with more than 16 digits, or with what is no digit behind 14 of them": [WORDS],
    "words behind the path of `pin`": [WORDS],
    "a path outside every BPF file system after `pinned`": [WORDS],
    "`link detach` without a link": [WORDS, "bpftool/test_link.py::test_detach_without_a_handle"],
    "an option that lacks its value": [WORDS],
    "options for signing that lack each other": [WORDS],
    "`batch file` with a folder": [WORDS],
}


def test_the_document_and_the_tests_tell_the_same_differences():
    """No row without a test, no test without a row."""
    assert set(SHOWN) == set(differences.rows())


def test_the_tests_are_there():
    wanted = {test for tests in SHOWN.values() for test in tests}
    there = set()
    for file in {test.partition("::")[0] for test in wanted}:
        tree = ast.parse((TESTS / file).read_text())
        there |= {f"{file}::{node.name}" for node in tree.body if isinstance(node, ast.FunctionDef)}

    assert wanted - there == set()

"""What a word means: in which spellings, and how many things at once."""

from __future__ import annotations

import errno

import pytest

from bpfctl.explain import meaning
from bpfctl.explain.here import Explained
from bpfctl.feature.answer import AVAILABLE, NO, UNKNOWN, Answer
from bpfctl.views import explain as view


def kinds(word):
    return [one.kind for one in meaning.of(word)]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("hash", ["map type"]),
        ("007", ["error"]),
        ("7" * 5000, []),
        ("xdp", ["program type", "link type", "attach type", "section"]),
        ("tracing", ["program type", "link type"]),
        ("struct_ops", ["program type", "map type", "link type", "attach type", "section"]),
        ("BPF_XDP", ["attach type"]),
        ("BPF_PROG_TYPE_XDP", ["program type"]),
        ("bpf_map_type_ringbuf", ["map type"]),
        ("bpf_ringbuf_reserve", ["helper"]),
        ("ringbuf_reserve", ["helper"]),
        ("bpf_loop()", ["helper"]),
        ("BPF_F_NO_PREALLOC", ["map flag"]),
        ("BPF_F_LINK", ["map flag"]),
        ("BPF_NOEXIST", ["flag of map elements"]),
        ("BPF_F_SLEEPABLE", ["program flag"]),
        ("BPF_F_ALLOW_MULTI", ["attach flag"]),
        ("BPF_RB_NO_WAKEUP", ["flag of ring buffer helpers"]),
        ("fentry", ["section", "program type", "attach type"]),
        ("fentry/vfs_read", ["section", "program type", "attach type"]),
        ("cgroup/connect4", ["section", "program type", "attach type"]),
        ("no such word", []),
        ("bpf_no_such_helper", []),
        ("unspec", []),
        ("", []),
        ("/", []),
        ("-", []),
    ],
)
def test_of(word, expected):
    assert kinds(word) == expected


def test_every_word_that_is_offered_means_something():
    """All but functions of the kernel, of which only a kernel can tell."""
    silent = [word for word, kind in meaning.words() if kind != meaning.KFUNC and kind not in kinds(word)]

    assert silent == []


@pytest.mark.parametrize("word", ["E2BIG", "e2big", "-E2BIG", "7", "-7"])
def test_an_error_by_name_and_number(word):
    (one,) = meaning.of(word)

    assert (one.kind, one.name, one.number) == ("error", "E2BIG", 7)
    assert "the map is full" in " ".join(cause.means for cause in one.causes)


@pytest.mark.parametrize(
    ("word", "name"),
    [("524", "ENOTSUPP"), ("ENOTSUPP", "ENOTSUPP"), ("ENOTSUP", "EOPNOTSUPP"), ("95", "EOPNOTSUPP"), ("35", "EDEADLK")],
)
def test_errors_are_called_as_the_kernel_does(word, name):
    assert [one.name for one in meaning.of(word)] == [name]


def test_an_error_that_bpf_does_not_answer_is_told_as_such():
    (one,) = meaning.of("EIO")

    assert (one.number, one.causes) == (errno.EIO, ())
    assert "nothing more" in one.text


@pytest.mark.parametrize("word", ["0", "1000000", "-0", "4096", "²"])
def test_numbers_that_are_no_errors(word):
    assert meaning.of(word) == []


@pytest.mark.parametrize(
    ("word", "kind", "needs", "free"),
    [
        ("socket_filter", "program type", ("CAP_BPF",), True),
        ("xdp", "program type", ("CAP_BPF", "CAP_NET_ADMIN"), False),
        ("kprobe", "program type", ("CAP_BPF", "CAP_PERFMON"), False),
        ("ext", "program type", ("CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"), False),
        ("sk_reuseport", "program type", ("CAP_BPF",), False),
        ("hash", "map type", ("CAP_BPF",), True),
        ("lru_hash", "map type", ("CAP_BPF",), False),
        ("devmap", "map type", ("CAP_BPF", "CAP_NET_ADMIN"), False),
        ("perf_event", "attach type", ("CAP_BPF", "CAP_PERFMON"), False),
        ("bpf_probe_write_user", "helper", ("CAP_SYS_ADMIN",), False),
        ("bpf_map_lookup_elem", "helper", (), False),
    ],
)
def test_capabilities(word, kind, needs, free):
    one = next(one for one in meaning.of(word) if one.kind == kind)

    assert (one.needs, one.free) == (needs, free)


def test_every_attach_type_is_of_some_programs():
    lonely = [one.name for one in meaning.entries() if one.kind == meaning.ATTACH and not _attach(one.name).programs]

    assert lonely == []


def _attach(name):
    return next(one for one in meaning.of(name) if one.kind == meaning.ATTACH)


def test_a_section_tells_what_its_programs_are():
    one = meaning.of("lsm.s/file_open")[0]

    assert (one.constant, one.programs, one.attach_types) == ('SEC("lsm.s/file_open")', ("lsm",), ("lsm_mac",))
    assert one.text.endswith(", which may sleep and need the kernel's BTF to be loaded.")


def test_paragraphs():
    helper = meaning.of("bpf_loop")[0]

    assert list(view.lines([Explained(helper, AVAILABLE, ("xdp",), {"lsm": "forbidden"})])) == [
        "bpf_loop: helper (BPF_FUNC_loop, 181)",
        "  long bpf_loop(u32 nr_loops, void *callback_fn, void *callback_ctx, u64 flags);",
        "  Calls a function of the program so many times.",
        "  since Linux 5.17",
        "  This kernel has it.",
        "  programs that may call it here: xdp",
        "  cannot be told: lsm: forbidden",
    ]


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (AVAILABLE, "This kernel has it."),
        (Answer(NO), "This kernel does not have it."),
        (Answer(UNKNOWN, "for a reason"), "Whether this kernel has it cannot be told: for a reason."),
    ],
)
def test_what_is_said_of_this_kernel(answer, line):
    assert list(view.lines([Explained(meaning.of("bpf_loop")[0], answer)]))[-1] == f"  {line}"


def test_lines_are_no_wider_than_the_screen():
    every = [Explained(one) for word in ("struct_ops", "cgroup/connect4", "E2BIG") for one in meaning.of(word)]
    lines = list(view.lines(every, 60))

    assert max(map(len, lines)) <= 60
    assert " ".join(" ".join(lines).split()) == " ".join(" ".join(view.lines(every)).split())


def test_what_goes_with_it():
    """Types of programs and where they are attached; and how to find out about this kernel."""
    (one, *_) = meaning.of("cgroup/connect4")
    lines = list(view.lines([Explained(one, ask="bpfctl feature probe")]))

    assert f"  programs: {', '.join(one.programs)}" in lines
    assert "cgroup_sock_addr" in one.programs
    assert lines[-1] == "  Whether this kernel has it: bpfctl feature probe"


def test_json_of_who_may_call_a_helper():
    one = Explained(meaning.of("bpf_loop")[0], AVAILABLE, ("xdp",), {"lsm": "forbidden"})

    assert (view.json(one)["callers"], view.json(one)["untold"]) == (["xdp"], {"lsm": "forbidden"})


def test_json_leaves_out_what_is_not_known():
    (one,) = meaning.of("no_prealloc")

    assert view.json(Explained(one)) == {
        "kind": "map flag",
        "name": "no_prealloc",
        "constant": "BPF_F_NO_PREALLOC",
        "number": 1,
        "text": "Memory for an element is taken when the element is set, and not for all of them at first.",
    }


def test_json_of_an_error():
    (one,) = meaning.of("EBADFD")

    causes = view.json(Explained(one))["causes"]

    assert causes == [{"call": "OBJ_GET_INFO_BY_FD", "means": "the descriptor is not open"}]


@pytest.mark.parametrize(("can", "available"), [(NO, False), (UNKNOWN, None)])
def test_json_of_an_answer(can, available):
    (one,) = meaning.of("no_prealloc")

    assert view.json(Explained(one, Answer(can, "a reason")))["here"] == {"available": available, "why": "a reason"}

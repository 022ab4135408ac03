"""Functions that are not like others: of modules, that sleep, that are protected, or that the compiler has changed."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import threading
import time
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest
from bpfctl_kprobe import names

from bpfctl.errors import KernelError, NotFound, UsageError
from bpfctl.host.kallsyms import Symbols
from bpfctl.kernel.btf import module_blobs
from bpfctl.kernel.debugfs import protected_functions
from bpfctl.probe.actions.count import Count
from bpfctl.probe.sources import Sources
from tests.kernel import command
from tests.kernel.place import Place, add_device
from tests.kernel.probing import probing

OURS = f"pid == {os.getpid()}"
SLEEP = "hrtimer_nanosleep"
SLEEPERS = 30
ETHERNET = bytes(12) + b"\x88\xb5" + bytes(46)  # a frame of a protocol for local experiments


@contextmanager
def sleeping():
    """Have threads that all sleep at once, and wake before the end."""
    threads = [threading.Thread(target=time.sleep, args=(5,)) for _ in range(SLEEPERS)]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join()


@pytest.mark.usefixtures("kprobes")
def test_maxactive_is_how_many_calls_are_followed():
    few, enough = Count(), Count()
    with (
        probing(few, f"kretprobe:{SLEEP},maxactive=2", where=OURS) as cut,
        probing(enough, f"kretprobe:{SLEEP},maxactive=256", where=OURS) as whole,
    ):
        with sleeping():
            pass
        assert {made.group.way for run in (cut, whole) for made in run.made} == {"tracefs event"}
        assert sum(row.hits for row in few.rows()) <= 2
        assert sum(row.hits for row in enough.rows()) == SLEEPERS
        assert cut.missed() >= SLEEPERS - 2
        assert whole.missed() == 0
        cut.stop()
        assert cut.missed() >= SLEEPERS - 2


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("kretprobe:vfs_read,maxactive=0", "maxactive is a number from 1 to 4096"),
        ("kretprobe:vfs_read,maxactive=5000", "maxactive is a number from 1 to 4096"),
        ("kprobe:vfs_read,maxactive=5", "only kretprobe has calls to follow"),
        ("kretprobe:vfs_read,max=5", "should be [MODULE:]SYMBOL[+OFFSET]"),
    ],
)
def test_maxactive_that_makes_no_sense(spec, why):
    with pytest.raises(UsageError, match=re.escape(why)):
        Sources().resolve([spec])


def test_maxactive_of_a_pattern():
    points = Sources().resolve(["kretprobe:vfs_re*,maxactive=7"])

    assert len(points) > 3
    assert all(point.target.endswith(",maxactive=7") for point in points)


@pytest.fixture
def dummy():
    """Return the name of a network device that a module makes, and that takes all that it is sent."""
    if subprocess.run(["modprobe", "dummy"], capture_output=True, check=False).returncode:
        pytest.skip("this kernel has no module dummy")
    name = "bpfctl-k"
    with Place():
        add_device("dummy", name)
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
        yield name


def sends(name, count):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as packets:
        packets.bind((name, 0))
        for _ in range(count):
            packets.send(ETHERNET)


@pytest.mark.parametrize("kind", ["kprobe", "kretprobe", "fentry", "fexit"])
@pytest.mark.parametrize("target", ["dummy_xmit", "dummy:dummy_xmit"])
@pytest.mark.usefixtures("kprobes")
def test_functions_of_modules(dummy, kind, target):
    if kind.startswith("f") and not any(name == "dummy" for name, _ in module_blobs()):
        with pytest.raises(NotFound, match="no types of the kernel or of a module tell of this function"):
            Sources().resolve([f"{kind}:{target}"])
        return
    counts = Count(("skb.len",) if kind in ("fentry", "fexit") else ())
    with probing(counts, f"{kind}:{target}", where=OURS):
        sends(dummy, 40)

        assert [row.hits for row in counts.rows()] == [40]


def test_a_function_of_another_module():
    with pytest.raises(NotFound, match="'vfs_read' is a function of the kernel itself"):
        Sources().resolve(["kprobe:nothing:vfs_read"])
    with pytest.raises(NotFound, match="there is no function of the kernel 'vfs_raed', did you mean 'vfs_read'"):
        Sources().resolve(["kprobe:nothing:vfs_raed"])
    assert [str(point) for point in Sources().resolve(["kprobe:vmlinux:vfs_read"])] == ["kprobe:vmlinux:vfs_read"]


@pytest.mark.usefixtures("kprobes")
def test_a_protected_function():
    """The reason is told where the kernel has none but EINVAL."""
    known = Symbols()
    name = next(name for name in sorted(protected_functions()) if len(known.addresses(name)) == 1)
    with (
        pytest.raises(KernelError, match=f"{name}: .*the kernel protects it from probes"),
        probing(Count(), f"kprobe:{name}", way="perf event"),
    ):
        pass
    with pytest.raises(NotFound, match="no function of the kernel matches"):  # which would keep all others from it
        Sources().resolve([f"kprobe:{name[:-1]}[{name[-1]}]"])


def test_dry_run_tells_all_ways():
    """Also where the kernel has none of them: a program is made, not loaded."""
    [told] = json.loads(command.run("-j", "probe", "dry-run", "kprobe:vfs_read+4").stdout)
    assert [told["attach"], *told["otherwise"]] == ["perf event", "tracefs event"]

    text = command.run("probe", "dry-run", "kretprobe:vfs_read,maxactive=9").stdout
    assert text.startswith("kprobe program, attached as tracefs event:\n")


def test_where_functions_are(symbols):
    symbols("ffffffff81000000 T vfs_read", "ffffffff81000050 T vfs_write", "ffffffffc0000000 t sends\t[other]")
    sources = Sources()
    found = {
        spec: [dict(place) for point in sources.resolve([spec]) for place in sources.of(point.kind).locations(point)]
        for spec in ("kprobe:vfs_read+4", "kretprobe:sends", "kprobe:0xffffffff81000052")
    }

    assert found == {
        "kprobe:vfs_read+4": [{"function": "vfs_read", "address": 0xFFFFFFFF81000004}],
        "kretprobe:sends": [{"function": "sends", "module": "other", "address": 0xFFFFFFFFC0000000}],
        "kprobe:0xffffffff81000052": [{"address": 0xFFFFFFFF81000052}],
    }


@pytest.fixture
def symbols(tmp_path, monkeypatch):
    """Have the kernel tell of other symbols than it has."""

    def tell(*lines):
        file = tmp_path / "kallsyms"
        file.write_text("".join(f"{line}\n" for line in lines))
        monkeypatch.setattr(names, "KernelSymbols", lambda: Symbols(str(file)))

    return tell


def test_what_the_compiler_has_made_of_functions(symbols):
    symbols(
        "ffffffff81000000 t cut_short.isra.0",
        "ffffffff81000010 t cut_short.part.0",
        "ffffffff81000020 t twice",
        "ffffffff81000030 t twice",
        "ffffffff81000040 t twice\t[other]",
        "ffffffff81000050 T vfs_write",
    )
    with pytest.raises(NotFound, match=r"has made cut_short\.isra\.0 and cut_short\.part\.0 of it"):
        Sources().resolve(["kprobe:cut_short"])
    with pytest.raises(UsageError, match="3 functions are called 'twice': name the address of one: 0xffffffff81000020"):
        Sources().resolve(["kprobe:twice"])
    assert Sources().resolve(["kprobe:other:twice"])
    assert Sources().resolve(["kprobe:cut_short.isra.0"])


def test_a_function_without_code(symbols):
    """The types of the kernel tell of vfs_read, but here no symbol does."""
    symbols("ffffffff81000050 T vfs_write")
    with pytest.raises(NotFound, match="'vfs_read' has no code of its own: the compiler has put it into its callers"):
        Sources().resolve(["kprobe:vfs_read"])


def test_a_variable_is_no_function(symbols):
    symbols("ffffffff82000000 D jiffies", "ffffffff81000050 T vfs_write")
    with pytest.raises(NotFound, match="'jiffies' is a variable of the kernel, no function"):
        Sources().resolve(["kprobe:jiffies"])


def test_what_keeps_probes_out(symbols, monkeypatch):
    symbols("ffffffff81000000 T guarded", "ffffffff81000010 T hidden", "ffffffff81000020 t sends\t[other]")
    monkeypatch.setattr(names, "protected_functions", lambda: frozenset({"guarded"}))
    monkeypatch.setattr(names.Functions, "_names", lambda _self: iter(["guarded", "other:sends"]))
    functions = names.Functions(lambda _name: False)
    found = [functions.obstacle(names.Target.parse(target)) for target in ("guarded", "hidden", "sends", "hidden+4")]

    assert found == [
        "the kernel protects it from probes: they would run into themselves",
        "the kernel keeps tracers out of it (notrace)",
        "",
        "",
    ]
    assert list(functions.matching("*")) == ["other:sends"]


def test_a_pattern_means_no_name_of_several_functions(monkeypatch):
    listed = ["once", "twice", "twice", "other:twice", "gone"]
    monkeypatch.setattr(names.Functions, "_names", lambda _self: iter(listed))

    assert list(names.Functions(lambda _name: False).matching("*")) == ["gone", "once", "other:twice"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "b\na\n__ftrace_invalid_address___16\nsends [other]\na.cold [other]\n",
            ["a", "b", "other:a.cold", "other:sends"],
        ),
        ("sends [other]\na\n", ["a", "other:sends"]),
        ("b\na\n", ["a", "b"]),
        ("", []),
    ],
)
def test_functions_of_modules_are_told_with_these(monkeypatch, text, found):
    files = SimpleNamespace(read={"available_filter_functions": text}.__getitem__)
    monkeypatch.setattr(names.Tracefs, "open", lambda: nullcontext(files))

    assert names.Functions(lambda _name: False).matching("*") == found

"""What loaded objects do when they run, that nothing of them stays, and that damaged ones are told of."""

from __future__ import annotations

import os
import re
import time

import pytest

from bpfctl.elf.read import read
from bpfctl.errors import CannotLoad, KernelError, NotSupported, ObjectError, VerifierError
from bpfctl.feature.here import Here
from bpfctl.host import kernel_config
from bpfctl.load.object import Loaded
from tests.build.compiled import NAMES, compiled, everything, source
from tests.fuzz import objects
from tests.kernel import client
from tests.kernel.facts import needs

PACKET = bytes(64)
PATIENCE = 30  # seconds: the kernel frees what nobody refers to after some RCU grace periods


@pytest.fixture(scope="module")
def here():
    return Here()


def run(loaded, name="classify"):
    return loaded.programs[name].test_run(PACKET).retval


def test_variables(here):
    with Loaded(read(compiled("load_data")), here) as loaded:
        spec = read(compiled("load_data"))
        assert run(loaded) == 7
        bss, data = (loaded.maps[name].lookup(bytes(4)) for name in (".bss", ".data"))
        hidden, second = (spec.places[".bss", name] for name in ("hidden", "second"))

    assert int.from_bytes(bss[hidden + 16 : hidden + 24], "little") == 3 + 2
    assert int.from_bytes(bss[second : second + 4], "little") == ord("o")
    assert int.from_bytes(data[:4], "little") == 3


def test_functions(here):
    """Calls of calls, one by a callback: twice each number and the one behind it."""
    needs("func:bpf_for_each_map_elem", "callbacks (Linux 5.13)")
    with Loaded(read(compiled("load_functions")), here) as loaded:
        assert run(loaded) == 18 + 2 * 18 + 2 * 19
        assert run(loaded, "pass") == 2


def test_maps_and_programs_in_maps(here):
    """The third program jumps to the first one, through a map that begins with it."""
    with Loaded(read(compiled("load_slots")), here) as loaded:
        assert run(loaded, "third") == 1
        inside = loaded.maps["outer"].lookup((2).to_bytes(4, "little"))

        assert int.from_bytes(inside, "little") == loaded.maps["inside"].info().id


def test_settings(here):
    text = '#include "bpf.h"\nextern u32 LINUX_KERNEL_VERSION __kconfig;\n'
    text += "extern char CONFIG_CC_VERSION_TEXT[8] __kconfig;\n"
    of = 'SEC("tc") int classify(void *context)\n{ return %s; }\nLICENSE("GPL");'
    names = os.uname()
    told = re.search(r"Debian (\d+)\.(\d+)\.(\d+)", names.version) or re.match(r"(\d+)\.(\d+)\.(\d+)", names.release)
    major, minor, patch = map(int, told.groups())
    with Loaded(read(source(text + of % "LINUX_KERNEL_VERSION")), here) as loaded:
        assert run(loaded) == (major << 16) + (minor << 8) + min(patch, 255)
    with Loaded(read(source(text + of % "CONFIG_CC_VERSION_TEXT[7] << 8 | CONFIG_CC_VERSION_TEXT[0]")), here) as loaded:
        said = kernel_config.running().options["CONFIG_CC_VERSION_TEXT"]
        assert run(loaded) == ord(said[1])  # what is behind the quote; cut where the variable ends


def test_nothing_stays(here):
    spec = read(compiled("load_data"))
    with Loaded(spec, here) as loaded:
        programs = [one.info().id for one in loaded.programs.values()]
        maps = [one.info().id for one in loaded.maps.values()]
        assert len(programs) == 1
        assert len(maps) == 4
    loaded.close()
    end = time.monotonic() + PATIENCE
    while left := {*programs} & {*client.ids("prog")} | {*maps} & {*client.ids("map")}:
        assert time.monotonic() < end, left
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        ("map_legacy", ObjectError, "libbpf 1.0 gave up"),
        ("struct_ops_reused", ObjectError, "another member too"),
        ("unknown_section", ObjectError, "section no_such_section tells no program type"),
        ("ksym_missing", NotSupported, "/proc/kallsyms tells no address of no_such_symbol"),
        ("kconfig_missing", NotSupported, "CONFIG_NO_SUCH_OPTION cannot be supplied"),
        ("kfunc_type", NotSupported, "the kernel's function bpf_rcu_read_lock has another type"),
        ("struct_ops_missing", NotSupported, "no struct bpf_struct_ops_no_such_ops"),
        (
            "iter_missing",
            NotSupported,
            "the kernel's types have no bpf_iter_no_such_thing",
        ),
        ("freplace", CannotLoad, "the program that it replaces is known when it is loaded"),
        ("map_sizes", KernelError, "map wide_key cannot be made"),
        ("helper_missing", VerifierError, "program filter cannot be loaded: the verifier refuses instruction 0"),
    ],
)
def test_why_not(name, error, sentence, here):
    if name == "kfunc_type":
        needs("func:bpf_rcu_read_lock", "bpf_rcu_read_lock()")
    with pytest.raises(error, match=re.escape(sentence)):
        Loaded(read(compiled(name)), here)


def test_variables_in_an_arena(here):
    """They would have to lie where user space maps the arena."""
    spec = read(compiled("load_data"))
    arena = spec.maps[0]._replace(made_of="arena")
    with pytest.raises(CannotLoad, match="bpfctl lays out no "):
        Loaded(spec._replace(maps=(arena, *spec.maps[1:])), here)


def test_damaged_objects_are_told_of():
    """Whatever is in a file, it is loaded, or refused by an error of ours; the bytes are the same each time."""
    outcome = objects.run(400, seed=6)

    assert 0 < outcome.loaded < 400
    assert len(outcome.sentences) > 50
    assert len(everything()) == len(NAMES)


def test_what_the_fuzzer_has_found(here):
    """Types and instructions that want what no symbol is, and a number of a map that no attribute holds."""
    for name, sentence in (("load_settings", "is its setting"), ("load_kfuncs", "does not want to be supplied")):
        with pytest.raises(ObjectError, match=sentence):
            Loaded(read(compiled(name))._replace(externs=()), here)
    values = """#include "bpf.h"
    struct { __uint(type, 2); __type(key, u32); __type(value, char[1 << 20][1 << 20]); } huge SEC(".maps");
    """
    with pytest.raises(ObjectError, match="map huge has a number that no map can have"):
        read(source(values))

"""Why a function of a process cannot be probed, in a sentence that helps."""

from __future__ import annotations

import re
import subprocess

import pytest

from bpfctl.errors import NotFound
from bpfctl.probe.sources import Sources
from tests.build.called import TALK, built, called

SOURCE = (
    TALK
    + r"""
static inline __attribute__((always_inline)) long inlined(long a) { return a * 3; }
static __attribute__((noinline)) long cloned(long a, long b) { __asm__ volatile("" : : "r"(a)); return a * b; }
__attribute__((noinline)) long kept(long a) { __asm__ volatile(""); return a; }
static void does(const char *what, long count)
{
    kept(inlined(count + what[0]) + cloned(count, 7) + cloned(-count, 7));
}
"""
)


@pytest.fixture(scope="module")
def path():
    return built("refused", SOURCE, "-g", "-O2", "-fipa-cp-clone", "-Wl,--build-id=sha1", compiler="gcc")


def refusal(spec, pid=None):
    with pytest.raises(NotFound) as caught:
        Sources(pid).resolve([spec])
    return str(caught.value)


@pytest.mark.parametrize("name", ["inlined", "some::inlined"])
def test_what_is_inlined(path, name):
    why = f"'{name}' has no code of its own in {path}: it is inlined wherever it is called"
    assert refusal(f"uprobe:{path}:{name}") == why


@pytest.mark.parametrize("name", ["kept+010", f"kept+{'9' * 5000}", "0" * 5000])
def test_numbers_that_are_none(path, name):
    assert refusal(f"uprobe:{path}:{name}").startswith(f"there is no function of {path} named '{name}'")


def test_what_the_compiler_has_made_something_else_of(path):
    symbols = subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout
    (clone,) = re.findall(r"\bcloned\.\S+", symbols)

    why = f"the compiler has made something else of 'cloned' in {path}: {clone}"
    assert refusal(f"uprobe:{path}:cloned") == why
    assert [point.target for point in Sources().resolve([f"uprobe:{path}:{clone}"])] == [f"{path}:{clone}"]


def test_arguments_of_what_it_has_made_are_those_of_registers(path):
    (point,) = Sources().resolve([f"uprobe:{path}:cloned.*"])

    assert [field.name for field in Sources().of("uprobe").fields(point)][:2] == ["arg0", "arg1"]


def test_a_stripped_program_and_the_debug_file_that_it_wants(path, tmp_path):
    stripped, nameless = tmp_path / "stripped", tmp_path / "nameless"
    subprocess.run(["objcopy", "--strip-all", path, stripped], check=True)
    subprocess.run(["objcopy", "--strip-all", "--remove-section=.note.gnu.build-id", path, nameless], check=True)
    told = subprocess.run(["readelf", "-n", path], capture_output=True, text=True, check=True).stdout
    build = re.search(r"Build ID: (\w+)", told)[1]
    where = f"/usr/lib/debug/.build-id/{build[:2]}/{build[2:]}.debug"

    why = f"{stripped} is stripped, and its debug file is not there, such as {where}: name an address, as in :0x1234"
    assert refusal(f"uprobe:{stripped}:kept") == why
    why = f"{nameless} is stripped, and it does not tell of a debug file: name an address, as in :0x1234"
    assert refusal(f"uprobe:{nameless}:kept") == why


def test_a_library_tells_of_what_it_exports(tmp_path):
    library = tmp_path / "libmade.so"
    source = "static __attribute__((noinline)) int hidden(int a) { return a; } int seen(int a) { return hidden(a); }"
    command = ["gcc", "-x", "c", "-", "-shared", "-fPIC", "-s", "-Wl,--build-id=none", "-o", library]
    subprocess.run(command, input=source, text=True, check=True)

    assert refusal(f"uprobe:{library}:hidden") == (
        f"there is no function of {library} named 'hidden' "
        f"({library} is stripped, and it does not tell of a debug file)"
    )


def test_a_file_that_another_mount_namespace_has(path, tmp_path):
    script = f"mount -t tmpfs none {tmp_path} && cp {path} {tmp_path}/copied && exec {tmp_path}/copied"
    with called("unshare", "--mount", "sh", "-c", script) as process:
        process.does("x")

        why = f"'{tmp_path}/copied' is not there; process {process.pid} sees it in a mount namespace of its own"
        assert refusal(f"uprobe:{tmp_path}/copied:kept") == f"{why}: -p {process.pid}"
    assert refusal(f"uprobe:{tmp_path}/copied:kept") == f"'{tmp_path}/copied' is not there"


def test_data_is_no_code(path):
    symbols = subprocess.run(["readelf", "-SW", path], capture_output=True, text=True, check=True).stdout
    address = int(re.search(r"\.data +PROGBITS +(\w+)", symbols)[1], 16)

    assert refusal(f"uprobe:{path}:{address:#x}") == f"{path} has no code at {address:#x}"

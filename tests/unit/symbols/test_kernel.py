"""Functions of the kernel by address, from files such as the kernel writes."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bpfctl.symbols.frame import Frame
from bpfctl.symbols.kernel import Kernel
from tests.soon import soon

TEXT = """\
0000000000000000 A fixed_percpu_data
000000000002e000 A __per_cpu_end
ffffffff81000000 T _stext
ffffffff81000000 T _text
ffffffff81001000 t __pfx_vfs_read
ffffffff81001010 T vfs_read
ffffffff81001010 T also_vfs_read
ffffffff81001200 t $x
ffffffff81001200 t quiet
ffffffff81002000 B _end
ffffffffc0300000 t bpf_prog_6deef7357e7b4530\t[bpf]
ffffffffc0200000 t ext4_open\t[ext4]
ffffffffc0200100 t ext4_close\t[ext4]
ffffffffc0300080 t bpf_prog_0123456789abcdef_counts\t[bpf]
"""
MODULES = """\
ext4 4096 1 - Live 0xffffffffc0200000
mbcache 16384 1 ext4, Live 0xffffffffc0400000
"""


@pytest.fixture
def kernel(tmp_path):
    (tmp_path / "kallsyms").write_text(TEXT)
    (tmp_path / "modules").write_text(MODULES)
    return Kernel(str(tmp_path / "kallsyms"), str(tmp_path / "modules"))


@pytest.mark.parametrize(
    ("address", "frame"),
    [
        (0xFFFFFFFF81000000, Frame("_stext", 0)),
        (0xFFFFFFFF81000FFF, Frame("_stext", 0xFFF)),
        (0xFFFFFFFF81001010, Frame("vfs_read", 0)),
        (0xFFFFFFFF810011FF, Frame("vfs_read", 0x1EF)),
        (0xFFFFFFFF81001204, Frame("quiet", 4)),
        (0xFFFFFFFF81002000, Frame("", 0xFFFFFFFF81002000)),
        (0xFFFFFFFF80FFFFFF, Frame("", 0xFFFFFFFF80FFFFFF)),
        (0xFFFFFFFFC0200008, Frame("ext4_open", 8, "[ext4]")),
        (0xFFFFFFFFC0200FFF, Frame("ext4_close", 0xEFF, "[ext4]")),
        (0xFFFFFFFFC0201000, Frame("", 0xFFFFFFFFC0201000)),
        (0xFFFFFFFFC0300010, Frame("bpf_prog_6deef7357e7b4530", 0x10, "[bpf]")),
        (0xFFFFFFFFC0300090, Frame("bpf_prog_0123456789abcdef_counts", 0x10, "[bpf]")),
        (0xFFFFFFFFD0300090, Frame("", 0xFFFFFFFFD0300090)),
        (0x2E010, Frame("", 0x2E010)),
        (0, Frame("", 0)),
        (1 << 64, Frame("", 1 << 64)),
    ],
)
def test_frame(kernel, address, frame):
    assert frame == kernel.frame(address)
    assert frame == kernel.frame(address)


def test_stack(kernel):
    """A call at the end of a function is that function's."""
    frames = kernel.frames([0xFFFFFFFF81001010, 0xFFFFFFFF81001010, 0xFFFFFFFF81001011])

    assert [Frame("vfs_read", 0), Frame("__pfx_vfs_read", 0x10), Frame("vfs_read", 1)] == frames
    assert kernel.frames([]) == []


def test_what_is_loaded_later(kernel, tmp_path):
    """The file is read again for what has no name, once at a time, and more and more seldom."""
    late = 0xFFFFFFFFC0500000
    assert kernel.frame(0xFFFFFFFF81001010).name == "vfs_read"
    (tmp_path / "kallsyms").write_text(TEXT + "ffffffffc0500000 t late_open\t[late]\n")

    assert kernel.frame(late + 1) == Frame("", late + 1)
    kernel.turn()
    assert [kernel.frame(late + 8 * at) for at in range(3)] == [Frame("late_open", 8 * at, "[late]") for at in range(3)]
    (tmp_path / "kallsyms").unlink()
    kernel.turn()
    assert [kernel.frame(address).name for address in range(4)] == [""] * 4


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "\n",
        "nothing that the kernel writes\n",
        "".join(f"{0:016x} t name_{at}\n" for at in range(100)),
        "ffffffff81000000 T _stext",
        "ffffffff81000000 T _stext\nffffffff\n",
        "81000000 T _stext\n81000010 T f\n81000020 T _end\nbf000000 t open\t[old]\n",
    ],
)
def test_other_files(tmp_path, text):
    """Where the kernel keeps addresses to itself, and where it is no such file, nothing has a name."""
    file = tmp_path / "kallsyms"
    if text is not None:
        file.write_text(text)
    kernel = Kernel(str(file), str(tmp_path / "modules"))

    assert kernel.frame(0xFFFFFFFF81000000).offset in (0, 0xFFFFFFFF81000000)
    narrow = [kernel.frame(0x81000014), kernel.frame(0xBF000004)]
    wanted = (
        [Frame("f", 4), Frame("open", 4, "[old]")]
        if text and "[old]" in text
        else [Frame("", 0x81000014), Frame("", 0xBF000004)]
    )
    assert narrow == wanted


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(
    st.binary(max_size=400) | st.text("0123456789abcdef tT\t[]\n", max_size=400).map(str.encode),
    st.integers(0, 1 << 64),
)
def test_file_of_an_enemy(tmp_path, text, address):
    (tmp_path / "kallsyms").write_bytes(text)
    with soon():
        frame = Kernel(str(tmp_path / "kallsyms"), str(tmp_path / "kallsyms")).frame(address)

    assert frame.name or frame.offset == address


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (Frame("vfs_read", 16), "vfs_read"),
        (Frame("", 0x1234, "/usr/lib/libc.so.6"), "libc.so.6+0x1234"),
        (Frame("", 0x12, "[vdso]"), "[vdso]+0x12"),
        (Frame("", 0xFFFFFFFF81000000), "0xffffffff81000000"),
    ],
)
def test_words(frame, text):
    assert text == str(frame)

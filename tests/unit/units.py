"""Units that count events, as the kernel shows them in a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.host import pmu

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

#: A processor's unit, whose events have up to two words.
CPU = {
    "cpu/type": "4\n",
    "cpu/format/event": "config:0-7,32-35\n",
    "cpu/format/umask": "config:8-15\n",
    "cpu/format/edge": "config:18\n",
    "cpu/format/ldlat": "config1:0-15\n",
    "cpu/events/cycles": "event=0x13c,umask=0x02,edge\n",
    "cpu/events/mem-loads": "event=0xcd,umask=0x1,ldlat=3\n",
}


def made(files: Mapping[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write files into a folder, and have it be the one in which units are looked for; return it."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(pmu, "DEVICES", str(folder))
    return folder

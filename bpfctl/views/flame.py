"""Flame graphs: an SVG that needs nothing else, which searches and zooms in a browser.

The idea is Brendan Gregg's: a box for each call, as wide as what was met in it, on the box of its caller, in the order
of names. So what is wide at the top is where it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from bpfctl.probe.named_stacks import called
from bpfctl.views.flame_script import SCRIPT, STYLE
from bpfctl.views.stacks import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bpfctl.probe.named_stacks import NamedStack
    from bpfctl.symbols.frame import Frame

_WIDTH = 1200  # places for which texts are cut where no script does it
_HEIGHT = 16  # of a box
_LETTER = 7  # its usual width
_ABOVE, _BELOW = 48, 28
_THINNEST = 0.0001  # of the whole: less cannot be seen
_VALUE, _USER, _KERNEL = "value", "user", "kernel"
#: Hue, saturation and lightness by what a box is; those of files have hues of their own between two others.
_TONES = {_VALUE: (210, 20, 80), _KERNEL: (24, 85, 62)}
_OF_MODULES = (45, 85, 64)
_OF_BPF = (280, 45, 74)
_OF_JIT = (130, 50, 66)
_UNKNOWN = (0, 0, 78)
_FILES = 60, 200  # hues


class Box(NamedTuple):
    """A call and what it led to."""

    name: str
    kind: str
    module: str
    start: float  # from the left, where 1 is the whole
    depth: int  # 0 is all
    amount: int  # what was met here and in what it called


class _Node:
    """A call in the making."""

    __slots__ = ("amount", "callees")

    def __init__(self) -> None:
        self.amount = 0
        self.callees: dict[tuple[str, str, str], _Node] = {}


def boxes(rows: Iterable[tuple[Sequence[str], NamedStack]]) -> list[Box]:
    """Return all calls that can be seen, each behind its caller; first all of it, and nothing where nothing is."""
    root = _Node()
    for values, row in rows:
        if row.total <= 0:
            continue
        path = [(value, _VALUE, "") for value in values]
        path += [_call(frame, _USER) for frame in reversed(row.user)]
        path += [_call(frame, _KERNEL) for frame in reversed(row.kernel)]
        node = root
        node.amount += row.total
        for call in path:
            node = node.callees.setdefault(call, _Node())
            node.amount += row.total
    found: list[Box] = []
    if not root.amount:
        return found
    waiting = [(("all", _VALUE, ""), root, 0, 0)]
    while waiting:
        (name, kind, module), node, start, depth = waiting.pop()
        found.append(Box(name, kind, module, start / root.amount, depth, node.amount))
        for call, callee in sorted(node.callees.items()):
            if callee.amount >= _THINNEST * root.amount:
                waiting.append((call, callee, start, depth + 1))
            start += callee.amount
    return found


def _call(frame: Frame, kind: str) -> tuple[str, str, str]:
    return called(frame), kind if frame.name else f"unknown {kind}", frame.module


def svg(rows: Iterable[tuple[Sequence[str], NamedStack]], title: str, told: str, unit: str) -> Iterator[str]:
    """Yield the text of a drawing; ``told`` is what its second line says, and ``unit`` the word behind numbers."""
    found = boxes(rows)
    deepest = max((box.depth for box in found), default=0)
    height = _ABOVE + (deepest + 1) * _HEIGHT + _BELOW
    yield (
        '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n'
        f'<svg xmlns="http://www.w3.org/2000/svg" version="1.1" width="100%" height="{height}">\n'
        f"<title>{_text(title)}</title>\n"
        f"<style>{STYLE}</style>\n"
        f'<rect id="ground" width="100%" height="{height}"/>\n'
        f'<text id="heading" x="50%" y="18">{_text(title)}</text>\n'
        f'<text id="told" x="50%" y="36">{_text(told)}</text>\n'
        '<text id="reset" class="button hidden" x="10" y="18">Reset zoom</text>\n'
        '<text id="search" class="button" x="99%" y="18">Search</text>\n'
        f'<text id="details" x="10" y="{height - 10}"> </text>\n'
        f'<text id="matched" x="99%" y="{height - 10}"> </text>\n'
        '<g id="boxes">\n'
    )
    all_of_it = found[0].amount if found else 1
    for box in found:
        width = box.amount / all_of_it
        y = _ABOVE + (deepest - box.depth) * _HEIGHT
        percent = f"{100 * width:.2f}"
        module = f" ({box.module})" if box.module else ""
        label = _text(_cut(box.name, width * _WIDTH))
        yield (
            f'<g class="box"><title>{_text(box.name + module)}: {box.amount:,} {_text(unit)}, {percent} %</title>'
            f'<rect x="{100 * box.start:.4f}%" y="{y}" width="{100 * width:.4f}%" height="{_HEIGHT - 1}" '
            f'fill="{_colour(box)}" rx="1"/>'
            f'<text x="{100 * box.start:.4f}%" y="{y + 11}" dx="3">{label}</text></g>\n'
        )
    yield f"</g>\n<script><![CDATA[{SCRIPT}]]></script>\n</svg>\n"


def _cut(name: str, width: float) -> str:
    room = int((width - 6) / _LETTER)
    if room < 3:
        return ""
    return name if len(name) <= room else f"{name[: room - 2]}.."


def _colour(box: Box) -> str:
    hue, saturation, light = _tone(box)
    shade = crc32(box.name.encode(errors="surrogatepass")) % 13 - 6  # so that neighbours can be told apart
    return f"hsl({hue},{saturation}%,{light + shade}%)"


def _tone(box: Box) -> tuple[int, int, int]:
    if box.kind.startswith("unknown"):
        return _UNKNOWN
    if box.module == "[bpf]":
        return _OF_BPF
    if box.module == "[jit]":
        return _OF_JIT
    if box.kind == _KERNEL and box.module:
        return _OF_MODULES
    if box.kind in _TONES:
        return _TONES[box.kind]
    first, last = _FILES
    return first + crc32(box.module.encode(errors="surrogatepass")) % (last - first), 55, 68


def _text(text: str) -> str:
    """Return text as XML has it."""
    return printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")

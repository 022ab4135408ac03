"""What words of BPF mean: paragraphs for people, members of JSON for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfctl.feature.answer import NO, YES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfctl.explain.answer import Cause
    from bpfctl.explain.here import Explained
    from bpfctl.explain.meaning import Meaning

_HERE = {YES: "This kernel has it", NO: "This kernel does not have it"}
_AVAILABLE = {YES: True, NO: False}
_CANNOT_TELL = "Whether this kernel has it cannot be told"
_INDENT = "  "


def lines(found: Sequence[Explained], width: int | None = None) -> Iterator[str]:
    """Yield a paragraph for each meaning, no wider than that."""
    for at, one in enumerate(found):
        if at:
            yield ""
        for number, line in enumerate(_paragraph(one)):
            yield from _wrapped(_INDENT * bool(number) + line, width)


def _paragraph(one: Explained) -> Iterator[str]:
    meaning = one.meaning
    known = [meaning.constant] if meaning.constant != meaning.name else []
    if meaning.number is not None:
        known.append(str(meaning.number) if meaning.number < 1 << 12 else hex(meaning.number))
    more = f" ({', '.join(known)})" if known else ""
    yield f"{meaning.name}: {meaning.kind}{more}"
    if meaning.prototype:
        yield f"{meaning.prototype};"
    yield meaning.text
    for cause in meaning.causes:
        yield f"{cause.call}: {cause.means}" + (f"; {cause.help}" if cause.help else "")
    facts = _facts(meaning)
    if facts:
        yield facts
    for title, names in (
        ("programs", meaning.programs),
        ("attach types", meaning.attach_types),
        ("sections", meaning.sections),
    ):
        if names:
            yield f"{title}: {', '.join(names)}"
    if one.here is not None:
        yield _HERE.get(one.here.can, _CANNOT_TELL) + (f": {one.here.why}" if one.here.why else "") + "."
    if one.callers:
        yield f"programs that may call it here: {', '.join(one.callers)}"
    if one.callers and one.untold:
        yield f"cannot be told: {', '.join(one.untold)}: {'; '.join(dict.fromkeys(one.untold.values()))}"
    if one.ask:
        yield f"Whether this kernel has it: {one.ask}"


def _facts(meaning: Meaning) -> str:
    facts = [f"since Linux {meaning.since}"] if meaning.since else []
    if meaning.needs:
        free = ", or none where kernel.unprivileged_bpf_disabled is 0" if meaning.free else ""
        facts.append(f"needs {' and '.join(meaning.needs)}{free}")
    if meaning.gpl_only:
        facts.append("for programs under a license that is compatible with the GPL")
    return "; ".join(facts)


def _wrapped(line: str, width: int | None) -> list[str]:
    if width is None or len(line) <= width:
        return [line]
    from textwrap import wrap  # noqa: PLC0415 - a pipe takes lines as they are

    indent = line[: len(line) - len(line.lstrip())]
    more = indent + _INDENT
    return wrap(line, width, subsequent_indent=more, break_long_words=False, break_on_hyphens=False)


def json(one: Explained) -> dict[str, Any]:
    """Return what is known of a meaning; what is not is left out."""
    meaning = one.meaning
    out: dict[str, Any] = {"kind": meaning.kind, "name": meaning.name, "constant": meaning.constant}
    if meaning.number is not None:
        out["number"] = int(meaning.number)
    out["text"] = meaning.text
    named: dict[str, Any] = {
        "since": meaning.since,
        "capabilities": list(meaning.needs),
        "gpl_only": meaning.gpl_only,
        "prototype": meaning.prototype,
        "programs": list(meaning.programs),
        "attach_types": list(meaning.attach_types),
        "sections": list(meaning.sections),
        "causes": [_cause(cause) for cause in meaning.causes],
    }
    out |= {name: value for name, value in named.items() if value}
    if meaning.needs:
        out["unprivileged"] = meaning.free
    if one.here is not None:
        out["here"] = {"available": _AVAILABLE.get(one.here.can)} | ({"why": one.here.why} if one.here.why else {})
    if one.callers:
        out["callers"] = list(one.callers)
    if one.callers and one.untold:
        out["untold"] = dict(one.untold)
    return out


def _cause(cause: Cause) -> dict[str, str]:
    return {"call": cause.call, "means": cause.means} | ({"help": cause.help} if cause.help else {})

"""Values that have a BTF type, as bpftool's src/btf_dumper.c shows them: in JSON, and in text that looks like it."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from btf.value import Address, Bits, Char, Enumerator, Record, Section

if TYPE_CHECKING:
    from btf.value import Value


def json(value: Value) -> Any:
    """Return a value for the JSON writer.

    Members of structs without name are gathered under one empty key, where bpftool writes the key once for each.
    """
    match value:
        case Char():
            return chr(value)
        case Bits():
            return f"{value.unsigned:#x}"
        case Enumerator():
            return value.signed if value.name is None else value.name
        case float():
            return value if isfinite(value) else str(value)
        case list():
            return [json(item) for item in value]
        case Section():
            return {value.name: [{name: json(item)} for name, item in value.fields]}
        case Record():
            return _members(value)
        case Address():
            return int(value)
    return value


def _members(record: Record) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, item in record.fields:
        shown = json(item)
        if not name and isinstance(shown, dict):
            shown = _gathered(members.get("", {}), shown)
        members[name] = shown
    return members


def _gathered(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Return the members of two structs without name; what these have under the empty key is gathered in turn."""
    both = first | second
    if "" in first and "" in second:
        both[""] = _gathered(first[""], second[""])
    return both


def plain(value: Value) -> str:
    """Return a value as bpftool writes it where no JSON is asked for: addresses and bits are hexadecimal numbers."""
    match value:
        case Char():
            return _quoted(chr(value)) if 0x20 <= value < 0x7F else f"{int(value):#x}"
        case Bits():
            return f"{value.unsigned:#x}"
        case Enumerator():
            return str(value.signed) if value.name is None else _quoted(value.name)
        case Address():
            return f'"{int(value):#x}"' if value else '"(nil)"'
        case bool():
            return "true" if value else "false"
        case str():
            return _quoted(value)
        case list():
            return f"[{','.join(map(plain, value))}]"
        case Section():
            return f"{{{_quoted(value.name)}:[{','.join(f'{{{_member(*field)}}}' for field in value.fields)}]}}"
        case Record():
            return f"{{{','.join(_member(*field) for field in value.fields)}}}"
    return str(value)


def _member(name: str, value: Value) -> str:
    return f"{_quoted(name)}:{plain(value)}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

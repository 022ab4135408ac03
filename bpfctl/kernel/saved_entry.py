"""One entry of a saved map: from the JSON of ``map dump``, ours or bpftool's, to the bytes that the kernel takes.

Bytes are told as lists of strings such as "0x1f"; where the map has types, their values are understood as well, which
is all that bpftool's text has of such a map. Of an entry that has both, the bytes count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfctl.errors import SavedError
from bpfctl.host import cpus
from bpfctl.kernel.map import PER_CPU
from bpfctl.uapi.enums import MapType
from btf.encode import Encoder
from btf.errors import BTFError
from btf.value import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfctl.kernel.map import MapInfo
    from bpfctl.kernel.map_types import Types

_MEMBERS = frozenset({"key", "value", "values", "formatted", "inner_map_id"})
_BYTES = {f"0x{byte:{form}}": byte for byte in range(256) for form in ("02x", "02X", "x", "X")}


class Entries:
    """Reads the entries of one map; ``fit_cpus`` says what to do with values of other CPUs than this machine has."""

    def __init__(self, info: MapInfo, types: Types | None = None, *, fit_cpus: bool = False) -> None:
        self.key_size = info.key_size
        self.value_size = info.value_size
        self.per_cpu = info.type in PER_CPU
        self.cpus = cpus.possible() if self.per_cpu else 1
        self.step = (info.value_size + 7 & ~7) if self.per_cpu else info.value_size
        self.room = self.step * self.cpus
        self._fit = fit_cpus
        self.left_out = 0
        """How many values were left out because this machine does not have their CPU."""
        self._key = _encoder(types, types.key, info.key_size) if types and types.key else None
        self._value = _encoder(types, types.value, info.value_size) if types else None
        self._one_slot = info.type is MapType.ARRAY and info.max_entries == 1

    def packed(self, entry: Any) -> tuple[bytes, bytes] | None:
        """Return key and value; None for an entry whose value could not be read when it was saved.

        SavedError says what is wrong with it.
        """
        if type(entry) is not dict:
            raise SavedError("a member is given twice" if isinstance(entry, Record) else "it is no object")
        unknown = entry.keys() - _MEMBERS
        if unknown:
            if entry.keys() == {"error"}:
                raise SavedError(f"the dump was not finished: {entry['error']}")
            raise SavedError(f"no entry of a map has a member '{min(unknown)}'")
        told: Any = entry
        if not entry.keys() & {"key", "value", "values"}:
            told = entry.get("formatted")
            if type(told) is not dict:
                raise SavedError("it has neither a key nor a value")
        key = self._of_key(told)
        value = self._by_cpu(told) if self.per_cpu else self._single(told)
        return None if value is None else (key, value)

    def _of_key(self, told: dict[str, Any]) -> bytes:
        if "key" in told:
            return _bytes("key", told["key"], self.key_size, self._key)
        if self.key_size and not self._one_slot:
            raise SavedError("it has no key")
        return bytes(self.key_size)

    def _single(self, told: dict[str, Any]) -> bytes | None:
        if "value" in told:
            return self._readable("value", told["value"])
        raise SavedError(
            "it has a value for each CPU, the map has one for all" if "values" in told else "it has no value"
        )

    def _readable(self, what: str, value: Any) -> bytes | None:
        """Return the bytes of a value; None for an object that says why there are none."""
        if isinstance(value, dict) and value.keys() == {"error"} and isinstance(value["error"], str):
            try:
                return self._value(value) if self._value else None  # a struct may have a member of this name
            except BTFError:
                return None
        return _bytes(what, value, self.value_size, self._value)

    def _by_cpu(self, told: dict[str, Any]) -> bytes | None:
        if "values" not in told:
            if isinstance(told.get("value"), dict) and self._readable("value", told["value"]) is None:
                return None
            raise SavedError("it has no value for each CPU, as this map does")
        slots = self._slots(told["values"])
        values: list[bytes] = []
        for cpu in range(self.cpus):
            value = self._readable(f"value of CPU {cpu}", slots[cpu]) if cpu in slots else bytes(self.value_size)
            if value is None:
                return None
            values.append(value.ljust(self.step, b"\0"))
        return b"".join(values)

    def _slots(self, values: Any) -> dict[int, Any]:
        """Return the values by their CPUs, which must be those of this machine unless something else is agreed."""
        if not isinstance(values, list):
            raise SavedError("its values are no list")
        slots: dict[int, Any] = {}
        for item in values:
            cpu = item.get("cpu") if isinstance(item, dict) else None
            if not isinstance(cpu, int) or isinstance(cpu, bool) or cpu < 0 or "value" not in item:
                raise SavedError("an item of its values is not an object of a CPU and a value")
            if cpu in slots:
                raise SavedError(f"it has two values of CPU {cpu}")
            slots[cpu] = item["value"]
        if slots.keys() != set(range(self.cpus)) and not self._fit:
            raise SavedError(
                f"it has values of {len(slots)} CPUs, and this machine has {self.cpus}: with --cpus fit, those of CPUs "
                f"that are not here are left out, and CPUs that the file lacks get zeros"
            )
        self.left_out += sum(cpu >= self.cpus for cpu in slots)
        return slots


def _encoder(types: Types, type_id: int, size: int) -> Encoder | None:
    try:
        encoder = Encoder(types.btf, type_id, _word)
    except BTFError:
        return None
    return encoder if encoder.size == size else None


def _word(text: str, size: int) -> bytes | None:
    """Read what bpftool's plain text has for a null pointer, and no other word."""
    return bytes(size) if text == "(nil)" else None


def _bytes(what: str, told: Any, size: int, encoder: Encoder | None) -> bytes:
    if type(told) is list and (len(told) == size or encoder is None):
        try:
            data = bytes(map(_BYTES.__getitem__, told))
        except (KeyError, TypeError):
            data = None
        if data is not None and len(data) == size:
            return data
    if encoder is None:
        raise SavedError(f"{what}: {_no_bytes(told, size)}")
    try:
        return encoder(told)
    except BTFError as error:
        raise SavedError(f"{what}: {error}") from None


def _no_bytes(told: Any, size: int) -> str:
    """Return why something is no list of so many bytes."""
    if not isinstance(told, list):
        return f"the map has no types, so it takes a list of {size} bytes"
    wrong: Sequence[Any] = [item for item in told if not (isinstance(item, str) and item in _BYTES)]
    if wrong:
        shown = f"'{wrong[0][:20]}'" if isinstance(wrong[0], str) else f"a {type(wrong[0]).__name__}"
        return f"{shown} is no byte such as '0x1f'"
    return f"{len(told)} bytes, where the map has {size}"

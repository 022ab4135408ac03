"""Values on their way into maps of the kernel and out again, by bpfctl's own commands."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from bpfctl.__main__ import run
from bpfctl.render.sink import Sink
from btf.errors import BTFError
from tests.fuzz import speech
from tests.fuzz.shape import Made, random_shape, spoken
from tests.kernel import client

if TYPE_CHECKING:
    from random import Random

HASH = 1
PER_MAP = 4
MOST_BYTES = 4096


class Maps:
    """Makes a map of a random type in each round, if the kernel takes the type, and fills it."""

    def __init__(self) -> None:
        self.made = self.refused = 0

    def told(self) -> str:
        """Return how many types were tried."""
        return f"{self.made} maps ({self.refused} more types are none for the kernel)"

    def run(self, rng: Random) -> int:
        """Return how many values went there and back."""
        made = Made(random_shape(rng), sys.byteorder)
        fd = self._map(made)
        if fd is None:
            self.refused += 1
            return 0
        try:
            self.made += 1
            for _ in range(PER_MAP):
                self._there_and_back(fd, made, rng)
        finally:
            os.close(fd)
        return PER_MAP

    def _map(self, made: Made) -> int | None:
        """Return a map whose values are of the type; None when it has no values, or is none for the kernel."""
        try:
            size = made.decoder.size
            types = client.btf_load(made.blob) if 0 < size <= MOST_BYTES else None
        except (BTFError, OSError):
            return None
        if types is None:
            return None
        try:
            told = {"btf_fd": types, "btf_key_type_id": made.index, "btf_value_type_id": made.id}
            return client.map_create(HASH, 4, size, 8, name="fuzzed", **told)
        except OSError:
            return None
        finally:
            os.close(types)

    def _there_and_back(self, fd: int, made: Made, rng: Random) -> None:
        """What map lookup shows of any bytes is what map update makes them of."""
        id_, size = str(client.id_of("map", fd)), made.decoder.size
        number = rng.getrandbits(32)
        key = number.to_bytes(4, sys.byteorder)
        try:
            raw = made.encoder(spoken(rng, made.shape, sys.byteorder)[0], speech.some_bytes(rng, size))
            raw = made.encoder(made.decoder(raw))
        except BTFError:
            return  # members that share their bytes, see tests.fuzz.values.check_bytes
        client.map_update(fd, key, raw)
        entry = json.loads(_output("-j", "map", "lookup", "id", id_, "key", str(number)))
        assert bytes(int(byte, 16) for byte in entry["value"]) == raw, "the bytes of map lookup"
        if "nan" in repr(made.decoder(raw)):
            return  # JSON knows neither the sign nor the payload of what is no number
        shown = json.dumps(entry["formatted"]["value"])
        client.map_update(fd, key, bytes(size))
        _output("map", "update", "id", id_, "key", str(number), "value", shown)
        assert client.map_lookup(fd, key, size) == raw, f"map update of {shown}"


def _output(*words: str) -> Any:
    out = os.memfd_create("output")
    try:
        code = run(words, Sink(out))
        text = os.pread(out, os.fstat(out).st_size, 0)
    finally:
        os.close(out)
    assert code == 0, f"bpfctl {' '.join(words)}: {code} {text!r}"
    return text

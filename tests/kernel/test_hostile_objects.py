"""Damaged objects given to the commands that load them: one sentence, one document, and nothing stays."""

from __future__ import annotations

import json
import random

import pytest

from tests.bpftool import peer
from tests.build.compiled import everything, source
from tests.kernel.place import Place

COMMANDS = {
    "load": ["prog", "load", "OBJ", "PIN"],
    "loadall": ["prog", "loadall", "OBJ", "PIN", "pinmaps", "MAPS"],
    "autoattach": ["prog", "loadall", "OBJ", "PIN", "autoattach"],
    "typed": ["prog", "load", "OBJ", "PIN", "type", "xdp"],
    "register": ["struct_ops", "register", "OBJ", "PIN"],
    "iter": ["iter", "pin", "OBJ", "PIN"],
    "min_core_btf": ["gen", "min_core_btf", "/sys/kernel/btf/vmlinux", "FILE", "OBJ"],
}
ROUNDS = 12


@pytest.mark.parametrize("command", COMMANDS)
def test_it_is_told_in_one_document(command):
    """The same damage each time; what is refused leaves neither a pin nor a folder."""
    choice = random.Random(command)
    names = ["struct_ops", "load_ops"] if command == "register" else sorted({*everything()} - {"large"})
    fine, in_use = 0, _structs()
    with Place() as place:
        path = place.root / "damaged.o"
        known = {"OBJ": path, "PIN": place.bpffs / "pin", "MAPS": place.bpffs / "maps", "FILE": place.root / "out"}
        before = sorted(place.bpffs.iterdir())
        for _ in range(ROUNDS):
            data = bytearray(everything()[choice.choice(names)].read_bytes())
            for _ in range(choice.choice((1, 4, 16))):
                data[choice.randrange(len(data))] = choice.choice((0, 1, 127, 255))
            path.write_bytes(data[: choice.choice((len(data), len(data), choice.randrange(len(data))))])
            answer = peer.inside("-j", *(str(known.get(word, word)) for word in COMMANDS[command]))
            told = json.loads(answer.stdout)

            assert b"Traceback" not in answer.stderr
            if answer.rc == 0:
                fine += 1
                assert told is None
                for folder in ("pin", "maps"):
                    _removed(place.bpffs / folder)
                if command == "register":  # a damaged object's, which are put to use all the same
                    for id_ in _structs() - in_use:
                        peer.inside("struct_ops", "unregister", "id", str(id_))
            else:
                assert "fault of its own" not in told["error"], told
                assert sorted(place.bpffs.iterdir()) == before

    assert fine < ROUNDS


def test_the_name_of_a_tracepoint_is_no_text():
    """What a section names may be any bytes."""
    data = source('#include "bpf.h"\nSEC("raw_tp/odd name") int second(void *context) { return 0; }\nLICENSE("GPL");')
    with Place() as place:
        path = place.root / "odd.o"
        path.write_bytes(data.replace(b"odd name", b"odd\xffn\x1bme"))
        words = ["-j", "prog", "loadall", str(path), str(place.bpffs / "pin"), "autoattach"]
        answer = peer.inside(*words)

    told = json.loads(answer.stdout)["error"]
    assert answer.rc == 255
    assert told.startswith("can't attach to raw tracepoint 'odd")
    assert told.endswith("n\x1bme': No such file or directory")


def _removed(path):
    if path.is_dir():
        for one in path.iterdir():
            one.unlink()
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def _structs():
    return {row["id"] for row in json.loads(peer.inside("-j", "struct_ops", "show").stdout)}

"""bpfctl.feature.memory: what is conclusive is not asked twice, for as long as nothing has changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bpfctl.feature import memory as room
from bpfctl.feature.answer import AVAILABLE, MISSING, NO, UNKNOWN, Answer
from bpfctl.feature.memory import Memory
from bpfctl.host.boot_cache import BootCache

if TYPE_CHECKING:
    from pathlib import Path

TOLD = {"a": AVAILABLE, "b": MISSING, "c": Answer(NO, "it is “different”"), "d": AVAILABLE._replace(bpftool=False)}


class Kernel:
    """Answers, and counts how often it is asked."""

    def __init__(self, **answers: Answer) -> None:
        self.answers = answers
        self.asked = 0

    def __call__(self) -> list[Answer]:
        self.asked += 1
        return list(self.answers.values())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BootCache:
    monkeypatch.setattr(room, "_key", lambda: {"boot": "1"})
    return BootCache("features", str(tmp_path / "bpfctl"))


def ask(memory: Memory, kernel: Kernel) -> dict[str, Answer]:
    return dict(zip(kernel.answers, memory.answers("letters", list(kernel.answers), kernel), strict=True))


def test_asked_once(cache: BootCache) -> None:
    kernel = Kernel(**TOLD)
    first = Memory(cache)
    assert ask(first, kernel) == ask(first, kernel) == TOLD
    first.save()

    assert list(ask(Memory(cache), kernel).items()) == list(TOLD.items())
    assert kernel.asked == 1
    assert Memory(cache).answer("letters", "b", lambda: AVAILABLE) == MISSING
    assert Memory(cache).answer("numbers", "b", lambda: AVAILABLE) == AVAILABLE


def test_without_a_cache() -> None:
    kernel = Kernel(**TOLD)
    memory = Memory()
    memory.save()

    assert ask(memory, kernel) == ask(memory, kernel) == TOLD
    assert kernel.asked == 1


def test_what_cannot_be_told_is_asked_again(cache: BootCache) -> None:
    first = Memory(cache)
    ask(first, Kernel(a=AVAILABLE, b=Answer(UNKNOWN, "no memory")))
    first.save()

    assert ask(Memory(cache), Kernel(a=AVAILABLE, b=MISSING)) == {"a": AVAILABLE, "b": MISSING}


def test_asked_anew(cache: BootCache) -> None:
    first = Memory(cache)
    ask(first, Kernel(a=AVAILABLE))
    first.save()
    fresh = Memory(cache, fresh=True)
    assert ask(fresh, Kernel(a=MISSING)) == {"a": MISSING}
    fresh.save()

    assert ask(Memory(cache), Kernel(a=AVAILABLE)) == {"a": MISSING}


def test_another_key(cache: BootCache, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Memory(cache)
    ask(first, Kernel(a=AVAILABLE))
    first.save()
    monkeypatch.setattr(room, "_key", lambda: {"boot": "2"})

    assert ask(Memory(cache), Kernel(a=MISSING)) == {"a": MISSING}


def test_what_changes_meanwhile(cache: BootCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is loaded while we ask belongs to no key."""
    first = Memory(cache)
    ask(first, Kernel(a=AVAILABLE))
    monkeypatch.setattr(room, "_key", lambda: {"boot": "1", "modules": ["new"]})
    first.save()
    monkeypatch.setattr(room, "_key", lambda: {"boot": "1"})

    assert ask(Memory(cache), Kernel(a=MISSING)) == {"a": MISSING}


def test_who_has_no_key(cache: BootCache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(room, "_key", lambda: None)
    first = Memory(cache)
    ask(first, Kernel(a=AVAILABLE))
    first.save()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        [],
        "yes",
        {"letters": 1},
        {"letters": [["yes", "", True]]},
        {"letters": [["yes", "", True, 7]]},
        {"letters": [["yes", "", True, [["a"]]]]},
        {"letters": [["unknown", "", False, ["a"]]]},
        {"letters": [["maybe", "", True, ["a"]]]},
        {"letters": [["yes", 7, True, ["a"]]]},
        {"letters": [["yes", "", "True", ["a"]]]},
        {"letters": {"a": "yes"}},
        [["letters", []]],
    ],
)
def test_nonsense(cache: BootCache, content: object) -> None:
    cache.write({"boot": "1"}, content)

    assert ask(Memory(cache), Kernel(a=MISSING)) == {"a": MISSING}


def test_the_key() -> None:
    """It survives being written, and is the same twice."""
    key = room._key()

    assert key is None or json.loads(json.dumps(key)) == key == room._key()
    assert key is None or {"boot", "kernel", "capabilities", "lockdown", "modules", "bpfctl"} <= key.keys()

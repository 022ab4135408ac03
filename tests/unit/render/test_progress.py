"""The line for who waits, on a terminal of the test's own."""

from __future__ import annotations

import os
import pty
import threading

import pytest

from bpfctl.render.plain import PlainOutput
from bpfctl.render.progress import Progress
from bpfctl.render.sink import Sink

ERASED = b"\r\x1b[K"


class Screen:
    """A terminal that keeps what is written to it."""

    def __init__(self):
        self._ours, self.fd = pty.openpty()
        self.seen = b""

    def look(self):
        """Take what has been written, of which there must be something."""
        self.seen += os.read(self._ours, 65536)
        return self.seen

    def rest(self):
        """Return what has been written up to now."""
        os.write(self.fd, b"|")
        while not self.look().endswith(b"|"):
            pass
        return self.seen.removesuffix(b"|")

    def close(self):
        os.close(self._ours)
        os.close(self.fd)


@pytest.fixture
def screen(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    shown = Screen()
    yield shown
    shown.close()


def drawn(screen, text):
    """Wait until the line has been drawn."""
    while text not in screen.seen:
        screen.look()


def test_what_takes_long_is_told_and_erased(screen):
    with Progress(fd=screen.fd, patience=0) as progress:
        progress.say("asking the kernel")
        drawn(screen, b"asking the kernel, 0 s")

    assert screen.rest().endswith(ERASED)


def test_it_is_gone_when_something_is_written(screen):
    with Progress(fd=screen.fd, patience=0) as progress:
        progress.say("one")
        drawn(screen, b"one")
        progress.hush()
        assert screen.rest().endswith(ERASED)
        progress.say("two")
        drawn(screen, b"two")


def test_what_is_quick_is_not_told(screen):
    with Progress(fd=screen.fd, patience=3600) as progress:
        progress.say("asking the kernel")

    assert screen.rest() == b""


def test_items_are_counted_while_the_next_is_made(screen):
    """Each is passed on without the line."""

    def slowly():
        for item in "ab":
            drawn(screen, f"{'ab'.index(item)} done".encode())
            yield item

    with Progress(fd=screen.fd, patience=0) as progress:
        found = []
        for item in progress.over(slowly(), lambda count: f"{count} done"):
            assert screen.rest().endswith(ERASED)
            found.append(item)

    assert found == ["a", "b"]


def test_it_is_one_line_without_escapes_of_others(screen):
    with Progress(fd=screen.fd, patience=0) as progress:
        progress.say("file \x1b[31m" + "x" * 100)
        drawn(screen, rb"file \x1b[31m")

    lines = screen.rest().split(ERASED)
    assert max(map(len, lines)) == 29
    assert b"\x1b[31m" not in screen.seen


def test_wide_characters_do_not_go_on_in_the_next_line(screen):
    """Which could not be erased, so that each time there would be one more."""
    with Progress(fd=screen.fd, patience=0) as progress:
        progress.say("é" + "包" * 40)
        drawn(screen, "é".encode() + "包".encode() * 14)

    assert "包".encode() * 15 not in screen.rest()


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"TERM": ""}])
def test_a_terminal_that_cannot_erase(screen, monkeypatch, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    before = threading.active_count()
    with Progress(fd=screen.fd, patience=0) as progress:
        progress.say("asking the kernel")
        assert threading.active_count() == before

    assert screen.rest() == b""


def test_nothing_is_told_to_a_file_or_where_it_would_be_in_the_way(tmp_path, screen):
    path = tmp_path / "stderr"
    fd = os.open(path, os.O_CREAT | os.O_WRONLY)
    for progress in Progress(fd=fd, patience=0), Progress(fd=screen.fd, patience=0, hidden=True):
        with progress:
            progress.say("asking the kernel")
    os.close(fd)

    assert path.read_bytes() == screen.rest() == b""


def test_its_thread_ends_whatever_happens(screen):
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), Progress(fd=screen.fd, patience=0):
        _ = 1 // 0

    assert threading.active_count() == before


def test_a_pager_has_the_terminal_for_itself(screen):
    """As long as it runs nothing is drawn."""
    output = PlainOutput(Sink(screen.fd))
    asked = threading.Semaphore(0)

    def text():
        asked.release()
        return "asking the kernel"

    with Progress(output, fd=screen.fd, patience=0) as progress:
        output.sink.is_read = True
        progress.say(text)
        assert not asked.acquire(timeout=0.5)
        output.sink.is_read = False
        drawn(screen, b"asking the kernel")

"""Points in the code of processes: one program for all of them by a link for each file, or else events."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bpfctl.attach import uprobe
from bpfctl.attach.cookie import has_cookies
from bpfctl.errors import UsageError
from bpfctl.probe.code import Code
from bpfctl.probe.pattern import is_pattern
from bpfctl.probe.source import Group
from bpfctl.uapi.enums import AttachType, ProgType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bpfctl._sys.fd import Closing
    from bpfctl.attach.uprobe import Place
    from bpfctl.host.process import Process
    from bpfctl.kernel.prog import Program
    from bpfctl.probe.field import Field, Load
    from bpfctl.probe.source import ProbePoint


def process_files(word: str, process: Process | None) -> list[str]:
    """Return the files that a pattern means to a process, those that it has mapped; all else means itself.

    UsageError for a pattern without a process.
    """
    if not is_pattern(word):
        return [word]
    if process is None:
        raise UsageError(f"'{word}' is a pattern for files, which are those that a process has mapped: add -p PID")
    return process.files(word)


def process_groups(
    points: Sequence[ProbePoint],
    places: Callable[[ProbePoint], Sequence[Place]],
    field: Callable[[str], Field],
    *,
    returns: bool = False,
    process: Process | None = None,
    frame: Load | None = None,
    caller: Load | None = None,
    session: bool = False,
) -> Iterator[Group]:
    """Yield groups for points with the same fields, each of which may be at several places.

    With ``process`` they are attached in that one alone. What tells a program where it was hit is its cookie; kernels
    before 5.15 have none: a program for each point. ``session`` has one program at both ends of calls (Linux 6.13).
    """
    if len(points) > 1 and not has_cookies():
        for point in points:
            alone = process_groups([point], places, field, returns=returns, process=process, frame=frame, caller=caller)
            yield from alone
        return
    several, pid = len(points) > 1, process.pid if process is not None else None
    numbered = [place._replace(cookie=number) for number, point in enumerate(points) for place in places(point)]

    def by(how: Callable[..., list[Closing]]) -> Callable[..., list[Closing]]:
        def attach(program: Program, cookie: int = 0) -> list[Closing]:
            told = [place._replace(cookie=cookie + place.cookie) for place in numbered]
            return how(program, told, returns=returns, pid=pid)

        return attach

    plural = "s" if len(numbered) > 1 else ""
    of_tracefs = Group(
        f"tracefs event{plural}",
        tuple(points),
        ProgType.KPROBE,
        field,
        by(uprobe.attach_tracefs),
        Code.point_from_cookie if several else None,
        attach_cookie=by(uprobe.attach_tracefs),
        frame=frame,
        caller=caller,
        interrupted=True,
    )
    of_events = of_tracefs._replace(
        way=f"perf event{plural}",
        attach=by(uprobe.attach),
        attach_cookie=by(uprobe.attach),
        otherwise=lambda: of_tracefs,
    )
    if session:
        attach_session = partial(uprobe.attach_multi, session=True)
        yield of_events._replace(
            way="uprobe session",
            attach=by(attach_session),
            attach_cookie=by(attach_session),
            attach_type=AttachType.TRACE_UPROBE_SESSION,
            otherwise=None,
        )
        return
    if not has_cookies():  # links of many came later
        yield of_events
        return
    yield of_events._replace(
        way="multi-uprobe link",
        attach=by(uprobe.attach_multi),
        attach_cookie=by(uprobe.attach_multi),
        attach_type=AttachType.TRACE_UPROBE_MULTI,
        otherwise=lambda: of_events,
    )

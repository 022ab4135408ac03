"""The options of commands, as annotations for Typer.

A command names them in its signature; they are looked up, and Typer is loaded, only when a command line has an
option of ours in it, or asks for help. bpftool's plain words go straight to the function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfctl.cli.session import Session

    class Context(Protocol):
        """Typer's context, as far as a command needs it."""

        @property
        def obj(self) -> Session:
            """Return the run's output and options."""

    Words = Sequence[str] | None
    Type = str | None
    Name = str | None
    Owner = str | None
    Pinned = bool
    Sort = str | None
    Watch = float | None
    DryRun = bool
    CheckOnly = bool
    Replace = bool
    Create = bool
    Cpus = str | None
    From = str | None
    Limit = int | None
    KeyPrefix = str | None
    Where = list[str] | None
    Sum = bool
    Top = tuple[str, int] | None
    Interval = float
    SortTop = str
    Count = int | None
    LimitPrograms = int | None
    Stats = bool
    Lines = int | None
    RecordType = str | None
    Verbose = bool
    PinPath = str | None
    By = list[str] | None
    Of = str | None
    LinearScale = str | None
    MaxHistograms = int
    ProbeWhere = str | None
    Pid = int | None
    Cgroup = str | None
    Way = str
    Cookie = str | None
    TellOnly = bool
    EachInterval = float | None
    Duration = float | None
    TopRows = int | None
    MaxEntries = int
    TraceFields = list[str] | None
    HitLimit = int | None
    Buffer = int
    Records = int | None
    Seconds = float | None
    Take = bool
    Expand = bool
    Kinds = list[str] | None
    Embeds = str | None
    PointsTo = str | None
    TypeGlob = list[str] | None
    Against = list[str] | None
    Every = bool
    FullReport = bool
    Fresh = bool
    Svg = str | None
    Unmet = bool
    Report = str | None
    ReportBtf = str | None
    Reports = str | None
    EveryNeed = bool
    TryLoad = bool

else:

    def __getattr__(name: str) -> Any:
        from bpfctl.cli import typed

        try:
            return getattr(typed, name)
        except AttributeError:
            raise AttributeError(f"no option {name}") from None

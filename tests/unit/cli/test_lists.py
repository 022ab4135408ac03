"""Filters, order and repetition of lists."""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.cli.lists import EVERYTHING, Wanted, show
from bpfctl.cli.options import Options
from bpfctl.cli.session import Session
from bpfctl.errors import UsageError
from bpfctl.kernel.owner import Owner
from bpfctl.kernel.select import Select
from bpfctl.views.view import Column, View
from tests.memory import Memory


class Row(NamedTuple):
    """An object as filters see it."""

    id: int
    type: str | int = "xdp"
    name: str = ""
    pinned: tuple[str, ...] | None = None
    owners: tuple[Owner, ...] = ()
    size: int | None = None


def types():
    yield from ("unspec", "kprobe", "tracepoint", "xdp", "sched_cls", "raw_tracepoint", "tracing")


VIEW = View(
    "things",
    lambda row: {"id": row.id},
    lambda row: iter([str(row.id)]),
    (
        Column("id", lambda row: row.id, "number"),
        Column("type", lambda row: row.type),
        Column("name", lambda row: row.name or None),
        Column("owners", lambda row: tuple(owner.comm for owner in row.owners), "list"),
    ),
    lambda _: {},
    (Column("size", lambda row: row.size, "bytes"),),
    types,
)
ROWS = [
    Row(1, "xdp", "main", ("/sys/fs/bpf/main",), (Owner(10, "cilium-agent"),), 300),
    Row(2, "sched_cls", "filter", (), (Owner(10, "cilium-agent"), Owner(20, "tc")), 200),
    Row(3, "tracing", "Main", None, (Owner(30, "bpftrace"),), None),
    Row(4, 99, "", ("/sys/fs/bpf/a", "/sys/fs/bpf/b"), (), 100),
]


class Heard:
    """An output that remembers."""

    def __init__(self):
        self.ids = None

    def show(self, view, rows, *, listing):
        self.view, self.ids, self.listing = view, [row.id for row in rows], listing

    def watch(self, view, ask, *, listing, seconds):
        self.view, self.listing, self.seconds = view, listing, seconds
        self.rounds = [[row.id for row in ask()] for _ in range(2)]


class Kernel:
    """Something that yields rows, and remembers what it was asked for."""

    def __init__(self, rows=ROWS):
        self._rows = rows

    def __call__(self, which, *, pinned, owners):
        self.asked = which, pinned, owners
        yield from self._rows


def listed(wanted, *, options=None, which=None, depth=0):
    out, kernel = Heard(), Kernel()
    show(Session(out, options or Options(), depth), VIEW, kernel, which, wanted)
    return out, kernel


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (EVERYTHING, [1, 2, 3, 4]),
        (Wanted(type="xdp"), [1]),
        (Wanted(type="SCHED-CLS"), [2]),
        (Wanted(type="99"), [4]),
        (Wanted(type="kprobe"), []),
        (Wanted(name="main"), [1]),
        (Wanted(name="[Mm]ain"), [1, 3]),
        (Wanted(name="*i*"), [1, 2, 3]),
        (Wanted(name=""), [4]),
        (Wanted(owner="10"), [1, 2]),
        (Wanted(owner="tc"), [2]),
        (Wanted(owner="*trace"), [3]),
        (Wanted(owner="1"), []),
        (Wanted(owner="1" * 5000), []),
        (Wanted(pinned=True), [1, 4]),
        (Wanted(owner="cilium*", pinned=True), [1]),
        (Wanted(sort="-id"), [4, 3, 2, 1]),
        (Wanted(sort="size"), [4, 2, 1, 3]),
        (Wanted(sort="-size"), [1, 2, 4, 3]),
        (Wanted(sort="s"), [4, 2, 1, 3]),
        (Wanted(sort="type"), [4, 2, 3, 1]),
        (Wanted(sort="name"), [3, 2, 1, 4]),
        (Wanted(sort="-owners"), [2, 1, 3, 4]),
        (Wanted(sort="-id", pinned=True), [4, 1]),
    ],
)
def test_which_and_in_which_order(wanted, ids):
    """Together the filters must all hold; what has nothing in the column comes last in both orders."""
    out, _ = listed(wanted)

    assert out.ids == ids


@pytest.mark.parametrize(
    ("wanted", "options", "asked"),
    [
        (EVERYTHING, Options(), (False, "auto")),
        (EVERYTHING, Options(bpffs=True, no_owners=True), (True, "none")),
        (Wanted(pinned=True), Options(owners="proc"), (True, "proc")),
        (Wanted(owner="tc"), Options(no_owners=True), (False, "auto")),
        (Wanted(name="x"), Options(owners="none"), (False, "none")),
    ],
)
def test_a_filter_has_looked_up_what_it_needs(wanted, options, asked):
    _, kernel = listed(wanted, options=options)

    assert kernel.asked == (None, *asked)


def test_a_handle_is_no_listing():
    which = Select("name", "main")
    out, kernel = listed(Wanted(type="xdp"), which=which)

    assert kernel.asked[0] == which
    assert not out.listing


def test_an_empty_list_says_why():
    """Nothing is loaded, or nothing matches: these are two sentences."""
    assert listed(EVERYTHING)[0].view.empty == ""
    assert listed(Wanted(sort="id"))[0].view.empty == ""
    assert listed(Wanted(name="x"))[0].view.empty == "no things match"


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (Wanted(type="trace"), "unknown type 'trace' of things, did you mean "),
        (Wanted(type="xdb"), "unknown type 'xdb' of things, did you mean 'xdp'?"),
        (Wanted(type="zzzzzz"), "unknown type 'zzzzzz' of things"),
        (Wanted(sort="colour"), "can't sort things by 'colour', only one of: id, type, name, owners, size"),
        (Wanted(sort="-"), "can't sort things by '', only one of: id, type, name, owners, size"),
        (Wanted(watch=0), "can't wait 0 seconds between two rounds of --watch"),
        (Wanted(watch=float("nan")), "can't wait nan seconds between two rounds of --watch"),
    ],
)
def test_mistakes(wanted, sentence):
    with pytest.raises(UsageError) as caught:
        listed(wanted)

    assert str(caught.value).startswith(sentence)


def test_similar_types_are_named():
    """Those that look alike, and those that contain the word."""
    with pytest.raises(UsageError) as caught:
        listed(Wanted(type="cls"))

    assert str(caught.value) == "unknown type 'cls' of things, did you mean 'sched_cls'?"


def test_watching_asks_again_in_each_round():
    out, _ = listed(Wanted(watch=1.5, sort="-id", type="xdp"))

    assert out.rounds == [[1], [1]]
    assert out.seconds == 1.5


def test_watching_is_not_for_a_batch():
    with pytest.raises(UsageError, match="no command for a batch"):
        listed(Wanted(watch=1), depth=1)


TEXTS = st.text("ab*?[]", max_size=4)
ANY_ROWS = st.lists(
    st.builds(Row, st.integers(1, 9), st.sampled_from(["xdp", "kprobe", 7]), TEXTS, size=st.none() | st.integers(0, 9))
)


@given(ANY_ROWS, st.sampled_from(["id", "type", "name", "size", "owners"]), st.booleans())
def test_sorting_keeps_every_row(rows, column, backwards):
    """Equal rows keep the order of ids, and a type without a name is no obstacle."""
    out = Heard()
    kernel = Kernel(list(enumerate_ids(rows)))
    show(Session(out, Options()), VIEW, kernel, None, Wanted(sort=("-" if backwards else "") + column))

    assert sorted(out.ids) == list(range(len(rows)))


def enumerate_ids(rows):
    for at, row in enumerate(rows):
        yield row._replace(id=at)


@given(ANY_ROWS, TEXTS)
def test_any_glob_is_a_filter(rows, glob):
    out = Heard()
    show(Session(out, Options()), VIEW, Kernel(rows), None, Wanted(name=glob))

    assert len(out.ids) <= len(rows)


class Written:
    """An output into memory that is no terminal, as plain text or JSON."""

    def __init__(self, options):
        from bpfctl.cli.voice import output

        self.sink = Memory()
        self.session = Session(output(self.sink, options), options)


def written(wanted, **options):
    """Return what a list writes into a pipe, and what the kernel was asked for."""
    run, kernel = Written(Options()._replace(**options)), Kernel()
    show(run.session, VIEW, kernel, None, wanted)
    run.session.out.close()
    return run.sink.text, kernel


def test_columns_in_a_pipe_stand_between_tabs_with_exact_values():
    """As they are named, the details too; a dash where there is nothing, as shells take several tabs for one."""
    text, _ = written(Wanted(fields=["size,id", "owners"]))

    assert text == "300\t1\tcilium-agent\n200\t2\tcilium-agent,tc\n-\t3\tbpftrace\n100\t4\t-\n"


def test_csv_has_all_columns_and_their_titles():
    text, _ = written(Wanted(csv=True))

    assert text.split("\r\n") == [
        "id,type,name,owners,size",
        "1,xdp,main,cilium-agent,300",
        '2,sched_cls,filter,"cilium-agent,tc",200',
        "3,tracing,Main,bpftrace,",
        "4,99,,,100",
        "",
    ]


def test_csv_of_some_columns_without_titles():
    assert written(Wanted(csv=True, fields=["name"], no_header=True))[0] == "main\r\nfilter\r\nMain\r\n\r\n"


def test_json_of_some_columns_has_numbers_and_lists():
    text, _ = written(Wanted(fields=["id", "owners", "size"], name="[mM]ain"), json=True)

    assert json.loads(text) == [
        {"id": 1, "owners": ["cilium-agent"], "size": 300},
        {"id": 3, "owners": ["bpftrace"], "size": None},
    ]


def test_columns_work_together_with_filters_and_order():
    assert written(Wanted(fields=["id"], sort="-size", owner="10"))[0] == "1\n2\n"


@pytest.mark.parametrize(
    ("wanted", "owners"),
    [
        (Wanted(fields=["id"]), "none"),
        (Wanted(fields=["id,owners"]), "auto"),
        (Wanted(fields=["id"], sort="-owners"), "auto"),
        (Wanted(fields=["id"], owner="tc"), "auto"),
        (Wanted(csv=True), "auto"),
    ],
)
def test_owners_are_looked_for_where_they_are_used(wanted, owners):
    """They cost more than all the rest of a list."""
    _, kernel = written(wanted)

    assert kernel.asked[2] == owners


def test_what_is_no_column():
    with pytest.raises(UsageError, match=r"things have no column 'nme', did you mean 'name'\?"):
        written(Wanted(fields=["id,nme"]))
    with pytest.raises(UsageError, match="things have no column '', only one of: id, type, name, owners, size"):
        written(Wanted(fields=["id,"]))


def test_csv_is_neither_json_nor_repeated():
    with pytest.raises(UsageError, match="--csv is a form of its own"):
        written(Wanted(csv=True), json=True)
    with pytest.raises(UsageError, match="--csv is one table, and --watch shows many"):
        written(Wanted(csv=True, watch=1.0))


def test_pins_are_looked_for_where_they_are_shown_or_sorted_by():
    """Without -f, too."""
    view = VIEW._replace(columns=(*VIEW.columns, Column("pinned", lambda row: row.pinned, "list")))
    asked = []
    for wanted in Wanted(fields=["pinned"]), Wanted(fields=["id"], sort="pinned"), Wanted(fields=["id"]):
        run, kernel = Written(Options()), Kernel()
        show(run.session, view, kernel, None, wanted)
        asked.append(kernel.asked[1])

    assert asked == [True, True, False]

"""bpfctl map diff: what differs between two maps, or a map and a file."""

from __future__ import annotations

from contextlib import ExitStack

from bpfctl.cli import grammar, opt
from bpfctl.cli.map_save import fits_cpus, open_saved
from bpfctl.errors import Nothing
from bpfctl.kernel.compare import Comparison, finder
from bpfctl.kernel.elements import Walk
from bpfctl.kernel.map import Map
from bpfctl.kernel.map_types import types
from bpfctl.kernel.restore import check_alike
from bpfctl.kernel.saved_entry import Entries
from bpfctl.views.difference import Differences
from bpfctl.views.element import Shape

_DIFFERENT = 1


def diff(ctx: opt.Context, words: opt.Words = None, *, cpus: opt.Cpus = None, from_: opt.From = None) -> None:
    """Show what differs between two maps, or a map and a file, with exit code 1 if anything does.

    Exit code 1 if anything differs. - is before what only the first has, + before what only the second has, and ~
    before what became of what both have.
    """
    left = grammar.Words(words)
    left.at_least(3, "diff")
    which = grammar.map_(left)
    fit = fits_cpus(cpus)
    with ExitStack() as opened:
        first = opened.enter_context(Map.one(which))
        info = first.info()
        told = types(info)
        if len(left) == 1:
            saved = open_saved(left.next("the file"), opened)
            saved.begin(from_)
            form = Entries(info, told, fit_cpus=fit)
            saved.fits(form)
            found = opened.enter_context(Comparison(first))
            found.run(saved.chunks(form))
            ours, theirs, swapped = found.only_asked, found.only_walked, True
        else:
            second = opened.enter_context(Map.one(grammar.map_(left)))
            left.end()
            check_alike(info, second.info())
            told = told or types(second.info())
            found = opened.enter_context(Comparison(second))
            found.run(Walk(first, info).told(), finder(first, info))
            ours, theirs, swapped = found.only_walked, found.only_asked, False
        shown = Differences(Shape(info, told), swapped=swapped)
        ctx.obj.out.parts(
            [
                shown.only("-", "only_first", "first", ours),
                shown.only("+", "only_second", "second", theirs),
                shown.changed(found.changed),
            ]
        )
    if found.found:
        raise Nothing(_DIFFERENT)

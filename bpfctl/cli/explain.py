"""bpfctl explain: what a word of BPF means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.cli import grammar, opt, voice
from bpfctl.errors import NotFound

if TYPE_CHECKING:
    from bpfctl.cli.session import Session

_NEAR = 3  # words that are named
_OTHER_NAME = "bpf_func_"  # of helpers, which have a better one
_WIDEST = 100  # columns: longer lines are no pleasure to read


def show(ctx: opt.Context, words: opt.Words = None) -> None:
    """Explain a word: a type of programs, maps, links or attachments, a helper, kfunc, flag, section or errno.

    Told are since which kernel there is such a thing, which capabilities it takes, and whether this kernel has it.
    A word may mean several things, of which all are told. Exit code 3 for a word that means nothing.
    """
    from bpfctl.explain import here, meaning
    from bpfctl.views import explain as view

    left = grammar.Words(words)
    word = left.next("the word to explain")
    left.end()
    found = meaning.of(word)
    kernel = here.Here()
    explained = [kernel.explained(one) for one in found] or list(kernel.kfuncs(word.removesuffix("()")))
    if not explained:
        raise NotFound(_unknown(word))
    kernel.save()
    value = {"word": word, "meanings": [view.json(one) for one in explained]}
    ctx.obj.out.lines(view.lines(explained, _width(ctx.obj)), value)


def _unknown(word: str) -> str:
    """Return what is said of a word that means nothing here, and which similar ones mean something."""
    from difflib import get_close_matches

    from bpfctl.explain import meaning
    from bpfctl.feature.kfunc_names import KNOWN

    if word in KNOWN:
        return f"{word} is a function that other kernels let programs call: this one does not have it, or does not tell"
    told = ((name.lower(), name) for name, _ in meaning.words())
    known = {low: name for low, name in told if word.lower().startswith(_OTHER_NAME) or not low.startswith(_OTHER_NAME)}
    within = [name for name in known if word.lower() in name] if len(word) > 1 else []
    names = dict.fromkeys([*get_close_matches(word.lower(), known, _NEAR), *within])
    *some, last = [f"'{known[name]}'" for name in names][:_NEAR] or [""]
    near = f", did you mean {', '.join(some)} or {last}?" if some else f", did you mean {last}?" if last else ""
    return f"nothing of BPF is named '{word}'{near}"


def _width(session: Session) -> int | None:
    """Return how wide lines may be; None for a pipe, whose reader decides."""
    if not voice.is_table(session.out.sink, session.options):
        return None
    from shutil import get_terminal_size

    return min(get_terminal_size().columns, _WIDEST)

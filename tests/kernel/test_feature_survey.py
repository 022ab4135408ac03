"""Many helpers by one load: the same answers as by a load for each, by fewer loads, and whatever the log says."""

from __future__ import annotations

import re

import pytest

from bpfctl._sys import calls
from bpfctl.feature import helpers, kernel, rights, survey
from bpfctl.feature.answer import YES
from bpfctl.uapi.enums import ProgType

KINDS = (ProgType.SOCKET_FILTER, ProgType.KPROBE, ProgType.XDP, ProgType.SOCK_OPS)


def ask(types):
    """Return the answers about the helpers of some types, by way of a survey."""
    surveyed = helpers.survey_all(types, full=True)
    return {
        kind: helpers.on_kernel(kind, answer, rights.present(), full=True, unprivileged=False, survey=surveyed)
        for kind, answer in types.items()
    }


@pytest.fixture(scope="module")
def types():
    return {kind: answer for kind, answer in kernel.Prober().prog_types().items() if kind in KINDS}


@pytest.fixture(scope="module")
def truth(types):
    """The answers by a load for each helper."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(survey.Survey, "look", lambda *_, **__: None)
        found = ask(types)
    assert {answer.can for answer in found[ProgType.XDP].values()} == {"yes", "no"}
    return found


def test_same_answers(types, truth):
    assert ask(types) == truth


LINE = re.compile(r"(\d+): [.\d]{10}(.* call \S+#)(\d+)")
FAR = 0x7FFFFFFF
LIES = {
    "unknown calls read nothing": lambda log: log.replace(".12345....", ".........."),
    "each helper has four arguments, in all types": lambda log: LINE.sub(
        lambda line: f"{line[1]}: {'.12345....' if int(line[3]) == FAR else '.1234.....'}{line[2]}{line[3]}", log
    ),
    "all calls read five": lambda log: LINE.sub(r"\1: .12345....\2\3", log),
    "half of it": lambda log: log[: len(log) // 2],
    "each line is longer": lambda log: log.replace("\n", " ; zext\n"),
    "marks between": lambda log: log.replace(" (85)", " p (85)"),
    "other words": lambda log: log.replace("(85)", "call"),
    "nothing": lambda _: "",
    "other registers": lambda log: LINE.sub(r"\1: ......789.\2\3", log),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_what_the_log_says_is_not_believed(types, truth, lie, monkeypatch):
    """Whatever other kernels write there, the answers are true."""
    honest, logs = survey._log, []

    def told(*words):
        log = honest(*words)
        logs.append((log, lie(log)))
        return logs[-1][1]

    monkeypatch.setattr(survey, "_log", told)

    assert ask(types) == truth
    assert any(log != lied for log, lied in logs) or not any(LINE.search(log) for log, _ in logs)


@pytest.mark.parametrize("kind", KINDS)
def test_a_lie_about_one_type(types, truth, kind, monkeypatch):
    """What another type has taught is not believed either."""
    honest = survey._log

    def lie(of, *words):
        log = honest(of, *words)
        return LIES["all calls read five"](log) if of == kind else log

    monkeypatch.setattr(survey, "_log", lie)

    assert ask(types) == truth


def test_fewer_loads(types, truth):
    """Where the verifier writes down what registers are read, there are fewer by half already with few types."""
    asked = []
    calls.set_trace(lambda *words: asked.append(words))
    try:
        found = ask(types)
    finally:
        calls.set_trace(None)
    log = survey._log(ProgType.XDP, list(truth[ProgType.XDP]), {})
    limit = 0.6 if "Live regs before insn" in log else 1.1

    assert found == truth
    assert 0 < len(asked) < limit * sum(map(len, truth.values()))
    assert any(answer.can == YES for answer in found[ProgType.XDP].values())

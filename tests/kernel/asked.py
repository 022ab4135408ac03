"""What bpfctl feature probe --full-report answers, for tests that know better."""

from __future__ import annotations

import json
import os

from tests.kernel import hardship


def report(place=None):
    """Return the report as JSON."""
    outcome = hardship.bpfctl("-j", "feature", "probe", "--full-report", "--fresh", hardship=place)
    assert (outcome.code, outcome.err) == (0, "")
    found = json.loads(outcome.out)
    assert found["format"] == 1
    return found


def answers(found):
    """Return each feature's answer, by list and name."""
    there = {
        (name, one["name"]): one["available"]
        for name, features in found.items()
        if isinstance(features, list) and name != "helpers"
        for one in features
    }
    for place in found["helpers"]:
        word = place["program_type"]
        for said, helpers in ((True, "available"), (False, "not_available"), (None, "cannot_be_told")):
            there |= {(word, helper): said for helper in place[helpers]}
    return there


def works(act, *arguments):
    """Return whether it can be done, that is raises no OSError; an integer that it returns is a descriptor to close."""
    try:
        made = act(*arguments)
    except OSError:
        return False
    if isinstance(made, int):
        os.close(made)
    return True

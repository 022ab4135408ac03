"""Releases of Linux, as different distributions tell them."""

from __future__ import annotations

import os

import pytest

from bpfctl.host import version


@pytest.mark.parametrize(
    ("signature", "names", "release"),
    [
        (None, ("6.18.5-odd", "#1 SMP PREEMPT_DYNAMIC"), "6.18.5-odd"),
        (None, ("4.19.0-22-amd64", "#1 SMP Debian 4.19.260-1 (2022-09-29)"), "4.19.260"),
        ("Ubuntu 5.4.0-12.15-generic 5.4.8\n", ("5.4.0-12-generic", "#15-Ubuntu SMP"), "5.4.8"),
        ("something else\n", ("5.4.7-odd", "#1"), "5.4.7-odd"),
    ],
)
def test_where_it_is_told(signature, names, release, tmp_path, monkeypatch):
    """Ubuntu and Debian leave the last number of the release at 0."""
    file = tmp_path / "version_signature"
    if signature is not None:
        file.write_text(signature)
    monkeypatch.setattr(version, "_SIGNATURE", str(file))
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "host", *names, "x86_64")))

    assert version.running() == release


@pytest.mark.parametrize(("release", "code"), [("6.18.5", 0x61205), ("4.19.325-generic", 0x413FF), ("7.2", 0), ("", 0)])
def test_codes(release, code):
    """The last number has eight bits."""
    assert version.code(release) == code

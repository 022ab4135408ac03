"""bpfctl.host.kernel_config: how a kernel was built, from several places."""

from __future__ import annotations

import gzip

import pytest

from bpfctl.host import kernel_config

SIGN = b"#\n# Automatically generated file; DO NOT EDIT.\n"


def read(tmp_path, *texts, at_once=False):
    """Read files of these contents in turn; None is one that is not there."""
    paths = []
    for number, text in enumerate(texts):
        paths.append(str(tmp_path / str(number)))
        if text is not None:
            (tmp_path / str(number)).write_bytes(text)
    return kernel_config._read(*paths, at_once=at_once)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "packed"])
def test_options(tmp_path, pack):
    config = read(
        tmp_path, pack(SIGN + b'CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C="a b=c"\nCONFIG_A=n\nCONFIG_D=\n')
    )

    assert config.options == {"CONFIG_A": "y", "CONFIG_C": '"a b=c"'}
    assert config.path == str(tmp_path / "0")
    assert config.complaint == ""


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "can't open file: No such file or directory"),
        (b"", "can't read from file: Success"),
        (b"CONFIG_A=y\nCONFIG_B=y\n", "can't find correct file"),
        (gzip.compress(SIGN)[:-9], "can't read from file: "),
        (b"\x1f\x8bnonsense", "can't read from file: "),
    ],
)
def test_what_is_none(tmp_path, text, complaint):
    config = read(tmp_path, text)

    assert config.options == {}
    assert config.complaint.startswith(complaint)


def test_the_first_that_is_right_counts(tmp_path):
    there = SIGN + b"CONFIG_A=y\n"

    assert read(tmp_path, None, b"", there, SIGN).path == str(tmp_path / "2")
    assert read(tmp_path, None, b"", there, at_once=True).options == {}
    assert read(tmp_path, None, there, at_once=True).options == {"CONFIG_A": "y"}

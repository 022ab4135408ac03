"""The configuration that a kernel was built with, from the places where distributions and kernels leave it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_SIGN = "# Automatically generated file; DO NOT EDIT."
_GZIP = b"\x1f\x8b"
_PROC = "/proc/config.gz"
_BOOT = "/boot/config-{release}"


class Config(NamedTuple):
    """Options by their names, and the file that they come from; or why there are none."""

    options: dict[str, str]
    path: str
    complaint: str = ""


def bpftools() -> Config:
    """Read the configuration as bpftool does: the first of two places that there is, right or wrong."""
    return _read(_BOOT, _PROC, at_once=True)


def running() -> Config:
    """Read the configuration of the running kernel from the first place that has one."""
    places = (_PROC, _BOOT, "/lib/modules/{release}/config", "/usr/lib/modules/{release}/config")
    return _read(*places, "/lib/modules/{release}/build/.config", at_once=False)


def _read(*places: str, at_once: bool) -> Config:
    release = os.uname().release
    config = Config({}, "", f"can't open file: {os.strerror(2)}")
    for place in places:
        path = place.format(release=release)
        try:
            with open(path, "rb") as file:
                raw = file.read()
        except OSError as error:
            if not config.path:
                config = Config({}, "", f"can't open file: {error.strerror}")
            continue
        config = _parse(path, raw)
        if config.options or at_once:
            break
    return config


def _parse(path: str, raw: bytes) -> Config:
    if raw.startswith(_GZIP):
        import gzip  # noqa: PLC0415 - few commands read it
        import zlib  # noqa: PLC0415

        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            return Config({}, path, f"can't read from file: {error}")
    lines = raw.decode(errors="replace").splitlines()
    if len(lines) < 2:
        return Config({}, path, "can't read from file: Success")
    if lines[1] != _SIGN:
        return Config({}, path, "can't find correct file")
    return Config(_options(lines), path)


def _options(lines: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines[2:]:
        name, _, value = line.partition("=")
        if value and name.startswith("CONFIG_"):
            found.setdefault(name, value)
    return found

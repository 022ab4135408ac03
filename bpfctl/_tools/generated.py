"""What generators of texts have in common: they write files, or with --check tell which are stale."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).resolve().parents[2]


def main(tool: str, doc: str, folder: str, generate: Callable[[], Mapping[str, str]]) -> int:
    """Write a folder of files, or compare it; the exit code is 1 when one is stale, or none of ours."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--check", action="store_true", help="only compare")
    is_check = parser.parse_args().check
    home, wanted = ROOT / folder, generate()
    there = {path.name: path.read_text() for path in home.iterdir()} if home.exists() else {}
    stale = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
    for name in stale:
        if is_check:
            print(f"{folder}/{name} is stale: run python -m bpfctl._tools.{tool}")
        elif name in wanted:
            home.mkdir(parents=True, exist_ok=True)
            (home / name).write_text(wanted[name])
        else:
            (home / name).unlink()
    return int(is_check and bool(stale))

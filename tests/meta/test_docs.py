"""The documentation is true: its examples run, its commands exist, and no command is missing from it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bpfctl.cli.table import OBJECTS
from btf.relo_kind import FIELD_BYTE_OFFSET
from btf.write import Builder
from tests.build.bpf_object import Relo, bpf_object

ROOT = Path(__file__).resolve().parents[2]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{doc.stem}-{number}")
    for doc in DOCS
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", doc.read_text(), re.MULTILINE | re.DOTALL))
]
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@NEEDS_ROOT
@pytest.mark.parametrize("block", BLOCKS)
def test_python_in_the_documents_runs(block, tmp_path):
    # Ids and files are made up in the text; any map and any object will do, so one is there.
    types = Builder()
    task = types.add_struct("task_struct", 8, [("pid", types.add_int("int", 4), 32)])
    (tmp_path / "program.o").write_bytes(bpf_object(types, [Relo(task, "0:0", FIELD_BYTE_OFFSET, 4)]))
    code = (
        "import bpfctl\nheld = bpfctl.Map.create(bpfctl.MapType.ARRAY, 4, 8, 1)\n"
        + block.replace("by_id(7)", "by_id(held.info().id)")
        + "\nheld.close()\n"
    )
    python = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(python, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")


@NEEDS_ROOT
@pytest.mark.parametrize("example", sorted((ROOT / "docs" / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_examples_run(example):
    done = subprocess.run([sys.executable, "-W", "error", example], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_every_command_is_documented():
    text = (ROOT / "docs" / "commands.md").read_text().replace("\\|", "|")
    missing = [
        f"{name} {command.word}"
        for name, commands in OBJECTS.items()
        for command in commands
        if command.run and not re.search(rf"`[^`]*\b{name} (\w+\|)*{command.word}\b", text)
    ]

    assert missing == []


def test_links_between_documents_lead_somewhere():
    broken = [
        f"{doc.name}: {target}"
        for doc in DOCS
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", doc.read_text())
        if not (doc.parent / target).exists()
    ]

    assert broken == []


def test_links_to_headings_lead_to_some():
    """By the names that GitHub and MkDocs both give them."""
    broken = [
        f"{doc.name}: {target}#{name}"
        for doc in DOCS
        for target, name in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", doc.read_text())
        if name not in headings(doc.parent / target if target else doc)
    ]

    assert broken == []


def headings(doc):
    """Return the names by which the headings of a document can be linked to."""
    text = re.sub(r"^```.*?^```", "", doc.read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_picture_of_the_house_names_every_room():
    text = (ROOT / "docs" / "architecture.md").read_text()
    rooms = {f"{path.parent.name}/" for path in (ROOT / "bpfctl").glob("*/__init__.py")} | {
        "btf/",
        "plugins/",
        "tests/",
    }

    assert {room for room in rooms if room not in text} == set()


def test_the_picture_of_the_house_has_its_floors():
    """They are those that are checked."""
    picture = (ROOT / "docs" / "architecture.md").read_text().split("```")[1]
    rows = re.findall(r"^.{12}│(.{39})│", picture, re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = {one["name"]: one for one in project["tool"]["importlinter"]["contracts"]}
    floors = [re.findall(r"\w+$|\w+(?= \|)", floor) for floor in contracts["Rooms are layered"]["layers"]]

    assert [sorted(floor) for floor in floors] == [sorted(re.findall(r"\w+", row)) for row in rows]


def test_the_site_has_every_page():
    site = (ROOT / "mkdocs.yml").read_text()
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    missing = [page for page in pages if f"- {page}\n" not in site and not page.startswith(("reference/", "examples/"))]

    assert missing == []
    assert "- reference/index.md\n" in site  # which leads to the others


@pytest.mark.parametrize("columns", [80, 200])
def test_a_newcomer_met_no_fault(columns):
    """What is kept of the first quarter of an hour (docs/quarter_hour.py) shows no errors but for the two slips."""
    text = (ROOT / "docs" / "screens" / f"quarter-hour-{columns}.txt").read_text()

    assert ["unknown command", "no map"] == re.findall(r"^Error: (\w+ \w+)", text, re.MULTILINE)
    assert not re.search("Traceback|WARNING|Exception", text)
    assert max(map(len, text.splitlines())) <= columns

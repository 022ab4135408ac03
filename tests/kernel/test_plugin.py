"""A plugin of somebody else's: the one that docs/plugins.md tells of, installed as any other package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.kernel.command import BPFCTL, CHECKOUT, ENVIRONMENT
from tests.kernel.probing import ends

EXAMPLE = CHECKOUT / "docs" / "examples" / "bpfctl_process"


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Install the example into a folder of its own."""
    source = shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("source") / EXAMPLE.name)  # a build leaves things there
    folder = tmp_path_factory.mktemp("installed")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*install, "--target", folder, source], check=True)
    return {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join([ENVIRONMENT["PYTHONPATH"], str(folder)])}


def run(environment, *words):
    done = subprocess.run([*BPFCTL, *words], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_it_is_listed(environment):
    found = {row["kind"]: row for row in json.loads(run(environment, "-j", "plugin", "list"))}

    assert found["process"]["distribution"] == "bpfctl-process"
    lines = run(environment, "-j", "probe", "list", "process:*").splitlines()
    assert [json.loads(line)["target"] for line in lines] == ["exec", "exit", "fork"]


def test_a_trace_of_it(environment):
    fields = ["--fields", "args.name,args.pid,args.parent"]
    command = [*BPFCTL, "-j", "probe", "trace", "process:exec", *fields, "--limit", "1"]
    where = ["--where", f"parent == {os.getpid()} && name == 'true'"]
    with subprocess.Popen([*command, *where], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert ends(process, lambda: subprocess.run(["true"], check=True))
        hit = json.loads(process.stdout.readline())

    assert (hit["probe"], hit["args"]["name"], hit["args"]["parent"]) == ("process:exec", "true", os.getpid())
    (shown,) = [json.loads(run(environment, "-j", "probe", "show", "process:fork"))]
    assert shown["attach"] == "raw tracepoint"
    assert {field["name"] for field in shown["fields"]} == {"pid", "parent", "name", "code"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["count", "process:exec", "--by", "name"], "counts"),
        (["hist", "process:exit", "--of", "code"], "histograms"),
        (["latency", "--from", "process:fork", "--to", "process:exit", "--key", "args.pid"], "histograms"),
        (["stacks", "process:fork"], "stacks"),
    ],
    ids=["count", "hist", "latency", "stacks"],
)
def test_all_other_actions_work_with_it(environment, words, told):
    command = [*BPFCTL, "-j", "probe", *words, "--where", f"parent == {os.getpid()}", "--duration", "1"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert ends(process, lambda: subprocess.run(["true"], check=True))
        rows = json.load(process.stdout)[told]

    assert sum(row["count"] for row in rows) > 0
    assert {row.get("name", "true") for row in rows} == {"true"}

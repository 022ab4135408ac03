"""Names of addresses in processes that have ended, that see other files, and that compile their own code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from errno import EACCES
from pathlib import Path

import pytest

from bpfctl.symbols import follow, user
from bpfctl.symbols.files import _places
from bpfctl.symbols.frame import Frame
from bpfctl.symbols.user import Users
from tests.build.called import built
from tests.build.stacked import CHAIN, TELLING, telling
from tests.kernel.command import CHECKOUT, ENVIRONMENT

#: Maps code without a file and tells of a function in it, as compilers do; the argument is whom to become before that.
JIT = TELLING + (
    r"""
#include <sys/mman.h>
int main(int count, char **words)
{
    char path[64];
    char *code = mmap(0, 65536, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
    if (count > 1 && setuid(atoi(words[1]))) return 1;
    FILE *map = fopen(path, "w");
    fprintf(map, "%lx 40 py::main:/srv/app.py\n%lx 10 Builtin:Add\n", (long)code, (long)(code + 0x40));
    fclose(map);
    TELL("code", code);
    waits();
}
"""
)


@pytest.fixture
def users():
    with Users() as known:
        known.follow()
        assert known.follows
        yield known


@pytest.fixture(scope="module")
def chain():
    return built("chain-pie", CHAIN, "-funwind-tables", "-pie", "-fPIE")


def test_started_and_ended(users, chain):
    """Nobody has looked at the process while it ran."""
    with telling(chain) as told:
        pass
    users.poll()
    frames = users.frames(told.pid, told.addresses["stack"])

    assert [frame.name for frame in frames][:4] == ["leaf", "middle", "outer", "main"]
    assert "libc" in frames[-2].module
    assert users.lost == 0


def test_ran_before_and_ended(chain):
    with telling(chain) as told, Users() as users:
        users.follow()
    with users:
        assert [frame.name for frame in users.frames(told.pid, told.addresses["stack"])][:3] == [
            "leaf",
            "middle",
            "outer",
        ]


def test_what_a_library_was(users):
    """A library that was loaded, called and given back between two looks."""
    library = built("libfleeting.so", "int fleeting(void) { return 1; }", "-shared", "-fPIC")
    source = TELLING + (
        r"""
#include <dlfcn.h>
int main(int count, char **words)
{
    void *library = dlopen(words[1], RTLD_NOW);
    TELL("fleeting", dlsym(library, "fleeting"));
    dlclose(library);
    waits();
}
"""
    )
    with telling(built("loads", source, "-ldl"), library) as told:
        users.poll()

        assert users.frames(told.pid, [told["fleeting"]]) == [Frame("fleeting", 0, str(library))]


def test_child_has_what_its_parent_has(users):
    """A process that forked is known without a look, also when it has ended."""
    source = TELLING + (
        r"""
#include <sys/wait.h>
ALONE int work(int by) { return by * 2; }
int main(void)
{
    pid_t child = fork();
    if (!child) _exit(work(0));
    waitpid(child, 0, 0);
    TELL("work", work);
    TELL("child", (long)child);
    waits();
}
"""
    )
    path = built("forks", source)
    with telling(path) as told:
        users.poll()

        assert users.frames(told["child"], [told["work"]]) == [Frame("work", 0, str(path))]


def test_earlier_program(users, chain):
    """What a process was before it executed another program is known by its addresses."""
    source = TELLING + (
        r"""
ALONE int before(int by) { return by * 3; }
int main(int count, char **words)
{
    TELL("before", before);
    fflush(stdout);
    execv(words[1], words + 1);
    return before(count);
}
"""
    )
    path = built("becomes", source)
    with telling(path, chain) as told:
        users.poll()
        frames = users.frames(told.pid, [told["before"]]) + users.frames(told.pid, [told["outer"]])

        assert frames == [Frame("before", 0, str(path)), Frame("outer", 0, str(chain))]


def test_one_process_alone(chain):
    with telling(chain) as told, telling(chain) as other, Users(told.pid) as users:
        users.follow()
        users.poll()

        assert set(users._spaces) == {told.pid}
        assert [users.frames(one.pid, [one["leaf"]])[0].name for one in (told, other)] == ["leaf", "leaf"]


def test_kernel_that_refuses(monkeypatch, chain):
    """Without the right to follow, what runs is known."""

    def refused(*_args, **_members):
        raise PermissionError(EACCES, os.strerror(EACCES))

    monkeypatch.setattr(follow.perf, "open_event", refused)
    with Users() as users:
        users.follow()
        users.poll()
        with telling(chain) as told:
            assert not users.follows
            assert users.frames(told.pid, [told["leaf"]])[0].name == "leaf"


@contextmanager
def container(tmp_path, program):
    """A folder with a program and what it needs, which is the root folder of a process in its own namespaces."""
    root = tmp_path / "container"
    (root / "tmp").mkdir(parents=True)
    (root / "opt").mkdir()
    shutil.copy(program, root / "opt" / "program")
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "chroot", root, "/opt/program"]
    with telling(*command) as told:
        inside = Path(f"/proc/{told.pid}/task/{told.pid}/children").read_text().split()
        told.pid = int(inside[0])
        yield told, root


@pytest.mark.parametrize("layout", ["separate-code", "noseparate-code", "noseparate-code,-z,max-page-size=0x200000"])
def test_container(users, tmp_path, layout):
    """Paths are as the process sees them, and the files those that it has mapped; also when it has ended."""
    options = ("-funwind-tables", "-static-pie", "-fPIE", f"-Wl,-z,{layout}")
    program = built(f"chain-static-pie-{layout}", CHAIN, *options)
    with container(tmp_path, program) as (told, root):
        (root / "opt" / "program").rename(root / "opt" / "moved")
        (root / "opt" / "program").write_bytes(b"something else")
        users.poll()

        assert users.frames(told.pid, [told["middle"]]) == [Frame("middle", 0, "/opt/program")]
    users.poll()
    assert users.frames(told.pid, [told["outer"]]) == [Frame("outer", 0, "/opt/program")]


def test_container_without_its_memory(users, tmp_path, monkeypatch):
    """Where the kernel does not lead to the mapped files themselves, their paths do, from the process's root folder."""
    monkeypatch.setattr("bpfctl.symbols.files._places", lambda mapping, pid: list(_places(mapping, pid))[1:])
    with container(tmp_path, built("chain-static-pie", CHAIN, "-funwind-tables", "-static-pie", "-fPIE")) as (told, _):
        assert users.frames(told.pid, [told["middle"]]) == [Frame("middle", 0, "/opt/program")]


@contextmanager
def compiler(*words):
    """A process that compiles; its file goes with it, and not before."""
    with telling(built("jit", JIT), *words) as told:
        try:
            yield told
        finally:
            os.unlink(f"/tmp/perf-{told.pid}.map")


def test_compiled_at_run_time(users):
    with compiler() as told:
        code = told["code"]

        assert users.frames(told.pid, [code + 1, code + 0x40, code + 0x45]) == [
            Frame("py::main:/srv/app.py", 1, "[jit]"),
            Frame("py::main:/srv/app.py", 0x40, "[jit]"),
            Frame("Builtin:Add", 5, "[jit]"),
        ]
        assert users.frames(told.pid, [code + 0x60]) == [Frame("", code + 0x60)]
        with open(f"/tmp/perf-{told.pid}.map", "a") as file:
            file.write(f"{code + 0x60:x} 8 later\n{code:x} 8 newer\n")
        users.poll()
        assert [users.frames(told.pid, [code + at])[0].name for at in (0x60, 4)] == ["later", "newer"]


def test_compiled_by_another_user(users):
    """The file of a process is its user's."""
    with compiler("65534") as told:
        users.poll()
        assert os.stat(f"/tmp/perf-{told.pid}.map").st_uid == 65534

        assert users.frames(told.pid, [told["code"]])[0].module == "[jit]"


def test_compiled_by_many(users, monkeypatch):
    """What is too much in all is read again."""
    monkeypatch.setattr(user, "_MOST_COMPILED", 1)
    with compiler() as one, compiler() as other:
        for told in (one, other) * 3:
            users.poll()
            assert users.frames(told.pid, [told["code"]])[0].name == "py::main:/srv/app.py"
            assert sum(functions.size for functions in users._maps.values() if functions) == 2


def test_compiled_and_ended(users):
    """The file of a process outlives it, and is read if the process was seen to have code of its own."""
    with compiler() as told:
        users.poll()
        told.end()

        assert users.frames(told.pid, [told["code"] + 1]) == [Frame("py::main:/srv/app.py", 1, "[jit]")]


def test_compiled_in_a_container(users, tmp_path):
    """The file has the number that the process has for itself."""
    with container(tmp_path, built("jit-static", JIT, "-static")) as (told, root):
        assert [one.name for one in (root / "tmp").iterdir()] == ["perf-1.map"]
        assert users.frames(told.pid, [told["code"] + 1]) == [Frame("py::main:/srv/app.py", 1, "[jit]")]


@pytest.mark.parametrize("how", ["link", "link to the folder", "of somebody else", "pipe"])
def test_compiled_by_nobody_we_trust(users, tmp_path, how):
    """Names are taken from a file that the process or root has written, and from nowhere else."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with container(tmp_path, built("jit-static", JIT, "-static")) as (told, root):
        file = root / "tmp" / "perf-1.map"
        if how == "link":
            file.rename(elsewhere / "map")
            file.symlink_to(elsewhere / "map")
        elif how == "link to the folder":
            file.rename(elsewhere / "perf-1.map")
            (root / "tmp").rmdir()
            (root / "tmp").symlink_to(elsewhere)
        elif how == "pipe":
            file.unlink()
            os.mkfifo(file)
        else:
            os.chown(file, 12345, 12345)

        assert users.frames(told.pid, [told["code"] + 1]) == [Frame("", told["code"] + 1)]


def test_records_that_were_lost(monkeypatch, stack, chain):
    """What the kernel had no room to tell is counted, and looked up."""
    monkeypatch.setattr(follow, "_SIZES", (4096,))
    with Users() as users:
        users.follow()
        with telling(chain) as told:
            for _ in range(40):
                subprocess.run(["true"], check=True)
            affinity = os.sched_getaffinity(0)
            stack.callback(os.sched_setaffinity, 0, affinity)
            for cpu in affinity:  # the kernel tells of a loss when there is room again
                users.poll()
                os.sched_setaffinity(0, {cpu})
                subprocess.run([sys.executable, "-I", "-S", "-c", ""], check=True)
            users.poll()

            assert users.lost > 0
            assert users.frames(told.pid, [told["leaf"]])[0].name == "leaf"


INSIDE = """
import os, sys
from bpfctl.symbols.user import Users
from tests.build.stacked import telling
with Users() as users:
    users.follow()
    with telling(sys.argv[1]) as told:
        users.poll()
        print(users.frames(told.pid, [told["leaf"]])[0].name)
    users.poll()
    print(told.pid < 100, users.frames(told.pid, [told["outer"]])[0].name, max(users._spaces) < 100)
"""


def test_namespace_of_numbers(chain):
    """Numbers of processes are those that we see, and others have none."""
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", INSIDE, chain]
    done = subprocess.run(command, env=ENVIRONMENT, cwd=CHECKOUT, capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("leaf\nTrue outer True\n", "")

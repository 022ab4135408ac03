"""What the examples of help speak of, all of it there: objects under the names that they have in them, pins and files.

    with World() as world:
        world.run("bpfctl map dump name flows").out

It lives in a `Place` of its own, whose /sys/fs/bpf is new. An example runs in a process that is forked from this one,
or where it needs a shell, in a shell.
"""

from __future__ import annotations

import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import traceback
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, Self

from bpfctl import __main__ as program
from bpfctl.cli.table import OBJECTS
from bpfctl.elf.read import read
from bpfctl.load.object import Loaded
from btf.write import Builder
from tests.build.compiled import everything
from tests.build.reports import report
from tests.kernel import client
from tests.kernel.command import ENVIRONMENT
from tests.kernel.facts import Facts
from tests.kernel.place import Place, add_device, bind, mount
from tests.kernel.structs import in_use, own

BPFFS, CGROUPS = Path("/sys/fs/bpf"), Path("/sys/fs/cgroup")
_LONGEST = 900.0  # seconds that an example may be silent, on an emulated machine too
_SHELL = re.compile(r"[|<>;&]|^(?!bpfctl )")
_QUOTED = re.compile(r"'[^']*'")
_NAMED = re.compile(r"\bname (\w+)")
_TIMES = re.compile(r"(--duration|--seconds|--interval|--watch) \d+")
_XDP = 37
_SESSION = """
duration = 0.2

[[count]]
name = "system calls"
probes = "tracepoint:syscalls:sys_enter_*"
by = "comm"

[[trace]]
name = "started"
probes = "sched:sched_process_exec"
fields = "comm,filename"
"""


class Done(NamedTuple):
    """What became of an example."""

    status: int
    out: str
    err: str


class World:
    """All that examples need; root, and a bpffs of its own."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            place = stack.enter_context(Place())
            self.facts = Facts(place.lockdown)
            mount("bpf", BPFFS)
            add_device("veth", "eth0")
            bind(place.cgroup, CGROUPS)
            (CGROUPS / "web").mkdir()
            stack.callback((CGROUPS / "web").rmdir)
            folder = place.root / "files"
            folder.mkdir()
            before = os.getcwd()
            stack.callback(os.chdir, before)
            os.chdir(folder)
            self._files()
            self._objects(stack)
            self._preload()
            stack.enter_context(self._busy())
            self._all = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._all.close()

    def _files(self) -> None:
        Path("program.o").write_bytes(everything()["examples"].read_bytes())
        Path("firewall.o").write_bytes(everything()["load_data"].read_bytes())
        Path("trace.o").write_bytes(everything()["tracepoint"].read_bytes())
        Path("congestion.o").write_bytes(own("struct_ops_link"))
        Path("tasks.o").write_bytes(everything()["iter"].read_bytes())
        Path("packet").write_bytes(bytes(12) + b"\x08\x00" + bytes(50))
        Path("commands.txt").write_text("map show name flows  # a comment\nprog show name count_packets\n")
        Path("session.toml").write_text(_SESSION)
        Path("before.json").write_text(json.dumps(report("ringbuf")))
        older = Builder()
        older.add_struct("task_struct", 8, [("pid", older.add_int("int", 4), 32)])
        Path("older.btf").write_bytes(older.build())

    def _objects(self, stack: ExitStack) -> None:
        loaded = stack.enter_context(Loaded(read(Path("program.o").read_bytes())))
        programs = {name: one.fileno() for name, one in loaded.programs.items()}
        maps = {name: one.fileno() for name, one in loaded.maps.items()}
        self._packets = programs["count_packets"]
        for last in range(1, 9):
            client.map_update(maps["flows"], bytes([10, 0, 0, last]), bytes([last]) + bytes(23))
            client.map_update(maps["jobs"], None, bytes([last, 0, 0, 0]))
        saved = subprocess.run(
            [sys.executable, "-m", "bpfctl", "-j", "map", "dump", "id", str(client.id_of("map", maps["flows"]))],
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            check=True,
        )
        Path("flows.json").write_bytes(saved.stdout)
        client.map_update(maps["flows"], bytes([10, 0, 0, 1]), bytes([9]) + bytes(23))
        if self.facts.has("struct:bpf_struct_ops_tcp_congestion_ops"):
            in_use(stack)
        link = client.link_create(programs["drop_packets"], 1, _XDP)
        stack.callback(os.close, link)
        pins = {"count_packets": self._packets, "spare": maps["spare"], "events": maps["events"], "lo_link": link}
        for name, fd in pins.items():
            client.obj_pin(fd, str(BPFFS / name))
        self._named = {name: client.id_of("prog", fd) for name, fd in programs.items()}
        self._named |= {name: client.id_of("map", fd) for name, fd in maps.items()}
        self._ids = {
            "prog": self._named["count_packets"],
            "map": self._named["flows"],
            "link": client.id_of("link", link),
        }

    @staticmethod
    def _preload() -> None:
        """Import all that commands run, so that they need not do it again and again."""
        for commands in OBJECTS.values():
            for command in filter(lambda command: command.run, commands):
                import_module(f"bpfctl.cli.{command.run.partition(':')[0]}")
        for room in ("render.json", "render.plain", "cli.options", "cli.voice", "cli.app", "probe.session"):
            import_module(f"bpfctl.{room}")

    def _busy(self) -> ExitStack:
        """Have packets counted, programs started and files opened for as long as this lasts."""
        child = os.fork()
        if child == 0:
            parent, poll = os.getppid(), select.poll()
            with suppress(BaseException):
                while os.getppid() == parent:
                    client.run(self._packets, Path("packet").read_bytes())
                    with suppress(FileNotFoundError):
                        os.open("nowhere", os.O_RDONLY)
                    os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
                    poll.poll(20)
            os._exit(0)
        stack = ExitStack()
        stack.callback(os.waitpid, child, 0)
        stack.callback(os.kill, child, signal.SIGKILL)
        return stack

    def run(self, line: str, *, goes_on: bool = False) -> Done:
        """Run an example to its end, which is Ctrl-C after its first output where it would go on."""
        object_ = next((word for word in line.split() if word in self._ids), "")
        line = line.replace("id 7", f"id {self._ids.get(object_)}")
        # Another process may have objects of these names.
        line = _NAMED.sub(lambda name: f"id {self._named[name[1]]}" if name[1] in self._named else name[0], line)
        line = _TIMES.sub(r"\1 0.1", line).replace("duration 10 ", "duration 1 ")
        with ExitStack() as stack:
            err = stack.enter_context(open("stderr", "w+b"))
            reads, writes = os.pipe()
            stack.callback(os.close, reads)
            child = os.fork()
            if child == 0:
                self._become(line, writes, err.fileno())
            os.close(writes)
            out = self._read(reads, child, goes_on=goes_on)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            err.seek(0)
            return Done(status, out.decode(errors="replace"), err.read().decode(errors="replace"))

    @staticmethod
    def _become(line: str, out: int, err: int) -> None:
        """Be the process of an example."""
        status = 99
        try:
            os.setsid()
            os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
            os.dup2(out, 1)
            os.dup2(err, 2)
            os.environ.update(ENVIRONMENT, VISUAL="true")
            if _SHELL.search(_QUOTED.sub("", line)):
                ours = f'bpfctl() {{ {shlex.quote(sys.executable)} -P -m bpfctl "$@"; }}\n'
                os.execvp("bash", ["bash", "-c", f"set -o pipefail\n{ours}{line}"])
            signal.signal(signal.SIGINT, signal.default_int_handler)
            sys.argv = shlex.split(line)
            status = program.main()
        except BaseException:  # noqa: BLE001 - whatever it is, this process ends here
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(status)

    @staticmethod
    def _read(reads: int, child: int, *, goes_on: bool) -> bytes:
        found = b""
        poll = select.poll()
        poll.register(reads, select.POLLIN)
        while poll.poll(_LONGEST * 1000):
            data = os.read(reads, 1 << 16)
            if not data:
                return found
            if not found and goes_on:
                os.kill(child, signal.SIGINT)
            found += data
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise AssertionError("the example is silent, and does not end")

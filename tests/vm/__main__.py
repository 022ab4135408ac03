"""``python -m tests.vm``: fetch kernels, run a command on them, run the kernel tests on them."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tests.vm import guest, kernels, suite, userland
from tests.vm.cache import VMError
from tests.vm.guest import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.vm.kernels import Kernel


def main(words: Sequence[str]) -> int:
    """Do what WORDS say; the exit code is the command's own, or 255 if the harness or the guest failed."""
    parser = _parser()
    options, rest = parser.parse_known_args(words)
    if rest and options.action != "test":
        parser.error(f"unknown words: {shlex.join(rest)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # unwind as for Ctrl-C: nothing stays behind
    try:
        match options.action:
            case "fetch":
                return _fetch(options.names, refresh=options.refresh)
            case "list":
                return _list()
            case "bpftool":
                print(userland.bpftool())
                return 0
            case "bpftrace":
                print(userland.bpftrace())
                return 0
            case "run":
                return _run(_chosen(options, default=("newest",)), options)
            case _:
                chosen = _chosen(options, default=[kernel.name for kernel in kernels.NATIVE])
                return suite.run(chosen, rest, _settings(options), everything=options.everything, wheel=options.wheel)
    except (VMError, OSError) as error:
        if isinstance(error, guest.GuestError):
            sys.stderr.write(error.log)
        print(f"tests.vm: {error}", file=sys.stderr)
        return 255
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.vm", description=__doc__, allow_abbrev=False)
    actions = parser.add_subparsers(dest="action", required=True)

    fetch = actions.add_parser("fetch", help="bring kernels and the newest bpftool into the cache")
    fetch.add_argument("names", nargs="*", metavar="KERNEL|bpftool")
    fetch.add_argument("--refresh", action="store_true", help="look for newer releases, too")

    actions.add_parser("list", help="show the table of kernels and what lies in the cache")
    actions.add_parser("bpftool", help="print the path of the newest bpftool, which runs here and in guests")
    actions.add_parser("bpftrace", help="print the path of the newest bpftrace, likewise; 300 MB")

    run = actions.add_parser("run", help="run one command on kernels; one word is a shell command line")
    run.add_argument("command", nargs="+", metavar="-- CMD")
    words = "run the kernel tests on kernels; unknown words go to pytest"
    test = actions.add_parser("test", help=words, allow_abbrev=False)
    test.add_argument("--everything", action="store_true", help="not only what differs from kernel to kernel")
    test.add_argument("--wheel", type=Path, help="run them on arm64 against this wheel, not the checkout")
    for action, timeout in ((run, 300), (test, 3600)):
        action.add_argument("--kernel", action="append", default=[], choices=list(kernels.TABLE))
        action.add_argument("--all", action="store_true", help="each kernel for this machine's own programs")
        action.add_argument("--args", default="", help="more words for the kernel's command line")
        action.add_argument("--cpus", type=int, default=1)
        action.add_argument("--mem", type=int, default=1024, metavar="MB")
        action.add_argument("--timeout", type=float, default=timeout, metavar="S")
    return parser


def _chosen(options: argparse.Namespace, default: Sequence[str]) -> list[Kernel]:
    if options.all:
        return list(kernels.NATIVE)
    return [kernel for name, kernel in kernels.TABLE.items() if name in (options.kernel or default)]


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(cpus=options.cpus, memory=options.mem, timeout=options.timeout, arguments=options.args)


def _fetch(names: Sequence[str], *, refresh: bool) -> int:
    known = [*kernels.TABLE, "bpftool"]
    if unknown := [name for name in names if name not in known]:
        raise VMError(f"Nothing is called {', '.join(unknown)}; there are {', '.join(known)}.")
    for name in names or [*(kernel.name for kernel in kernels.NATIVE), "bpftool"]:
        if name == "bpftool":
            print(f"{name:<8}{userland.bpftool(refresh=refresh)}")
        else:
            kernels.fetch(kernels.TABLE[name], refresh=refresh)
            print(f"{name:<8}{kernels.TABLE[name].fetched}", flush=True)
    return 0


def _list() -> int:
    for kernel in kernels.TABLE.values():
        print(f"{kernel.name:<8}{kernel.arch:<7}{kernel.suite:<19}{kernel.fetched or 'not fetched'}")
    return 0


def _run(chosen: Sequence[Kernel], options: argparse.Namespace) -> int:
    """Run the command on one kernel after the other; the first exit code that is not 0 is ours."""
    command = options.command[0] if len(options.command) == 1 else shlex.join(options.command)
    code = 0
    for kernel in chosen:
        if len(chosen) > 1:
            print(f"--- {kernel.name}", flush=True)
        job = guest.Job(
            command=command,
            cwd="/" if kernel.foreign else str(Path.cwd()),
            settings=_settings(options),
        )
        result = guest.run(kernel, job, stdout=_writer(sys.stdout.buffer), stderr=_writer(sys.stderr.buffer))
        code = code or result.code
    return code


def _writer(stream: BinaryIO) -> Callable[[bytes], None]:
    def write(data: bytes) -> None:
        stream.write(data)
        stream.flush()

    return write


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

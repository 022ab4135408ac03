"""The program: the one place that turns exceptions into words, an exit code, or a signal.

bpfctl ends in one of these ways, and in JSON with one valid document in all of them that leave an output to write to:

* done: exit code 0;
* an error of ours: one sentence, and bpftool's exit code;
* the reader has closed the pipe: silently by SIGPIPE, as a C program;
* the output cannot be written, as on a full disk: one sentence, exit code 255;
* Ctrl-C: silently by SIGINT, so that the shell sees 130 and its loop ends too (Python itself, before it has come
  here, shows a traceback; so we come here with next to nothing imported);
* a bug of ours: one sentence that asks for a report, exit code 255, and with -d the traceback.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - a checkout of this program may meet any Python
    sys.exit("Error: bpfctl needs Python 3.11 or newer")

if __name__ == "__main__" and not sys.flags.safe_path and __file__ != f"{sys.path[0].rstrip('/')}/bpfctl/__main__.py":
    # python -m puts the current folder first, and whoever can write there would choose our modules. What Python
    # itself has imported from there to find us is beyond our reach: python -P -m bpfctl is safe from the start.
    del sys.path[0]

import gc
import os

TYPE_CHECKING = False  # typing's own name for it costs milliseconds, in which Ctrl-C would still show a traceback
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from bpfctl.errors import BpfctlError
    from bpfctl.render.sink import Sink


#: Objects that are made before garbage is looked for. Python's 700 are those of a few modules, which are no garbage:
#: it would be a tenth of a short command's time.
_GARBAGE = 10_000


#: What shells ask when somebody presses TAB.
_COMPLETE = "__complete"


class _CtrlC:
    """The handler of SIGINT: raises KeyboardInterrupt, in the midst of output only where that does no harm."""

    sink: Sink | None = None

    def __call__(self, number: int, _frame: object) -> None:
        from signal import SIG_DFL, signal

        signal(number, SIG_DFL)  # a second Ctrl-C does not wait until the first has tidied up
        if self.sink is None:
            raise KeyboardInterrupt
        self.sink.interrupt()


def main() -> int:
    """Run the command line of this process; the result is the exit code, unless a signal ends it."""
    gc.set_threshold(_GARBAGE)
    try:
        import signal

        ctrl_c = _CtrlC()
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not when the shell has us ignore it
            signal.signal(signal.SIGINT, ctrl_c)
        sys.unraisablehook = _unraisable
        _occupy_standard_descriptors()
        return _guarded(ctrl_c)
    except KeyboardInterrupt:
        _die("SIGINT")
    finally:
        gc.freeze()  # what is left goes with the process, and need not be looked at once more


def _guarded(ctrl_c: _CtrlC) -> int:
    try:
        from bpfctl.errors import OutputError
        from bpfctl.render.sink import ClosedPipe, Sink
    except ImportError as error:
        _complain(f"Error: {_fault(error, debug=False)}")
        return 255
    try:
        sink = ctrl_c.sink = Sink(1)
        return run(sys.argv[1:], sink)
    except ClosedPipe:
        _die("SIGPIPE")
    except OutputError as error:
        _complain(f"Error: {error}")
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - even telling of an error failed
        _complain(f"Error: {_fault(error, debug=False)}")
        return 255


def run(arguments: Sequence[str], sink: Sink) -> int:
    """Run a command line and return its exit code; ClosedPipe and OutputError when the output cannot be written."""
    if arguments[:1] == [_COMPLETE]:
        from bpfctl.cli import complete

        sink.write("".join(f"{line}\n" for line in complete.lines(arguments[1:])))
        sink.flush()
        return 0
    from bpfctl.cli import app, options, voice
    from bpfctl.cli.session import Session
    from bpfctl.errors import BpfctlError, Nothing, OutputError
    from bpfctl.render.sink import ClosedPipe

    chosen, words = options.split(arguments)
    out = voice.output(sink, chosen)
    code = 0
    try:
        if chosen.debug:
            from bpfctl.cli import trace

            trace.begin()
        app.run(Session(out, chosen), words)
    except (ClosedPipe, OutputError):
        raise
    except Nothing as nothing:
        code = nothing.exit_code
    except BpfctlError as error:
        code = error.exit_code
        out.error(error.sentence, error.hint)
        if not chosen.json:
            _explain(error, debug=chosen.debug)
    except KeyboardInterrupt:
        if chosen.json:
            out.error("interrupted")
        out.close()
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a fault of ours, and told as one
        code = 255
        out.error(_fault(error, debug=chosen.debug))
    out.close()
    return code


def _explain(error: BpfctlError, *, debug: bool) -> None:
    """Write what more there is to say about an error; with -d all that the verifier has said."""
    from bpfctl.render.text import safe

    log: str = getattr(error, "log", "")
    for note in getattr(error, "__notes__", ()):
        _complain("  " + safe(note))
    if log and not debug:
        _complain("  (-d shows all of it)")
    elif log:
        _complain("\n".join(["the whole log:", *map(safe, log.splitlines())]))


def _fault(error: Exception, *, debug: bool) -> str:
    """Return the sentence about an exception that should not have happened, after its traceback if that is wanted."""
    what = f"{type(error).__name__}: {error}".partition("\n")[0].removesuffix(": ")
    what = what if what.isprintable() else ascii(what)
    if debug:
        import traceback

        from bpfctl.render.text import safe

        lines = "".join(traceback.format_exception(error)).splitlines()
        _complain("\n".join(safe(line) for line in lines))
    else:
        # The frames may hold what has filled the memory.
        error.__traceback__ = error.__context__ = None
    if short := _shortage(error):
        return short
    file = str(error.filename) if isinstance(error, OSError) else ""
    if isinstance(error, ImportError) or file.startswith(os.path.dirname(os.path.abspath(__file__))):
        return f"this installation of bpfctl is not complete ({what})"
    then = "the lines above" if debug else "what it says when -d is added"
    return f"bpfctl failed by a fault of its own ({what}): please report it, with {then}"


def _shortage(error: Exception) -> str:
    """Return the sentence about what this process is not given enough of; empty where that is not the reason."""
    import errno

    number = errno.ENOMEM if isinstance(error, MemoryError) else getattr(error, "errno", None)
    if isinstance(error, ImportError) and str(error).endswith(os.strerror(errno.EMFILE)):  # the linker tells it so
        number = errno.EMFILE
    advice = {
        errno.EMFILE: "ulimit -n tells how many this process may have",
        errno.ENFILE: "fs.file-max is how many all processes may have",
        errno.ENOMEM: "ulimit -v and the cgroup tell how much this process may have",
        errno.ENOSPC: "df tells which file system is full",
        errno.EDQUOT: "quota tells how much there may be",
    }
    return f"can't go on: {os.strerror(number)} ({advice[number]}; -d shows where)" if number in advice else ""


def _occupy_standard_descriptors() -> None:
    """Put something that can be neither read nor written where stdin, stdout or stderr is closed.

    Otherwise the next descriptor, such as a BPF map's, would get that number, and our output would go there.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open("/dev/null", os.O_PATH | os.O_CLOEXEC)


def _unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """Deal with an exception that Python cannot raise where it happened, such as in a finaliser."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        _die("SIGINT")
    sys.__unraisablehook__(unraisable)


def _die(name: str) -> NoReturn:
    """End by a signal, as a program does that has no handler for it."""
    import signal

    number = signal.Signals[name]
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    os._exit(128 + number)  # the first process of a container does not die by its own signal


def _complain(text: str) -> None:
    try:
        os.write(2, (text + "\n").encode(errors="backslashreplace"))
    except OSError:
        return


if __name__ == "__main__":
    sys.exit(main())

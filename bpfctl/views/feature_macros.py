"""What a kernel can do as a C header (src/feature.c of bpftool)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfctl.feature import limits
from bpfctl.views.feature import word

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bpfctl.feature.answer import Answer
    from bpfctl.feature.system import System
    from bpfctl.uapi.enums import ProgType
    from bpfctl.uapi.helpers import Helper

_OPTION = "CONFIG_HZ"  # the one that programs in C have a use for


class Header:
    """Writes the sections of a header whose names all begin with a prefix."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def _have(self, name: str, answer: Answer) -> str:
        return f"#define {self._prefix}{'' if answer.bpftool else 'NO_'}HAVE_{name.upper()}"

    def system(self, found: System) -> Iterator[str]:
        """Write the configuration of the system."""
        yield "/*** Misc kernel config items ***/"
        if found.options is not None:
            value = found.options[_OPTION]
            name = self._prefix + _OPTION
            yield f"#define {name} {value}" if value else f"/* {name} is not set */"
        yield ""

    def syscall(self, answer: Answer) -> Iterator[str]:
        """Write whether there is bpf(2)."""
        yield from ("/*** System call availability ***/", self._have("bpf_syscall", answer), "")

    def prog_types(self, found: Mapping[ProgType, Answer]) -> Iterator[str]:
        """Write the types of programs."""
        yield "/*** eBPF program types ***/"
        yield from (self._have(f"{word(kind)}_prog_type", answer) for kind, answer in found.items())
        yield ""

    def map_types(self, found: Mapping[Any, Answer]) -> Iterator[str]:
        """Write the types of maps."""
        yield "/*** eBPF map types ***/"
        yield from (self._have(f"{word(kind)}_map_type", answer) for kind, answer in found.items())
        yield ""

    def helpers(self, found: Mapping[ProgType, Mapping[Helper, Answer]]) -> Iterator[str]:
        """Write, for each helper and each type of programs, a 0 or a 1, and the macro that asks for it."""
        prefix = self._prefix
        yield "/*** eBPF helper functions ***/"
        yield "/*"
        yield f" * Use {prefix}HAVE_PROG_TYPE_HELPER(prog_type_name, helper_name)"
        yield " * to determine if <helper_name> is available for <prog_type_name>,"
        yield " * e.g."
        yield f" *\t#if {prefix}HAVE_PROG_TYPE_HELPER(xdp, bpf_redirect)"
        yield " *\t\t// do stuff with this helper"
        yield " *\t#elif"
        yield " *\t\t// use a workaround"
        yield " *\t#endif"
        yield " */"
        yield f"#define {prefix}HAVE_PROG_TYPE_HELPER(prog_type, helper)\t\\"
        yield f"\t{prefix}BPF__PROG_TYPE_ ## prog_type ## __HELPER_ ## helper"
        for kind, answers in found.items():
            before = f"#define {prefix}BPF__PROG_TYPE_{word(kind)}__HELPER_bpf_"
            yield from (f"{before}{helper.name} {int(answer.bpftool)}" for helper, answer in answers.items())
        yield ""

    def misc(self, found: Mapping[str, Answer]) -> Iterator[str]:
        """Write what programs may look like."""
        yield "/*** eBPF misc features ***/"
        yield from (self._have(probe.name, found[probe.name]) for probe in limits.PROBES)
        yield ""

"""Why the kernel lets no program be bound to a function, in a sentence: needed only where that happens.

Kernel: bpf_check_attach_target() and check_attach_btf_id() in kernel/bpf/verifier.c, btf_distill_func_proto() in
kernel/bpf/btf.c, bpf_trampoline_link_prog() in kernel/bpf/trampoline.c. Kernels before 6.17 have no words for some.
"""

from __future__ import annotations

import re
from errno import E2BIG, EBUSY, EINVAL, ENODEV, ENOENT
from typing import TYPE_CHECKING

from bpfctl.plugin import KernelError, pmu

if TYPE_CHECKING:
    from bpfctl.plugin import ProbePoint

_WORDS = (
    (r"The address of function .* cannot be found", "it has no code of its own: it is inlined, or gone since the boot"),
    (r"Attaching f\S+ to __noreturn function", "it never returns"),
    (r"Attaching tracing programs to function .* is rejected", "tracing programs need it for themselves"),
    (r"The function .* has \d+ arguments", "it has more arguments than a tracing program is given"),
    (r"The function .* with variable args", "it takes any number of arguments"),
    (r"The function .* arg\d+ type .* is unsupported", "it takes a structure that no tracing program is given"),
    (r"The function .* return type .* is unsupported", "it returns a structure, which no tracing program is given"),
)
_ANSWERS = {
    E2BIG: "as many tracing programs as the kernel takes are attached to it already",
    EBUSY: "something else has changed its beginning, such as a live patch",
}
_WITHOUT_WORDS = frozenset({EINVAL, ENOENT, ENODEV})


def of_load(point: ProbePoint, error: KernelError, obstacle: str) -> KernelError:
    """Return why a program cannot be loaded for a function; the error itself where it is not about the function."""
    refusal = getattr(error, "refusal", None)
    words: tuple[str, ...] = refusal.complaint if refusal is not None else ()
    why = next((why for line in words for pattern, why in _WORDS if re.match(pattern, line)), "")
    if not why and (words or error.errno not in _WITHOUT_WORDS):
        return error
    return _told(point, error, obstacle or why)


def of_attach(point: ProbePoint, error: KernelError, obstacle: str) -> KernelError:
    """Return why a program cannot be attached to a function."""
    why = _ANSWERS.get(error.errno or 0, "")
    return _told(point, error, why or (obstacle if error.errno in _WITHOUT_WORDS else ""))


def _told(point: ProbePoint, error: KernelError, why: str) -> KernelError:
    hint = "; ".join(filter(None, (why or error.hint, _instead(point, why))))
    return KernelError(f"can't attach to {point}", error.errno or 0, hint=hint)


def _instead(point: ProbePoint, why: str) -> str:
    """Return what may do."""
    if why == "it never returns":
        return f"fentry:{point.target} may do"
    if "tracers" in why or "protects" in why or pmu.number("kprobe") is None:
        return ""
    kind = "kretprobe" if point.kind == "fexit" else "kprobe"
    return f"{kind}:{point.target} may do"

"""bpfctl version."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bpfctl.cli.session import Session

# The bpftool and libbpf whose output this release writes; scripts that ask for a minimum compare these.
BPFTOOL = "7.8.0"
LIBBPF = "1.8"


def show(session: Session) -> None:
    """Tell the version, and that of the bpftool whose output we write."""
    features = {"libbfd": False, "llvm": False, "crypto": False, "skeletons": True, "bootstrap": False}
    session.out.lines(
        [
            f"bpfctl v{_own()}",
            f"speaks as bpftool v{BPFTOOL} with libbpf v{LIBBPF}",
            "features: " + ", ".join(name for name, there in features.items() if there),
        ],
        {"version": BPFTOOL, "libbpf_version": LIBBPF, "features": features},
    )


def _own() -> str:
    from importlib.metadata import version

    return version("bpfctl")

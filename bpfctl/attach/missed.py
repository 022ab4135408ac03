"""How many hits the kernel has kept from programs that are attached, other than by the programs themselves."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from bpfctl.attach.tracefs import Events
from bpfctl.errors import KernelError
from bpfctl.kernel.link import Link

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfctl._sys.fd import Closing


def missed(attached: Sequence[Closing]) -> int:
    """Return the hits that what one attach has made could not take, such as returns of more calls than are followed.

    Links tell since Linux 6.7, and perf events without a link never.
    """
    for one in attached:
        if isinstance(one, Events):  # its links tell the same
            return one.missed()
    return sum(_of_link(one) for one in attached if isinstance(one, Link))


def _of_link(link: Link) -> int:
    with suppress(KernelError):
        return getattr(link.info().attachment, "missed", None) or 0
    return 0

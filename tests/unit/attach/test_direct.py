"""Attachments without a link: what makes no sense is refused before the kernel is asked."""

from __future__ import annotations

from typing import cast

import pytest

from bpfctl.attach import direct
from bpfctl.errors import UsageError
from bpfctl.kernel.map import Map
from bpfctl.kernel.prog import Program
from bpfctl.uapi.enums import AttachType

NOBODY = cast(Program, None)


@pytest.mark.parametrize("do", [direct.attach, direct.detach])
@pytest.mark.parametrize("attach_type", sorted(direct.ON_SOCKMAPS))
def test_a_sockmap_is_missing(do, attach_type):
    with pytest.raises(UsageError, match=f"^{attach_type.name.lower()} needs a map to be attached to$"):
        do(NOBODY, attach_type)


@pytest.mark.parametrize("do", [direct.attach, direct.detach])
def test_a_map_too_many(do):
    with pytest.raises(UsageError, match=r"^flow_dissector takes no map to be attached to$"):
        do(NOBODY, AttachType.FLOW_DISSECTOR, cast(Map, object()))

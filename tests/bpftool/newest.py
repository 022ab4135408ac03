"""The bpftools that tests compare with, and marks for what only the newest can tell."""

from __future__ import annotations

import pytest

from tests.bpftool import peer

NEWEST, *OLDER = peer.bpftools()
BPFTOOLS = [pytest.param(tool, id=".".join(map(str, peer.version(tool)))) for tool in (NEWEST, *OLDER)]
VOICES = [pytest.param(["-j"], id="json"), pytest.param(["-p"], id="indented"), pytest.param([], id="plain")]
CURRENT = pytest.mark.skipif(
    peer.version(NEWEST) < peer.CURRENT,
    reason="bpftool {}.{} to compare with is fetched by python -m tests.vm bpftool".format(*peer.CURRENT),
)

"""Reports that bpftool has written are as good as ours."""

from __future__ import annotations

import json

import pytest

from tests.bpftool import peer


@pytest.mark.parametrize("tool", [pytest.param(tool, id=f"{at}") for at, tool in enumerate(peer.bpftools())])
def test_this_kernel_is_what_bpftool_says(tool, tmp_path):
    """Nothing of what both know differs; what an older bpftool does not know is not compared."""
    path = tmp_path / "host.json"
    path.write_bytes(peer.run(tool, "-j", "feature", "probe").stdout)
    answer = peer.ours("-j", "feature", "diff", str(path))
    found = json.loads(answer.stdout)
    kinds = {one["kind"] for one in found["gained"] + found["cannot_be_told"]}

    assert found["lost"] == []
    if peer.version(tool) >= peer.CURRENT:
        assert (answer.rc, found["not_compared"], kinds) == (0, [], set())
    else:  # its lists lack the helpers that it does not know, and have too many on kernels that are newer
        assert kinds <= {"helper"}
    assert found["changed"] == []

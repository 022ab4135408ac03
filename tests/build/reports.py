"""Reports of `feature probe --full-report -j`, as kernels would write them that have everything but a few things."""

from __future__ import annotations

import sys
from typing import Any

from bpfctl.feature import limits
from bpfctl.feature.saved import FORMAT
from bpfctl.uapi.enums import MapType, ProgType
from bpfctl.uapi.helpers import Helper
from btf.kind import NAMES


def report(*missing: str, unknown: tuple[str, ...] = (), kfuncs: Any = (), **surroundings: str) -> dict[str, Any]:
    """Return a report without some features, and that cannot tell of others; ``kfuncs`` are rows as it has them."""

    def rows(*names: str) -> list[dict[str, Any]]:
        found = [{"name": name, "available": None if name in unknown else name not in missing} for name in names]
        return [row | {"reason": "nobody may ask"} if row["available"] is None else row for row in found]

    helpers = [f"bpf_{helper.name}" for helper in Helper if helper]
    return {
        "format": FORMAT,
        "surroundings": {"kernel": "6.12.0", "byte order": sys.byteorder, **surroundings},
        "program_types": rows(*(kind.name.lower() for kind in ProgType if kind)),
        "map_types": rows(*(kind.name.lower() for kind in MapType if kind)),
        "limits": rows(*(probe.title for probe in limits.PROBES)),
        "instructions": rows("atomic fetch and add", "may_goto", "load-acquire"),
        "btf_kinds": rows(*(name.lower() for name in NAMES[1:])),
        "kfuncs": [*kfuncs],
        "helpers": [
            {
                "program_type": kind.name.lower(),
                "available": [name for name in helpers if name not in missing],
                "not_available": [name for name in helpers if name in missing],
                "cannot_be_told": [],
                "reasons": [],
            }
            for kind in ProgType
            if kind
        ],
    }

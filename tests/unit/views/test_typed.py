"""bpfctl.views.typed: what thousands of values of one type look like."""

from __future__ import annotations

import json
import sys

from bpfctl.render.json import dumps
from bpfctl.views import form, typed, value
from bpfctl.views.form import Layout
from btf.read import BTF
from btf.value import Decoder
from btf.write import Builder


def test_members_without_name_in_members_without_name():
    """All of them are gathered under one empty name, at each level."""
    b = Builder(byteorder=sys.byteorder)
    u8 = b.add_int("u8", 1)
    first = b.add_struct("", 2, [("", b.add_struct("", 1, [("a", u8)])), ("b", u8, 8)])
    second = b.add_struct("", 2, [("c", u8), ("", b.add_union("", 1, [("d", u8)]), 8)])
    id_ = b.add_struct("s", 4, [("", first), ("", second, 16)])
    btf = BTF.from_bytes(b.build())

    laid = form.tree(typed.tree(btf, id_, form.VALUE, 0, json=True), Layout(None, dumps), (0, 4))
    shown = b"".join(laid.fill(b"", b"\1\2\3\4", 1)).decode()

    assert shown == '{"":{"":{"a":1,"d":4},"b":2,"c":3}}'
    assert json.loads(shown) == value.json(Decoder(btf, id_)(b"\1\2\3\4"))

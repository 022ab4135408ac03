"""Kinds of CO-RE relocations: ``enum bpf_core_relo_kind`` of ``include/uapi/linux/bpf.h``."""

from __future__ import annotations

FIELD_BYTE_OFFSET = 0
FIELD_BYTE_SIZE = 1
FIELD_EXISTS = 2
FIELD_SIGNED = 3
FIELD_LSHIFT_U64 = 4
FIELD_RSHIFT_U64 = 5
TYPE_ID_LOCAL = 6
TYPE_ID_TARGET = 7
TYPE_EXISTS = 8
TYPE_SIZE = 9
ENUMVAL_EXISTS = 10
ENUMVAL_VALUE = 11
TYPE_MATCHES = 12

#: What each kind asks for, in words.
WORDS = (
    "byte offset of",
    "byte size of",
    "existence of",
    "signedness of",
    "left shift for",
    "right shift for",
    "local type id of",
    "target type id of",
    "existence of",
    "size of",
    "existence of",
    "value of",
    "match of",
)

#: Kinds that ask for a member, and for a type.
FIELD = frozenset(range(FIELD_BYTE_OFFSET, FIELD_RSHIFT_U64 + 1))
TYPE = frozenset({TYPE_ID_LOCAL, TYPE_ID_TARGET, TYPE_EXISTS, TYPE_SIZE, TYPE_MATCHES})
ENUMVAL = frozenset({ENUMVAL_EXISTS, ENUMVAL_VALUE})

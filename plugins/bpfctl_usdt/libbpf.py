"""Arguments of static probes as programs with libbpf's usdt.bpf.h read them: from a description in a map.

Members are told by the names that the header gives them, so that it does not matter where in its struct they are:
that has changed between its releases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfctl.plugin import NotSupported
from bpfctl_usdt.operand import Constant, InMemory, InRegister

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfctl_usdt.operand import Argument

# enum __bpf_usdt_arg_type
_CONST, _REG, _REG_DEREF, _SIB = range(4)
_MOST = 12  # BPF_USDT_MAX_ARG_CNT
_BITS = 64


def description(arguments: Sequence[Argument]) -> dict[str, Any]:
    """Return the members of struct __bpf_usdt_spec; NotSupported where it has no words for where an argument is."""
    if len(arguments) > _MOST:
        raise NotSupported(f"a probe with {len(arguments)} arguments is more than programs of libbpf know of, {_MOST}")
    found = [_argument(one) for one in arguments]
    return {"args": found + [{}] * (_MOST - len(found)), "arg_cnt": len(found)}


def _argument(argument: Argument) -> dict[str, Any]:
    found: dict[str, Any] = {"arg_signed": argument.signed, "arg_bitshift": _BITS - 8 * argument.size}
    operand = argument.operand
    match operand:
        case Constant(value, ""):
            return found | {"arg_type": _CONST, "val_off": value & (1 << _BITS) - 1}
        case InRegister(at):
            return found | {"arg_type": _REG, "reg_off": at}
        case InMemory(int(base), None, moved, ""):
            return found | {"arg_type": _REG_DEREF, "reg_off": base, "val_off": moved & (1 << _BITS) - 1}
        case InMemory(int(base), plus, moved, "") if plus is not None and plus.size * 8 == _BITS:
            place = {"reg_off": base, "idx_reg_off": plus.at, "scale_bitshift": plus.shift}
            return found | place | {"arg_type": _SIB, "val_off": moved & (1 << _BITS) - 1}
    raise NotSupported(f"programs of libbpf cannot be told of the argument {argument.text}")

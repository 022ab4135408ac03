"""Commands of bpf(2): one line each, and a call that cannot succeed, or leaves nothing, but tells what is known."""

from __future__ import annotations

import struct
from errno import EBADF, EBADFD, EFAULT, EMFILE, ENOENT
from typing import TYPE_CHECKING

from bpfctl._sys import maps
from bpfctl.feature.answer import refused
from bpfctl.feature.prog_types import RETURN_0
from bpfctl.feature.ways import NO_ID, NOBODY, Probe, answers, first_of, has_type, loads, makes, without_descriptors
from bpfctl.uapi.commands import Cmd, StatsType
from bpfctl.uapi.enums import AttachType as A
from bpfctl.uapi.enums import MapType

if TYPE_CHECKING:
    from collections.abc import Callable

    from bpfctl.feature.answer import Answer
    from bpfctl.feature.ways import Asker

_NO_LINK = struct.pack("=IIII", NOBODY, NOBODY, 0, 0)
_NO_ELEMENT = struct.pack("=I4xQQQ", NOBODY, 0, 0, 0)
_NO_BATCH = struct.pack("=QQQQIIQQ", 0, 0, 0, 0, 0, NOBODY, 0, 0)
_NEXT_ID = struct.pack("=III", NO_ID, 0, 0)


def _detach(attach_type: A) -> Callable[[Asker], Answer]:
    return answers(Cmd.PROG_DETACH, struct.pack("=IIII", NOBODY, NOBODY, attach_type, 0), EBADF)


def _pin(asker: Asker) -> Answer:
    """Ask for a pin of a map at no path: the map is looked at first."""
    try:
        made = maps.create(MapType.ARRAY, 4, 4, 1)
    except OSError as error:
        return refused(error.errno or 0, asker.rights)
    with made:
        return answers(Cmd.OBJ_PIN, struct.pack("=QII", 0, made.fileno(), 0), EFAULT)(asker)


def _command(command: Cmd, since: str, how: Callable[[Asker], Answer] | bytes, *known: int) -> Probe:
    way = answers(command, how, *(known or (EBADF,))) if isinstance(how, bytes) else how
    return Probe(command.name.lower(), since, way)


COMMANDS = (
    _command(Cmd.MAP_CREATE, "3.19", makes(MapType.ARRAY)),
    _command(Cmd.MAP_LOOKUP_ELEM, "3.19", _NO_ELEMENT),
    _command(Cmd.MAP_UPDATE_ELEM, "3.19", _NO_ELEMENT),
    _command(Cmd.MAP_DELETE_ELEM, "3.19", _NO_ELEMENT),
    _command(Cmd.MAP_GET_NEXT_KEY, "3.19", _NO_ELEMENT),
    _command(Cmd.PROG_LOAD, "3.19", loads(RETURN_0)),
    _command(Cmd.OBJ_PIN, "4.4", _pin),
    _command(Cmd.OBJ_GET, "4.4", struct.pack("=QII", 0, 0, 0), EFAULT),
    _command(Cmd.PROG_ATTACH, "4.10", _NO_LINK),
    # What is attached to decides who looks for the program, and any of them may be missing.
    _command(Cmd.PROG_DETACH, "4.10", first_of(*map(_detach, (A.CGROUP_INET_INGRESS, A.SK_MSG_VERDICT, A.LIRC_MODE2)))),
    _command(Cmd.PROG_TEST_RUN, "4.12", struct.pack("=I", NOBODY) + bytes(60)),
    _command(Cmd.PROG_GET_NEXT_ID, "4.13", _NEXT_ID, ENOENT),
    _command(Cmd.MAP_GET_NEXT_ID, "4.13", _NEXT_ID, ENOENT),
    _command(Cmd.PROG_GET_FD_BY_ID, "4.13", _NEXT_ID, ENOENT),
    _command(Cmd.MAP_GET_FD_BY_ID, "4.13", _NEXT_ID, ENOENT),
    _command(Cmd.OBJ_GET_INFO_BY_FD, "4.13", struct.pack("=IIQ", NOBODY, 0, 0), EBADFD, EBADF),
    _command(Cmd.PROG_QUERY, "4.15", struct.pack("=IIIIQQ", NOBODY, 0, 0, 0, 0, 0)),
    _command(Cmd.RAW_TRACEPOINT_OPEN, "4.17", struct.pack("=QI4x", 0, NOBODY)),
    _command(Cmd.BTF_LOAD, "4.18", has_type(lambda _types: None)),
    _command(Cmd.BTF_GET_FD_BY_ID, "4.18", _NEXT_ID, ENOENT),
    _command(Cmd.TASK_FD_QUERY, "4.18", bytes(48), ENOENT),
    _command(Cmd.MAP_LOOKUP_AND_DELETE_ELEM, "4.20", _NO_ELEMENT),
    _command(Cmd.MAP_FREEZE, "5.2", struct.pack("=I", NOBODY)),
    _command(Cmd.BTF_GET_NEXT_ID, "5.4", _NEXT_ID, ENOENT),
    _command(Cmd.MAP_LOOKUP_BATCH, "5.6", _NO_BATCH),
    _command(Cmd.MAP_LOOKUP_AND_DELETE_BATCH, "5.6", _NO_BATCH),
    _command(Cmd.MAP_UPDATE_BATCH, "5.6", _NO_BATCH),
    _command(Cmd.MAP_DELETE_BATCH, "5.6", _NO_BATCH),
    _command(Cmd.LINK_CREATE, "5.7", _NO_LINK),
    _command(Cmd.LINK_UPDATE, "5.7", _NO_LINK),
    _command(Cmd.LINK_GET_FD_BY_ID, "5.8", _NEXT_ID, ENOENT),
    _command(Cmd.LINK_GET_NEXT_ID, "5.8", _NEXT_ID, ENOENT),
    # It must not succeed, or programs would be measured for a moment: a descriptor for it is looked for before that.
    _command(
        Cmd.ENABLE_STATS,
        "5.8",
        without_descriptors(answers(Cmd.ENABLE_STATS, struct.pack("=I", StatsType.RUN_TIME), EMFILE)),
    ),
    _command(Cmd.ITER_CREATE, "5.8", struct.pack("=II", NOBODY, 0)),
    _command(Cmd.LINK_DETACH, "5.9", struct.pack("=I", NOBODY)),
    _command(Cmd.PROG_BIND_MAP, "5.10", struct.pack("=III", NOBODY, NOBODY, 0)),
    _command(Cmd.TOKEN_CREATE, "6.9", struct.pack("=II", 0, NOBODY)),
    _command(Cmd.PROG_STREAM_READ_BY_FD, "6.17", struct.pack("=QIII", 0, 0, 1, NOBODY)),
    _command(Cmd.PROG_ASSOC_STRUCT_OPS, "7.0", struct.pack("=III", NOBODY, NOBODY, 0)),
)

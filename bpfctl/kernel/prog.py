"""Programs: what the kernel has loaded."""

from __future__ import annotations

from errno import ENODEV
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl._sys import calls, programs
from bpfctl.errors import KernelError
from bpfctl.host import fdinfo
from bpfctl.kernel import handle
from bpfctl.kernel.surroundings import Surroundings
from bpfctl.uapi.enums import ProgType
from bpfctl.uapi.layouts import PROG_INFO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bpfctl.kernel.owner import How, Owner
    from bpfctl.kernel.run import RunResult
    from bpfctl.kernel.select import Select
    from btf.value import Value

_NAME_ROOM = 15  # BPF_OBJ_NAME_LEN without its null byte; a name this long may have been cut
_FULL_NAME_ROOM = 127  # of bpftool's MAX_PROG_FULL_NAME
_MAPS_USUALLY = 64  # MAX_USED_MAPS of the verifier
_PROG_TYPES = {int(kind): kind for kind in ProgType}


class ProgramInfo(NamedTuple):
    """One loaded program as the kernel describes it (struct bpf_prog_info).

    A field that this kernel does not know is None. Times are in nanoseconds, lengths in bytes.
    """

    id: int
    type: ProgType | int  # a plain int: newer than our table
    tag: bytes
    name: str | None
    gpl_compatible: bool | None
    load_time: int | None  # since boot
    created_by_uid: int | None
    xlated_prog_len: int
    jited_prog_len: int
    map_ids: tuple[int, ...]
    ifindex: int | None
    netns_dev: int | None
    netns_ino: int | None
    btf_id: int | None
    nr_func_info: int | None
    func_info_rec_size: int | None
    run_time_ns: int | None
    run_cnt: int | None
    recursion_misses: int | None
    verified_insns: int | None
    attach_btf_obj_id: int | None
    attach_btf_id: int | None

    @classmethod
    def from_raw(cls, raw: bytes, map_ids: bytes = b"") -> ProgramInfo:
        """Decode struct bpf_prog_info as long as the kernel wrote it, and the array of map ids."""
        f: dict[str, Any] = PROG_INFO.unpack(raw)
        name, gpl = f["name"], f["gpl_compatible"]
        return cls(
            f["id"],
            _PROG_TYPES.get(f["type"], f["type"]),
            f["tag"],
            None if name is None else name.rstrip(b"\0").decode(errors="surrogateescape"),
            None if gpl is None else bool(gpl & 1),
            f["load_time"],
            f["created_by_uid"],
            f["xlated_prog_len"],
            f["jited_prog_len"],
            tuple(memoryview(map_ids).cast("I")) if map_ids else (),
            f["ifindex"],
            f["netns_dev"],
            f["netns_ino"],
            f["btf_id"],
            f["nr_func_info"],
            f["func_info_rec_size"],
            f["run_time_ns"],
            f["run_cnt"],
            f["recursion_misses"],
            f["verified_insns"],
            f["attach_btf_obj_id"],
            f["attach_btf_id"],
        )


class ProgramRow(NamedTuple):
    """A program's facts with what surrounds it."""

    info: ProgramInfo
    name: str  # in full where BTF has it; empty when the program has none
    memlock: int | None  # bytes
    orphaned: bool  # its offload device is gone
    pinned: tuple[str, ...] | None  # None: nobody asked, or nothing is pinned at all
    owners: tuple[Owner, ...]
    metadata: tuple[tuple[str, Value], ...]  # its bpf_metadata_ variables, without that prefix

    @property
    def id(self) -> int:
        """The program's id."""
        return self.info.id

    @property
    def type(self) -> ProgType | int:
        """The program's type; a plain int when it is newer than this release."""
        return self.info.type

    def open(self) -> Program:
        """Open the program; KernelError with ENOENT when it is gone meanwhile."""
        return Program.by_id(self.info.id)


class Program(handle.Handle):
    """An open program."""

    kind = handle.PROG
    __slots__ = ()

    @classmethod
    def load(
        cls,
        prog_type: ProgType,
        insns: bytes,
        *,
        name: str = "",
        license: str = "GPL",  # noqa: A002 - the kernel's name for it
        expected_attach_type: int = 0,
    ) -> Program:
        """Load packed instructions (bpfctl.asm makes them); VerifierError says why the verifier refuses them.

        The name is cut to the 15 characters that the kernel keeps.
        """
        short = name.encode()[:_NAME_ROOM]

        def attempt(log_level: int) -> programs.Loaded:
            return programs.load(
                prog_type,
                insns,
                license=license.encode(),
                name=short,
                expected_attach_type=expected_attach_type,
                log_level=log_level,
            )

        try:
            return cls(attempt(0).fd)
        except OSError as error:
            # Only now is the verifier asked to explain itself: writing its log takes time.
            from bpfctl.kernel import verifier  # noqa: PLC0415 - most programs are accepted

            refusal = verifier.Asked(f"can't load program '{name}'", error.errno or 0, insns)
            return cls(refusal.load(attempt).fd)

    def info(self) -> ProgramInfo:
        """Ask the kernel what it knows of the program."""
        offsets = PROG_INFO.offsets
        array = calls.Array(offsets["map_ids"], offsets["nr_map_ids"], _MAPS_USUALLY, 4)
        try:
            raw, (map_ids,) = calls.obj_info(self.fileno(), PROG_INFO.size, (array,))
        except OSError as error:
            raise KernelError("can't get prog info", error.errno or 0) from None
        return ProgramInfo.from_raw(raw, map_ids)

    def test_run(
        self,
        data: bytes | None = None,
        *,
        ctx: bytes | Mapping[str, Any] | None = None,
        repeat: int | None = None,
        data_room: int | None = None,
        ctx_room: int | None = None,
        flags: int = 0,
        cpu: int = 0,
        batch_size: int = 0,
    ) -> RunResult:
        """Run the program on data of yours, attached or not (BPF_PROG_TEST_RUN, Linux 4.12).

        ``data`` is a packet for most types, ``ctx`` the structure that the type has for its context, such as xdp_md,
        or a dict of its members; ``repeat`` how often, once if nothing is said. The rooms, in bytes, are for what
        comes back, and large enough if nothing is said. KernelError is what the kernel refuses: ENOTSUPP (524) for
        types that it cannot run.
        """
        from bpfctl.kernel import run  # noqa: PLC0415 - few programs are run so

        return run.run(
            self,
            data,
            ctx,
            repeat=repeat,
            data_room=data_room,
            ctx_room=ctx_room,
            flags=flags,
            cpu=cpu,
            batch_size=batch_size,
        )

    def func_info(self, info: ProgramInfo) -> bytes:
        """Return the func_info records (struct bpf_func_info, each of info.func_info_rec_size bytes)."""
        if not info.nr_func_info or not info.func_info_rec_size:
            return b""
        offsets, size = PROG_INFO.offsets, info.func_info_rec_size
        array = calls.Array(offsets["func_info"], offsets["nr_func_info"], info.nr_func_info, size)
        extra = ((offsets["func_info_rec_size"], size),)
        try:
            _, (records,) = calls.obj_info(self.fileno(), PROG_INFO.size, (array,), extra)
        except OSError as error:
            raise KernelError("can't get prog info", error.errno or 0) from None
        return records

    def full_name(self, info: ProgramInfo) -> str:
        """Return the name; where the kernel has cut it, the function's name in the program's BTF.

        Of that, as much as bpftool shows and takes as a handle.
        """
        name = info.name or ""
        if len(name.encode(errors="surrogateescape")) < _NAME_ROOM or not info.btf_id or not info.nr_func_info:
            return name
        from bpfctl.kernel import btf  # noqa: PLC0415 - most names are whole

        records = self.func_info(info)
        return ((records and btf.function_name(info.btf_id, records)) or name)[:_FULL_NAME_ROOM]

    def row(self, around: Surroundings) -> ProgramRow:
        """Gather the program's facts and surroundings."""
        orphaned = False
        try:
            info = self.info()
        except KernelError as error:
            if error.errno != ENODEV:
                raise
            # The kernel tells nothing but this of a program whose offload device is gone.
            fields = fdinfo.fields(fdinfo.read(self.fileno()))
            kind, id_, tag = int(fields["prog_type"]), int(fields["prog_id"]), bytes.fromhex(fields["prog_tag"])
            nothing, orphaned = ProgramInfo.from_raw(bytes(PROG_INFO.size)), True
            info = nothing._replace(type=_PROG_TYPES.get(kind, kind), id=id_, tag=tag)
        return ProgramRow(
            info,
            self.full_name(info),
            fdinfo.number(around.fdinfo(info.id, self.fileno()), b"memlock"),
            orphaned,
            around.pinned(info.id),
            around.owners(info.id),
            around.metadata(info.map_ids) if info.map_ids else (),
        )

    def matches(self, which: Select) -> bool:
        """Return whether a tag or a name is this program's; a name that the kernel has cut is none."""
        info = self.info()
        if which.by == "tag":
            return info.tag == which.value
        return self.full_name(info) == which.value

    def called(self) -> str:
        """Return its name in full."""
        return self.full_name(self.info())


def select(which: Select | None = None) -> Iterator[Program]:
    """Open each program that is meant, in the order of ids; the caller closes it. NotFound when none is."""
    return Program.select(which)


def one(which: Select) -> Program:
    """Open the one program that is meant; Ambiguous when a tag or a name matches several."""
    return Program.one(which)


def rows(which: Select | None = None, *, pinned: bool = False, owners: bool | How = True) -> Iterator[ProgramRow]:
    """Yield the facts of each program that is meant; ``pinned`` and ``owners`` say what else to look up."""
    around = Surroundings(handle.PROG, pinned=pinned, owners=owners)
    for program in Program.select(which):
        with program:
            yield program.row(around)

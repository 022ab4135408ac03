"""Types of a program and of a kernel, spelled out, and what is asked of them."""

from __future__ import annotations

from btf import types
from btf.ext import CoreRelo
from btf.read import BTF
from btf.relo import Resolver, Target
from btf.write import Builder


class World:
    """A BTF under construction, with the types that every one has."""

    def __init__(self, *, order="little", base=None):
        self.build = Builder(byteorder=order, base=base)
        if base is None:
            self.int = self.build.add_int("int", 4, encoding=types.SIGNED)
            self.u8 = self.build.add_int("unsigned char", 1)
            self.u32 = self.build.add_int("unsigned int", 4)
            self.u64 = self.build.add_int("unsigned long", 8)
            self.ptr = self.build.add_ptr(0)

    def __getattr__(self, name):
        return getattr(self.build, name)


def btf(world, base=None):
    return BTF.from_bytes(world.build.build(), base)


def ask(local, target, *asked):
    """The results of (type id, access, kind) on the target, in order."""
    target = target if isinstance(target, Target) else Target(btf(target))
    resolver = Resolver(btf(local), target)
    return [resolver.resolve(CoreRelo(8, *one)) for one in asked]


def pair(mine, theirs):
    """What is in a struct s of the program, and of the kernel: callables of a World."""
    local, target = World(), World()
    ids = local.add_struct("s", 64, mine(local)), target.add_struct("s", 64, theirs(target))
    return local, target, ids[0]


def values(results):
    assert [None] * len(results) == [result.error for result in results]
    return [result.value for result in results]

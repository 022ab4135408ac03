"""The kernel takes what btf writes: every kind that it knows, as it is, deduplicated, merged, or in older terms."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from btf import kind, types
from btf.dedup import dedup
from btf.merge import merge
from btf.read import BTF
from btf.sanitize import SINCE, Feature, known_to, sanitize
from btf.subset import subset
from btf.write import GLOBAL, Builder
from tests.kernel import client

VERSION = tuple(map(int, re.match(r"(\d+)\.(\d+)", os.uname().release).groups()))


def load(raw):
    """Load BTF; a refusal fails the test with the kernel's words."""
    try:
        os.close(client.btf_load(raw))
    except OSError as error:
        pytest.fail(f"the kernel refuses it: {error}\n{getattr(error, 'log', b'')[-1000:]}")


def accepts(raw):
    try:
        os.close(client.btf_load(raw))
    except OSError:
        return False
    return True


def sample(feature):
    """A BTF that needs one feature, besides those that came before it."""
    b = Builder()
    number = b.add_int("int", 4, encoding=types.SIGNED)
    match feature:
        case Feature.KIND_FLAG:
            b.add_struct("bits", 4, [("x", number, 0, 3), ("y", number, 3, 29)])
            b.add_ptr(b.add_fwd("announced", union=True))
        case Feature.FUNC:
            b.add_func("static_function", b.add_func_proto(number, [("x", number)]))
        case Feature.DATASEC:
            b.add_datasec(".data", 4, [(b.add_var("counter", number, GLOBAL), 0, 4)])
        case Feature.FUNC_LINKAGE:
            b.add_func("global_function", b.add_func_proto(0), GLOBAL)
        case Feature.FLOAT:
            b.add_struct("has_float", 8, [("x", b.add_float("double", 8))])
        case Feature.DECL_TAG:
            b.add_decl_tag("has words in it", b.add_struct("tagged", 4, [("x", number)]), 0)
        case Feature.TYPE_TAG:
            b.add_ptr(b.add_type_tag("user", number))
        case Feature.ENUM64:
            b.add_enum("narrow", [("MINUS", -1)], signed=True)
            wide = b.add_enum64("wide", [("BIG", 1 << 40)])
            b.add_struct("has_wide", 16, [("x", wide), ("bits", wide, 64, 3)])
            b.add_enum64("", [("LOW", -(1 << 40))], signed=True)
        case Feature.SECTION_NAMES:
            b.add_datasec("?.struct_ops", 4, [(b.add_var("ops", number, GLOBAL), 0, 4)])
        case Feature.ATTRIBUTES:
            b.add_ptr(b.add_type_tag("noderef", b.add_type_tag("user", number), attribute=True))
            b.add_decl_tag("packed", b.add_struct("marked", 4, [("x", number)]), attribute=True)
        case Feature.VLEN:
            b.add_enum("many", [(f"E{value}", value) for value in range(65536)])
    return b


def btf(feature):
    return BTF.from_bytes(sample(feature).build())


@pytest.fixture(scope="module")
def known():
    """What the running kernel knows, by trying."""
    return frozenset(feature for feature in Feature if accepts(sample(feature).build()))


@pytest.mark.parametrize("feature", Feature)
def test_the_table_is_true(feature, known):
    """This kernel knows what the table says of its version; it may know more."""
    assert SINCE[feature] > VERSION or feature in known


@pytest.mark.parametrize("feature", [each for each in Feature if each != Feature.VLEN])
def test_what_it_lacks_is_replaced(feature, known):
    """Each feature, said without it and without all that came with or after it, is loaded."""
    load(sanitize(btf(feature), known))
    load(sanitize(btf(feature), known - {feature}))
    load(sanitize(btf(feature), known & known_to(SINCE[feature]) - {feature}))
    load(sanitize(btf(feature), ()))


@pytest.mark.parametrize("version", sorted({(4, 18), *SINCE.values()}))
def test_older_forms_are_still_good(version, known):
    """All that there is, merged, in the form for each version that is not newer than this one."""
    parts = [btf(feature) for feature in Feature if feature != Feature.VLEN]
    merged = BTF.from_bytes(merge(parts).data)

    load(sanitize(merged, known & known_to(version)))


def test_every_kind_that_it_knows(known):
    """The builder's every kind, at once."""
    b = Builder()
    number = b.add_int("int", 4, encoding=types.SIGNED)
    char, boolean = b.add_int("char", 1, encoding=types.CHAR), b.add_int("_Bool", 1, encoding=types.BOOL)
    target = b.next_id
    b.add_struct("node", 24, [("next", target + 1), ("bits", number, 64, 5), ("c", char, 96), ("b", boolean, 104)])
    b.add_ptr(target)
    b.add_union("either", 24, [("node", target), ("numbers", b.add_array(number, number, 6))])
    b.add_typedef("node_t", b.add_volatile(b.add_const(target)))
    b.add_ptr(b.add_restrict(b.add_ptr(0)))
    b.add_enum("color", [("RED", 0), ("BLUE", 7)])
    b.add_ptr(b.add_fwd("elsewhere"))
    b.add_func("variadic", b.add_func_proto(0, [("x", number), ("", 0)]), GLOBAL)

    load(b.build())
    load(dedup(BTF.from_bytes(b.build())).data)
    assert Feature.FUNC in known


def test_layout(known):
    """Since Linux 7.1, which is when long lists of members came too, a BTF may tell the sizes of its records."""
    raw = sample(Feature.DATASEC).build(layout=True)

    assert accepts(raw) or Feature.VLEN not in known
    load(sanitize(BTF.from_bytes(raw), known))


def test_part_of_the_kernel_twice(known):
    """Some of the kernel's own types, twice, and merged again."""
    vmlinux = BTF.from_bytes(Path("/sys/kernel/btf/vmlinux").read_bytes())
    roots = [vmlinux.find(name, types.Struct).id for name in ("task_struct", "sk_buff", "inode")]
    part = BTF.from_bytes(subset(vmlinux, roots))

    merged = merge([part, part])

    load(merged.data)
    # of a forward declaration and two structs of its name, one struct may be left here, and then they are the same
    once = dedup(part)
    assert once.data == merged.data
    assert len(part) - len(BTF.from_bytes(once.data)) < 10
    load(sanitize(BTF.from_bytes(merged.data), known & known_to((5, 10))))


def test_sizes_survive():
    """The kernel itself says that sections fit their variables when they have become structs."""
    b = Builder()
    number = b.add_int("int", 4)
    b.add_datasec(".bss", 0, [(b.add_var("a", number, GLOBAL), 0, 4), (b.add_var("b.c", number), 4, 4)])
    unlinked = BTF.from_bytes(b.build())

    assert not accepts(b.build())
    load(sanitize(unlinked, ()))
    assert kind.DATASEC not in {BTF.from_bytes(sanitize(unlinked, ())).kind(each) for each in unlinked.ids}

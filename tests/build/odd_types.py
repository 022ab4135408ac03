"""Random types with few names, so that those of two such worlds meet, and relocations that ask for them."""

from __future__ import annotations

from btf import relo_kind, types
from btf.write import Builder
from tests.build.bpf_object import Relo

NAMES = ["s", "s", "s___a", "s___b", "u", "u___x", "e", "", "s____c"]


def odd_types(random, count):
    """A Builder with ``count`` types that refer to those before them."""
    b = Builder()
    b.add_int("int", 4, encoding=types.SIGNED)
    b.add_int("unsigned int", 4)
    b.add_int("char", 1, encoding=types.SIGNED)
    b.add_float("double", 8)
    b.add_fwd("s")
    b.add_ptr(0)
    for _ in range(count):
        _add(random, b)
    return b


def _add(random, b):
    def some():
        return random.randint(1, b.next_id - 1)

    match random.randrange(12):
        case 0 | 1 | 2:
            b.add_struct(random.choice(NAMES), random.choice([8, 16, 32]), _members(random, some))
        case 3 | 4:
            b.add_union(random.choice(NAMES), random.choice([8, 16, 32]), _members(random, some))
        case 5:
            b.add_ptr(random.choice([0, some()]))
        case 6:
            b.add_array(some(), 1, random.choice([0, 1, 3]))
        case 7:
            b.add_typedef(random.choice(["s", "t", "t___x", "u"]), some())
        case 8:
            random.choice([b.add_const, b.add_volatile, b.add_restrict])(some())
        case 9:
            values = [(name, random.randint(0, 3)) for name in random.sample(["A", "B", "C", "A___x"], 2)]
            add = random.choice([b.add_enum, b.add_enum64])
            add(
                random.choice(["e", "e___y", "s", ""]), values, size=random.choice([4, 8]), signed=random.random() < 0.5
            )
        case 10:
            params = [(name, some()) for name in random.sample("xyz", random.randint(0, 2))]
            b.add_func_proto(random.choice([0, some()]), params)
        case _:
            b.add_int(random.choice(["int", "char"]), random.choice([1, 4, 8]), bits_offset=random.choice([0, 0, 8]))


def _members(random, some):
    """Members with names of their own, and the last one perhaps without."""
    members, bits = [], 0
    names = random.sample(["a", "b", "c", "d", "f", "f___g"], random.randint(0, 5))
    for name in [*names, *random.sample([""], random.randint(0, 1))]:
        if random.random() < 0.2:
            members.append((name, random.choice([1, 2, 3]), bits + random.randint(0, 20), random.randint(1, 20)))
        else:
            members.append((name, some(), bits))
        bits += random.choice([0, 8, 32, 64])
    return members


def odd_relos(random, local, count):
    """Relocations of all kinds on the types of a BTF, most of which make sense."""
    named = [type_id for type_id in local.ids if local.name(type_id)]
    enums = [of.id for of in local if isinstance(of, types.Enum | types.Enum64) and of.name] or named
    relos = []
    for _ in range(count):
        kind = random.randrange(len(relo_kind.WORDS))
        type_id = random.choice(enums if kind in relo_kind.ENUMVAL else named)
        if kind in relo_kind.FIELD:
            access = _access(random, local, type_id)
        else:
            access = str(random.randrange(2)) if kind in relo_kind.ENUMVAL else "0"
        relos.append(Relo(type_id, access, kind))
    return list(dict.fromkeys(relos))


def _access(random, local, type_id):
    path = [random.choice(["0"] * 9 + ["2"])]
    for _ in range(random.choice([0, 1, 1, 1, 2, 2, 3, 4])):
        of = local.type(local.resolve(type_id))
        if isinstance(of, types.Struct | types.Union) and of.members:
            at = random.randrange(len(of.members))
            type_id = of.members[at].type_id
        elif isinstance(of, types.Array):
            at, type_id = random.randrange(max(2, of.nr_elems)), of.type_id
        else:
            break
        path.append(str(at))
    return ":".join(path)

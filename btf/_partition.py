"""Types sorted into classes of equals, by splitting classes until nothing speaks for another split.

Whether two structs are equal depends on the types of their members, which may lead back to the
structs themselves. So the question is asked the other way round. At first all types that look alike
are in one class: same kind, name, size, members' names and offsets. Then a class is split when its
types refer to different classes, and so on until no class is. What is together in the end cannot be
told apart by following references however far, which is what equal means for graphs with circles.
(It is how the states of an automaton are minimised.) The outcome does not depend on the order of
types, and doing it again changes nothing.

After a split the largest part keeps the class, so that only types which refer to the smaller parts
need another look: a type gets one about as often as the size of its class can be halved.

A forward declaration may *follow* a type: it counts as that type, whatever class that is in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Sequence


class Partition:
    """The classes of types 0 to N: ``classes[type]`` is the number of a type's class.

    ``looks`` says of each type what it is by itself, ``references`` what types it refers to.
    """

    __slots__ = ("_followers", "_members", "_references", "_referrers", "_sizes", "classes")

    def __init__(self, looks: Iterable[Hashable], references: Sequence[Sequence[int]]) -> None:
        numbers: dict[Hashable, int] = {}
        self.classes = [numbers.setdefault(look, len(numbers)) for look in looks]
        self._references = references
        self._referrers: list[list[int]] = [[] for _ in references]
        for type_id, targets in enumerate(references):
            for target in targets:
                self._referrers[target].append(type_id)
        #: The types of each class; they may still name some that have left it.
        self._members: list[list[int]] = [[] for _ in numbers]
        for type_id, number in enumerate(self.classes):
            self._members[number].append(type_id)
        self._sizes = [len(members) for members in self._members]
        self._followers: dict[int, list[int]] = {}

    def follow(self, type_id: int, leader: int) -> None:
        """Let a type count as ``leader``; to be said before anything is split."""
        self._sizes[self.classes[type_id]] -= 1
        self.classes[type_id] = self.classes[leader]
        self._followers.setdefault(leader, []).append(type_id)

    def split(self) -> None:
        """Split until the types of each class refer to the same classes."""
        doubtful: Collection[int] = [type_id for type_id, targets in enumerate(self._references) if targets]
        while doubtful:
            by_class: dict[int, list[int]] = {}
            for type_id in doubtful:
                by_class.setdefault(self.classes[type_id], []).append(type_id)
            doubtful = {
                referrer
                for number, members in by_class.items()
                if self._sizes[number] > 1
                for part in self._parts(number, members)
                for referrer in self._found(part)
            }

    def _parts(self, number: int, doubtful: list[int]) -> list[list[int]]:
        """Return the parts that have to leave a class.

        A doubtful type refers to a class that is new, which no other type of its class does: those
        without doubt are a part of their own.
        """
        classes = self.classes
        parts: dict[tuple[int, ...], list[int]] = {}
        for type_id in doubtful:
            key = tuple([classes[target] for target in self._references[type_id]])
            parts.setdefault(key, []).append(type_id)
        leaving = sorted(parts.values(), key=len)
        rest = self._sizes[number] - len(doubtful)
        if rest >= len(leaving[-1]):
            return leaving
        stays = leaving.pop()
        if rest:
            known = set(doubtful)
            members = [each for each in self._members[number] if classes[each] == number and each not in known]
            leaving.append(members)
        self._members[number] = stays
        return leaving

    def _found(self, part: Sequence[int]) -> set[int]:
        """Make a class of these types; return who refers to them or their followers."""
        number, old = len(self._members), self.classes[part[0]]
        self._members.append(list(part))
        self._sizes.append(len(part))
        self._sizes[old] -= len(part)
        referrers: set[int] = set()
        for type_id in part:
            self.classes[type_id] = number
            referrers.update(self._referrers[type_id])
            for follower in self._followers.get(type_id, ()):
                self.classes[follower] = number
                referrers.update(self._referrers[follower])
        return referrers

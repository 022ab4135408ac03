"""Classes that callers bring: what fields they have, and how objects of them are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def behind(as_: Any) -> Any:
    """Return what is annotated, or what stands behind a new name or ``| None``."""
    from types import UnionType  # noqa: PLC0415 - only those who read with classes need it
    from typing import Annotated, Union, get_args, get_origin  # noqa: PLC0415 - likewise

    while True:
        if get_origin(as_) is Annotated:
            as_ = get_args(as_)[0]
        elif get_origin(as_) in (Union, UnionType):
            others = [each for each in get_args(as_) if each is not type(None)]
            if len(others) != 1:
                return as_
            as_ = others[0]
        elif hasattr(as_, "__supertype__"):
            as_ = as_.__supertype__
        else:
            return as_


def generic(as_: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return a class and its arguments: list and int for ``list[int]``."""
    from typing import get_args, get_origin  # noqa: PLC0415 - only those who read with classes need it

    return get_origin(as_) or as_, get_args(as_)


def name_of(as_: Any) -> str:
    """Return a class's name for a message."""
    return as_.__name__ if isinstance(as_, type) else str(as_)


def class_fields(as_: Any) -> dict[str, Any]:
    """Return the fields of a class and what they are said to be; nothing for a class without fields."""
    if not isinstance(as_, type):
        return {}
    if hasattr(as_, "__dataclass_fields__"):
        names: Iterable[str] | None = (each.name for each in as_.__dataclass_fields__.values() if each.init)
    elif hasattr(as_, "__attrs_attrs__"):
        names = (each.name for each in as_.__attrs_attrs__ if each.init)
    elif issubclass(as_, tuple) and hasattr(as_, "_fields"):
        names = as_._fields
    elif hasattr(as_, "__total__"):  # a TypedDict, whose hints have the names of its bases too
        names = None
    else:
        return {}
    from typing import get_type_hints  # noqa: PLC0415 - only those who read with classes need it

    try:
        hints = get_type_hints(as_, include_extras=True)
    except NameError as wrong:
        raise BTFError(f"a field of {name_of(as_)} is of an unknown class: {wrong}") from None
    return {name: hints.get(name, Any) for name in names or hints}


def maker(as_: Any, fields: Iterable[str]) -> Callable[..., Any]:
    """Return what makes an object of a class out of the values of its fields in order."""
    names = list(fields)
    if hasattr(as_, "__attrs_attrs__"):
        aliases = {each.name: each.alias for each in as_.__attrs_attrs__}
        names = [aliases[name] for name in names]
    elif not issubclass(as_, dict) and not any(
        each.kw_only for each in getattr(as_, "__dataclass_fields__", {}).values()
    ):
        return as_  # type: ignore[no-any-return]
    if issubclass(as_, dict):
        return lambda *values: dict(zip(names, values, strict=True))
    return lambda *values: as_(**dict(zip(names, values, strict=True)))


def item_of(value: Any, name: str) -> Any:
    """Return an item of a dict, None when it is not there."""
    return value.get(name)


def getter(as_: Any) -> Callable[[Any, str], Any]:
    """Return what takes the value of a field from an object of a class."""
    return item_of if hasattr(as_, "__total__") else getattr

"""The decorator of the records that everything here is made of: dataclasses whose methods are written once for all.

`dataclasses.dataclass` compiles seven methods for each frozen class at each start, which is a fifth of the time of a
diagnosis with its two hundred records. Here it compiles `__init__` alone. That nobody assigns to a field is what mypy
proves (`frozen_default`), in place of a check at run time. Comparing, hashing, printing, `replace`, `match` and
pickling are as they are with dataclasses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: Any) -> Callable[[Any], Any]:
        return lambda decorator: decorator


_T = TypeVar("_T")


class _Shared:
    """The methods of all records."""

    __compared__: Callable[[Any], Any]
    __hashed__: Callable[[Any], Any]

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        equal: bool = self.__compared__(self) == self.__compared__(other)
        return equal

    def __hash__(self) -> int:
        return hash(self.__hashed__(self))

    def __repr__(self) -> str:
        shown: Any = self
        values = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(shown) if f.repr)
        return f"{type(self).__qualname__}({values})"


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[_T]) -> type[_T]:
    """A frozen dataclass with slots. What the class itself defines stays as it is.

    Two records are equal where they are of one class and their fields are, but for those of `field(compare=False)`.
    """
    for name in ("__eq__", "__hash__", "__repr__"):
        if name not in cls.__dict__:
            setattr(cls, name, _Shared.__dict__[name])
    cls.__doc__ = cls.__doc__ or cls.__name__  # dataclass would print the signature for it
    made: Any = dataclass(eq=False, repr=False, slots=True)(cls)
    made.__compared__ = _values_of([f.name for f in fields(made) if f.compare])
    made.__hashed__ = _values_of([f.name for f in fields(made) if (f.compare if f.hash is None else f.hash)])
    return made  # type: ignore[no-any-return]


def _values_of(names: list[str]) -> Callable[[Any], Any]:
    """Gives the values of these attributes of an object, in a form that can be compared and hashed."""
    return attrgetter(*names) if names else staticmethod(lambda _: ())

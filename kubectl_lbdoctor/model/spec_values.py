"""Values in the spec of an object, by their paths of keys: ("healthCheckConfig", "healthCheckPath")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

Path = tuple[str, ...]


def mapping_in(values: Mapping[str, object], key: str) -> Mapping[str, object]:
    """The mapping below a key; an empty one where there is none."""
    found = values.get(key)
    return found if isinstance(found, Mapping) else {}


def value_in(values: object, path: Path) -> object:
    """What stands at a path; None where nothing does."""
    for key in path:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values


def leaves(values: Mapping[str, object], path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Each value that holds no others, with its path."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def with_value(values: Mapping[str, object], path: Path, value: object) -> dict[str, object]:
    """A copy of the values in which this one stands at the path."""
    first, *rest = path
    return {**values, first: with_value(mapping_in(values, first), tuple(rest), value) if rest else value}

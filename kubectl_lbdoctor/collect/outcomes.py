"""What becomes of a read: every documented way of ending is a fact, and several reads are put together by one rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from kubectl_lbdoctor.errors import AwsApiError, CouldNotRun, LbdoctorError, NoCredentials, ReadDenied
from kubectl_lbdoctor.model.fact import Fact

T = TypeVar("T")


def attempt(source: str, scope: str, read: Callable[[], T]) -> Fact[T]:
    """Run one read and turn every documented way of failing into a fact.

    Raises CouldNotRun, which ends the run: then there is nothing to diagnose.
    """
    try:
        return Fact.known(source, read(), scope)
    except ReadDenied as error:
        return Fact.denied(source, error.message, error.permission, scope)
    except NoCredentials as error:
        return Fact.not_asked(source, error.message, scope)
    except CouldNotRun:
        raise
    except LbdoctorError as error:
        return Fact.failed(source, error.message, scope)


def joined(source: str, parts: Iterable[Fact[tuple[T, ...]]], scope: str = "") -> Fact[tuple[T, ...]]:
    """Several lists as one; the first that is not known makes the whole unknown, and says why."""
    found: list[T] = []
    for part in parts:
        if not part.is_known:
            return part
        found += part.need()
    return Fact.known(source, tuple(found), scope)


def or_absent(read: Callable[[], T], *codes: str) -> T | None:
    """The value, or None where AWS answers with one of the codes that mean "does not exist".

    Raises what `read` raises otherwise.
    """
    try:
        return read()
    except AwsApiError as error:
        if error.code in codes:
            return None
        raise


def results(futures: Mapping[str, Future[Any]]) -> dict[str, Any]:
    """The results of all futures under the same names; waits for them."""
    return {name: future.result() for name, future in futures.items()}

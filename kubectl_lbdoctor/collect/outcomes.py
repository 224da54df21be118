"""What becomes of a read: every way of ending is a fact."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from kubectl_lbdoctor.collect.fields import NotUnderstood
from kubectl_lbdoctor.errors import AwsApiError, CouldNotRun, LbdoctorError, NoCredentials, ReadDenied, ReadFailed
from kubectl_lbdoctor.model.fact import Fact

T = TypeVar("T")


def attempt(source: str, scope: str, read: Callable[[], T]) -> Fact[T]:
    """Run one read and turn every way of failing into a fact: an answer that cannot be understood is a failed read.

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
    except ReadFailed as error:
        return Fact.failed(source, error.problem, scope, error.request)
    except LbdoctorError as error:
        return Fact.failed(source, error.message, scope)
    except AssertionError:
        raise  # a mistake of the program, and nothing that was answered
    except Exception as error:
        said = str(error) if isinstance(error, NotUnderstood) else f"{type(error).__name__}: {error}"
        return Fact.failed(source, f"the answer could not be understood ({said})", scope)


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

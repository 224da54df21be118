"""Every way in which the program can end, and the errors that lead there.

Only the client modules (`collect.kubernetes_api.client`, `collect.aws_api.client`) see SDK exceptions; they raise these
instead, chaining the cause, so that everything above them can say in one sentence what was tried, what went wrong and
what to do next.
"""

from __future__ import annotations

from enum import IntEnum

from kubectl_lbdoctor.permission import Permission, could_not


class ExitStatus(IntEnum):
    """Exit statuses, the same for every output format (documented in README.md)."""

    HEALTHY = 0
    FINDINGS = 1
    USAGE = 2
    UNKNOWN = 3
    COULD_NOT_RUN = 4
    INTERRUPTED = 130


class LbdoctorError(Exception):
    """An error with a sentence for the user.

    `message` says what was tried and what went wrong, `hint` what to do next (may be empty); `status` is the exit
    status that the program ends with when nobody handles the error.
    """

    status: ExitStatus = ExitStatus.COULD_NOT_RUN

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(LbdoctorError):
    """The command line or an input file cannot be used as given."""

    status = ExitStatus.USAGE


class CouldNotRun(LbdoctorError):
    """There is no cluster, no such object, or no readable bundle: nothing can be diagnosed."""


class ReadDenied(LbdoctorError):
    """One read was refused for lack of permission; `permission` is what to add."""

    def __init__(self, message: str, permission: Permission, hint: str = "") -> None:
        super().__init__(message, hint)
        self.permission = permission


class ReadFailed(LbdoctorError):
    """One read failed, was throttled or timed out; whether the object exists is not known.

    `problem` is what became of it, and `request` what it needs to be allowed, where the message is made of both.
    """

    def __init__(self, problem: str, hint: str = "", *, request: Permission | None = None) -> None:
        super().__init__(could_not(request, problem), hint)
        self.problem = problem
        self.request = request


class WriteRefused(LbdoctorError):
    """A write was answered with an error: `http_status` is the answer (409: the object moved on; 422: a `test`
    operation or a rule of the API does not hold; 404: it is gone). by_server: the API server itself said so, and not
    something between; below 500 the write was then not made."""

    def __init__(self, message: str, http_status: int, hint: str = "", *, by_server: bool = True) -> None:
        super().__init__(message, hint)
        self.http_status = http_status
        self.by_server = by_server


class Unreachable(ReadFailed):
    """The whole service did not answer (refused connection, name not found, TLS): every other read will fail too."""


class NoCredentials(LbdoctorError):
    """The service was not asked because there are no usable credentials."""


class AwsApiError(ReadFailed):
    """AWS answered a call with an error that is neither a denial, a throttle nor a credentials problem.

    `code` is the API's own error code, so that the caller can tell absence ("TargetGroupNotFound") from failure.
    """

    def __init__(self, message: str, code: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.code = code


class ApiMissing(LbdoctorError):
    """The cluster does not serve this API at all: no such group, version or resource (its CRD is not installed)."""

"""What became of a write whose answer is none, or is no yes. Pure but for the look that it is given.

Only a refusal by the server itself proves that nothing was made, and then only where the object says the same: a proxy
may have repeated a write that was made, and then brings the refusal of the second. What ends otherwise (a server's
error, an answer that cannot be read, a connection that broke) may be made even after it was looked for: etcd and the
proxies before it go on with a write that the API server has given up.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from kubectl_lbdoctor.errors import AwsApiError, LbdoctorError, NoCredentials, ReadDenied, ReadFailed, WriteRefused
from kubectl_lbdoctor.fix.errors import AlreadyThere, MovedOn, OutOfSight


class NotKnown(ReadFailed):
    """Whether a write was made is not known, although the object was looked at again."""


class Answer(Enum):
    """What an answer to a write proves. REFUSED: it was not made. CONFLICT: it was not made, unless something between
    repeated it (409, 404, a `test` that does not hold). OPEN: nothing."""

    REFUSED = "refused"
    CONFLICT = "conflict"
    OPEN = "open"


_EXISTS = ("InvalidPermission.Duplicate", "NetworkAclEntryAlreadyExists")
"""EC2's words for what was absent a moment ago: somebody else's, or the first attempt of the SDK."""


def what_it_proves(error: LbdoctorError) -> Answer:
    """How far an answer to a write can be believed."""
    if isinstance(error, WriteRefused):
        if not error.by_server or error.http_status >= 500:
            return Answer.OPEN
        return Answer.CONFLICT if error.http_status in (404, 409, 422) else Answer.REFUSED
    if isinstance(error, AwsApiError):
        return Answer.OPEN if error.code in _EXISTS else Answer.CONFLICT
    return Answer.REFUSED if isinstance(error, (ReadDenied, NoCredentials)) else Answer.OPEN


def look_again(error: LbdoctorError, look: Callable[[], object], half_made: bool = False) -> None:
    """Return where the write was made after all. Raises `error` itself where it surely was not, MovedOn where somebody
    else's change stands in its place, else NotKnown.

    look: reads the object, and raises AlreadyThere where the change is in effect, MovedOn where neither the former
    value nor the new one is there. half_made: a part of the change is made, so that nothing proves that nothing is.
    """
    proof = Answer.OPEN if half_made else what_it_proves(error)
    try:
        look()
    except AlreadyThere:
        return
    except MovedOn as moved:
        if proof is Answer.REFUSED:
            raise error from None
        seen = not isinstance(moved, OutOfSight)
        if seen and (proof is Answer.CONFLICT or isinstance(error, AwsApiError)):
            raise moved from error  # Somebody else's value is there, and the refusal says why.
        raise NotKnown(f"{error.message}; whether it was made is not known: {moved.message}") from error
    except LbdoctorError as unread:
        if proof is Answer.REFUSED:
            raise error from None
        raise NotKnown(
            f"{error.message}; whether it was made is not known, because it cannot be looked at: {unread.message}"
        ) from error
    if proof is Answer.OPEN:
        raise NotKnown(f"{error.message}; looked at again, it is not made, but it may be made yet") from error
    raise error

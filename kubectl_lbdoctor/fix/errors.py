"""Why a change is not made: values, of which the sentence is made."""

from __future__ import annotations

from enum import Enum

from kubectl_lbdoctor.errors import ExitStatus, LbdoctorError
from kubectl_lbdoctor.model.objects import ObjectRef


class MovedOn(LbdoctorError):
    """What a change builds on is no longer there: nothing was written."""

    status = ExitStatus.FINDINGS


class OutOfSight(MovedOn):
    """The object is gone or going: what became of a change to it cannot be seen any more."""


class Gone(OutOfSight):
    """The object does not exist any more, and no change to it is in effect."""


class Expectation(Enum):
    """Where an expected value comes from: the plan of a fix, or the fix that is to be undone."""

    PLANNED = "as planned"
    SET_BY_FIX = "as the fix has set it"


class ValueChanged(MovedOn):
    """Somebody changed the value that a change starts from. field: in words. found, expected: None means absent."""

    def __init__(
        self, object: ObjectRef, field: str, found: object, expected: object, expectation: Expectation
    ) -> None:
        super().__init__(
            f"{object} has changed: {field} is {_words(found)} now, not {_words(expected)} {expectation.value}",
            "run the command again to see what is right now",
        )
        self.object = object
        self.field = field
        self.found = found
        self.expected = expected
        self.expectation = expectation


class CannotRehearse(LbdoctorError):
    """No server can try a change without making it. The message says why, in half a sentence; nothing was written."""


class AlreadyThere(LbdoctorError):
    """What a change would add exists already: there is nothing to do, and nothing to take back."""


def _words(value: object) -> str:
    return "absent" if value is None else f'"{value}"' if isinstance(value, str) else str(value)

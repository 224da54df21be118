"""However a run that changes something ends, its result is shown with the status that the program ends with."""

from __future__ import annotations

from collections.abc import Callable

from kubectl_lbdoctor.errors import ExitStatus, LbdoctorError


def to_the_end(
    go: Callable[[], None], status: Callable[[], ExitStatus], show: Callable[[ExitStatus], None]
) -> ExitStatus:
    """Run it and show the result. status: of a run that came to its end; one that raises has that of what it raises.

    Raises what `go` raises.
    """
    ending = ExitStatus.COULD_NOT_RUN
    try:
        go()
        ending = status()
    except LbdoctorError as error:
        ending = error.status
        raise
    except KeyboardInterrupt:
        ending = ExitStatus.INTERRUPTED
        raise
    finally:
        show(ending)
    return ending

"""The end of the controller's log is what matters, however long its lines are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubectl_lbdoctor.collect.controller_reads import LOG_BYTES, LOG_LINES, ControllerReader
from kubectl_lbdoctor.collect.kube_lists import KubeLists
from kubectl_lbdoctor.errors import ReadFailed
from kubectl_lbdoctor.model.k8s import Container, ContainerStatus, Meta, Pod


class Kube:
    """A log that is answered as the kubelet does: the last lines, from the first of them on as far as they go."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines
        self.asked: list[int] = []

    def text(self, path: str, params: Mapping[str, Any], max_bytes: int) -> str:
        self.asked.append(params["tailLines"])
        whole = "".join(f"{line}\n" for line in self.lines[-params["tailLines"] :])
        return whole if len(whole) <= max_bytes else whole[:max_bytes].rpartition("\n")[0] + "\n"


ERROR = '{"level":"error","msg":"Reconciler error","error":"the newest"}'


def newest(kube: Kube) -> str:
    reader = ControllerReader(kube, KubeLists(kube))  # type: ignore[arg-type]
    return reader._log(Pod(Meta("controller", "kube-system"))).need().splitlines()[-1]


def test_a_log_of_long_lines_keeps_its_end() -> None:
    """Release 3 logs a whole Gateway whenever it looks at one."""
    gateway = '{"level":"info","msg":"Got request for reconcile","gw":"' + "x" * 2000 + '"}'
    kube = Kube(*[gateway] * LOG_LINES, ERROR)
    assert newest(kube) == ERROR
    assert kube.asked == [2000, 1000, 500]


def test_a_log_that_fits_is_asked_for_once() -> None:
    kube = Kube(*[ERROR.replace("the newest", "before")] * LOG_LINES, ERROR)
    assert newest(kube) == ERROR and kube.asked == [LOG_LINES]


def test_a_line_that_is_longer_than_everything_ends_the_search() -> None:
    kube = Kube("x" * (LOG_BYTES * 2), ERROR)
    reader = ControllerReader(kube, KubeLists(kube))  # type: ignore[arg-type]
    assert reader._log(Pod(Meta("controller", "kube-system"))).is_known
    assert len(kube.asked) < 10


class Restarted:
    """The logs of a container that has ended before: of the run that ended (None: no longer kept) and of this one."""

    def __init__(self, ended: str | None, current: str) -> None:
        self.ended, self.current = ended, current

    def text(self, path: str, params: Mapping[str, Any], max_bytes: int) -> str:
        if not params.get("previous"):
            return self.current
        if self.ended is None:
            raise ReadFailed("previous terminated container not found")
        return self.ended


def read_of(kube: Restarted, **status: Any) -> list[str]:
    pod = Pod(
        Meta("controller", "kube-system"),
        containers=(Container("controller"),),
        statuses=(ContainerStatus("controller", **status),),
    )
    return ControllerReader(kube, KubeLists(kube))._log(pod).need().splitlines()  # type: ignore[arg-type]


STARTING = '{"level":"error","msg":"starting","error":"of the run that has begun"}'


def test_a_crash_loop_tells_why_in_whichever_second_it_is_seen() -> None:
    kube = Restarted(f"{ERROR}\n", f"{STARTING}\n")
    assert read_of(kube, state="waiting", restarts=3) == [ERROR]
    assert read_of(kube, state="running", restarts=3) == [ERROR, STARTING]
    # What became ready again is over with.
    assert read_of(kube, state="running", restarts=3, ready=True) == [STARTING]
    assert read_of(kube, state="running", restarts=0) == [STARTING]


def test_the_log_of_what_runs_is_read_where_no_other_is_kept() -> None:
    assert read_of(Restarted(None, f"{STARTING}\n"), state="running", restarts=3) == [STARTING]

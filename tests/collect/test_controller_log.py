"""The end of the controller's log is what matters, however long its lines are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubectl_lbdoctor.collect.controller_reads import LOG_BYTES, LOG_LINES, ControllerReader
from kubectl_lbdoctor.collect.kube_lists import KubeLists
from kubectl_lbdoctor.model.k8s import Meta, Pod


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

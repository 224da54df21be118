"""Signals while debug pods run: the first ends the run, and none keeps the pods from being removed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubectl_lbdoctor.collect.kubernetes_api.client import KubeReader
from kubectl_lbdoctor.errors import WriteRefused
from kubectl_lbdoctor.probe import pods
from kubectl_lbdoctor.probe.interruption import guarded
from kubectl_lbdoctor.probe.placement import Batch
from tests.unit.test_probe_runner import REQUEST

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT]


@pytest.fixture(autouse=True)
def ordinary() -> Iterator[None]:
    """The handlers of a process that was started from a shell."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_ends_the_block_and_the_next_ones_wait(number: signal.Signals) -> None:
    before = {n: signal.getsignal(n) for n in SIGNALS}
    done = []
    with pytest.raises(KeyboardInterrupt), guarded():
        try:
            signal.raise_signal(number)
        finally:
            for other in SIGNALS:
                signal.raise_signal(other)
            done.append("removed")
    assert done == ["removed"] and {n: signal.getsignal(n) for n in SIGNALS} == before


def test_a_terminal_that_is_gone_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It sends SIGHUP twice, and can no longer be written to."""

    def gone(*args: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "write", gone)
    done = []
    with pytest.raises(KeyboardInterrupt), guarded():
        try:
            signal.raise_signal(signal.SIGHUP)
        finally:
            signal.raise_signal(signal.SIGHUP)
            done.append("removed")
    assert done == ["removed"]


def test_what_is_ignored_stays_ignored() -> None:
    """`nohup` and `&` of a shell."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with guarded() as guard:
        signal.raise_signal(signal.SIGHUP)
        guard.check()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_signal_whose_exception_is_lost_counts_later() -> None:
    """Python ignores what a destructor raises."""
    with guarded() as guard:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            guard.check()


class Cluster:
    """Keeps pods, and calls `at` with each request ("POST", "DELETE" and "LIST")."""

    def __init__(self, at: Callable[[str], None]) -> None:
        self.names: list[str] = []
        self.at = at

    def send(self, method: str, path: str, params: Any = None, body: Any = None) -> dict[str, Any]:
        self.at(method)
        if method == "POST":
            self.names.append(body["metadata"]["name"])
        elif (name := path.rpartition("/")[2]) in self.names:
            self.names.remove(name)
        else:
            raise WriteRefused("not found", 404)
        return {}

    def list(self, path: str, params: Any) -> list[Any]:
        self.at("LIST")
        return [{"metadata": {"name": name}, "status": {"phase": "Running"}} for name in self.names]


@pytest.mark.parametrize("moment", ["POST", "DELETE", "LIST", "note", "progress"])
def test_no_moment_of_a_signal_leaves_a_pod(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each step, and again at every one that follows."""
    monkeypatch.setattr(pods, "GONE_TIME", 0.1)
    began: list[str] = []

    def at(step: str) -> None:
        if step == moment or began:
            began.append(step)
            signal.raise_signal(signal.SIGTERM)

    cluster = Cluster(lambda step: at(step) if len(cluster.names) or step == "POST" else None)
    kube = cast(KubeReader, SimpleNamespace(send=cluster.send, list=cluster.list, get=lambda path: None))
    maker = pods.DebugPods(kube, "x:1", lambda text: at("note"), lambda text: at("progress"))
    if moment == "DELETE":
        cluster.list = lambda path, params: [  # type: ignore[method-assign]
            {"metadata": {"name": name}, "status": {"phase": "Failed"}} for name in cluster.names
        ]
    with pytest.raises(KeyboardInterrupt):
        maker.send([Batch("shop", "node1", (REQUEST,)), Batch("shop", "node2", (REQUEST,))])
    assert began and cluster.names == []

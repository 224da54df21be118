"""Reads about a controller that do not need each other are made at once: one by one they are a run's longest way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from threading import Barrier
from typing import Any

from bench.world import MemoryKube, Shape, World
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.collect.controller_reads import ControllerReader
from kubectl_lbdoctor.collect.kube_lists import KubeLists
from kubectl_lbdoctor.report import needed_reads

TOGETHER = ("/log", "/serviceaccounts/", "/leases/", "/validatingwebhookconfigurations")


class Kube(MemoryKube):
    """Answers these reads when all of them are waiting for their answers."""

    def __init__(self) -> None:
        super().__init__(World.of(Shape(nodes=2, namespaces=2, services=2, ingresses=2, balanced=2, pods=4, crowded=2)))
        self._met = Barrier(len(TOGETHER), timeout=10)
        self.asked: list[str] = []

    def _wait(self, path: str) -> None:
        if any(part in path for part in TOGETHER):
            self.asked.append(path)
            self._met.wait()

    def list(self, path: str, params: Mapping[str, Any] | None = None) -> Iterator[Any]:
        self._wait(path)
        return super().list(path, params)

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        self._wait(path)
        return super().get(path, params)

    def text(self, path: str, params: Mapping[str, Any] | None = None, max_bytes: int = 0) -> str:
        self._wait(path)
        return super().text(path, params, max_bytes)


def test_log_account_lease_and_webhooks_are_read_at_once() -> None:
    kube = Kube()
    found = ControllerReader(kube, KubeLists(kube)).read(needed_reads(CATALOGUE))
    assert len(kube.asked) == len(TOGETHER)
    states = {
        key: fact.state.value
        for part in ("controller_logs", "service_accounts", "leases")
        for key, fact in found[part].items()
    }
    assert {*states.values()} == {"known"} and found["webhooks"].is_known

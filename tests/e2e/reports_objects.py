"""Faults from public reports: what people wrote in Ingresses, Services, bindings and workloads."""

from __future__ import annotations

from tests.e2e.scenarios import Scenario

SCENARIOS: list[Scenario] = []

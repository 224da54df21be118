"""Faults from public reports: controller, nodes, networks, meshes and other controllers."""

from __future__ import annotations

from tests.e2e.scenarios import Scenario

SCENARIOS: list[Scenario] = []

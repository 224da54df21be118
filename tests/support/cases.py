"""A case: a world, a fault as patches over it, and what the doctor must say, written by hand.

A case is a folder of tests/cases with case.yaml:

    world: alb-ip            # of tests/worlds
    clock: +30m              # later than the world's own, where a fault needs time to show
    subjects: [Ingress/web]  # where they are not the world's own
    patches: […]             # see tests/support/patches.py
    missing_apis: […]        # groups and versions that the cluster does not serve
    deny: […]                # permissions that the reader lacks; fail: reads that time out
    answers: […]             # what probes are answered: {match: {path: /db, port: 8080}, answers: [{status: 503}]}
    status: unhealthy
    exit: 1
    diagnoses:
    - {code: LBD301, object: Ingress/web, severity: error, explains: [LBD607], fix: healthcheck-path}
    # fix: the name that --fix repairs it by; without it, the program makes no repair
    unknown: []              # codes of checks that could not tell, denied permissions, failed reads
    known_wrong: why         # where the product is known to say something else: the test must fail then
"""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support import cassette, patches, product
from tests.support.cassette_aws import ReplayAws

CASES = Path(__file__).parent.parent / "cases"


@dataclass(frozen=True)
class Case:
    """One case.yaml."""

    name: str
    world: str
    status: str
    exit: int
    diagnoses: list[dict[str, Any]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    clock: str = ""
    subjects: list[str] = field(default_factory=list)
    patches: list[dict[str, Any]] = field(default_factory=list)
    deny: list[str] = field(default_factory=list)
    fail: list[str] = field(default_factory=list)
    missing_apis: list[str] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    known_wrong: str = ""
    about: str = ""

    def changed_world(self) -> cassette.World:
        """The world of this case, with its fault."""
        world = cassette.load(self.world)
        if self.clock:
            world.clock = patches.moved(world.clock, self.clock)
        if self.subjects:
            world.subjects = [cassette.parse_object(text, world.namespace) for text in self.subjects]
        patches.apply(world, self.patches)
        world.denied, world.failing = list(self.deny), list(self.fail)
        world.missing_apis = list(self.missing_apis)
        return world

    def expected(self) -> dict[str, Any]:
        """What must be said, in the form of `product.said`."""
        world = cassette.load(self.world)
        return {
            "status": self.status,
            "exit": self.exit,
            "diagnoses": [_expected(entry, world.namespace) for entry in self.diagnoses],
            "unknown": sorted(self.unknown),
        }


def _expected(entry: dict[str, Any], namespace: str) -> dict[str, Any]:
    kind, space, name = cassette.parse_object(entry["object"], namespace)
    if kind in (
        "Namespace",
        "Node",
        "CustomResourceDefinition",
        "ValidatingAdmissionPolicy",
        "GatewayClass",
        "IngressClass",
        "IngressClassParams",
        "TargetGroup",
        "LoadBalancer",
        "SecurityGroup",
        "NetworkAcl",
        "Subnet",
        "RouteTable",
        "IAMRole",
    ):
        space = ""
    return {
        "code": entry["code"],
        "object": f"{kind}/{space}/{name}" if space else f"{kind}/{name}",
        "severity": entry["severity"],
        "explains": sorted(entry.get("explains", [])),
        "fix": entry.get("fix", ""),
    }


@functools.cache
def names() -> tuple[str, ...]:
    """The names of all cases."""
    return tuple(sorted(path.parent.name for path in CASES.glob("*/case.yaml")))


@functools.cache
def load(name: str) -> Case:
    return Case(name=name, **yaml.load((CASES / name / "case.yaml").read_text(), yaml.CSafeLoader))


@functools.cache
def result(name: str) -> product.Run:
    """The run of a case by its name."""
    return run(load(name))


def run(case: Case) -> product.Run:
    """Collector, joins, checks, report, over readers that answer from the case's world."""
    world = case.changed_world()
    kube, aws = cassette.ReplayKube(world), ReplayAws(world)
    subjects = product.resolved(kube, world.subjects)
    snapshot = product.collect(kube, lambda _: aws, subjects, world.namespace, world.clock)
    if case.answers:
        snapshot = product.probed(snapshot, functools.partial(answer, case))
    return product.judge(snapshot)


def answer(case: Case, request: product.ProbeRequest) -> list[Mapping[str, Any]]:
    """The answers of the first entry that matches the request; one without an entry tells nothing."""
    for entry in case.answers:
        if all(fnmatch.fnmatchcase(str(getattr(request, key)), str(value)) for key, value in entry["match"].items()):
            return list(entry["answers"])
    return [{"outcome": "untold"}]

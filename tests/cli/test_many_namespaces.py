"""A run about many namespaces: a load balancer that Ingresses of all of them share."""

from __future__ import annotations

import itertools
from copy import deepcopy
from pathlib import Path

import pytest

from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.reads import Scope
from tests.support.cloud import Cloud
from tests.support.faults import KubeFault
from tests.support.program import Result, run
from tests.support.shop import NS

TEAMS = ("team-1", "team-2", "team-3", "team-4")
LISTED = [read for read in reads.KUBE.values() if read.scope is Scope.NAMESPACE]
# What is listed in all namespaces anyway: to find who publishes the load balancer, and to find the controllers.
ALSO_ELSEWHERE = {("networking.k8s.io", "ingresses"), ("", "services"), ("apps", "deployments")}

# What differs between two runs that find the same.
OF_THE_RUN = {"calls": None, "durationMs": None}


def share(cloud: Cloud, *teams: str) -> None:
    """Copies of Ingress, Service and pods of `shop` in other namespaces, behind the same load balancer."""
    for objects in cloud.kube.objects.values():
        for raw in [o for o in objects if o["metadata"].get("namespace") == NS]:
            for team in teams:
                copy = deepcopy(raw)
                copy["metadata"] |= {"namespace": team, "uid": f"{team}-{raw['metadata']['uid']}"}
                objects.append(copy)
    cloud.kube.objects["", "namespaces"] += [{"metadata": {"name": team, "uid": team}} for team in teams]


def diagnose(cloud: Cloud) -> Result:
    return run("lb", cloud.aws.host, "-o", "json", env=cloud.env)


def own_lists(cloud: Cloud, namespace: str) -> set[str]:
    """The resources that were listed in this namespace alone."""
    return {asked.resource for asked in cloud.kube.asked if asked.verb == "list" and asked.namespace == namespace}


def test_one_list_of_all_namespaces_replaces_one_for_each(cloud: Cloud) -> None:
    share(cloud, *TEAMS)
    result = diagnose(cloud)
    assert {s["namespace"] for s in result.json["subjects"]} == {NS, *TEAMS}
    assert [own_lists(cloud, namespace) for namespace in (NS, *TEAMS)] == [set()] * 5
    for read in LISTED:
        for group, resource in itertools.product(read.groups, read.resources):
            made = [
                a
                for a in cloud.kube.asked
                if (a.verb, a.group, a.resource, a.namespace) == ("list", group, resource, "")
            ]
            plain = [a for a in made if not a.query.get("labelSelector")]
            assert len(plain) == 1 or (group, resource) in ALSO_ELSEWHERE, (read.name, made)
    assert not [a for a in cloud.kube.asked if a.resource == "namespaces" and a.name]


def test_the_parts_are_what_each_namespace_holds(cloud: Cloud) -> None:
    """One namespace's pods crash: nobody else is accused. The same as by lists of one namespace each."""
    share(cloud, *TEAMS)
    for raw in cloud.kube.named("pods", "team-2"):
        raw["status"]["containerStatuses"][0] |= {
            "ready": False,
            "restartCount": 5,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        }
        for condition in raw["status"]["conditions"]:
            condition["status"] = "True" if condition["type"] == "PodScheduled" else "False"
    together = diagnose(cloud)
    cloud.kube.faults = [
        KubeFault("denied", verbs=("list",), resources=("pods",), where=lambda namespace: namespace == "")
    ]
    one_by_one = diagnose(cloud)
    assert {**together.json, **OF_THE_RUN} == {**one_by_one.json, **OF_THE_RUN}
    crashed = [d for d in together.json["diagnoses"] if d["code"] == "LBD403"]
    assert [d["object"]["namespace"] for d in crashed] == ["team-2"]


def test_few_namespaces_are_listed_one_by_one(cloud: Cloud) -> None:
    share(cloud, "team-1")
    diagnose(cloud)
    assert "pods" in own_lists(cloud, NS) and "pods" in own_lists(cloud, "team-1")
    assert not [a for a in cloud.kube.asked if (a.verb, a.resource, a.namespace) == ("list", "pods", "")]


@pytest.mark.parametrize("kind", ["denied", "error"])
def test_without_the_list_of_all_namespaces_each_is_listed(cloud: Cloud, kind: str) -> None:
    """A user of some namespaces may not list all of them; and what fails is unknown nowhere that can be asked alone."""
    share(cloud, *TEAMS)
    healthy = diagnose(cloud).json
    cloud.kube.faults = [KubeFault(kind, resources=("pods",), where=lambda namespace: namespace == "")]
    result = diagnose(cloud)
    assert {**result.json, **OF_THE_RUN} == {**healthy, **OF_THE_RUN}
    assert "pods" in own_lists(cloud, "team-4") and "services" not in own_lists(cloud, "team-4")


def test_a_denied_namespace_stays_denied_alone(cloud: Cloud) -> None:
    share(cloud, *TEAMS)
    cloud.kube.faults = [KubeFault("denied", resources=("pods",), where=lambda namespace: namespace in ("", "team-3"))]
    denied = diagnose(cloud).json["coverage"]["denied"]
    assert [(d["read"], d["permission"]) for d in denied] == [(reads.PODS, "list pods in namespace team-3")]


@pytest.mark.parametrize(("kind", "said"), [("denied", "LBD001 denied: list"), ("error", "could not list")])
def test_what_ends_alike_in_many_namespaces_is_said_once(cloud: Cloud, tmp_path: Path, kind: str, said: str) -> None:
    """Of the cluster, and of the bundle that it was saved in."""
    share(cloud, *TEAMS)
    cloud.kube.faults = [KubeFault(kind, resources=("pods",), where=lambda namespace: namespace != "kube-system")]
    file = str(tmp_path / "case.json")
    for result in (run("lb", cloud.aws.host, "--save", file, env=cloud.env), run("--from", file)):
        lines = [line for line in result.stdout.splitlines() if f"{said} pods" in line]
        assert len(lines) == 1 and f"{said} pods in 5 namespaces (" in lines[0], result.stdout


def test_an_api_that_is_not_installed_is_empty_in_every_namespace(cloud: Cloud) -> None:
    share(cloud, *TEAMS)
    cloud.kube.missing_groups.add("elbv2.k8s.aws")
    coverage = diagnose(cloud).json["coverage"]
    assert (coverage["denied"], coverage["failed"]) == ([], [])

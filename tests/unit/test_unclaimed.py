"""LBD129 to LBD135, LBD222 to LBD224: what nobody says, and the set-ups that look like it and are legal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_lbdoctor.knowledge.controller_identity import feature_gates, gate_is_on, plain_flag
from kubectl_lbdoctor.model import k8s, reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import Diagnosis, Severity
from kubectl_lbdoctor.permission import Permission
from tests.support.world import World, container, controller, meta, node

NLB = "service.beta.kubernetes.io/aws-load-balancer-"


def with_args(*args: str, name: str = "aws-load-balancer-controller") -> k8s.Workload:
    own = controller(meta=k8s.Meta(name, "kube-system"))
    first = own.containers[0]
    return replace(own, containers=(replace(first, args=(*first.args, *args)),))


def run_by(world: World, *controllers: k8s.Workload) -> World:
    return replace(world, cluster={**world.cluster, "controllers": Fact.known(reads.CONTROLLER, controllers)})


def said(world: World, code: str) -> Diagnosis | None:
    return next((d for d in world.report().diagnoses if d.finding.code == code), None)


@pytest.mark.parametrize(
    ("args", "gates"),
    [
        (("--feature-gates=A=false,B=true",), {"A": False, "B": True}),
        (("--feature-gates", "A=0"), {"A": False}),
        (("--feature-gates=A=true", "--feature-gates=A=False"), {"A": False}),
        (("--feature-gates=A=maybe,B", "--other=A=true"), {}),
        (("--feature-gates",), {}),
    ],
)
def test_feature_gates_are_read_as_the_controller_reads_them(args: tuple[str, ...], gates: dict[str, bool]) -> None:
    workload = replace(controller(), containers=(container(args=args),))
    assert feature_gates(workload) == gates


def test_gates_have_the_defaults_of_the_controller() -> None:
    assert gate_is_on(controller(), "EnableServiceController")
    assert not gate_is_on(controller(), "ServiceTypeLoadBalancerOnly")


def test_a_flag_from_the_environment_is_not_known() -> None:
    assert plain_flag(with_args("--watch-namespace=$(NAMESPACE)"), "watch-namespace") is None
    assert said(run_by(World(), with_args("--watch-namespace=$(NAMESPACE)")), "LBD131") is None


NETWORK = World().as_nlb()


def test_what_still_serves_is_a_warning() -> None:
    for code, world in (
        ("LBD129", run_by(World())),
        ("LBD131", run_by(World(), with_args("--watch-namespace=payments"))),
        ("LBD130", run_by(NETWORK, with_args("--feature-gates=EnableServiceController=false"))),
    ):
        found = said(world, code)
        assert found is not None and found.severity is Severity.WARNING, code


def test_one_watching_controller_is_enough() -> None:
    both = (with_args("--watch-namespace=payments"), with_args("--watch-namespace=shop", name="second"))
    assert said(run_by(World(), *both), "LBD131") is None


def test_deployments_that_may_not_be_listed_are_no_absence() -> None:
    denied: Fact[tuple[k8s.Workload, ...]] = Fact.denied(reads.CONTROLLER, "", Permission(("list",), "deployments"))
    world = replace(World(), cluster={**World().cluster, "controllers": denied})
    assert said(world, "LBD129") is None


def test_a_webhook_that_is_served_proves_a_controller() -> None:
    """It may run as something else than a Deployment."""
    world = run_by(World())
    piece = k8s.EndpointSlice(meta("webhook"), "webhook", endpoints=(k8s.Endpoint(("10.0.1.9",), ready=True),))
    served = {**world.cluster, "webhook_slices": Fact.known(reads.WEBHOOK_SLICES, (piece,))}
    assert said(replace(world, cluster=served), "LBD129") is None


LOST = node(3, provider_id="")


@pytest.mark.parametrize(
    "harmless",
    [
        node(3, provider_id="", labels={"eks.amazonaws.com/compute-type": "fargate"}),
        node(3, provider_id="", labels={"node.kubernetes.io/exclude-from-external-load-balancers": ""}),
        node(3, provider_id="eks-hybrid:///eu-west-1/lab/mi-0123456789abcdef0"),
        node(3, provider_id="", conditions=(k8s.Condition("Ready", "Unknown"),)),
    ],
)
def test_nodes_that_the_controller_passes_over_stop_nothing(harmless: k8s.Node) -> None:
    instance = World().instance_mode()
    assert said(replace(instance, nodes=(*instance.nodes, LOST)), "LBD135") is not None
    assert said(replace(instance, nodes=(*instance.nodes, harmless)), "LBD135") is None


def test_a_node_without_instance_is_nothing_to_targets_that_are_pods() -> None:
    assert said(replace(World(), nodes=(*World().nodes, LOST)), "LBD135") is None


def test_several_annotated_names_or_none() -> None:
    annotated = World().as_nlb().with_service(meta=meta("web", annotations={f"{NLB}name": "shop"}))
    found = said(annotated, "LBD223")
    assert found is not None and found.severity is Severity.INFO
    assert said(World().as_nlb(), "LBD223") is None

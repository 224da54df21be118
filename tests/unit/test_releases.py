"""What differs between releases of the controller, and which of them runs.

The tables are written from the controller's repository: `pkg/annotations/constants.go`, `docs/install/iam_policy.json`
and `pkg/config/feature_gates.go` at each release tag from v2.0.0 to v3.5.0.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.analysis.running_version import closed_gates, controller_version, running
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX, NLB_PREFIX, SERVICE_PREFIX, catalogue
from kubectl_lbdoctor.knowledge.releases import GATES, NEWEST_KNOWN, is_unknown, parse_version
from kubectl_lbdoctor.model import k8s, reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.snapshot import Snapshot
from tests.support.world import World

FIRST_READ: dict[str, tuple[str, str]] = {
    "2.0.0": (
        (
            "auth-idp-cognito auth-idp-oidc auth-on-unauthenticated-request auth-scope "
            "auth-session-cookie auth-session-timeout auth-type backend-protocol certificate-arn "
            "group.name group.order healthcheck-interval-seconds healthcheck-path healthcheck-port "
            "healthcheck-protocol healthcheck-timeout-seconds healthy-threshold-count inbound-cidrs "
            "ip-address-type listen-ports load-balancer-attributes scheme security-groups "
            "shield-advanced-protection ssl-policy subnets success-codes tags target-group-attributes "
            "target-type unhealthy-threshold-count waf-acl-id wafv2-acl-arn web-acl-id"
        ),
        (
            "access-log-enabled access-log-s3-bucket-name access-log-s3-bucket-prefix "
            "additional-resource-tags backend-protocol cross-zone-load-balancing-enabled "
            "eip-allocations healthcheck-healthy-threshold healthcheck-interval healthcheck-path "
            "healthcheck-port healthcheck-protocol healthcheck-timeout healthcheck-unhealthy-threshold "
            "internal load-balancer-source-ranges proxy-protocol ssl-cert ssl-negotiation-policy "
            "ssl-ports type"
        ),
    ),
    "2.1.0": (
        ("backend-protocol-version customer-owned-ipv4-pool"),
        ("alpn-policy ip-address-type subnets target-group-attributes"),
    ),
    "2.2.0": (
        ("load-balancer-name ssl-redirect target-node-labels"),
        ("name nlb-target-type private-ipv4-addresses scheme target-node-labels"),
    ),
    "2.3.0": (
        ("manage-backend-security-group-rules"),
        ("attributes"),
    ),
    "2.4.0": (
        "",
        ("manage-backend-security-group-rules"),
    ),
    "2.4.4": (
        "",
        ("ipv6-addresses"),
    ),
    "2.4.6": (
        "",
        ("healthcheck-success-codes"),
    ),
    "2.6.0": (
        "",
        ("security-groups"),
    ),
    "2.7.0": (
        ("mutual-authentication"),
        "",
    ),
    "2.8.0": (
        ("security-group-prefix-lists"),
        ("inbound-sg-rules-on-private-link-traffic security-group-prefix-lists"),
    ),
    "2.9.0": (
        ("listener-attributes"),
        ("listener-attributes"),
    ),
    "2.10.0": (
        ("multi-cluster-target-group"),
        ("multi-cluster-target-group"),
    ),
    "2.11.0": (
        ("minimum-load-balancer-capacity"),
        ("minimum-load-balancer-capacity"),
    ),
    "2.12.0": (
        ("ipam-ipv4-pool-id"),
        ("enable-icmp-for-path-mtu-discovery enable-prefix-for-ipv6-source-nat source-nat-ipv6-prefixes"),
    ),
    "2.13.0": (
        (
            "enable-frontend-nlb frontend-nlb-healthcheck-healthy-threshold-count "
            "frontend-nlb-healthcheck-interval-seconds frontend-nlb-healthcheck-path "
            "frontend-nlb-healthcheck-port frontend-nlb-healthcheck-protocol "
            "frontend-nlb-healthcheck-success-codes frontend-nlb-healthcheck-timeout-seconds "
            "frontend-nlb-healthcheck-unhealthy-threshold-count frontend-nlb-listener-port-mapping "
            "frontend-nlb-scheme frontend-nlb-security-groups frontend-nlb-subnets"
        ),
        ("enable-tcp-udp-listener proxy-protocol-per-target-group"),
    ),
    "2.14.0": (
        ("frontend-nlb-eip-allocations frontend-nlb-tags wafv2-acl-name"),
        ("disable-nlb-sg"),
    ),
    "2.14.1": (
        ("use-regex-path-match"),
        "",
    ),
    "2.15.0": (
        ("jwt-validation"),
        ("quic-enabled-ports"),
    ),
    "2.16.0": (
        ("target-control-port"),
        "",
    ),
    "3.2.0": (
        ("frontend-nlb-attributes"),
        "",
    ),
    "3.3.0": (
        ("acm-pca-arn create-acm-cert"),
        "",
    ),
    "3.4.0": (
        ("dry-run-plan"),
        "",
    ),
}
"""Release → (suffixes of Ingress annotations, suffixes of Service annotations) that it is the first to read."""


def keys_of(release: str) -> set[str]:
    """The keys that a release is the first to read; a template stands under its stem."""
    ingress, service = FIRST_READ[release]
    source_ranges = "load-balancer-source-ranges"
    return {ALB_PREFIX + name for name in ingress.split()} | {
        SERVICE_PREFIX + name if name == source_ranges else NLB_PREFIX + name for name in service.split()
    }


@pytest.mark.parametrize("release", FIRST_READ)
def test_each_annotation_is_known_with_the_release_that_brought_it(release: str) -> None:
    specs = {spec.prefix + spec.stem: spec for spec in reversed(catalogue().values())}
    unknown = keys_of(release) - specs.keys()
    assert unknown == set()
    since = {key: specs[key].since for key in keys_of(release)}
    # Said for ingresses up to 2.11, for services since: the code read them of services from the beginning.
    early = {"enable-prefix-for-ipv6-source-nat": "2.10.0", "source-nat-ipv6-prefixes": "2.10.0"}
    # There from the beginning, and of no effect on an NLB before this release.
    early["healthcheck-timeout"] = "2.4.6"
    assert since == {key: early.get(key.removeprefix(NLB_PREFIX), release) for key in since}


def test_nothing_is_said_to_be_read_that_no_release_reads() -> None:
    told = set().union(*map(keys_of, FIRST_READ))
    of_patterns = {ALB_PREFIX + "actions", ALB_PREFIX + "conditions", ALB_PREFIX + "transforms"}
    of_patterns |= {SERVICE_PREFIX + "actions", NLB_PREFIX + "quic-enabled-containers"}
    from_release_notes = {ALB_PREFIX + "frontend-nlb-status-only"}
    read = {
        spec.prefix + spec.stem
        for spec in catalogue().values()
        if "controller" in spec.readers and spec.prefix in (ALB_PREFIX, SERVICE_PREFIX)
    }
    assert read - told == of_patterns | from_release_notes


GATE_DEFAULTS = [
    ("EnableServiceController", "2.4.3", True),
    ("EnableIPTargetType", "3.5.0", True),
    ("ServiceTypeLoadBalancerOnly", "3.5.0", False),
    ("NLBSecurityGroup", "2.6.0", True),
    ("EnableTCPUDPListener", "3.5.0", False),
    ("ALBGatewayAPI", "2.17.1", False),
    ("ALBGatewayAPI", "3.1.0", False),
    ("ALBGatewayAPI", "3.2.0", True),
    ("NLBGatewayAPI", "3.1.0", False),
    ("NLBGatewayAPI", "3.3.0", True),
    ("GatewayListenerSet", "3.3.0", True),
    ("EnableCertificateManagement", "3.5.0", False),
]


@pytest.mark.parametrize(("gate", "release", "on"), GATE_DEFAULTS)
def test_default_of_a_gate(gate: str, release: str, on: bool) -> None:
    assert GATES[gate].default_in(parse_version(release)) is on


def test_default_of_a_gate_where_the_release_is_not_known() -> None:
    assert GATES["ALBGatewayAPI"].default_in(None) is True


@pytest.mark.parametrize(
    ("text", "version", "unknown"),
    [
        ("v2.17.1", (2, 17, 1), False),
        ("2.4", (2, 4, 0), False),
        ("v3.5.0-eksbuild.1", (3, 5, 0), False),
        ("v3.5.1", (3, 5, 1), True),
        ("v3.7.0", (3, 7, 0), True),
        ("v10.0.0", (10, 0, 0), True),
        ("latest", None, False),
        ("", None, False),
        (None, None, False),
    ],
)
def test_versions(text: str | None, version: tuple[int, int, int] | None, unknown: bool) -> None:
    assert parse_version(text) == version
    assert is_unknown(text) is unknown


def test_the_newest_known_release() -> None:
    assert NEWEST_KNOWN == (3, 5, 0)


@given(st.tuples(*[st.integers(0, 99)] * 3), st.sampled_from(["", "v"]), st.sampled_from(["", "-eksbuild.1", "@x"]))
def test_a_version_is_read_as_written(version: tuple[int, int, int], before: str, after: str) -> None:
    text = f"{before}{version[0]}.{version[1]}.{version[2]}{after}"
    assert parse_version(text) == version
    assert is_unknown(text) is (version > NEWEST_KNOWN)


@given(st.text(max_size=20))
def test_any_text_is_a_version_or_none(text: str) -> None:
    assert parse_version(text) is None or is_unknown(text) in (True, False)


# --- which release runs -----------------------------------------------------------------------------------------------

VERSION_LINE = '{{"level":"info","ts":"2026-01-01T00:00:00Z","msg":"version","GitVersion":"{}","GitCommit":"1"}}'


def controller(name: str, image: str, *arguments: str, label: str = "") -> tuple[k8s.Workload, k8s.Pod]:
    """A controller's Deployment and its one pod."""
    labels = {"app.kubernetes.io/version": label} if label else {}
    container = k8s.Container("controller", image=image, args=arguments)
    workload = k8s.Workload(
        "Deployment",
        k8s.Meta(name=name, namespace="kube-system", labels=labels),
        1,
        1,
        selector={"app": name},
        template_labels={"app": name},
        containers=(container,),
    )
    pod_meta = k8s.Meta(name=f"{name}-1", namespace="kube-system", labels={"app": name})
    return workload, k8s.Pod(pod_meta, containers=(container,))


def cluster_with(*controllers: tuple[k8s.Workload, k8s.Pod], logs: dict[str, str] | None = None) -> Snapshot:
    snapshot = World().build()
    facts = replace(
        snapshot.cluster,
        controllers=Fact.known(reads.CONTROLLER, tuple(workload for workload, _ in controllers)),
        controller_pods=Fact.known(reads.CONTROLLER_PODS, tuple(pod for _, pod in controllers)),
        controller_logs={
            f"kube-system/{name}-1": Fact.known(reads.CONTROLLER_LOGS, log) for name, log in (logs or {}).items()
        },
    )
    return replace(snapshot, cluster=facts)


@pytest.mark.parametrize(
    ("image", "label", "log", "version"),
    [
        ("public.ecr.aws/eks/aws-load-balancer-controller:v3.3.0", "", "", "v3.3.0"),
        ("registry:5000/lbc:2.4.5@sha256:0123", "", "", "2.4.5"),
        ("mirror/lbc:1.4-patched", "", VERSION_LINE.format("v2.13.4"), "v2.13.4"),
        ("mirror/lbc:latest", "", VERSION_LINE.format("v3.7.0"), "v3.7.0"),
        ("mirror/lbc:latest", "v2.8.1", "", "v2.8.1"),
        ("mirror/lbc@sha256:0123", "", "", None),
        ("mirror/lbc:v3.3.0", "", VERSION_LINE.format("v0.0.0-master"), "v3.3.0"),
        ("mirror/lbc:v3.3.0", "", "no line of it", "v3.3.0"),
        # An upgrade in place: the log goes on from the last start.
        ("mirror/lbc:x", "", VERSION_LINE.format("v2.8.0") + "\n" + VERSION_LINE.format("v2.9.0"), "v2.9.0"),
    ],
)
def test_who_says_which_release_runs(image: str, label: str, log: str, version: str | None) -> None:
    snapshot = cluster_with(controller("lbc", image, label=label), logs={"lbc": log})
    assert [entry.text for entry in running(snapshot)] == ([version] if version else [])
    assert controller_version(traffic_paths(snapshot)[0]) == version


def test_of_two_controllers_the_one_that_works_on_the_object_counts() -> None:
    old = controller("old", "lbc:v2.4.5", "--watch-namespace=other")
    new = controller("new", "lbc:v3.3.0", "--watch-namespace=shop")
    snapshot = cluster_with(new, old)
    assert [entry.text for entry in running(snapshot)] == ["v3.3.0", "v2.4.5"]
    path = traffic_paths(snapshot)[0]
    assert path.subject.namespace == "shop"
    assert controller_version(path) == "v3.3.0"
    assert controller_version(traffic_paths(cluster_with(old, new))[0]) == "v3.3.0"


def test_of_two_controllers_that_may_both_work_on_it_the_newest_counts() -> None:
    snapshot = cluster_with(controller("a", "lbc:v2.4.5"), controller("b", "lbc:v2.17.1"))
    assert controller_version(traffic_paths(snapshot)[0]) == "v2.17.1"


def test_gates_that_are_off() -> None:
    path = traffic_paths(cluster_with(controller("a", "lbc:v2.17.1")))[0]
    assert {"EnableTCPUDPListener", "ALBGatewayAPI"} <= closed_gates(path)
    opened = controller("b", "lbc:v2.17.1", "--feature-gates=EnableTCPUDPListener=true")
    assert "EnableTCPUDPListener" not in closed_gates(traffic_paths(cluster_with(opened))[0])
    assert "EnableTCPUDPListener" not in closed_gates(traffic_paths(cluster_with(controller("a", "x:1.0"), opened))[0])
    assert closed_gates(traffic_paths(cluster_with(controller("c", "lbc:latest")))[0]) == frozenset()

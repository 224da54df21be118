"""`python -m tests.record all` (or names of worlds): makes the stacks in namespaces of their own on the running lab,
waits until every target is healthy and the doctor agrees, and writes what the doctor's readers were answered."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

from tests.lab import topology
from tests.lab.api import Lab
from tests.lab.aws.identity import CONTROLLER_ROLE
from tests.record import normalise
from tests.record.readers import RecordingAws, RecordingKube
from tests.record.worlds import WORLDS, WorldSpec
from tests.support import product
from tests.support.cassette import WORLDS as FOLDER
from tests.support.cassette import parse_object

# Recorded once, for all worlds of a release of the controller: they do not depend on a stack.
_SHARED_RECORDS = (
    *("Subnets", "NetworkAcls", "RouteTables", "PrefixLists"),
    *("Roles", "Policies", "PolicyVersions", "Clusters", "PodIdentityAssociations"),
)
_LOG_LINES = 30
# A stack that is older than what checks wait for, and than the events that cases add.
_AGE_SECONDS = 75
SHARED_RULE = "elbv2.k8s.aws/targetGroupBinding=shared"


def main(names: list[str]) -> None:
    lab = Lab.connect()
    chosen = list(WORLDS) if names == ["all"] else names
    with ExitStack() as undo:
        spaces = {}
        for name in chosen:
            spaces[name] = undo.enter_context(lab.namespace("rec"))
            _make(lab, spaces[name], WORLDS[name], undo)
        for name, space in spaces.items():
            _settle(lab, space, WORLDS[name])
        time.sleep(_AGE_SECONDS)
        for name, space in spaces.items():
            print(f"recording {name}", flush=True)
            record(lab, name, space)


def _make(lab: Lab, space: str, spec: WorldSpec, undo: ExitStack) -> None:
    if spec.gates:
        lab.kubectl("label", "namespace", space, "elbv2.k8s.aws/pod-readiness-gate-inject=enabled")
    lab.apply(spec.manifests(), space)
    if spec.setup is not None:
        undo.enter_context(spec.setup(lab, space))


def _settle(lab: Lab, space: str, spec: WorldSpec) -> None:
    lab.wait_targets(space, "healthy", timeout=180)
    if spec.gates:
        # Made anew, now that there is a binding for the webhook to see; from none, so that the nodes get one each.
        lab.kubectl("scale", "deployment/web", "-n", space, "--replicas=0")
        lab.wait_no_targets(space)
        lab.kubectl("scale", "deployment/web", "-n", space, "--replicas=2")
        lab.wait_targets(space, "healthy", timeout=120, count=2)
        lab.wait_ready_pods(space, "app=web", 2)


def record(lab: Lab, name: str, space: str) -> None:
    spec = WORLDS[name]
    subjects = [parse_object(text, space) for text in spec.subjects]
    end = time.monotonic() + 90
    while True:
        now = datetime.now(timezone.utc)
        kube, aws = _readers(lab, space)
        snapshot = product.collect(kube, lambda _, aws=aws: aws, subjects, space, now.strftime("%Y-%m-%dT%H:%M:%SZ"))
        report = product.judge(snapshot).report
        if report.status.value == "healthy" and not report.diagnoses:
            break
        if time.monotonic() > end:
            said = [*(d.message for d in report.diagnoses), *(u.reason for u in report.unknown)]
            raise SystemExit(f"{name} is not healthy: {report.status.value} {said}")
        time.sleep(2)
    _read_more(lab, kube, aws, space)
    _write(lab, name, space, spec, kube, aws, now)


def _readers(lab: Lab, space: str) -> tuple[RecordingKube, RecordingAws]:
    variables = lab.environment()
    # The administrator's keys: a world holds all that a reader may be allowed to see.
    variables["AWS_ACCESS_KEY_ID"] = topology.ADMIN_ACCESS_KEY
    os.environ.update({key: value for key, value in variables.items() if key.startswith(("AWS_", "KUBECONFIG"))})
    kube, aws = product.open_readers(variables, space, topology.REGION)
    return RecordingKube(kube), RecordingAws(aws)


def _read_more(lab: Lab, kube: RecordingKube, aws: RecordingAws, space: str) -> None:
    """What the product asks only where something is wrong: patches over the world may lead it there."""
    list(kube.list("/apis/networking.k8s.io/v1/ingresses"))
    for resource in ("services", "pods", "endpointslices"):
        root = "/apis/discovery.k8s.io/v1" if resource == "endpointslices" else "/api/v1"
        list(kube.list(f"{root}/namespaces/{space}/{resource}"))
    vpc = [{"Name": "vpc-id", "Values": [lab.state["vpc_id"]]}]
    subnets = sorted(lab.state["subnets"].values())
    aws.call("ec2", "DescribeSubnets", "Subnets", Filters=vpc)
    aws.call("ec2", "DescribeRouteTables", "RouteTables", Filters=vpc)
    aws.call(
        "ec2", "DescribeNetworkAcls", "NetworkAcls", Filters=[{"Name": "association.subnet-id", "Values": subnets}]
    )
    aws.records.setdefault("PrefixLists", {})
    aws.call("iam", "GetRole", RoleName=CONTROLLER_ROLE)
    for entry in aws.call("iam", "ListAttachedRolePolicies", "AttachedPolicies", RoleName=CONTROLLER_ROLE):
        arn = entry["PolicyArn"]
        version = aws.call("iam", "GetPolicy", PolicyArn=arn)["Policy"]["DefaultVersionId"]
        aws.call("iam", "GetPolicyVersion", PolicyArn=arn, VersionId=version)
    aws.call("iam", "ListRolePolicies", "PolicyNames", RoleName=CONTROLLER_ROLE)
    cluster = topology.CLUSTER_NAME
    aws.call("eks", "DescribeCluster", name=cluster)
    # The lab's AWS has no pod identities; cases add them.
    aws.records.setdefault("PodIdentityAssociations", {})
    for arn in list(aws.records.get("TargetGroups", {})):
        aws.call("elbv2", "DescribeTags", "TagDescriptions", ResourceArns=[arn])


def _order(item: dict[str, Any]) -> Any:
    spec, metadata = item.get("spec") or {}, item["metadata"]
    generated = metadata.get("generateName")
    return (
        item["kind"],
        generated or metadata["name"],
        spec.get("nodeName", ""),
        metadata["creationTimestamp"],
        metadata["name"],
    )


def _write(
    lab: Lab, name: str, space: str, spec: WorldSpec, kube: RecordingKube, aws: RecordingAws, now: datetime
) -> None:
    objects = [item for item in kube.objects.values() if not _foreign(item, space)]
    exact = {space: "shop", space.replace("-", "")[:8]: "shop"} | normalise.pod_names(objects, _order)
    addresses, ports = normalise.pod_addresses(objects, _order), normalise.node_ports(objects, _order)
    words = normalise.Normaliser(now, exact, addresses, ports, first=0x101)
    state = lab.state
    words.seed([state["vpc_id"], *state["subnets"].values(), *state["route_tables"].values(), *state["acls"].values()])
    words.seed([state["cluster_sg"], *(part for i in state["instances"].values() for part in (i["id"], i["eni"]))])
    shared_objects = sorted((i for i in objects if not _own(i, space)), key=_order)
    shared = [normalise.ordered(words.value(normalise.slimmed(item, False))) for item in shared_objects]
    own_objects = sorted((i for i in objects if _own(i, space)), key=_order)
    own = [normalise.ordered(words.value(normalise.slimmed(item, spec.whole))) for item in own_objects]
    _prune(aws, own_objects)
    records = {
        kind: [normalise.ordered(words.value(record)) for record in _sorted(kind, entries)]
        for kind, entries in sorted(aws.records.items())
    }
    if not (FOLDER / spec.shared / "world.yaml").exists():
        about = {"collections": sorted(kube.collections)}
        _folder(spec.shared, about, shared, {k: v for k, v in records.items() if k in _SHARED_RECORDS}, "")
    about = {
        "about": spec.about,
        "extends": spec.shared,
        "namespace": "shop",
        "clock": normalise.CLOCK.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "subjects": list(spec.subjects),
    }
    log = [line for line in kube.log.splitlines() if space in line or space.replace("-", "")[:8] in line]
    text = "".join(f"{words.text(line)}\n" for line in log[-_LOG_LINES:])
    _folder(name, about, own, {k: v for k, v in records.items() if k not in _SHARED_RECORDS}, text)


def _foreign(item: dict[str, Any], space: str) -> bool:
    """Of another stack on the lab, or of its crowd of idle nodes."""
    namespace = item["metadata"].get("namespace", "")
    if item["kind"] == "Node":
        return item["metadata"]["name"] not in {node.name for node in topology.NODES}
    if item["kind"] == "Namespace":
        return str(item["metadata"]["name"]) != space
    return namespace not in ("", "kube-system", space)


def _own(item: dict[str, Any], space: str) -> bool:
    return space in (item["metadata"].get("namespace", ""), item["metadata"]["name"])


def _prune(aws: RecordingAws, objects: list[dict[str, Any]]) -> None:
    """The traces of other stacks in the nodes' security group, and what is random and read by nobody."""
    for cluster in aws.records.get("Clusters", {}).values():
        cluster.pop("certificateAuthority", None)
    for interface in aws.records.get("NetworkInterfaces", {}).values():
        interface.pop("MacAddress", None)
    bindings = [item for item in objects if item["kind"] == "TargetGroupBinding"]
    only_own_rules(list(aws.records.get("SecurityGroups", {}).values()), bindings)


def only_own_rules(groups: list[dict[str, Any]], bindings: list[dict[str, Any]]) -> None:
    """The controller writes one set of rules for all bindings of the cluster: leave what it would write for these."""
    for group in groups:
        kept = [rule for rule in group["IpPermissions"] if not _shared(rule)]
        if len(kept) < len(group["IpPermissions"]):
            group["IpPermissions"] = [*kept, *(rule for binding in bindings for rule in _rules_of(binding))]


def _sources(rule: dict[str, Any]) -> list[dict[str, Any]]:
    return [*rule["UserIdGroupPairs"], *rule["IpRanges"], *rule["Ipv6Ranges"], *rule["PrefixListIds"]]


def _shared(rule: dict[str, Any]) -> bool:
    return any(source.get("Description") == SHARED_RULE for source in _sources(rule))


def _rules_of(binding: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rules for what `spec.networking` of a binding lets in, as the controller describes them."""
    for rule in (binding["spec"].get("networking") or {}).get("ingress", ()):
        groups = [p["securityGroup"]["groupID"] for p in rule["from"] if "securityGroup" in p]
        cidrs = [p["ipBlock"]["cidr"] for p in rule["from"] if "ipBlock" in p]
        for port in rule["ports"]:
            yield {
                "IpProtocol": port["protocol"].lower(),
                "FromPort": port.get("port", 0),
                "ToPort": port.get("port", 65535),
                "UserIdGroupPairs": [{"Description": SHARED_RULE, "GroupId": group} for group in groups],
                "IpRanges": [{"Description": SHARED_RULE, "CidrIp": cidr} for cidr in cidrs],
                "Ipv6Ranges": [],
                "PrefixListIds": [],
            }


def _sorted(kind: str, entries: dict[str, Any]) -> list[Any]:
    """In an order that does not depend on random ids."""
    fields = (
        "LoadBalancerName",
        "TargetGroupName",
        "Port",
        "GroupName",
        "CidrBlock",
        "Description",
        "PrivateIpAddress",
    )

    def key(record: dict[str, Any]) -> str:
        named = " ".join(str(record.get(field, "")) for field in fields)
        return re.sub(r"[0-9a-f]{10,17}", "", named) + str((record.get("Target") or {}).get("Id", ""))

    return sorted(entries.values(), key=key)


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _dump(data: Any) -> str:
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)


def _folder(name: str, about: Any, objects: list[Any], records: dict[str, list[Any]], log: str) -> None:
    folder: Path = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "world.yaml").write_text(_dump(about))
    (folder / "kubernetes.yaml").write_text("---\n".join(_dump(item) for item in objects))
    (folder / "aws.yaml").write_text(_dump(records))
    if log:
        (folder / "controller.log").write_text(log)


if __name__ == "__main__":
    if not sys.argv[1:] or set(sys.argv[1:]) - {*WORLDS, "all"}:
        raise SystemExit(f"usage: python -m tests.record all | WORLD …, WORLD one of: {', '.join(WORLDS)}")
    main(sys.argv[1:])

"""The shell commands and the changes that findings offer."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace

from kubectl_lbdoctor.knowledge.annotations import CLASS_ANNOTATION
from kubectl_lbdoctor.model.k8s import Ingress, Service
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import ANNOTATIONS, Change, Edit, Repair, escape
from kubectl_lbdoctor.model.shell import aws, kubectl, shell

__all__ = [
    "annotate",
    "annotation_edit",
    "class_now",
    "class_repair",
    "describe_target_group",
    "describe_target_health",
    "edit",
    "kubectl",
    "patch",
    "restart",
    "shell",
]


def annotation_edit(annotations: Mapping[str, str], key: str, value: str | None) -> Edit:
    """Set an annotation (None removes it) of an object that has these annotations now."""
    return Edit(f"{ANNOTATIONS}/{escape(key)}", annotations.get(key), value)


def annotate(target: ObjectRef, annotations: Mapping[str, str], values: Mapping[str, str | None]) -> Change:
    """Set annotations of an object that has `annotations` now, all in one write; None removes one."""
    edits = tuple(annotation_edit(annotations, key, value) for key, value in values.items())
    if len(edits) == 2 and edits[0].now is edits[1].then is None and edits[0].then == edits[1].now:
        new, old = values  # The value stays, and gets another key.
        return Change(target, "annotation key", old, new, edits=edits)
    return Change(
        target,
        field=", ".join(f"annotation {key}" for key in values),
        now=", ".join(str(e.now) if e.now is not None else "<none>" for e in edits),
        then=", ".join(str(e.then) if e.then is not None else "<none>" for e in edits),
        edits=edits,
    )


def patch(target: ObjectRef, field: str, *edits: Edit) -> Change:
    """Change values of an object; `field` is the path as a person writes it ("spec.ports[port=80].targetPort")."""
    return Change(
        target,
        field,
        now=", ".join(_shown(e.now) for e in edits),
        then=", ".join(_shown(e.then) for e in edits),
        edits=edits,
    )


def written(ref: ObjectRef, edits: Sequence[Edit]) -> Change:
    """The change of a Gateway API object or its settings that makes these edits, in words that follow from them."""
    made = [edit for edit in edits if not edit.is_guard]
    words = patch(ref, ", ".join(edit.pointer[1:].replace("/", ".") for edit in made), *made)
    return replace(words, edits=tuple(edits))


def free_name(wanted: ObjectRef, taken: Container[ObjectRef]) -> ObjectRef:
    """What a new object is called: as is wanted, unless another one has that name; then with a number."""
    numbered = (replace(wanted, name=f"{wanted.name}-{number}") for number in range(2, 100))
    return next(ref for ref in (wanted, *numbered) if ref not in taken)


def with_node_ports(ref: ObjectRef, service: Service) -> Repair:
    """Give a Service that has no node ports some: by its type, or by the field that keeps them from a LoadBalancer."""
    if service.type == "LoadBalancer":
        pointer = "/spec/allocateLoadBalancerNodePorts"
        change = patch(ref, "spec.allocateLoadBalancerNodePorts", edit(pointer, service.allocate_node_ports, True))
    else:
        change = patch(ref, "spec.type", edit("/spec/type", service.type, "NodePort"))
    return Repair("nodeport", (change,)).with_reason("instance targets need a node port", "opens a port on every node")


def class_now(legacy: str, spec: str) -> str:
    """The class of an Ingress in words: the annotation's, which wins, and spec.ingressClassName where it differs."""
    if legacy and spec not in ("", legacy):
        return f"{legacy} (annotation), {spec}"
    return legacy or spec or "<none>"


def class_repair(ref: ObjectRef, ingress: Ingress, name: str) -> Repair:
    """Give an Ingress to the class of this name, which is the AWS Load Balancer Controller's. The annotation would win
    over the field, so it goes where it is set."""
    annotations = ingress.meta.annotations
    edits = [edit("/spec/ingressClassName", ingress.spec_class_name or None, name)]
    if CLASS_ANNOTATION in annotations:
        edits.insert(0, annotation_edit(annotations, CLASS_ANNOTATION, None))
    now = class_now(annotations.get(CLASS_ANNOTATION, ""), ingress.spec_class_name)
    change = replace(patch(ref, "spec.ingressClassName", *edits), now=now, then=name)
    why = f"IngressClass {name} belongs to the AWS Load Balancer Controller"
    return Repair(name, (change,)).with_reason(why, "makes a load balancer; another controller lets go of the Ingress")


def edit(pointer: str, now: object, then: object) -> Edit:
    return Edit(pointer, now, then)


def _shown(value: object) -> str:
    if value is None:
        return "<none>"
    if isinstance(value, Mapping):
        return ",".join(f"{k}={_shown(v)}" for k, v in sorted(value.items()))
    return str(value)


def restart(target: ObjectRef, why: str = "", risk: str = "") -> Repair:
    """A rolling restart of a workload."""
    return Repair(
        "restart", (Change(target, "rollout restart", "running", "restarted", why=why, risk=risk, restart=True),)
    )


def describe_load_balancer(arn: str, region: str) -> str:
    return aws("elbv2", "describe-load-balancers", "--load-balancer-arns", arn, region=region)


def describe_listeners(arn: str, region: str) -> str:
    """arn: of a load balancer."""
    return aws("elbv2", "describe-listeners", "--load-balancer-arn", arn, region=region)


def describe_target_group(arn: str, region: str) -> str:
    return aws("elbv2", "describe-target-groups", "--target-group-arns", arn, region=region)


def register_targets(arn: str, keys: Iterable[str], region: str) -> str:
    """keys: of the targets, "10.0.1.7:8080"."""
    return _with_targets("register-targets", arn, keys, region)


def deregister_targets(arn: str, keys: Iterable[str], region: str) -> str:
    """keys: of the targets, "10.0.1.7:8080"."""
    return _with_targets("deregister-targets", arn, keys, region)


def _with_targets(command: str, arn: str, keys: Iterable[str], region: str) -> str:
    parts = (key.rpartition(":") for key in keys)
    words = (f"Id={id},Port={port}" for id, _, port in parts)
    return aws("elbv2", command, "--target-group-arn", arn, "--targets", *words, region=region)


def describe_target_group_attributes(arn: str, region: str) -> str:
    """The command that shows a target group's attributes."""
    return aws("elbv2", "describe-target-group-attributes", "--target-group-arn", arn, region=region)


def describe_target_health(arn: str, region: str) -> str:
    return aws("elbv2", "describe-target-health", "--target-group-arn", arn, region=region)

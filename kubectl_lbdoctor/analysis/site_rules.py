"""Which rule of which Ingress answers a request for a host and a path. Pure.

Rules match as those of an Application Load Balancer: patterns of hosts have `*` and `?`, and the first rule that
matches answers. The controller orders the rules of an Ingress by kind and length of their paths, and the members of a
group by group.order, then by name. Sources:
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html#host-conditions,
https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/#group.order,
https://kubernetes.io/docs/concepts/services-networking/ingress/#path-types
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from kubectl_lbdoctor.analysis.ingress_backends import ingress_group
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX
from kubectl_lbdoctor.model.k8s import Ingress, IngressBackend, IngressPath, Meta, Service
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.record import record

EXTERNAL_DNS = ("external-dns.alpha.kubernetes.io/hostname", "external-dns.kubernetes.io/hostname")
"""Where external-dns reads the names that it makes for an object, with commas between
(https://kubernetes-sigs.github.io/external-dns/latest/docs/annotations/annotations/)."""


@record
class Answer:
    """Who answers a request. backend: None where only a host was asked for, or no rule of the Ingress matches, so that
    the load balancer answers with 404. rule: what matched, as a person writes it ("shop.example.com/api", "default
    backend", or the host); "" where nothing did."""

    ingress: Ingress
    backend: IngressBackend | None
    rule: str


def matches_host(pattern: str, host: str) -> bool:
    """Whether a host pattern of a rule takes this host; the case of letters does not matter."""
    parts = (
        "[^/]*" if mark == "*" else "." if mark == "?" else re.escape(mark) for mark in re.split(r"([*?])", pattern)
    )
    return re.fullmatch("".join(parts), host, re.IGNORECASE) is not None


def matches_path(rule: IngressPath, path: str) -> bool:
    """Whether a rule takes this path."""
    wanted = rule.path or "/"
    if rule.path_type == "Exact":
        return path == wanted
    if rule.path_type == "Prefix":
        stem = wanted.rstrip("/")
        return path == stem or path.startswith(f"{stem}/")
    # ImplementationSpecific: the path pattern goes to the load balancer as it is.
    return matches_path_pattern(wanted, path)


def matches_path_pattern(pattern: str, path: str) -> bool:
    """Whether a path pattern of a listener rule takes this path: `*` is any text, `?` one sign."""
    parts = (".*" if mark == "*" else "." if mark == "?" else re.escape(mark) for mark in re.split(r"([*?])", pattern))
    return re.fullmatch("".join(parts), path) is not None


def published_names(thing: Ingress | Service) -> tuple[str, ...]:
    """The DNS names of an object: of its load balancer, and those that external-dns is asked to make."""
    return (*thing.addresses, *annotated_names(thing.meta))


def annotated_names(meta: Meta) -> tuple[str, ...]:
    """The DNS names that external-dns is asked to make for an object."""
    annotated = (meta.annotations.get(key, "") for key in EXTERNAL_DNS)
    names = (name.strip().rstrip(".") for value in annotated for name in value.split(","))
    return tuple(name for name in names if name)


def is_published(thing: Ingress | Service, host: str) -> bool:
    """Whether the object says by its status or for external-dns that it answers under this name."""
    # Alias records of Route 53 lead to this name for both address families.
    plain = host.removeprefix("dualstack.")
    return any(matches_host(name, plain) for name in published_names(thing))


def hosts_of(ingress: Ingress, rule: IngressPath) -> tuple[str, ...]:
    """The host patterns of a rule: its own, and those that a conditions annotation adds; none for any host."""
    own = (rule.host,) if rule.host else ()
    raw = ingress.meta.annotations.get(f"{ALB_PREFIX}conditions.{rule.backend.service}", "")
    try:
        conditions = json.loads(raw) if raw else []
    except ValueError:
        conditions = []
    added = (
        value
        for condition in (conditions if isinstance(conditions, list) else [])
        if isinstance(condition, dict) and condition.get("field") == "host-header"
        for value in (condition.get("hostHeaderConfig") or {}).get("values") or ()
        if isinstance(value, str)
    )
    return (*own, *added)


def names_host(ingress: Ingress, host: str) -> bool:
    """Whether a rule of the Ingress is about this host."""
    return any(matches_host(pattern, host) for rule in ingress.paths for pattern in hosts_of(ingress, rule))


def answers(ingresses: Iterable[Ingress], host: str, path: str, classes: Snapshot) -> Iterator[Answer]:
    """Who answers for the host, one for each load balancer that may: Ingresses of one group share theirs.

    path: "" asks for the host alone; every Ingress that is about it then answers, without a backend. classes: facts
    with the IngressClasses and their parameters, which may name the group.
    """
    sharing: dict[str, list[Ingress]] = defaultdict(list)
    for ingress in ingresses:
        group = ingress_group(ingress, classes)
        sharing[group or f"{ingress.meta.namespace}/{ingress.meta.name}"].append(ingress)
    for members in sharing.values():
        about = [member for member in members if names_host(member, host) or is_published(member, host)]
        if not path or not about:
            yield from (Answer(member, None, host) for member in about)
            continue
        # A member without a host may stand before them: it is asked for every host of the load balancer.
        yield _of_group(sorted(members, key=place_in_group), host, path) or Answer(about[0], None, "")


def _of_group(members: Sequence[Ingress], host: str, path: str) -> Answer | None:
    """Who answers a request at a load balancer whose members stand in their order: the rules of all of them, and then
    the default backend of the one that has it, which is the listener's default action.

    Source: https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/ingress/model_build_listener.go
    """
    by_rule = (_matched(member, host, path) for member in members)
    by_default = (
        Answer(member, member.default_backend, "default backend")
        for member in members
        if member.default_backend is not None
    )
    return next((answer for answer in by_rule if answer is not None), None) or next(by_default, None)


def place_in_group(ingress: Ingress) -> tuple[int, str]:
    """Where a member stands among those of its IngressGroup: group.order, then namespace and name."""
    order = ingress.meta.annotations.get(f"{ALB_PREFIX}group.order", "0")
    return (int(order) if re.fullmatch(r"-?\d{1,6}", order) else 0), ingress.meta.key


def _matched(ingress: Ingress, host: str, path: str) -> Answer | None:
    for rule in sorted(ingress.paths, key=_precedence):
        patterns = hosts_of(ingress, rule)
        if (not patterns or any(matches_host(p, host) for p in patterns)) and matches_path(rule, path):
            return Answer(ingress, rule.backend, f"{rule.host or '*'}{rule.path or '/'}")
    return None


def _precedence(rule: IngressPath) -> tuple[int, int, int]:
    """Of one Ingress: its rules in order; of a rule Exact paths, then Prefixes, longest first, then the others as they
    stand (the controller's pkg/ingress, sortIngressPaths)."""
    kind = {"Exact": 0, "Prefix": 1}.get(rule.path_type, 2)
    return rule.rule, kind, -len(rule.path) if kind < 2 else rule.index

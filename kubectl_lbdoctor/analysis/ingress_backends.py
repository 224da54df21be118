"""Which Service ports and target groups an Ingress leads to, and which IngressGroup it is in. Pure.

Sources: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/#actions and
pkg/ingress/{group_loader,enhanced_backend_builder}.go of the controller.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from kubectl_lbdoctor.analysis.ownership import AUTO_MODE_CLASS, DEFAULT_ANNOTATION
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.index import grouped
from kubectl_lbdoctor.model.k8s import Ingress, IngressBackend, IngressClass, IngressClassParams
from kubectl_lbdoctor.model.kinds import AUTO_MODE_GROUP
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.traffic_path import Backend

GROUP_ANNOTATION = ALB_PREFIX + "group.name"


def ingress_group(ingress: Ingress, snapshot: Snapshot) -> str:
    """The explicit IngressGroup of an Ingress ("" when it is on its own); IngressClassParams win over annotations, and
    EKS Auto Mode reads no annotation for it (https://docs.aws.amazon.com/eks/latest/userguide/auto-configure-alb.html).
    """
    group = parameters_of(ingress, snapshot).get("group")
    if isinstance(group, dict) and group.get("name"):
        return str(group["name"])
    if any(entry.controller == AUTO_MODE_CLASS for entry in _classes_of(ingress, snapshot)):
        return ""
    return ingress.meta.annotations.get(GROUP_ANNOTATION, "")


def group_members(snapshot: Snapshot, group: str) -> tuple[Ingress, ...]:
    """The Ingresses of an IngressGroup, of all namespaces, in the order of their names; () for no group (""). One that
    is being deleted is no member any more. Raises `Unknown` where the Ingresses of all namespaces were not read.

    https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/#ingressgroup
    """
    if group:
        snapshot.cluster.group_ingresses.need()
    return known_members(snapshot, group)


def known_members(snapshot: Snapshot, group: str) -> tuple[Ingress, ...]:
    """The same as far as they were read, for what nothing is concluded from their absence."""
    return _ingresses_by_group(snapshot).get(group, ()) if group else ()


@derived
def _ingresses_by_group(snapshot: Snapshot) -> Mapping[str, tuple[Ingress, ...]]:
    listed = (ingress for ingress in snapshot.cluster.group_ingresses.peek() or () if not ingress.meta.deleted)
    return grouped(listed, lambda ingress: (ingress_group(ingress, snapshot),))


def parameters_of(ingress: Ingress, snapshot: Snapshot) -> Mapping[str, object]:
    """The spec of the IngressClassParams of an Ingress's class, as far as both were read; {} without any."""
    found = class_params_of(ingress, snapshot)
    return found.spec if found is not None else {}


def class_params_of(ingress: Ingress, snapshot: Snapshot) -> IngressClassParams | None:
    """The IngressClassParams of an Ingress's class, as far as both were read; None without any."""
    params, classes = snapshot.cluster.class_params.peek() or (), _classes_of(ingress, snapshot)
    return next((p for entry in classes for p in params if is_of_class(p, entry)), None)


def _classes_of(ingress: Ingress, snapshot: Snapshot) -> list[IngressClass]:
    return [entry for entry in snapshot.cluster.ingress_classes.peek() or () if is_class_of(entry, ingress)]


def is_class_of(ingress_class: IngressClass, ingress: Ingress) -> bool:
    """Whether an Ingress is of this class: by name, or by the mark of the default class where it names none."""
    if ingress.class_name:
        return ingress_class.meta.name == ingress.class_name
    return ingress_class.meta.annotations.get(DEFAULT_ANNOTATION) == "true"


def is_of_class(params: IngressClassParams, ingress_class: IngressClass) -> bool:
    """Whether these parameters are those that an IngressClass names. The controller and EKS Auto Mode each have
    parameters in a group of their own, and on a cluster with both two may have one name."""
    auto_mode = ingress_class.parameters_group == AUTO_MODE_GROUP
    named = ingress_class.parameters_name
    return bool(named) and params.meta.name == named and bool(params.group) is auto_mode


def backends_of(ingress: Ingress) -> tuple[Backend, ...]:
    """The Service ports that an Ingress leads to, each once, in the order of its rules, with the paths that lead there.

    Actions (`use-annotation`) are resolved to the Services and target groups that their annotation forwards to; an
    action without annotation stays a backend of its own, so that a check can name it.
    """
    collected: dict[tuple[str, str, str], list[str]] = {}
    actions: dict[tuple[str, str, str], str] = {}

    for place, path in _places(ingress):
        for target in _targets_of(ingress, place):
            collected.setdefault(target, []).append(path)
            if place.is_action:
                actions[target] = place.service
    return tuple(
        Backend(service, port, tuple(dict.fromkeys(paths)), actions.get((service, port, arn), ""), arn)
        for (service, port, arn), paths in collected.items()
    )


def spoken(path: str) -> str:
    """A path of a backend as people write it: "*/api" → "/api", "shop.example.com/api" as it is."""
    return path.removeprefix("*") if path.startswith("*/") else path


def answered_by_balancer(ingress: Ingress) -> bool:
    """Whether the load balancer itself answers everything that the Ingress names: with redirects and fixed responses,
    which need no target group."""
    places = [path.backend for path in ingress.paths]
    places += [ingress.default_backend] if ingress.default_backend is not None else []
    actions = [action_of(ingress, place.service) if place.is_action else None for place in places]
    kinds = {str(_field(action, "type")) if action is not None else "" for action in actions}
    return bool(kinds) and kinds <= {"redirect", "fixed-response"}


def action_of(ingress: Ingress, name: str) -> dict[str, object] | None:
    """The parsed `actions.<name>` annotation; None when it is absent or not a JSON object."""
    raw = ingress.meta.annotations.get(f"{ALB_PREFIX}actions.{name}")
    if raw is None:
        return None
    try:
        parsed = json.loads(raw)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def sends_all_to_https(ingress: Ingress) -> bool:
    """Whether a rule of the Ingress has all requests of HTTP redirected. The controller leaves the rules behind it out
    on listeners of HTTP, and the rule itself on those of HTTPS (omitOvershadowedRulesAfterRedirectRules in
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/ingress/rule_optimizer.go)."""
    for path in ingress.paths:
        name, catches_all = path.backend.service, path.path in ("", "/*") or (path.path, path.path_type) == _ROOT
        if path.host or not (catches_all and path.backend.is_action):
            continue
        redirect = _field(action_of(ingress, name) or {}, "redirectConfig")
        to_https = isinstance(redirect, dict) and str(_field(redirect, "protocol")).upper() == "HTTPS"
        if to_https and f"{ALB_PREFIX}conditions.{name}" not in ingress.meta.annotations:
            return True
    return False


_ROOT = ("/", "Prefix")


def shares_of(ingress: Ingress, backend: Backend) -> tuple[tuple[int, int], ...]:
    """For each place where the Ingress leads to this backend its weight and that of all that stands beside it.

    A backend outside of a weighted action has its place for itself: (1, 1). A missing weight counts as 1.
    """
    wanted = (backend.service, backend.port, backend.target_group_arn)
    found: list[tuple[int, int]] = []
    for place, _ in _places(ingress):
        forwarded = list(_forwarded(ingress, place))
        total = sum(weight for _, weight in forwarded)
        found += [(weight, total) for target, weight in forwarded if target == wanted]
    return tuple(found)


def weightless_actions(ingress: Ingress) -> dict[str, tuple[str, ...]]:
    """The actions whose targets have weight 0 all of them, by name, each with the paths that lead there ("*/api",
    "default backend")."""
    found: dict[str, list[str]] = {}
    for backend, path in _places(ingress):
        weights = [weight for _, weight in _forwarded(ingress, backend)]
        if weights and not any(weights):
            found.setdefault(backend.service, []).append(path)
    return {name: tuple(dict.fromkeys(paths)) for name, paths in found.items()}


def _places(ingress: Ingress) -> Iterator[tuple[IngressBackend, str]]:
    """Where an Ingress leads to a Service or an action, with the path that leads there."""
    places = [(path.backend, f"{path.host or '*'}{path.path or '/'}") for path in ingress.paths]
    places += [(ingress.default_backend, "default backend")] if ingress.default_backend is not None else []
    return ((backend, path) for backend, path in places if not backend.resource)


def _targets_of(ingress: Ingress, backend: IngressBackend) -> Iterator[tuple[str, str, str]]:
    """(service, port, target group ARN) that a backend forwards to."""
    yield from (target for target, _ in _forwarded(ingress, backend))


def _forwarded(ingress: Ingress, backend: IngressBackend) -> Iterator[tuple[tuple[str, str, str], int]]:
    """What a backend forwards to, as (service, port, target group ARN), and with which weight."""
    if not backend.is_action:
        yield (backend.service, backend.port, ""), 1
        return
    action = action_of(ingress, backend.service)
    if action is None:
        yield (backend.service, backend.port, ""), 1
        return
    forward = _field(action, "forwardConfig")
    groups = _field(forward, "targetGroups") if isinstance(forward, dict) else None
    if arn := _field(action, "targetGroupARN"):
        yield ("", "", str(arn)), 1
    for group in groups if isinstance(groups, list) else []:
        if isinstance(group, dict):
            service, port = _field(group, "serviceName"), _field(group, "servicePort")
            arn, weight = _field(group, "targetGroupARN"), _field(group, "weight")
            target = (str(service or ""), str(port or ""), "" if service else str(arn or ""))
            yield target, weight if isinstance(weight, int) else 1


def _field(table: dict[str, object], name: str) -> object:
    """A field of an action; Go's JSON decoder, which the controller uses, ignores the case of field names."""
    return next((value for key, value in table.items() if key.lower() == name.lower()), None)

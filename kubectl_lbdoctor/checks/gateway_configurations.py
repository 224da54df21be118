"""LBD146, LBD147 and LBD149: the configurations of gateway.k8s.aws that Gateways, routes and Services have, or lack."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kubectl_lbdoctor.analysis.frontends import Frontend
from kubectl_lbdoctor.analysis.gateway_conditions import refusal, refused, said
from kubectl_lbdoctor.analysis.gateway_settings import (
    READS,
    StrayBlock,
    astray_configurations,
    configurations_beside_the_gateway,
    configurations_of_gateway,
    configurations_of_service,
    default_name,
    settings_that_it_makes,
    stray_blocks,
    target_reference,
)
from kubectl_lbdoctor.analysis.gateways import (
    ALB_CONTROLLER,
    AUTO_MODE_CONTROLLERS,
    attachments,
    class_of,
    routes_of,
    routes_of_subject,
)
from kubectl_lbdoctor.analysis.remediation import edit, kubectl, patch
from kubectl_lbdoctor.analysis.responsibility import undone_by
from kubectl_lbdoctor.analysis.rule_actions import (
    LOGINS,
    actions_of,
    configuration_of_rule,
    configurations_named,
    refused_filter,
)
from kubectl_lbdoctor.analysis.similar_names import nearest
from kubectl_lbdoctor.checks.gateways import of_gateway_api
from kubectl_lbdoctor.checks.registry import Scope, check
from kubectl_lbdoctor.knowledge.log_lines import parse_log_line
from kubectl_lbdoctor.model import kinds, reads
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef, Severity, Source
from kubectl_lbdoctor.model.gateway_api import SETTINGS_GROUP, Gateway, GatewaySettings, Reference, Route
from kubectl_lbdoctor.model.kinds import resource_name
from kubectl_lbdoctor.model.plan import Repair
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_LBC, _TGC = kinds.LOAD_BALANCER_CONFIGURATION, kinds.TARGET_GROUP_CONFIGURATION
_LRC = kinds.LISTENER_RULE_CONFIGURATION


@check(
    "LBD146",
    title="a configuration that a Gateway names does not exist, or cannot be its",
    passes="every configuration that the Gateway names exists",
    scope=Scope.FRONTEND,
    severity=Severity.ERROR,
    message="{kind} {name} names {target}, {fault:missing=which does not exist|"
    "reference=which is for one Service alone|kind=which is no LoadBalancerConfiguration}",
    reads=READS,
    explains=undone_by("LBD146"),
    distinct_by=("kind", "name", "target"),
    by_absence=(reads.LOAD_BALANCER_CONFIGURATIONS, reads.TARGET_GROUP_CONFIGURATIONS),
)
def configuration_of_gateway_missing(frontend: Frontend) -> Iterator[Finding]:
    """`infrastructure.parametersRef` of a Gateway of the controller's classes names a LoadBalancerConfiguration that
    does not exist in its namespace (whatever kind it says, that is what the controller looks for), or such a
    configuration names a `defaultTargetGroupConfiguration` that does not exist beside it, or that has a
    targetReference. The controller makes nothing of the Gateway then, and changes nothing of what it has made (Accepted
    False, Invalid). Gateways of EKS Auto Mode and of other controllers have parameters of their own kinds.

    Source: https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/controllers/gateway/config_resolver.go

    Confirm by hand: `kubectl describe gateway NAME`. Repair: make the configuration, or correct the name.
    """
    for gateway in of_gateway_api(frontend).ours:
        own, found = gateway.parameters, class_of(frontend.snapshot, gateway).peek()
        if found is not None and found.controller in AUTO_MODE_CONTROLLERS:
            continue  # Its settings are of a kind of EKS Auto Mode's own.
        listed = frontend.snapshot.gateway_api.balancer_configurations
        if own is not None:
            names = [s.meta.name for s in listed.need() if s.meta.namespace == gateway.meta.namespace]
            if own.name not in names:
                right = (own.group, own.kind) == (SETTINGS_GROUP, _LBC.name)
                fault = "missing" if right else "kind"
                yield _missing(gateway, gateway.ref, f"{own.kind} {own.name}", fault, _LBC, names)
        if own is None and (found is None or found.parameters is None):
            continue
        listed.need()
        for settings in configurations_of_gateway(frontend.snapshot, gateway):
            yield from _default_missing(frontend, gateway, settings)


def _default_missing(frontend: Frontend, gateway: Gateway, settings: GatewaySettings) -> Iterator[Finding]:
    name = default_name(settings)
    if not name:
        return
    listed = frontend.snapshot.gateway_api.group_configurations.need()
    beside = {s.meta.name: s for s in listed if s.meta.namespace == settings.meta.namespace}
    target = f"{_TGC.name} {name}"
    if name not in beside:
        yield _missing(gateway, settings.ref, target, "missing", _TGC, list(beside))
    elif target_reference(beside[name]):
        yield _missing(gateway, settings.ref, target, "reference", _TGC, list(beside))


def _missing(
    gateway: Gateway, owner: ObjectRef, target: str, fault: str, looked_for: kinds.Kind, present: list[str]
) -> Finding:
    no = refusal(gateway)
    close = nearest(target.split()[1], present)
    advice = {
        "missing": f"name {close}" if close else f"make it in namespace {owner.namespace}, or correct the name",
        "reference": "name one without targetReference",
        "kind": f"name a {_LBC.name} of {SETTINGS_GROUP}, whatever the kind is: the controller looks for no other",
    }[fault]
    return Finding(
        "LBD146",
        owner,
        params={"kind": owner.kind, "name": f"{owner.namespace}/{owner.name}", "target": target, "fault": fault},
        evidence=(
            *((said(str(gateway.ref), no),) if no is not None else ()),
            Evidence(str(owner), f"names {target}"),
            Evidence(f"{looked_for.plural} in {owner.namespace}", ", ".join(sorted(present)[:8]) or "none"),
        ),
        confirm=(kubectl("get", resource_name(owner), "-o", "yaml", namespace=owner.namespace),),
        by_hand=(kubectl("edit", resource_name(owner), namespace=owner.namespace),),
        advice=advice,
    )


@check(
    "LBD147",
    title="a filter of a route is not taken, or not as it is meant",
    passes="every filter of the route is taken",
    scope=Scope.FRONTEND,
    severity=Severity.ERROR,
    message="rule {rule} of {kind} {name} {fault:missing=names {target}, which does not exist|"
    "refused=names {target}, which the controller does not accept|several=names {target} and another one beside it|"
    "kind=names {target}, a kind that the controller does not read|"
    "filter=has filter {target}, so nothing of the Gateway is built|"
    "redirect=has a redirect without its filter, so nothing of the Gateway is built|"
    "plain=asks for a login, which HTTP port {ports:,3} leaves out}",
    reads=(*READS, reads.LISTENER_RULE_CONFIGURATIONS, reads.CONTROLLER, reads.CONTROLLER_PODS, reads.CONTROLLER_LOGS),
    distinct_by=("kind", "name", "target", "fault"),
    by_absence=(reads.LISTENER_RULE_CONFIGURATIONS,),
)
def filter_not_taken(frontend: Frontend) -> Iterator[Finding]:
    """A rule's filter of type ExtensionRef names a ListenerRuleConfiguration that does not exist in the route's
    namespace, that the controller has not accepted, or more than one. The controller then answers the rule's requests
    with a fixed 500 and makes no target group for it (Accepted False, IncompatibleFilters). A reference of another kind
    is passed over without a word: the rule works, and does not what the filter is meant to do.

    Of the other filters of an HTTPRoute RequestRedirect and URLRewrite are taken, of a GRPCRoute none. One that is not
    (headers are changed by a LoadBalancerConfiguration, mirroring not at all) keeps the whole Gateway from being built,
    with all of its routes: event FailedBuildModel, "Unsupported filter type".

    A login (authenticate-oidc) needs a Secret, which the controller may not read as it is installed: its log alone says
    "secrets is forbidden", and the configuration has no status. On an HTTP listener a login is left out, and requests
    get through without.

    Source: listenerRuleConfigLoader in
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/gateway/routeutils/backend.go,
    route_rule_action.go beside it, buildListenerRules in pkg/gateway/model/model_build_listener.go, and
    clusterSecretsPermissions in helm/aws-load-balancer-controller/values.yaml there.

    Confirm by hand: `kubectl get listenerruleconfigurations -o yaml`. Repair: make the configuration, or correct the
    filter.
    """
    own = of_gateway_api(frontend)
    for route in routes_of_subject(frontend.snapshot, own.ref):
        for number, rule in enumerate(route.rules, 1):
            read = configurations_named(rule)
            for reference in rule.extensions:
                if reference not in read:
                    yield _extension(route, number, reference, "kind", f"{reference.group}/{reference.kind}")
            if len(read) > 1:
                yield _extension(route, number, read[0], "several", f"{len(read)} ListenerRuleConfigurations")
            elif read:
                yield from _rule_configuration(frontend, route, number, read[0])
                yield from _login_left_out(frontend, own.ours, route, number)
    for gateway in own.ours:
        yield from _refused_filters(frontend.snapshot, gateway)


def _refused_filters(snapshot: Snapshot, gateway: Gateway) -> Iterator[Finding]:
    """The filters for which nothing of a Gateway is built, also those of routes that nobody has asked about."""
    found = class_of(snapshot, gateway).peek()
    if found is None or found.controller != ALB_CONTROLLER:
        return
    for route in routes_of(snapshot, gateway.meta.namespace, gateway.meta.name).need():
        if not any(attachment.taken for attachment in attachments(snapshot, route, gateway)):
            continue
        for number, rule in enumerate(route.rules, 1):
            if not rule.filters:
                continue
            actions = actions_of(configuration_of_rule(snapshot, route, rule).need())
            refused_type = refused_filter(route, rule, actions)
            if refused_type:
                fault = "redirect" if refused_type == "ExtensionRef" else "filter"
                named = configurations_named(rule)[0] if fault == "redirect" else Reference(refused_type)
                yield _extension(route, number, named, fault, f"type {refused_type}")


def _login_left_out(frontend: Frontend, gateways: tuple[Gateway, ...], route: Route, number: int) -> Iterator[Finding]:
    snapshot, rule = frontend.snapshot, route.rules[number - 1]
    settings = configuration_of_rule(snapshot, route, rule).need()
    if settings is None or not actions_of(settings) & LOGINS:
        return
    taken = [
        section.listener
        for gateway in gateways
        for attachment in attachments(snapshot, route, gateway)
        for section in attachment.taken
    ]
    plain = sorted({listener.port for listener in taken if listener.protocol == "HTTP"})
    if plain:
        seen = ", ".join(sorted(actions_of(settings)))
        finding = _extension(route, number, configurations_named(rule)[0], "plain", seen)
        ports = tuple(map(str, plain))
        yield replace(finding, params={**finding.params, "ports": ports})


def _rule_configuration(frontend: Frontend, route: Route, number: int, reference: Reference) -> Iterator[Finding]:
    listed = frontend.snapshot.gateway_api.rule_configurations.need()
    beside = {s.meta.name: s for s in listed if s.meta.namespace == route.meta.namespace}
    found = beside.get(reference.name)
    if found is None:
        yield _extension(route, number, reference, "missing", ", ".join(sorted(beside)[:8]) or "none there")
    elif found.accepted is False or (found.accepted is None and _waits_for(route, reference)):
        error = _last_error(frontend.snapshot, found)
        seen = found.message[:300] or "no status"
        finding = _extension(route, number, reference, "refused", seen)
        logged = (Evidence(Source.CONTROLLER_LOG, error[:300]),) if error else ()
        finding = replace(finding, evidence=(*logged, *finding.evidence))
        # What is forbidden to the controller is repaired by a Role, and not in the configuration.
        yield replace(finding, advice=_GRANT, by_hand=()) if "forbidden" in error else finding


_GRANT = "let the controller read the Secret: a Role with get, list and watch for it, bound to its service account"


def _waits_for(route: Route, reference: Reference) -> bool:
    """Whether the controller says that it has not accepted a configuration which has no status."""
    return any(f"/{reference.name}]" in found.text for found in refused(route, "Accepted"))


def _last_error(snapshot: Snapshot, settings: GatewaySettings) -> str:
    """The last error of the controller's log about a configuration; "" where there is none."""
    lines = [line for log in snapshot.cluster.controller_logs.values() for line in (log.peek() or "").splitlines()]
    for line in reversed(lines):
        entry = parse_log_line(line)
        about = entry is not None and (entry.namespace, entry.name) == (settings.meta.namespace, settings.meta.name)
        if entry is not None and about and entry.error and "listenerrule" in entry.controller:
            return entry.error
    return ""


_RULE_WORKS = ("kind", "plain")
_STOPS_ALL = ("filter", "redirect")
_NOT_BUILT = ("LBD109", "LBD209", "LBD103", "LBD150")
"""What is left undone: for a rule that is answered with a fixed 500 its target group and who leads to it."""


def _extension(route: Route, number: int, reference: Reference, fault: str, seen: str) -> Finding:
    owner = ObjectRef(_LRC.name, route.meta.namespace, reference.name) if fault == "refused" else route.ref
    advice = {
        "missing": f"make it in namespace {route.meta.namespace}, or correct the name in the filter",
        "refused": "correct what the controller says of it",
        "several": "name one per rule: put the settings of all into it",
        "kind": f"use a {_LRC.name} of {SETTINGS_GROUP}",
        "filter": "take it out; headers are changed by the Gateway's LoadBalancerConfiguration (listenerAttributes)",
        "redirect": "add a filter of type RequestRedirect to the rule",
        "plain": "let parentRefs name the HTTPS listener alone (sectionName), and redirect from the other one",
    }[fault]
    return Finding(
        "LBD147",
        owner,
        params={
            "rule": str(number),
            "kind": route.kind,
            "name": f"{route.meta.namespace}/{route.meta.name}",
            "target": f"{reference.kind} {reference.name}".strip(),
            "fault": fault,
            "ports": (),
        },
        severity=Severity.WARNING if fault in _RULE_WORKS else None,
        explains=() if fault in _RULE_WORKS else _NOT_BUILT if fault in _STOPS_ALL else _NOT_BUILT[:2],
        evidence=(*refused(route, "Accepted"), Evidence(f"filter of rule {number}", seen)),
        confirm=(kubectl("get", resource_name(route.ref), "-o", "yaml", namespace=route.meta.namespace),),
        by_hand=(kubectl("edit", resource_name(owner), namespace=route.meta.namespace),),
        advice=advice,
    )


@check(
    "LBD149",
    title="a TargetGroupConfiguration is for no Service, or not alone",
    passes="the Service has one TargetGroupConfiguration at most, and none misses it",
    severity=Severity.WARNING,
    message="TargetGroupConfiguration {name} {fault:route=has settings for {target}, which does not exist|"
    "elsewhere=of namespace {target} counts there alone, and Service {service} has none|"
    "astray=is for Service {target}, which does not exist; Service {service} has none|"
    "several=is for Service {service}, as {others} {others:=is|are}, and the controller takes any one}",
    reads=(*READS, reads.SERVICES),
    fix="target-reference",
    by_absence=(reads.SERVICES, reads.ROUTES),
)
def configuration_astray(traffic: TrafficPath) -> Iterator[Finding]:
    """A TargetGroupConfiguration counts for the Service of its namespace that `targetReference` names. One that names a
    Service which does not exist is read by nobody, and the target group of the Service that is meant gets defaults:
    instance targets, and a check of "/"; so does one in the namespace of the Gateway, if that is not the Service's. Of
    two for one Service the controller takes the one that it lists first, in no order. An entry of `routeConfigurations`
    counts for the route that its identifier names, of that namespace.

    Source: LookUpTargetGroupConfiguration in
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/gateway/routeutils/backend.go

    Confirm by hand: `kubectl get targetgroupconfigurations -o yaml`. Repair: the name, or one configuration for both.
    """
    if traffic.backend is None or traffic.backend.route is None or not traffic.backend.service:
        raise NotApplicable("no Service behind a route")
    service = traffic.service_ref.name
    own = configurations_of_service(traffic.snapshot, traffic.namespace, service).need()
    if len(own) > 1:
        yield _several(traffic, own)
    elif own:
        for block in stray_blocks(traffic.snapshot, own[0]):
            yield _for_no_route(traffic, traffic.backend.route, block)
    elif not own and traffic.service.need() is not None:
        for settings in astray_configurations(traffic).need():
            yield _astray(traffic, settings)
        for settings in configurations_beside_the_gateway(traffic):
            yield _elsewhere(traffic, settings)


def _elsewhere(traffic: TrafficPath, settings: GatewaySettings) -> Finding:
    ref, service, parts = settings.ref, traffic.service_ref.name, settings_that_it_makes(settings)
    return Finding(
        "LBD149",
        ref,
        params={"name": ref.name, "fault": "elsewhere", "target": ref.namespace, "service": service, "others": ()},
        evidence=(
            Evidence(str(ref), f"targetReference {service}, in namespace {ref.namespace}, where no route leads to it"),
            Evidence(f"services in {traffic.namespace}", service),
        ),
        confirm=(kubectl("get", resource_name(ref), "-o", "yaml", namespace=ref.namespace),),
        advice=f"make it in namespace {traffic.namespace}, where the Service is",
        explains=tuple(code for part, codes in _ASKED.items() if part in parts for code in codes),
    )


def _for_no_route(traffic: TrafficPath, route: ObjectRef, block: StrayBlock) -> Finding:
    ref, named = block.settings.ref, block.route
    then = {**block.identifier, "kind": route.kind, "namespace": route.namespace, "name": route.name}
    change = patch(ref, block.pointer[1:].replace("/", "."), edit(block.pointer, block.identifier, then))
    target = f"{named.kind} {named.namespace}/{named.name}"
    return Finding(
        "LBD149",
        ref,
        params={
            "name": ref.name,
            "fault": "route",
            "target": target,
            "service": traffic.service_ref.name,
            "others": (),
        },
        evidence=(
            Evidence(str(ref), f"{block.pointer.removeprefix('/spec/')} {target}: {', '.join(sorted(block.parts))}"),
            Evidence(str(route), f"leads to {traffic.service_ref.name}, in namespace {route.namespace}"),
        ),
        confirm=(kubectl("get", resource_name(ref), "-o", "yaml", namespace=ref.namespace),),
        repairs=(Repair(route.name, (change,)).with_reason(f"there is no {target}", "its settings then hold"),),
        fix_automatic=named.kind == route.kind and named.name == route.name,
        explains=tuple(code for part, codes in _ASKED.items() if part in block.parts for code in codes),
    )


def _several(traffic: TrafficPath, own: tuple[GatewaySettings, ...]) -> Finding:
    first, *others = own
    ref = first.ref
    return Finding(
        "LBD149",
        ref,
        params={
            "name": ref.name,
            "fault": "several",
            "service": traffic.service_ref.name,
            "others": tuple(settings.meta.name for settings in others),
            "target": traffic.service_ref.name,
        },
        evidence=tuple(Evidence(str(s.ref), f"targetReference {traffic.service_ref.name}") for s in own),
        confirm=(kubectl("get", f"{_TGC.plural}.{_TGC.group}", "-o", "yaml", namespace=ref.namespace),),
        advice="put the settings of all into one of them, and delete the others",
    )


_ASKED = {"targetType": ("LBD204",), "healthCheckConfig": ("LBD301", "LBD302", "LBD303", "LBD304", "LBD305")}
"""What the target group fails by where the settings that are meant for it do not reach it."""


def _astray(traffic: TrafficPath, settings: GatewaySettings) -> Finding:
    service, named = traffic.service_ref.name, target_reference(settings)
    ref, pointer = settings.ref, "/spec/targetReference/name"
    meant = settings_that_it_makes(settings)
    change = patch(ref, "spec.targetReference.name", edit(pointer, named, service))
    similar = nearest(named, [found.meta.name for found in traffic.namespace_facts.services.peek() or ()])
    return Finding(
        "LBD149",
        ref,
        params={"name": ref.name, "fault": "astray", "target": named, "service": service, "others": ()},
        evidence=(
            Evidence(str(ref), f"targetReference {named}"),
            Evidence(f"services in {traffic.namespace}", f"{service}, and no {named}"),
        ),
        confirm=(kubectl("get", resource_name(ref), "-o", "yaml", namespace=ref.namespace),),
        repairs=(Repair(service, (change,)).with_reason(f"there is no Service {named}", "its settings then hold"),),
        fix_automatic=similar == service or ref.name == service,
        explains=tuple(code for part, codes in _ASKED.items() if part in meant for code in codes),
    )

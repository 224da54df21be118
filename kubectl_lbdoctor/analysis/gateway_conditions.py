"""What the controller says in the status of Gateways, listeners and routes, and whether it is still about them. Pure.

A condition says of which generation of its object it speaks. One of an earlier generation is about what the object was.

Source: https://gateway-api.sigs.k8s.io/geps/gep-1364/ and pkg/gateway/constants of
https://github.com/kubernetes-sigs/aws-load-balancer-controller (its own messages).
"""

from __future__ import annotations

import re
from dataclasses import replace

from kubectl_lbdoctor.model.finding import Evidence
from kubectl_lbdoctor.model.gateway_api import Gateway, ParentReference, Route
from kubectl_lbdoctor.model.k8s import Condition, condition
from kubectl_lbdoctor.model.times import seconds_between

SEE_EVENTS = "Check Gateway Events for more information."
"""The message of a Gateway whose model could not be built or deployed: an event of the same moment says why."""

SETTLING_SECONDS = 60
"""A new or changed object is taken over within seconds; below this age nothing is late."""


def stands(found: Condition, generation: int) -> bool:
    """Whether a condition is about this generation of its object; one that does not say counts."""
    return not found.observed_generation or found.observed_generation >= generation


def said(what: str, found: Condition) -> Evidence:
    """A condition of an object as evidence, with its reason and message."""
    message = f": {found.message[:300]}" if found.message else ""
    return Evidence(what, f"{found.type} {found.status}, {found.reason}{message}")


def refused(route: Route, kind: str) -> tuple[Evidence, ...]:
    """The conditions of this type ("Accepted", "ResolvedRefs") that say no to a route as it is now."""
    return tuple(
        said(str(route.ref), found)
        for entry in route.status
        for found in entry.conditions
        if found.type == kind and found.status == "False" and stands(found, route.meta.generation)
    )


def refused_at(route: Route, parent: ParentReference) -> Condition | None:
    """The condition that refuses a route as it is now at one of its parents; a filter that is refused leaves the route
    attached."""

    def place(reference: ParentReference) -> ParentReference:
        return replace(reference, namespace=reference.namespace or route.meta.namespace)

    for entry in route.status:
        for found in entry.conditions if place(entry.parent) == place(parent) else ():
            no = (found.type, found.status) == ("Accepted", "False") and found.reason != "IncompatibleFilters"
            if no and stands(found, route.meta.generation):
                return found
    return None


def refusal(gateway: Gateway) -> Condition | None:
    """The condition that says that the controller does not accept a Gateway as it is now."""
    accepted = condition(gateway.conditions, "Accepted")
    no = accepted is not None and accepted.status == "False" and stands(accepted, gateway.meta.generation)
    return accepted if no else None


_OF_CLASS = re.compile(r"(?:GatewayClass|Unable to materialize gateway when gateway class) \[([^\[\]]+)\]")
"""How the controller begins what it says of a Gateway whose class is not accepted, or whose class's configuration it
has not yet taken over.
https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/controllers/gateway/config_resolver.go"""


def waits_for_class(gateway: Gateway, found: Condition) -> bool:
    """Whether a condition refuses a Gateway for what is the matter with its class, and not with itself."""
    of_class = _OF_CLASS.match(found.message)
    return of_class is not None and of_class[1] == gateway.class_name


def not_taken_over(gateway: Gateway, now: str) -> Condition | None:
    """The condition of a Gateway that is still about an earlier generation, although its last change is a minute old;
    None where it is not, or where nothing says when it was changed."""
    accepted = condition(gateway.conditions, "Accepted")
    if accepted is None or stands(accepted, gateway.meta.generation) or not gateway.changed:
        return None
    return accepted if seconds_between(gateway.changed, now) >= SETTLING_SECONDS else None

"""An Application Load Balancer as a target: what it answers to the health check of a Network Load Balancer.

The lab's load balancers forward nothing. Here one does, for this request alone: by its listener of the checked port,
the first of its rules that matches, and a healthy target of the group that the rule forwards to, which is asked with
real packets. Its security groups are looked at by hand, since no packet goes from load balancer to load balancer.

Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/network/application-load-balancer-target.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

from tests.lab.aws import balancers, probes, targets
from tests.lab.aws.probes import Check, Outcome

Build = Callable[[Any, Any, Any, targets.Registration, str], Check]
"""The check of a target by a load balancer, for a listener and a group of it, from one of its addresses."""


async def answer(check: Check, front: Any, group: Any, build: Build) -> Outcome:
    """What the check of a Network Load Balancer (`front`) finds at its target, which is a load balancer, too."""
    balancer = group.elbv2_backend.load_balancers.get(check.address)
    if balancer is None or not _admits(group.ec2_backend, balancer, front, check):
        return probes.FAILED
    listener = next((found for found in balancer.listeners.values() if int(found.port) == check.port), None)
    if listener is None or listener.protocol != check.protocol:
        return probes.FAILED  # Nothing listens, or it answers 400 to HTTP on a port of HTTPS.
    action = _action(listener, check)
    if "FixedResponseConfig" in action:
        return _judged(check, int(action["FixedResponseConfig"]["StatusCode"]))
    if "RedirectConfig" in action:
        return _judged(check, int(action["RedirectConfig"]["StatusCode"].removeprefix("HTTP_")))
    if action.get("Type") != "forward":
        return _judged(check, 302)  # Who has not logged in is sent to do so.
    found = _serving(group.elbv2_backend, action)
    if not found:
        return _judged(check, 503)
    own = build(balancer, listener, *found[0], next(iter(balancers.addresses(balancer))))
    protocol, port = found[0][0].protocol, found[0][1].port
    asked = replace(own, protocol=protocol, port=port, path=check.path, host=check.host, matcher=check.matcher)
    return probes.OK if await probes.send(asked) is probes.OK else probes.FAILED


def _judged(check: Check, code: int) -> Outcome:
    return probes.OK if probes.accepts(check.matcher, code) else probes.FAILED


def _serving(backend: Any, action: dict[str, Any]) -> list[tuple[Any, targets.Registration]]:
    """Healthy targets behind an action; all of them where none is, since the load balancer then sends to any."""
    listed = action.get("ForwardConfig", {}).get("TargetGroups") or [action]
    named = [entry["TargetGroupArn"] for entry in listed if entry.get("Weight", 1)]
    groups = [backend.target_groups[arn] for arn in named if arn in backend.target_groups]
    found = [(group, registration) for group in groups for registration in targets.sweep(group)]
    return [pair for pair in found if targets.health(*pair)[0] == "healthy"] or found


def _action(listener: Any, check: Check) -> dict[str, Any]:
    """The deciding action of the first rule that takes the request."""
    rules = sorted(listener.rules.values(), key=lambda rule: (rule.priority == "default", str(rule.priority).zfill(9)))
    rule = next(rule for rule in rules if all(_holds(condition, check) for condition in rule.conditions))
    first: dict[str, Any] = rule.actions[0].data
    return first


def _holds(condition: dict[str, Any], check: Check) -> bool:
    asked = {"host-header": check.host.partition(":")[0], "path-pattern": check.path}.get(condition["Field"])
    config = {"host-header": "HostHeaderConfig", "path-pattern": "PathPatternConfig"}.get(condition["Field"], "")
    patterns = condition.get(config, {}).get("Values") or condition.get("Values") or []
    if asked is None:
        return condition["Field"] == "http-request-method" and "GET" in str(condition)
    return any(_matches(pattern, asked) for pattern in patterns)


def _matches(pattern: str, text: str) -> bool:
    parts = (".*" if mark == "*" else "." if mark == "?" else re.escape(mark) for mark in re.split(r"([*?])", pattern))
    return re.fullmatch("".join(parts), text) is not None


def _admits(ec2: Any, balancer: Any, front: Any, check: Check) -> bool:
    """Whether a security group of the load balancer lets the check in, by address or by a group of the sender's."""
    groups = [ec2.get_security_group_from_id(identifier) for identifier in balancer.security_groups or []]
    senders = set(front.security_groups or [])
    return any(
        _is_for(rule, check.port) and _is_from(rule, check.source, senders)
        for group in groups
        if group is not None
        for rule in group.ingress_rules
    )


def _is_for(rule: Any, port: int) -> bool:
    return rule.ip_protocol == "-1" or (rule.ip_protocol == "tcp" and rule.from_port <= port <= rule.to_port)


def _is_from(rule: Any, source: str, senders: set[str]) -> bool:
    cidr = rule.ip_range.get("CidrIp") or rule.ip_range.get("CidrIpv6")
    if cidr and ip_address(source) in ip_network(cidr):
        return True
    return rule.source_group.get("GroupId") in senders

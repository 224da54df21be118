"""What an Application Load Balancer answers to the check of the Network Load Balancer before it. Pure.

The request names no host of a rule, and nobody has logged in: which listener and rule take it, and what they do,
decides whether the load balancer is a healthy target. It may also be that the request does not get there.

Sources: https://docs.aws.amazon.com/elasticloadbalancing/latest/network/application-load-balancer-target.html,
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-rules.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum

from kubectl_lbdoctor.analysis.blocked_paths import READS as NETWORK_READS
from kubectl_lbdoctor.analysis.blocked_paths import sources, world
from kubectl_lbdoctor.analysis.frontend_nlb import is_before_ingress
from kubectl_lbdoctor.analysis.frontends import frontend, paths_of, traffic_paths
from kubectl_lbdoctor.analysis.site_rules import matches_path_pattern
from kubectl_lbdoctor.knowledge.success_codes import accepts
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import Action, HealthCheck, Listener, ListenerRule, LoadBalancer, TargetHealth
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import Fact, Unknown
from kubectl_lbdoctor.model.index import grouped
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.network import path
from kubectl_lbdoctor.network.matching import family
from kubectl_lbdoctor.record import record

READS = (*NETWORK_READS, reads.LISTENERS, reads.RULES)

_DEFAULT, _HTTPS = "default", "HTTPS"


class Answer(Enum):
    """What becomes of the check. TARGETS: it is handed on to targets. LOGIN: who asks is sent to log in."""

    NO_LISTENER = "listener"
    SPEAKS_TLS = "tls"
    SPEAKS_PLAIN = "plain"
    REDIRECT = "redirect"
    LOGIN = "login"
    NO_RULE = "unmatched"
    FIXED = "fixed"
    TARGETS = "targets"


@record
class Answered:
    """answer, with the port of the listener that was asked. code: the HTTP status, "" where it is not told. rule: the
    priority of the rule that took it, "" for none. groups: ARNs of the target groups that it is handed on to."""

    answer: Answer
    port: int
    code: str = ""
    rule: str = ""
    groups: tuple[str, ...] = ()

    def suits(self, check: HealthCheck) -> bool | None:
        """Whether the check takes it for healthy; None where targets decide."""
        if self.answer is Answer.TARGETS:
            return None
        return self.code.isdigit() and accepts(check.matcher, int(self.code))


def paths_behind(traffic: TrafficPath) -> tuple[TrafficPath, ...]:
    """The paths from the Application Load Balancer that is the target of this one to the backends of its Ingress or
    Gateway."""
    ref = traffic.behind
    if ref is None or ref not in traffic.snapshot.subjects:
        return ()
    return tuple(other for other in paths_of(frontend(traffic.snapshot, ref)) if not is_before_ingress(other))


def paths_to(snapshot: Snapshot, groups: Iterable[str]) -> tuple[TrafficPath, ...]:
    """The paths to target groups with these ARNs, of whichever members of an IngressGroup were looked at."""
    found = _by_group(snapshot)
    return tuple(path for arn in dict.fromkeys(groups) for path in found.get(arn, ()))


@derived
def _by_group(snapshot: Snapshot) -> Mapping[str, tuple[TrafficPath, ...]]:
    return grouped(traffic_paths(snapshot), lambda path: (g.arn for g in (path.target_group.peek(),) if g is not None))


def checked(traffic: TrafficPath) -> TargetHealth | None:
    """The load balancer as a target; None where it is not registered, or nobody could tell."""
    return next(iter(traffic.target_health.peek() or ()), None)


def https_ports(traffic: TrafficPath) -> tuple[int, ...]:
    """The ports of the load balancer behind that speak TLS. Raises `Unknown`."""
    return tuple(listener.port for listener in _listeners(traffic) if listener.protocol == _HTTPS)


@derived
def answer_to_check(traffic: TrafficPath) -> Answered | None:
    """What the check of the path's target group finds; None where there is no such check, or no telling, as where a
    rule has conditions that are not read. Raises `Unknown` where listeners or rules could not be read."""
    group, target = traffic.target_group.need(), checked(traffic)
    if group is None or target is None or not paths_behind(traffic):
        return None
    check = group.health_check
    return answer_to(traffic, check.protocol, target.asked_port, check.path or "/")


def answer_to(traffic: TrafficPath, protocol: str, port: int, asked: str) -> Answered | None:
    """What a GET of a path, on a port of the load balancer behind, finds; None where there is no telling, or no load
    balancer. Raises `Unknown`."""
    if _balanced(traffic) is None:
        return None
    listener = next((found for found in _listeners(traffic) if found.port == port), None)
    if listener is None:
        return Answered(Answer.NO_LISTENER, port)
    if listener.protocol != protocol:
        # HTTP on a port of HTTPS is answered with 400; a handshake on a port of HTTP comes to nothing.
        tls = listener.protocol == _HTTPS
        return Answered(Answer.SPEAKS_TLS, port, "400") if tls else Answered(Answer.SPEAKS_PLAIN, port)
    rules = [rule for rule in _rules(traffic) if rule.listener_arn == listener.arn and rule.priority != _DEFAULT]
    for rule in sorted(rules, key=lambda entry: int(entry.priority) if entry.priority.isdigit() else 0):
        if not (_takes_any_host(rule) and _takes_path(rule, asked)):
            continue
        if rule.further:
            return None
        return _by_actions(rule.actions, port, rule.priority)
    return _by_actions(listener.actions, port, "")


def _by_actions(actions: tuple[Action, ...], port: int, rule: str) -> Answered | None:
    # An action that asks for a login may let everybody in: then the next one decides.
    first = next((action for action in actions if action.status_code or action.type == "forward"), None)
    if first is None:
        return None
    if first.type == "redirect":
        return Answered(Answer.REDIRECT, port, first.status_code, rule)
    if first.type == "fixed-response":
        return Answered(Answer.FIXED if rule else Answer.NO_RULE, port, first.status_code, rule)
    if first.type == "forward":
        return Answered(Answer.TARGETS, port, "", rule, tuple(first.target_groups))
    return Answered(Answer.LOGIN, port, first.status_code, rule)


def _takes_any_host(rule: ListenerRule) -> bool:
    """The check names the load balancer's address as its host, which no pattern but one of stars alone takes."""
    return not rule.hosts or any(not pattern.strip("*") for pattern in rule.hosts)


def _takes_path(rule: ListenerRule, asked: str) -> bool:
    return not rule.paths or any(matches_path_pattern(pattern, asked) for pattern in rule.paths)


def _listeners(traffic: TrafficPath) -> tuple[Listener, ...]:
    found = _balanced(traffic)
    return found.listeners.need() if found is not None else ()


def _rules(traffic: TrafficPath) -> tuple[ListenerRule, ...]:
    found = _balanced(traffic)
    return found.rules.need() if found is not None else ()


@derived
def _balanced(traffic: TrafficPath) -> TrafficPath | None:
    """A path whose load balancer is the one behind: backends without a target group, as of a Service that is missing,
    may be known to none. None where there is none at all. Raises `Unknown`."""
    several = paths_behind(traffic)
    found = next((other for other in several if other.load_balancer.peek() is not None), None)
    if found is None:
        for other in several:
            other.load_balancer.need()
    return found


@derived
def deciding_paths(traffic: TrafficPath) -> tuple[str, ...]:
    """The keys of the paths behind to targets that have to answer the check, where it fails and none of them passes its
    own: what is wrong with these is why."""
    target = checked(traffic)
    if target is None or not target.state.startswith("unhealthy"):
        return ()
    try:
        found = answer_to_check(traffic)
    except Unknown:
        return ()
    groups = found.groups if found is not None else ()
    return tuple(other.key for other in paths_to(traffic.snapshot, groups) if not other.is_served)


def balancer_behind(traffic: TrafficPath) -> LoadBalancer | None:
    """The load balancer that is the target of this path; None where there is none. Raises `Unknown`."""
    found = _balanced(traffic)
    return found.load_balancer.need() if found is not None else None


def stopping_hop(traffic: TrafficPath) -> path.Hop | None:
    """The first filter that stops the check on its way to the load balancer behind; None where none does, as far as
    filters were read (`require_open_way`). Raises `Unknown` where it is not known which load balancers these are."""
    return next((verdict.first for verdict in _verdicts(traffic) if verdict.first is not None), None)


def require_open_way(traffic: TrafficPath) -> None:
    """Raise `Unknown` where a filter that was not read may stop the check on its way to the load balancer behind."""
    found, vpc = _verdicts(traffic), traffic.network
    missing = [text for verdict in found for text in verdict.unknown]
    if found and not missing:
        return
    filters = (vpc.security_groups, vpc.acls, vpc.route_tables, vpc.prefix_lists) if found else ()
    for fact in (*filters, vpc.subnets, vpc.interfaces):
        fact.need()
    said = f"{missing[0]} was not found" if missing else "the subnets of the load balancers were not found"
    raise Unknown(Fact.not_asked(reads.SECURITY_GROUPS if missing else reads.SUBNETS, said))


@derived
def _verdicts(traffic: TrafficPath) -> tuple[path.PathVerdict, ...]:
    """What the filters do with the check, from each interface of the one load balancer to each of the other."""
    front, behind, target = traffic.load_balancer.need(), balancer_behind(traffic), checked(traffic)
    if front is None or behind is None or target is None:
        return ()
    return tuple(
        path.evaluate(start, end, "tcp", target.asked_port, world(traffic), path.FROM_LOAD_BALANCER)
        for end in sources(traffic, behind)
        for start in sources(traffic, front)
        if family(start.address) == family(end.address)
    )

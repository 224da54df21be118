"""What the check of a Network Load Balancer before an Ingress's own may ask instead, so that it is answered. Pure.

A change of protocol or port alone may lead to another answer that the check does not want, as where the rules of the
other port have hosts: what it would find is looked up, and what it needs beside is part of the same change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kubectl_lbdoctor.analysis.alb_answers import Answer, Answered, answer_to, checked, https_ports
from kubectl_lbdoctor.analysis.check_settings import SettingSource
from kubectl_lbdoctor.analysis.frontend_nlb import is_before_ingress
from kubectl_lbdoctor.analysis.frontends import setting_source, traffic_paths
from kubectl_lbdoctor.knowledge.success_codes import accepts_all_of
from kubectl_lbdoctor.model.aws import HealthCheck
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import Change, Repair
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

PATH, PORT, PROTOCOL, CODES = "healthcheck-path", "healthcheck-port", "healthcheck-protocol", "success-codes"
"""The settings of such a check, as `setting_source` names them."""

_TLS, _PLAIN = "HTTPS", "HTTP"


@record
class Way:
    """A way to ask. values: the settings to change, each with what it is to be. protocol and port: how, and where, it
    asks. name: what chooses it among several ways. why: how it is known to be answered."""

    values: tuple[tuple[SettingSource, str], ...]
    protocol: str
    port: int
    name: str = ""
    why: str = ""

    @property
    def how(self) -> str:
        """What a person does."""
        return ", and ".join(source.how(value) for source, value in self.values)

    @property
    def repair(self) -> Repair | None:
        """The same as a fix; None where no fix can change a setting."""
        if not self.values or not all(source.settable for source, _ in self.values):
            return None
        if len(self.values) == 1:
            source, value = self.values[0]
            return source.repair(value, self.why)
        by_object: dict[ObjectRef, list[tuple[SettingSource, str]]] = {}
        for source, value in self.values:
            by_object.setdefault(source.ref, []).append((source, value))
        return Repair(self.name, tuple(map(_change, by_object.values()))).with_reason(self.why)

    def beside(self, source: SettingSource, value: str, why: str) -> Way:
        """The same with one setting more, which tells it from others."""
        reasons = "; ".join(filter(None, (self.why, why)))
        return replace(self, values=(*self.values, (source, value)), name=value, why=reasons)


def _change(values: list[tuple[SettingSource, str]]) -> Change:
    (first, value), *others = values
    return first.change(value, *others)


def speaks_https_instead(traffic: TrafficPath, found: Answered) -> bool:
    """Whether the load balancer behind serves by HTTPS what is asked by HTTP: a port of HTTPS and one that redirects
    there are one fault, which one change repairs. Raises `Unknown`."""
    return found.answer is Answer.SPEAKS_TLS or (found.answer is Answer.REDIRECT and bool(_secure(traffic)))


def ways(traffic: TrafficPath, asked: HealthCheck, found: Answered) -> tuple[Way, ...]:
    """What the check may ask instead of what it `found`, the best first; () where nothing is known that suits it, and
    for the route to a Gateway, whose check no annotation sets. Raises `Unknown`."""
    if not is_before_ingress(traffic):
        return ()
    several = [tuple(_completed(traffic, asked, base)) for base in _bases(traffic, asked, found)]
    return min(several, key=lambda offered: len(offered[0].values) if offered else len((PATH, PORT, PROTOCOL, CODES)))


def how(traffic: TrafficPath, asked: HealthCheck, found: Answered, path_wanted: str) -> str:
    """What a person does where no fix can: several members of a group say the setting, or nobody knows the value."""
    if not is_before_ingress(traffic):
        return ""
    offered = ways(traffic, asked, found)
    if offered:
        return offered[0].how
    return _bases(traffic, asked, found)[0].beside(setting_source(traffic, PATH), path_wanted, "").how


def _secure(traffic: TrafficPath) -> tuple[int, ...]:
    """The ports of HTTPS that may be checked in place of another one: of a Gateway each listener is on its own."""
    return https_ports(traffic) if is_before_ingress(traffic) else ()


def _bases(traffic: TrafficPath, asked: HealthCheck, found: Answered) -> tuple[Way, ...]:
    """How a listener is asked that speaks the check's language, before what it answers is looked at: one annotation
    holds for the groups of all ports, so that of several one is asked for all of them."""
    protocol, port, secure = setting_source(traffic, PROTOCOL), setting_source(traffic, PORT), _secure(traffic)
    target = checked(traffic)
    if found.answer is Answer.NO_LISTENER and target is not None:
        why = "each listener of the ALB is checked on its own port"
        own = Way(((port, "traffic-port"),), asked.protocol, target.port, "traffic-port", why)
        return (own, *_by_https(protocol, port, secure))
    if found.answer is Answer.SPEAKS_PLAIN and not secure:
        return (Way(((protocol, _PLAIN),), _PLAIN, found.port, _PLAIN, "no listener of the ALB speaks HTTPS"),)
    if found.answer is Answer.SPEAKS_PLAIN or speaks_https_instead(traffic, found):
        return _by_https(protocol, port, secure)
    return (Way((), asked.protocol, found.port),)


def _by_https(protocol: SettingSource, port: SettingSource, secure: tuple[int, ...]) -> tuple[Way, ...]:
    return tuple(
        Way(((protocol, _TLS), (port, str(number))), _TLS, number, _TLS, f"the ALB speaks HTTPS on port {number}")
        for number in secure
    )


def _completed(traffic: TrafficPath, asked: HealthCheck, base: Way) -> Iterator[Way]:
    """A way with whatever it needs to find an answer that suits the check."""
    there = answer_to(traffic, base.protocol, base.port, asked.path or "/")
    if there is not None and there.answer in (Answer.NO_LISTENER, Answer.SPEAKS_TLS, Answer.SPEAKS_PLAIN):
        return
    paths = _answering_paths(traffic, asked, base)
    if there is None or there.suits(asked) or (there.answer is Answer.TARGETS and (asked.path or "/") in paths):
        if base.values:
            yield base
        return
    source, codes = setting_source(traffic, PATH), setting_source(traffic, CODES)
    better = [base.beside(source, path, why) for path, why in paths.items()]
    yield from better
    if there.answer is Answer.TARGETS:
        if base.values and not better:
            yield base  # Targets decide, and nobody knows how.
    elif there.code.isdigit() and not there.code.startswith("5"):
        # A page that says that nothing serves is not taken for health.
        wanted = ",".join([asked.matcher, there.code] if asked.matcher else [there.code])
        yield base.beside(codes, wanted, "any answer shows that the ALB works; targets have checks of their own")


def _answering_paths(traffic: TrafficPath, asked: HealthCheck, way: Way) -> dict[str, str]:
    """The paths that a target group behind is checked on with success, where that leads to it by this way, too, each
    with how that is known."""
    found: dict[str, str] = {}
    for other in traffic_paths(traffic.snapshot):
        own = other.target_group.peek()
        if own is None or not other.is_served or own.is_grpc:
            continue
        check = own.health_check
        if not check.path or check.port != "traffic-port" or not accepts_all_of(asked.matcher, check.matcher):
            continue
        there = answer_to(traffic, way.protocol, way.port, check.path)
        if there is not None and own.arn in there.groups and (way.values or check.path != (asked.path or "/")):
            found.setdefault(check.path, f"targets of {own.name} pass their own check there")
    return found

"""Names in records: those of Kubernetes objects are DNS names, no name or id begins as an option does, and what looks
like a number is one.

Commands for people are built of names. Quotes keep a shell from taking one apart, but not kubectl or aws from reading
"--kubeconfig=x" as an option. No API server and no AWS service has such names: a record that carries one is left out,
and a bundle is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from kubectl_lbdoctor.collect.fields import NotUnderstood
from kubectl_lbdoctor.model import aws, gateway_api, identity, k8s, network, probe
from kubectl_lbdoctor.model.api_path import is_label, is_subdomain
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.permission import Permission

_NUMBER = re.compile(r"-[0-9]{1,9}")
"""EC2's word for all protocols is -1."""

_DIGITS = 64
"""No number of an API has more digits. Python reads none of more than 4,300."""


def _plain(text: str) -> bool:
    """What begins as no option does, and is a number only where Python can read it: "²" is a digit, and none."""
    if text.startswith("-"):
        return _NUMBER.fullmatch(text) is not None
    return not text.isdigit() or (text.isascii() and len(text) <= _DIGITS)


def _label_or_none(text: str) -> bool:
    return not text or is_label(text)


def _object(text: str) -> bool:
    return is_subdomain(text.removesuffix(k8s.TEMPLATE_POD))


def _anything(text: str) -> bool:
    return True


Rule = Callable[[str], bool]


def _of(record: type, rule: Rule, names: str) -> dict[tuple[type, str], Rule]:
    known = {field.name for field in fields(record)}
    if unknown := set(names.split()) - known:
        raise AssertionError(f"{record.__name__} has no {unknown}")
    return {(record, name): rule for name in names.split()}


_RULES: Mapping[tuple[type, str], Rule] = {
    # https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
    **_of(k8s.Meta, _object, "name"),
    **_of(k8s.Meta, _label_or_none, "namespace"),
    **_of(k8s.TlsCertificate, is_label, "namespace"),
    **_of(k8s.TlsCertificate, is_subdomain, "secret"),
    **_of(k8s.WebhookConfiguration, is_subdomain, "configuration"),
    # Namespaces are read where such a reference leads.
    **_of(gateway_api.Reference, _label_or_none, "namespace"),
    **_of(gateway_api.ParentReference, _label_or_none, "namespace"),
    **_of(gateway_api.BackendReference, _label_or_none, "namespace"),
    # What people, applications and controllers write, and what is free to begin with any sign.
    **_of(k8s.Meta, _anything, "annotations"),
    **_of(k8s.Condition, _anything, "reason message"),
    **_of(k8s.IngressPath, _anything, "path"),
    **_of(k8s.IngressClassParams, _anything, "spec"),
    **_of(k8s.Probe, _anything, "path command headers host_header"),
    **_of(k8s.Container, _anything, "image command args env"),
    **_of(k8s.ContainerStatus, _anything, "image reason message last_reason last_message"),
    **_of(k8s.Pod, _anything, "reason message token_audiences"),
    **_of(k8s.Event, _anything, "reason message component"),
    **_of(k8s.Event, _label_or_none, "namespace"),
    **_of(k8s.TargetGroupBinding, _anything, "node_selector networking"),
    **_of(k8s.WebhookConfiguration, _anything, "ca_bundle"),
    **_of(k8s.TlsCertificate, _anything, "certificate"),
    **_of(aws.LoadBalancer, _anything, "state_reason"),
    **_of(aws.Action, _anything, "message_body"),
    **_of(aws.ListenerRule, _anything, "hosts paths"),
    **_of(aws.HealthCheck, _anything, "path"),
    **_of(aws.TargetHealth, _anything, "description"),
    **_of(network.IpPermission, _anything, "description"),
    **_of(network.SecurityGroup, _anything, "name tags"),
    **_of(network.PrefixList, _anything, "name"),
    **_of(network.Subnet, _anything, "tags"),
    **_of(network.NetworkInterface, _anything, "description"),
    # IAM's names may begin with a hyphen: https://docs.aws.amazon.com/IAM/latest/APIReference/API_Role.html
    **_of(identity.Role, _anything, "name trust"),
    **_of(identity.RolePolicy, _anything, "name document"),
    **_of(probe.ProbeRequest, _anything, "path host"),
    **_of(probe.ProbeAnswer, _anything, "location detail"),
    **_of(Permission, _label_or_none, "namespace"),
    **_of(Permission, _anything, "said"),
    **_of(Fact, _anything, "reason left_out scope"),
}
"""The rule of a field of text; those that are not here are plain."""


def check_names(value: Any) -> None:
    """Raise NotUnderstood for a record that carries a name that no API has, wherever it stands in it."""
    for where, text in _wrong(value):
        raise NotUnderstood(f"{where}: {text[:64]!r} is no name")


def _wrong(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, (tuple, list)):
        for item in value:
            yield from _wrong(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _wrong(item)
    elif is_dataclass(value) and not isinstance(value, type):
        for name, rule, plain in _plan(type(value)):
            item = getattr(value, name)
            if plain:
                if not rule(item):
                    yield f"{type(value).__name__}.{name}", item
            elif item:
                yield from _inside(item, rule, f"{type(value).__name__}.{name}")


def _inside(value: Any, rule: Rule, where: str) -> Iterator[tuple[str, str]]:
    """The texts of a field that has several of them, keys included, and the records in it."""
    if isinstance(value, str):
        if not rule(value):
            yield where, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _inside(key, rule, where)
            yield from _inside(item, rule, where)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _inside(item, rule, where)
    elif is_dataclass(value):
        yield from _wrong(value)


@cache
def _plan(record: type) -> tuple[tuple[str, Rule, bool], ...]:
    """The fields of a record that may hold text or other records, their rules, and whether they are a text."""
    found = []
    for field in fields(record):
        rule = _RULES.get((record, field.name), _plain)
        kind = str(field.type)
        if rule is _anything or not field.init or kind in ("int", "bool", "float", "int | None", "bool | None"):
            continue
        # The value of a Fact is a list, a record, or one text that is a log or an address.
        if record is Fact and field.name == "value":
            rule = _anything
        found.append((field.name, rule, kind == "str"))
    return tuple(found)

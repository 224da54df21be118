"""What events and logs say that widens the reads. A healthy object costs none of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kubectl_lbdoctor.knowledge.controller_errors import DecodedError, decode_event
from kubectl_lbdoctor.knowledge.controller_identity import RECONCILED
from kubectl_lbdoctor.knowledge.standing import unsettled
from kubectl_lbdoctor.model.snapshot import Snapshot

# LBD511: no subnet suits; LBD512: too few addresses are free in those that would.
_SUBNET_CODES = frozenset({"LBD511", "LBD512"})
_WEBHOOK_UNREACHABLE = "LBD124"
# EC2's error code (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html).
_GROUP_MISSING = "InvalidGroup.NotFound"
# Decoding takes a third of a millisecond, and a cluster in trouble has thousands of warnings about pods and jobs. The
# API server calls it a webhook in every refusal of one (k8s.io/apiserver, admission/plugin/webhook/errors).
_WEBHOOK = "webhook"


def no_subnet_suits(errors: tuple[DecodedError, ...]) -> bool:
    """Whether the controller says that it found no suitable subnets: then every subnet of the VPC matters."""
    return any(error.code in _SUBNET_CODES for error in errors)


def webhook_is_unreachable(errors: tuple[DecodedError, ...]) -> bool:
    """Whether a call of a webhook of the controller got no answer: then the way to it matters, too."""
    return any(error.code == _WEBHOOK_UNREACHABLE for error in errors)


def group_is_missing(errors: tuple[DecodedError, ...], logs: Iterable[str]) -> bool:
    """Whether the controller says that a security group does not exist: a binding of any namespace may name it."""
    return any(error.params.get("error_code") == _GROUP_MISSING for error in errors) or any(
        _GROUP_MISSING in log for log in logs
    )


def decoded_warnings(snapshot: Snapshot) -> tuple[DecodedError, ...]:
    """What those warnings of all namespaces say that may be of the controller or its webhooks, each text once. What a
    later success has settled is left out."""
    return tuple(decode_event(reason, message) for reason, message in dict.fromkeys(_warnings(snapshot)))


def _warnings(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    for facts in snapshot.namespaces.values():
        for event in unsettled(facts.events.peek() or ()):
            if event.kind in RECONCILED or _WEBHOOK in event.message:
                yield event.reason, event.message

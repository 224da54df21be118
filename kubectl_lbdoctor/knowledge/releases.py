"""Releases of the AWS Load Balancer Controller: how far they are known here, their order, and their feature gates.

What differs between releases stands with the fact itself (`since` of an annotation in `annotation_data`, of an IAM
action in data/lbc_iam_policy.json); this module holds what is about releases themselves. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from kubectl_lbdoctor.record import record

__all__ = ["GATES", "NEWEST_KNOWN", "Gate", "Version", "is_unknown", "parse_version", "plain"]

Version = tuple[int, int, int]

NEWEST_KNOWN: Version = (3, 5, 0)
"""The newest release whose source was read to the end, and so the last one of which it is known that it reads nothing
else. Of later ones single facts are known, from their release notes.
https://github.com/kubernetes-sigs/aws-load-balancer-controller/tree/v3.5.0"""

_VERSION = re.compile(r"v?([0-9]{1,9})\.([0-9]{1,9})(?:\.([0-9]{1,9}))?(?![0-9])")


def parse_version(text: str | None) -> Version | None:
    """`v2.17.1`, `2.17` or `v2.17.1-eks.1` as three numbers; None when it does not start like a version (a digest,
    `latest`)."""
    match = _VERSION.match((text or "").strip())
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def is_unknown(version: str | None) -> bool:
    """Whether this is a release newer than those that are known here. One that cannot be read is taken for known."""
    parsed = parse_version(version)
    return parsed is not None and parsed > NEWEST_KNOWN


def plain(version: Version) -> str:
    """As people write it: "3.5.0"."""
    return ".".join(map(str, version))


@record
class Gate:
    """A feature gate: the release that brought it, and what it is without the flag --feature-gates.

    default: of the release that brought it. changed: the first release with the opposite default, or None.
    """

    since: Version
    default: bool
    changed: Version | None = None

    def default_in(self, version: Version | None) -> bool:
        """The default of a release; that of the newest one where the release is not known."""
        if self.changed is None or (version is not None and version < self.changed):
            return self.default
        return not self.default


GATES: Mapping[str, Gate] = {
    "ServiceTypeLoadBalancerOnly": Gate((2, 4, 0), default=False),
    "EnableServiceController": Gate((2, 4, 3), default=True),
    "EnableIPTargetType": Gate((2, 4, 3), default=True),
    "NLBSecurityGroup": Gate((2, 6, 0), default=True),
    "EnableTCPUDPListener": Gate((2, 13, 0), default=False),
    "ALBGatewayAPI": Gate((2, 13, 0), default=False, changed=(3, 2, 0)),
    "NLBGatewayAPI": Gate((2, 13, 0), default=False, changed=(3, 2, 0)),
    "GatewayListenerSet": Gate((3, 3, 0), default=True),
    "EnableCertificateManagement": Gate((3, 3, 0), default=False),
}
"""The gates that decide what the controller makes.
https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/config/feature_gates.go, and the same
file of the earlier tags."""

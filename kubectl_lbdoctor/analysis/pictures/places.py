"""Where on the way the problem of each code lies: the one table of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from kubectl_lbdoctor.model.finding import Diagnosis, Finding, Severity
from kubectl_lbdoctor.model.picture import Place
from kubectl_lbdoctor.network.path import FROM_LOAD_BALANCER, TO_POD_GROUPS, Filter

BY_FILTER = frozenset(codes.of(filter) for codes in (FROM_LOAD_BALANCER, TO_POD_GROUPS) for filter in Filter)
"""The codes of the filters of the VPC: which of them blocks is told of each target (`analysis.blocked_paths`)."""


def _at(place: Place, *numbers: int) -> dict[str, Place]:
    return {f"LBD{number:03}": place for number in numbers}


PLACES: Mapping[str, Place] = {
    **_at(Place.OBJECT, 101, 110, 111, 112, 117, 132, 133, 137, 140, 142, 143, 144, 146, 151, 153, 154, 222, 223, 226),
    **_at(Place.CONTROLLER, 102, 103, 104, 105, 116, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 130, 131, 134),
    **_at(Place.CONTROLLER, 118, 119, 135, 136, 141, 150, 216, 219, 505, 506, 511, 512),
    **_at(Place.CLIENTS, 504, 510),
    **_at(Place.BALANCER, 228, 229, 231, 234, 604, 606, 608),
    **_at(Place.RULE, 106, 107, 108, 145, 147, 148, 152, 209, 224, 227, 230, 232),
    **_at(Place.GROUP, 109, 113, 114, 607, 701),
    **_at(Place.REGISTRATION, 115, 149, 201, 202, 203, 204, 205, 206, 207, 211, 212, 213, 217, 218, 220, 221, 225, 233),
    **_at(Place.REGISTRATION, 702, 703, 704),
    **_at(Place.ZONE, 208, 603),
    **_at(Place.NODE, 210, 409, 516, 517, 518, 519, 520, 521, 601, 602, 609),
    **_at(Place.NODE_TO_POD, 502),
    **_at(Place.NETWORK_POLICY, 513, 522),
    **_at(Place.POD, 214, 215, 319, 401, 402, 403, 404, 405, 406, 407, 408, 410, 411, 412),
    **_at(
        Place.ANSWER,
        *(5, 301, 302, 303, 304, 305, 306, 307, 308, 309, 310, 311, 312, 313, 314, 315, 316, 317, 318, 320, 321, 322),
        323,
        605,
    ),
}
"""By code. Not in it: the codes of filters, LBD515 (`place_of`), and what is no problem of the way (LBD001 to 004)."""

_CLIENTS_OF_TARGETS = "LBD515"
_NOBODY_COMES_IN = "LBD504"
"""A warning, because nobody can tell who the clients are; for those who ask there, the gate is shut."""


def place_of(finding: Finding) -> Place | None:
    """Where a finding belongs; None where the filters of each target tell it."""
    if finding.code == _CLIENTS_OF_TARGETS:
        return _gate_for_clients(finding)
    return PLACES.get(finding.code)


def _gate_for_clients(finding: Finding) -> Place:
    if finding.object.kind != "NetworkAcl":
        return Place.TARGET_GROUPS
    return Place.RETURN_ACL_OUT if finding.params.get("direction") == "egress" else Place.REQUEST_ACL_IN


def stops_traffic(diagnosis: Diagnosis) -> bool:
    """Whether traffic ends where the diagnosis lies."""
    return diagnosis.severity is Severity.ERROR or diagnosis.finding.code == _NOBODY_COMES_IN

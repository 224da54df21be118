"""What a run is asked about, as the words of the command line say it; nothing is looked up yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubectl_lbdoctor.model.kinds import Kind
from kubectl_lbdoctor.record import record


@record
class Named:
    """One object by its name. namespace: "" for the one of the run. kind: None where only namespace and name are given,
    as the tables print them ("shop/web")."""

    kind: Kind | None
    name: str
    namespace: str = ""


@record
class AllOf:
    """All objects of these kinds in a namespace ("": the one of the run); of no kind, whatever leads to targets.

    labels, fields: selectors in the API's own form, which the API server evaluates.
    """

    kinds: tuple[Kind, ...] = ()
    namespace: str = ""
    labels: str = ""
    fields: str = ""


@record
class Site:
    """A DNS name that clients ask for, and the path of a URL ("" where there is none). word: as typed."""

    host: str
    path: str
    word: str


@record
class AwsName:
    """A name that the controller gives to load balancers and target groups ("k8s-…"), without saying which it is."""

    name: str


@record
class LeadingTo:
    """Whatever leads to a Service or workload; that nothing does is no fault while anything else is found."""

    kind: Kind
    name: str
    namespace: str


@record
class Manifest:
    """One object of a file, as it stands there. place: where it was read ("web.yaml", "standard input")."""

    kind: Kind
    raw: dict[str, Any]
    place: str


Asked = Named | AllOf | Site | AwsName | LeadingTo
Question = Sequence[Asked]
"""Everything that a run is asked about, in the order in which it was named."""

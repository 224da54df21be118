"""The path that a client asked about, to show it before the others."""

from __future__ import annotations

from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.record import record


@record
class Route:
    """A backend of a subject: the Service and port that an Ingress rule names, or the action ("use-annotation")."""

    subject: ObjectRef
    service: str
    port: str

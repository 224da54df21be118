"""Which target type is asked for, and by whom: the record that Ingresses, Services and Gateways have in common."""

from __future__ import annotations

from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.record import record


@record
class DesiredTargetType:
    """ "instance" or "ip", and who says so: `ref` and `key` name the annotation, else both are empty."""

    value: str
    said: str
    ref: ObjectRef | None = None
    key: str = ""

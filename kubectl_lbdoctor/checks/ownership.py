"""Placeholder until helper delivers."""

from __future__ import annotations
from dataclasses import dataclass
from kubectl_lbdoctor.model.route import Route
from kubectl_lbdoctor.model.finding import Evidence

OUR_CONTROLLERS = ("ingress.k8s.aws/alb", "eks.amazonaws.com/alb")


@dataclass(frozen=True)
class Ownership:
    owner: str
    why: str = ""
    class_name: str = ""
    evidence: tuple[Evidence, ...] = ()


def ownership(route: Route) -> Ownership:
    return Ownership("controller")

"""All checks: importing this package declares them in `registry.CATALOGUE`."""

from kubectl_lbdoctor.checks import controller, doctor, healthcheck, policy, registration, workload
from kubectl_lbdoctor.checks.registry import CATALOGUE, Catalogue

__all__ = ["CATALOGUE", "Catalogue", "controller", "doctor", "healthcheck", "policy", "registration", "workload"]

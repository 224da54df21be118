"""All checks: importing this package declares them in `registry.CATALOGUE`."""

from kubectl_lbdoctor.checks import annotations as annotations
from kubectl_lbdoctor.checks import clients as clients
from kubectl_lbdoctor.checks import controller as controller
from kubectl_lbdoctor.checks import decoded as decoded
from kubectl_lbdoctor.checks import doctor as doctor
from kubectl_lbdoctor.checks import gates as gates
from kubectl_lbdoctor.checks import healthcheck as healthcheck
from kubectl_lbdoctor.checks import identity as identity
from kubectl_lbdoctor.checks import kube_proxy as kube_proxy
from kubectl_lbdoctor.checks import policy as policy
from kubectl_lbdoctor.checks import protocol as protocol
from kubectl_lbdoctor.checks import reachability as reachability
from kubectl_lbdoctor.checks import registration as registration
from kubectl_lbdoctor.checks import resilience as resilience
from kubectl_lbdoctor.checks import settings as settings
from kubectl_lbdoctor.checks import targets as targets
from kubectl_lbdoctor.checks import webhooks as webhooks
from kubectl_lbdoctor.checks import workload as workload
from kubectl_lbdoctor.checks.registry import CATALOGUE, Catalogue

__all__ = ["CATALOGUE", "Catalogue"]

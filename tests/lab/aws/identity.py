"""Who the lab's access keys belong to."""

from __future__ import annotations

from dataclasses import dataclass

from moto.sts.models import sts_backends

from tests.lab import topology

CONTROLLER_ROLE = f"{topology.CLUSTER_NAME}-load-balancer-controller"
DOCTOR_ROLE = f"{topology.CLUSTER_NAME}-doctor"
ADMIN_USER = f"{topology.CLUSTER_NAME}-admin"


@dataclass(frozen=True)
class Principal:
    user_id: str
    arn: str


def _role(name: str, session: str, role_id: str) -> Principal:
    arn = f"arn:aws:sts::{topology.ACCOUNT}:assumed-role/{name}/{session}"
    return Principal(f"{role_id}:{session}", arn)


PRINCIPALS = {
    # Session names as the SDKs choose them: a Unix time in nanoseconds for web identities, a name for people.
    topology.CONTROLLER_ACCESS_KEY: _role(CONTROLLER_ROLE, "1764000000000000000", "AROALABCONTROLLER000"),
    topology.DOCTOR_ACCESS_KEY: _role(DOCTOR_ROLE, "doctor", "AROALABDOCTOR0000000"),
    topology.ADMIN_ACCESS_KEY: Principal("AIDALABADMIN00000000", f"arn:aws:iam::{topology.ACCOUNT}:user/{ADMIN_USER}"),
}


def arn_of(access_key: str) -> str | None:
    """None for a key that AWS does not know."""
    if access_key in PRINCIPALS:
        return PRINCIPALS[access_key].arn
    for role in sts_backends[topology.ACCOUNT]["aws"].assumed_roles:
        if role.access_key_id == access_key:
            return str(role.arn)
    return None

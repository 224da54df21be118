"""Which pod of a controller leads: the others reconcile nothing. Pure."""

from __future__ import annotations

from kubectl_lbdoctor.knowledge.controller_identity import lease_of
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Fact, NotApplicable
from kubectl_lbdoctor.model.k8s import Lease, Workload
from kubectl_lbdoctor.model.snapshot import Snapshot, lookup
from kubectl_lbdoctor.model.times import seconds_between
from kubectl_lbdoctor.record import record

GRACE = 60.0
"""Seconds without renewal after which nobody leads: a leader renews every two seconds, and where one is gone another
follows after fifteen (controller-runtime's defaults, which the controller keeps:
https://pkg.go.dev/sigs.k8s.io/controller-runtime/pkg/manager#Options)."""


@record
class Leadership:
    """What the Lease of a controller says. holder: the pod that leads, or was the last to; "" where nobody has the
    Lease. silent: seconds since it was renewed."""

    lease: Lease
    holder: str
    silent: float

    @property
    def lapsed(self) -> bool:
        """Whether nobody leads, and another pod would long have followed."""
        return self.silent > max(GRACE, 4 * self.lease.seconds)


def leadership(snapshot: Snapshot, workload: Workload) -> Fact[Leadership | None]:
    """Who leads a controller; None where there is no such Lease: early releases elect by a ConfigMap.

    Raises NotApplicable for a controller that elects nobody, because it runs alone.
    """
    named = lease_of(workload)
    if named is None:
        raise NotApplicable("it elects no leader")
    found = lookup(snapshot.cluster.leases, "/".join(named), reads.CONTROLLER_LEASES)

    def read(lease: Lease | None) -> Leadership | None:
        if lease is None or not lease.renewed:
            return None
        # controller-runtime calls a candidate by its host, which is the pod, and a number of its own.
        return Leadership(lease, lease.holder.partition("_")[0], seconds_between(lease.renewed, snapshot.taken_at))

    return found.map(read)

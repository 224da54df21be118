"""The result of `controller`: what runs as the controller, who it is in AWS, what it says, what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum

from kubectl_lbdoctor.errors import ExitStatus
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.report import FailOn, Report, Status
from kubectl_lbdoctor.permission import Permission
from kubectl_lbdoctor.record import record


class Identity(str, Enum):
    """How a controller gets its IAM role. IRSA: by its service account's annotation. POD_IDENTITY: by an association in
    EKS. NODE: it has none of its own, and uses that of its nodes. UNKNOWN: what tells it was not read."""

    IRSA = "IRSA"
    POD_IDENTITY = "Pod Identity"
    NODE = "node"
    UNKNOWN = "unknown"


@record
class ControllerPod:
    """One pod of a controller. state: "running", or what keeps it from that."""

    name: str
    node: str = ""
    ready: bool = False
    restarts: int = 0
    state: str = ""


@record
class Leader:
    """Which pod of a controller leads. known: whether its Lease was read, and there is one; permission: what is missing
    where it may not be. pod: that leads, or was the last to; renewed: when it last said so, RFC 3339. lapsed: nobody
    leads."""

    known: bool = False
    pod: str = ""
    renewed: str = ""
    lapsed: bool = False
    permission: Permission | None = None


@record
class ControllerView:
    """One controller. version: as its image tag or label says, "" where neither does. flags: those of its command line
    that decide what it takes and where it works, by their names. identity: how it gets its role; role: its ARN, ""
    where that is not known. leader: None where it elects none."""

    ref: ObjectRef
    replicas: int = 0
    ready: int = 0
    version: str = ""
    flags: Mapping[str, str] = field(default_factory=dict)
    service_account: str = ""
    identity: Identity = Identity.UNKNOWN
    role: str = ""
    pods: tuple[ControllerPod, ...] = ()
    leader: Leader | None = None


@record
class WebhookView:
    """A Service that the API server calls the controllers' webhooks by. endpoints: those that are ready, None where
    they were not read. policies: failurePolicy of the webhooks, each once."""

    service: ObjectRef
    port: int
    endpoints: int | None
    policies: tuple[str, ...] = ()


@record
class LoggedError:
    """An error that the controllers have told in a log or an event, all its repetitions together.

    code: of its cause, "" where that is not recognised. about: the object, None where the line names none. last: when
    it was last seen, RFC 3339, "" where lines carry no time. over: something later proves that it is over, or the
    controller would have said it again. own: it is about what the controller itself may do in AWS, and still stands.
    """

    code: str
    text: str
    count: int
    last: str = ""
    about: ObjectRef | None = None
    over: bool = False
    own: bool = False


@record
class ControllerPage:
    """What is known of the controllers. report: what checks of the cluster found, without any subject. auto_mode: an
    IngressClass of EKS Auto Mode exists, whose controller runs in AWS. known: whether Deployments were read."""

    report: Report
    controllers: tuple[ControllerView, ...] = ()
    webhooks: tuple[WebhookView, ...] = ()
    errors: tuple[LoggedError, ...] = ()
    auto_mode: bool = False
    known: bool = True
    fail_on: FailOn = FailOn.ERROR

    @property
    def status(self) -> Status:
        """UNHEALTHY where an error is found or stands in a log; a page about nothing is healthy where Auto Mode does
        the work, else unknown."""
        failing = self.report.exit_status(FailOn.ERROR) is ExitStatus.FINDINGS
        if failing or any(error.own for error in self.errors):
            return Status.UNHEALTHY
        missing = not self.controllers and not self.auto_mode
        if missing or not self.known or self.report.unknown or not self.report.coverage.complete:
            return Status.UNKNOWN
        return Status.HEALTHY

    @property
    def exit_status(self) -> ExitStatus:
        """FINDINGS for what `fail_on` counts, UNKNOWN for what could not be read or is not there."""
        if self.status is Status.UNHEALTHY or self.report.exit_status(self.fail_on) is ExitStatus.FINDINGS:
            return ExitStatus.FINDINGS
        return ExitStatus.UNKNOWN if self.status is Status.UNKNOWN else ExitStatus.HEALTHY

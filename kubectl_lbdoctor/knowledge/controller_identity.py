"""What a controller was started with, which IAM role it has, and whether anything says that it has trouble with it.
Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kubectl_lbdoctor.knowledge.controller_errors import DecodedError, decode_event
from kubectl_lbdoctor.knowledge.controller_logs import relevant_errors
from kubectl_lbdoctor.knowledge.releases import GATES, Version
from kubectl_lbdoctor.knowledge.standing import unsettled
from kubectl_lbdoctor.model.arn import parse as parse_arn
from kubectl_lbdoctor.model.k8s import Pod, Workload
from kubectl_lbdoctor.model.reads import CONTROLLER_LEASE
from kubectl_lbdoctor.model.snapshot import ClusterFacts, NamespaceFacts

ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"
IDENTITY_VARIABLES = (
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_STS_REGIONAL_ENDPOINTS",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)
"""What EKS sets in pods that get an IAM role (https://docs.aws.amazon.com/eks/latest/userguide/pod-configuration.html,
…/pod-id-how-it-works.html): the environment variables whose values are read. None of them is a secret."""
ENFORCING_MODE = "NETWORK_POLICY_ENFORCING_MODE"
PLAIN_VARIABLES = (*IDENTITY_VARIABLES, ENFORCING_MODE)
"""The environment variables whose values are kept."""
RECONCILED = ("Ingress", "Service", "TargetGroupBinding", "Gateway")
TROUBLE = ("LBD120", "LBD121")


def controller_flags(workload: Workload) -> dict[str, str]:
    """The flags of a controller: "--aws-vpc-id=x" and "--aws-vpc-id x" as {"aws-vpc-id": "x"}."""
    flags: dict[str, str] = {}
    for container in workload.containers:
        flags.update(command_line_flags((*container.command, *container.args)))
    return flags


def lease_of(workload: Workload) -> tuple[str, str] | None:
    """Namespace and name of the Lease by which a controller elects its leader; None where it elects none.

    By default it elects in its own namespace (controller-runtime, pkg/leaderelection):
    https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/configurations/
    """
    flags = controller_flags(workload)
    if flags.get("enable-leader-election", "true") == "false":
        return None
    namespace = flags.get("leader-election-namespace", "") or workload.meta.namespace
    return namespace, flags.get("leader-election-id", "") or CONTROLLER_LEASE


def command_line_flags(words: Iterable[str]) -> dict[str, str]:
    """The flags of one command line; a flag's value follows "=" or is the next word, "" for a flag without one.

    The controller parses them with pflag, which takes both forms (https://pkg.go.dev/github.com/spf13/pflag).
    """
    flags: dict[str, str] = {}
    pending = ""
    for word in words:
        if word.startswith("-") and word.lstrip("-"):
            name, equals, value = word.lstrip("-").partition("=")
            flags[name] = value
            pending = "" if equals else name
        elif pending:
            flags[pending], pending = word, ""
    return flags


def feature_gates(workload: Workload) -> dict[str, bool]:
    """The gates that a controller's flags --feature-gates=A=false,B=true set; the flag may be given several times."""
    found: dict[str, bool] = {}
    for container in workload.containers:
        words = (*container.command, *container.args)
        for position, word in enumerate(words):
            name, equals, value = word.lstrip("-").partition("=")
            if name != "feature-gates" or not word.startswith("-"):
                continue
            if not equals:
                value = words[position + 1] if position + 1 < len(words) else ""
            for part in value.split(","):
                gate, _, setting = part.partition("=")
                state = _GO_BOOLEANS.get(setting.strip())
                if state is not None:
                    found[gate.strip()] = state
    return found


# What Go's strconv.ParseBool takes.
_GO_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}
GO_FALSE = frozenset(text for text, state in _GO_BOOLEANS.items() if not state)
"""How a boolean flag may be switched off."""


def gate_is_on(workload: Workload, gate: str, version: Version | None = None) -> bool:
    """Whether a feature gate of `releases.GATES` is open, by the controller's flags or by the default of its release
    (of the newest one where that is not given)."""
    return feature_gates(workload).get(gate, GATES[gate].default_in(version))


def plain_flag(workload: Workload, name: str) -> str | None:
    """The value of a flag as it stands; "" where it is not set, None where the container's environment decides it
    ("$(NAMESPACE)")."""
    value = controller_flags(workload).get(name, "")
    return None if "$(" in value else value


def watched_namespace(workload: Workload) -> str:
    """The one namespace that a controller is confined to; "" where it takes all, or where that cannot be told."""
    return plain_flag(workload, "watch-namespace") or ""


def watching(controllers: Iterable[Workload], namespace: str) -> tuple[Workload, ...]:
    """Those of the controllers that look at a namespace."""
    return tuple(w for w in controllers if watched_namespace(w) in ("", namespace))


def complaints(cluster: ClusterFacts, namespaces: Iterable[NamespaceFacts]) -> Iterator[DecodedError]:
    """What events and logs say about the controller's permissions or identity, and nothing later has settled."""
    for facts in namespaces:
        for event in unsettled(facts.events.peek() or ()):
            if event.kind in RECONCILED:
                yield from _troubles([decode_event(event.reason, event.message)])
    for log in cluster.controller_logs.values():
        errors = relevant_errors((log.peek() or "").splitlines())
        yield from _troubles(error.decoded for error in errors if not error.superseded)


def _troubles(decoded: Iterable[DecodedError]) -> Iterator[DecodedError]:
    return (entry for entry in decoded if entry.code in TROUBLE)


def role_name(arn: str) -> str:
    """The name of the role in `arn:aws:iam::1:role/path/NAME` or `arn:aws:sts::1:assumed-role/NAME/SESSION`; ""
    for what is no ARN of a role."""
    found = parse_arn(arn)
    return found.role if found is not None else ""


def accused_role(decoded: DecodedError) -> str:
    """The ARN of the role that AWS speaks of, as it writes it: in a denial, the one that the controller really has. ""
    where it speaks of none."""
    named = (str(decoded.params.get(name, "")) for name in ("role", "principal"))
    return next((arn for arn in named if role_name(arn)), "")


def variables(pod: Pod) -> dict[str, str]:
    """The AWS_* environment variables of all containers of a pod, "(set)" for values of all but IDENTITY_VARIABLES."""
    return {name: value for container in pod.containers for name, value in container.env.items()}


def irsa_roles(cluster: ClusterFacts) -> dict[str, str]:
    """ "namespace/name" of each controller's service account → the role ARN that IRSA gives its pods.

    A pod's variable is what it runs with; the annotation is what the next one will get.
    """
    found: dict[str, str] = {}
    for key, account in cluster.service_accounts.items():
        entry = account.peek()
        if entry is not None and entry.meta.annotations.get(ROLE_ANNOTATION):
            found[key] = entry.meta.annotations[ROLE_ANNOTATION]
    for pod in cluster.controller_pods.peek() or ():
        if arn := variables(pod).get("AWS_ROLE_ARN"):
            found.setdefault(f"{pod.meta.namespace}/{pod.service_account or 'default'}", arn)
    return found


def uses_pod_identity(cluster: ClusterFacts) -> bool:
    """Whether a controller pod was given credentials by EKS Pod Identity, whose agent sets this variable:
    https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html"""
    pods = cluster.controller_pods.peek() or ()
    return any("AWS_CONTAINER_CREDENTIALS_FULL_URI" in variables(pod) for pod in pods)

"""Examples in the help of each command, as kubectl has them: what for, and the line to type."""

from __future__ import annotations

from kubectl_lbdoctor import PROGRAM as P

_DIAGNOSE = (
    ("Print the report as a document, and the codes of what was found alone", f"{P} {{}} -o json"),
    ("", f"{P} {{}} -o jsonpath='{{{{.diagnoses[*].code}}}}'"),
    ("Repair what is certain, after a question", f"{P} {{}} --fix all"),
    ("Wait after a deployment until the load balancer agrees, in a pipeline", f"{P} {{}} --wait-healthy 5m"),
    ("Keep what was read, and diagnose it again anywhere", f"{P} {{}} --save case.json.gz"),
    ("", f"{P} --from case.json.gz"),
)


def _of(words: str, first: str) -> tuple[tuple[str, str], ...]:
    return ((first, f"{P} {words} -n shop"), *((what, line.format(words)) for what, line in _DIAGNOSE))


EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "": (
        ("Is anything wrong with the load balancers of this namespace, or of all?", P),
        ("", f"{P} scan -A"),
        ("Why is this Ingress not healthy?", f"{P} ingress web -n shop"),
        ("Several objects of several kinds", f"{P} ing/web svc/api"),
        ("Start from what an alarm names", f"{P} tg k8s-shop-web-fdbb6ec3c4"),
        ("Repair it, after a question", f"{P} ingress web -n shop --fix all"),
        ("What does this reason of AWS mean?", f"{P} explain Target.Timeout"),
    ),
    "ingress": _of("ingress web", "Why are the targets of this Ingress not healthy?"),
    "service": _of("service web", "Why are the targets of this Service not healthy?"),
    "targetgroupbinding": _of("targetgroupbinding web", "Why are the targets of this binding not healthy?"),
    "gateway": _of("gateway web", "Why are the targets of this Gateway not healthy?"),
    "httproute": _of("httproute web", "Why are the targets of this route not healthy?"),
    "grpcroute": _of("grpcroute web", "Why are the targets of this route not healthy?"),
    "tlsroute": _of("tlsroute web", "Why are the targets of this route not healthy?"),
    "tcproute": _of("tcproute web", "Why are the targets of this route not healthy?"),
    "udproute": _of("udproute web", "Why are the targets of this route not healthy?"),
    "objects": _of("ing/web svc/api", "Why are their targets not healthy?"),
    "targetgroup": (
        ("What an alarm names, by its name or its ARN", f"{P} targetgroup k8s-shop-web-fdbb6ec3c4"),
        ("", f'{P} tg "$TARGET_GROUP_ARN"'),
        ("With a profile and a region of AWS", f"{P} tg web --profile prod --region us-west-2"),
    ),
    "loadbalancer": (
        ("By its name", f"{P} loadbalancer k8s-shop-web-4ba434b31c"),
        ("By its DNS name", f"{P} lb web-1234567890.us-west-2.elb.amazonaws.com"),
    ),
    "scan": (
        ("All namespaces, the worst first", f"{P} scan -A"),
        ("Only objects with these labels, with all columns", f"{P} scan -l team=shop -o wide"),
        ("In a pipeline: fail where anything is not healthy", f"{P} scan -A --fail-on degraded"),
        ("What needs attention, by name", f"{P} scan -o name"),
    ),
    "controller": (
        ("Is the controller itself all right?", f"{P} controller"),
        ("Which version runs, for a script", f"{P} controller -o jsonpath='{{.controllers[*].version}}'"),
    ),
    "probe": (
        ("Send the health check to each target, from a debug pod", f"{P} probe ing/web -n shop"),
        ("From each node, to see which way is closed", f"{P} probe ing/web --probe-node all"),
        ("Without a pod, through the API server", f"{P} probe svc/api --probe proxy"),
    ),
    "undo": (
        ("Show what would be taken back", f"{P} undo lbdoctor-undo-20261124T191536Z.json --dry-run=client"),
        ("Take it back without a question", f"{P} undo lbdoctor-undo-20261124T191536Z.json --yes"),
    ),
    "explain": (
        ("A code", f"{P} explain LBD301"),
        ("A reason that AWS gives for a target", f"{P} explain Target.ResponseCodeMismatch"),
        ("What a fix changes", f"{P} explain targetport"),
        ("Several at once, as a document", f"{P} explain 301 502 -o json"),
    ),
    "checks": (
        ("All codes", f"{P} checks"),
        ("Those of health checks", f"{P} checks LBD3"),
        ("Those that --fix can repair", f"{P} checks --fixable"),
    ),
    "mcp": (
        ("What an agent's configuration has as its command", f"{P} mcp"),
        ("For one cluster and one namespace", f"{P} mcp --context prod -n shop"),
        ("About a recorded cluster", f"{P} mcp --from case.json.gz"),
        ("With repairs, and undo files in a folder", f"{P} mcp --allow-fix --undo-file /var/lib/lbdoctor"),
    ),
    "policy": (
        ("What a diagnosis reads in AWS", f"{P} policy iam"),
        ("What it reads in the cluster", f"{P} policy rbac | kubectl apply -f -"),
        ("What --fix may write", f"{P} policy rbac --fix"),
    ),
    "completion": (
        ("The script that makes zsh complete kubectl-lbdoctor", f"{P} completion zsh"),
        ("That of fish", f"{P} completion fish"),
    ),
    "version": (
        ("The version", f"{P} version"),
        ("With that of Python and the platform", f"{P} version -o yaml"),
    ),
    "help": (("The help of a command", f"{P} help ingress"),),
    "options": (("The flags of the connection", f"{P} options"),),
}
"""By the name of the command, "" for the program. A comment of "" belongs to the line before."""

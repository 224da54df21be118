"""The table of tools: what each is for, what it takes and gives, and whether it changes anything."""

from __future__ import annotations

from collections.abc import Callable

from kubectl_lbdoctor.collect.deadline import DEFAULT
from kubectl_lbdoctor.mcp_server import schemas
from kubectl_lbdoctor.mcp_server.desk import Call, Desk
from kubectl_lbdoctor.mcp_server.schemas import Schema
from kubectl_lbdoctor.options import Options
from kubectl_lbdoctor.record import record
from kubectl_lbdoctor.render.documents import Document


@record
class Tool:
    """One tool. run: makes a call at a desk, and raises LbdoctorError. read_only: it changes nothing anywhere.
    destructive: it may overwrite what is there. own_world: it asks neither the cluster nor AWS. seconds: for its reads,
    where nobody has chosen another time."""

    name: str
    title: str
    description: str
    takes: Schema
    gives: Schema
    run: Callable[[Desk, Call], Document]
    read_only: bool = True
    destructive: bool = False
    own_world: bool = False
    seconds: float = DEFAULT


DIAGNOSE = Tool(
    "diagnose",
    "Diagnose load balancer targets",
    "Why are the targets of an AWS load balancer on EKS unhealthy, missing or slow to come? Reads the cluster and AWS, "
    "joins Ingress, Service or Gateway with controller, load balancer, target group, pods, nodes, security groups, "
    "network ACLs and routes, and gives root causes with evidence, the worst first. Call it first.",
    schemas.ABOUT_A_DIAGNOSIS,
    schemas.DIAGNOSIS,
    Desk.diagnose,
)
SCAN = Tool(
    "scan",
    "Scan all load balancers",
    "Which load balancers of a namespace, or of the whole cluster, are not healthy, and why: each root cause once with "
    "all that it affects. Takes up to some minutes in large clusters, because AWS is asked at a pace that leaves the "
    "controller its share; ask diagnose about one object where you know it.",
    schemas.ABOUT_A_SCAN,
    schemas.SCAN,
    Desk.scan,
    seconds=300.0,
)
EXPLAIN = Tool(
    "explain",
    "Explain a code, a reason of AWS or a fix",
    "What a code of a diagnosis, a reason that AWS gives for a target, or a fix means, how to confirm it and how to "
    "repair it. Asks neither the cluster nor AWS.",
    schemas.ABOUT_TOPICS,
    schemas.EXPLANATION,
    Desk.explain,
    own_world=True,
)
LIST_CODES = Tool(
    "list_codes",
    "List the codes of diagnoses",
    "The stable codes that a diagnosis can give, each with its fix where there is one. Asks neither the cluster nor "
    "AWS.",
    schemas.ABOUT_CODES,
    schemas.CODES,
    Desk.list_codes,
    own_world=True,
)
PLAN_FIX = Tool(
    "plan_fix",
    "Plan a repair",
    "Which changes would repair what was found: object, field, value before and after, risk, and who else keeps the "
    "object. Changes nothing. Show the plan to a person before anything is made of it.",
    schemas.ABOUT_FIXES,
    schemas.PLAN,
    Desk.plan_fix,
)
APPLY_FIX = Tool(
    "apply_fix",
    "Make a planned repair",
    "Makes exactly the plan that a person has agreed to: give the digest and the same arguments as to plan_fix. "
    "Everything is read and planned anew, and nothing is changed where the plan is not the same any more. Writes an "
    "undo file first, waits for the targets, and diagnoses again.",
    schemas.ABOUT_A_PLAN,
    schemas.FIX,
    Desk.apply_fix,
    read_only=False,
    destructive=True,
)

_PROBE = (
    "Sends the health check of the load balancer to each target and says what came back, beside what AWS says. Use it "
    "where a diagnosis leaves open whether the application answers. "
)


def _probe(options: Options) -> Tool:
    """The tool for probes. A debug pod is made only where the server's flags say so."""
    if options.bundle.load:
        how, in_pods = "Gives the recorded answers.", False
    elif options.probe.mode == "pod":
        how, in_pods = "Sends from a debug pod, which is removed again.", True
    else:
        how, in_pods = "Sends through the API server, and makes no pod.", False
    return Tool(
        "probe",
        "Send health checks to targets",
        _PROBE + how,
        schemas.ABOUT_OBJECTS,
        schemas.PROBES,
        Desk.probe,
        read_only=not in_pods,
    )


def offered(options: Options, allow_fix: bool) -> tuple[Tool, ...]:
    """The tools of a server that was started so."""
    return (
        DIAGNOSE,
        SCAN,
        EXPLAIN,
        LIST_CODES,
        *((_probe(options),) if options.probe.mode != "off" else ()),
        PLAN_FIX,
        *((APPLY_FIX,) if allow_fix else ()),
    )

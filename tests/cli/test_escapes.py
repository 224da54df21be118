"""Whole runs with terminal escapes in everything that comes from outside, also in the trace of --verbose."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.api_http import Stream
from tests.support.api_requests import Answer, Asked, refusal
from tests.support.cloud import Cloud
from tests.support.program import Result, run
from tests.support.shop import NS, meta

NASTY = "\x1b[2J\x1b]0;owned\x07\u202e\x9b31m\r\nforged line\u2028forged line\x00"
ING = ("ing", "web", "-n", NS)
TRACES = [(), ("-v",), ("-v=10",)]


def clean(result: Result) -> None:
    """Nothing moves the cursor, and no line is there that the program has not begun."""
    odd = {sign for sign in result.text if unicodedata.category(sign) in ("Cc", "Cf", "Zl", "Zp") and sign != "\n"}
    assert odd == set() and "\nforged" not in result.text and "this is a bug" not in result.text, result.text


def refuse(cloud: Cloud, status: int, verb: str = "") -> None:
    """Every request, or every one with this verb, is refused in such words."""
    respond = cloud.kube.answer

    def refused(asked: Asked) -> Any:
        if verb in ("", asked.verb):
            raise refusal(status, f"Odd{NASTY}", f"no{NASTY}")
        return respond(asked)

    cloud.kube.answer = refused  # type: ignore[method-assign]


def _page(cloud: Cloud) -> None:
    def page(asked: Asked) -> Any:
        raise Answer(200, f"<html>{NASTY}</html>", Content_Type="text/html")

    cloud.kube.answer = page  # type: ignore[method-assign]


def _event(cloud: Cloud) -> None:
    cloud.wrong_path()
    about = {"kind": "Ingress", "namespace": NS, "name": "web"}
    event = {"involvedObject": about, "type": "Warning", "reason": f"FailedDeployModel{NASTY}", "message": f"x{NASTY}"}
    event |= {"metadata": meta("web.1", NS), "lastTimestamp": "2099-01-01T00:00:00Z", "count": 3}
    cloud.kube.objects.setdefault(("", "events"), []).append(event)


def _status(cloud: Cloud) -> None:
    cloud.crash_loop()
    for raw in cloud.kube.named("pods"):
        state = raw["status"]["containerStatuses"][0]
        state["state"] = {"waiting": {"reason": "CrashLoopBackOff", "message": NASTY}}
        state["lastState"]["terminated"] |= {"reason": "Error", "message": NASTY}


def _target(cloud: Cloud) -> None:
    cloud.wrong_path()
    for target in cloud.aws.health:
        target.description = "failed with [404] \u202e\u2028forged line \x9b31m"  # XML has no other control characters


def _log(cloud: Cloud) -> None:
    cloud.wrong_port()
    said = {"level": "error", "ts": "2026-11-23T11:59:00Z", "msg": "Reconciler error", "controller": "ingress"}
    line = json.dumps({**said, "namespace": NS, "name": "web", "error": f"AccessDenied: not authorized {NASTY}"})
    respond = cloud.kube.answer

    def logged(asked: Asked) -> Any:
        return Stream([line.encode()], "text/plain") if asked.resource == "pods/log" else respond(asked)

    cloud.kube.answer = logged  # type: ignore[method-assign]


def _annotations(cloud: Cloud) -> None:
    cloud.wrong_path()
    for raw in cloud.kube.named("ingresses", group="networking.k8s.io"):
        for key in ("healthcheck-path", "success-codes", "group.name", "conditions.web"):
            raw["metadata"]["annotations"][f"alb.ingress.kubernetes.io/{key}"] = f"/x{NASTY}"


def _answers(cloud: Cloud) -> None:
    cloud.wrong_path()
    for raw in cloud.kube.named("pods"):
        for container in raw["spec"]["containers"]:
            container.pop("readinessProbe", None)
    respond = cloud.kube.answer

    def proxied(asked: Asked) -> Any:
        if asked.resource.startswith("pods/proxy"):
            raise Answer(404, f"no{NASTY}", Content_Type="text/plain", X_Odd="\x9b31m", Location="/login\x9b31m")
        return respond(asked)

    cloud.kube.answer = proxied  # type: ignore[method-assign]


def _admission(cloud: Cloud) -> None:
    cloud.wrong_port()
    cloud.kube.webhook = lambda raw: f"admission webhook denied the request: {NASTY}"


def _managed(cloud: Cloud) -> None:
    cloud.wrong_port()
    (service,) = (raw for raw in cloud.kube.named("services") if raw["metadata"]["name"] == "web")
    service["metadata"]["annotations"] = {"argocd.argoproj.io/tracking-id": NASTY}


WORLDS: dict[str, tuple[Callable[[Cloud], None], tuple[str, ...]]] = {
    "401": (lambda cloud: refuse(cloud, 401), ING),
    "403": (lambda cloud: refuse(cloud, 403), ING),
    "500": (lambda cloud: refuse(cloud, 500), ING),
    "page": (_page, ING),
    "event": (_event, (*ING, "-o", "wide")),
    "status of pods": (_status, (*ING, "-o", "wide")),
    "target": (_target, (*ING, "-o", "wide")),
    "log": (_log, (*ING, "-o", "wide")),
    "annotations": (_annotations, (*ING, "-o", "wide")),
    "answers to probes": (_answers, ("probe", *ING)),
    "answers to a diagnosis": (_answers, (*ING, "-o", "wide")),
    "admission": (_admission, ("--fix", "targetport", *ING, "--yes", "--wait", "0")),
    "owner": (_managed, ("--fix", "targetport", *ING, "--yes", "--wait", "0")),
    "refused writes": (
        lambda cloud: (cloud.wrong_port(), refuse(cloud, 403, "patch"))[0],
        ("--fix", "targetport", *ING, "--yes"),
    ),
    "scan": (_event, ("scan", "-A")),
    "scan refused": (lambda cloud: refuse(cloud, 403), ("scan", "-A")),
    "controller": (_log, ("controller",)),
}


@pytest.mark.parametrize("trace", TRACES, ids=["", "-v", "-v=10"])
@pytest.mark.parametrize("name", WORLDS)
def test_what_servers_say(name: str, trace: tuple[str, ...], cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(cloud.kubeconfig.parent)
    answer = cloud.kube.answer
    make, args = WORLDS[name]
    make(cloud)
    try:
        clean(run(*args, *trace, env=cloud.env))
    finally:
        cloud.kube.answer = answer  # type: ignore[method-assign]


ARGUMENTS = (
    *((NASTY,), ("ing", NASTY), (f"ing/{NASTY}",), (*ING, NASTY), (f"https://{NASTY}/x",), (f"arn:aws:{NASTY}",)),
    *((*ING[:2], "-n", NASTY), (*ING, "--context", NASTY), (*ING, "--kubeconfig", NASTY), (*ING, "-o", NASTY)),
    *((*ING, "-o", f"jsonpath={{{NASTY}"), (*ING, "-o", f"custom-columns=A:{NASTY}"), (*ING, "-s", f"http://{NASTY}")),
    *((*ING, "--region", NASTY), (*ING, "--profile", NASTY), (*ING, "--as", NASTY), (*ING, "--token", NASTY)),
    *((*ING, "--timeout", NASTY), (*ING, "--request-timeout", NASTY), (*ING, "--ignore", NASTY), (*ING, "-v", NASTY)),
    *((*ING, "--fix", NASTY), (*ING, "--save", f"no/{NASTY}"), ("--from", NASTY), ("-f", NASTY), ("undo", NASTY)),
    *(("ing", "-l", NASTY), ("explain", NASTY), ("policy", NASTY), ("scan", NASTY), ("scan", "--aws-rate", NASTY)),
    *(("probe", *ING, "--probe-path", NASTY), (*ING, "--since", NASTY), (*ING, "--wait-healthy", NASTY)),
    *((*ING, f"--{NASTY}"), ("completion", NASTY), ("controller", NASTY)),
)


@pytest.mark.parametrize("trace", TRACES, ids=["", "-v", "-v=10"])
def test_what_was_typed(trace: tuple[str, ...], cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for args in ARGUMENTS:
        clean(run(*(text.replace("\x00", "") for text in args), *trace, env=cloud.env))  # no shell passes on a zero

"""The JSON Schemas (2020-12) of what the tools take and give. Objects are closed, and all of their fields are there."""

from __future__ import annotations

from typing import Any

from kubectl_lbdoctor.fix.result import FixOutcome
from kubectl_lbdoctor.fix.step_run import StepState
from kubectl_lbdoctor.mcp_server.answers import NOTICE
from kubectl_lbdoctor.model.finding import Confidence, Severity
from kubectl_lbdoctor.model.probe import Outcome, Transport
from kubectl_lbdoctor.model.report import Status

Schema = dict[str, Any]

LONGEST_WAIT = 600
"""Seconds that a fix may be waited for."""


def _text(description: str = "", **more: Any) -> Schema:
    return {"type": "string", **({"description": description} if description else {}), **more}


def _one_of(values: Any, description: str = "") -> Schema:
    return _text(description, enum=[value.value for value in values])


def _list(items: Schema, description: str = "") -> Schema:
    return {"type": "array", "items": items, **({"description": description} if description else {})}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(fields: dict[str, Schema], description: str = "") -> Schema:
    return {
        "type": "object",
        **({"description": description} if description else {}),
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }


_TEXT, _NUMBER, _YES_OR_NO = _text(), {"type": "integer"}, {"type": "boolean"}
_TEXTS = _list(_TEXT)
_CODE = _text("A stable code (LBD301); explain takes it.", pattern="^LBD[0-9]{3}$")
_COUNTS: Schema = {"type": "object", "additionalProperties": _NUMBER}


# --- What tools take --------------------------------------------------------------------------------------------------


def _arguments(fields: dict[str, Schema], *required: str) -> Schema:
    return {"type": "object", "properties": fields, "required": list(required), "additionalProperties": False}


_OBJECTS = {
    **_list(
        _text(minLength=1, maxLength=512),
        "What to look at: KIND/NAME (ingress/web, service/api, gateway/front, targetgroupbinding/x, deployment/web), "
        "an ARN or name of a target group or load balancer, a DNS name or URL of the site. Without it: everything in "
        "the namespace that leads to a load balancer.",
    ),
    "maxItems": 20,
}
_WHERE = {
    "namespace": _text(
        "Namespace of the objects; without it that of the server.", pattern="^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
    ),
    "selector": _text("Only objects with these labels (app=web); goes with no name.", maxLength=512),
}
_FIXES = {
    **_list(
        _text(minLength=1, maxLength=512),
        "Fixes to make, as the diagnosis names them (fix.name), with =VALUE where a value has to be chosen; "
        '"all": whatever is certain.',
    ),
    "minItems": 1,
    "maxItems": 20,
}

ABOUT_A_SCAN = _arguments(
    {
        "namespace": {**_WHERE["namespace"], "description": "The namespace to scan; without it all of them."},
        "selector": _WHERE["selector"],
    }
)
ABOUT_OBJECTS = _arguments({"objects": _OBJECTS, **_WHERE})
ABOUT_A_DIAGNOSIS = _arguments(
    {
        **ABOUT_OBJECTS["properties"],
        "since": _text(
            "How far back to look (3h): since when targets fail (CloudWatch, health-check logs), and who changed "
            "what is the cause (CloudTrail); needs permissions that many do not have.",
            pattern="^[0-9]{1,6}[smh]$",
        ),
    }
)
ABOUT_FIXES = _arguments({"fixes": _FIXES, "objects": _OBJECTS, **_WHERE}, "fixes")
ABOUT_A_PLAN = _arguments(
    {
        "digest": _text(
            "The digest of the plan that plan_fix has given for these arguments.", pattern="^sha256:[0-9a-f]{64}$"
        ),
        **ABOUT_FIXES["properties"],
        "waitSeconds": {
            "type": "integer",
            "minimum": 0,
            "maximum": LONGEST_WAIT,
            "default": 120,
            "description": "Longest wait for the targets afterwards; 0 does not wait.",
        },
    },
    "digest",
    "fixes",
)
ABOUT_TOPICS = _arguments(
    {
        "topics": {
            **_list(
                _text(minLength=1, maxLength=100), "Codes (LBD301), reasons of AWS (Target.Timeout) or names of fixes."
            ),
            "minItems": 1,
            "maxItems": 10,
        }
    },
    "topics",
)
ABOUT_CODES = _arguments(
    {
        "prefixes": {
            **_list(_text(minLength=1, maxLength=10), "Beginnings of codes (LBD3); all without any."),
            "maxItems": 10,
        },
        "fixable": {"type": "boolean", "default": False, "description": "Only what plan_fix can repair."},
    }
)


# --- What tools give --------------------------------------------------------------------------------------------------


def _answer(fields: dict[str, Schema]) -> Schema:
    return _object(
        {
            "apiVersion": {"const": "lbdoctor/v1"},
            "toolVersion": _TEXT,
            **fields,
            "notes": _list(_TEXT, "What was told on the way."),
            "cut": {**_COUNTS, "description": "How many items were left out, by the list that they belong to."},
            "dataNotice": {"const": NOTICE},
        }
    )


_REF = _object({"kind": _TEXT, "namespace": _TEXT, "name": _TEXT})
_STATUS = _one_of(Status, "unknown: nothing failed, but something that is needed for healthy is not known.")
_HEAD = {
    "status": _STATUS,
    "summary": _text("One sentence."),
    "generatedAt": _text("When the facts were read, RFC 3339."),
    "context": _object(dict.fromkeys(("kubeContext", "namespace", "region", "account", "cluster"), _TEXT)),
}

_FOUND_OUT = {
    "diagnoses": _list(
        _object(
            {
                "rank": _NUMBER,
                "code": _CODE,
                "severity": _one_of(Severity),
                "confidence": _one_of(Confidence),
                "title": _TEXT,
                "message": _text("What is wrong, in one sentence."),
                "object": _REF,
                "affects": _list(_REF),
                "affected": {**_NUMBER, "description": "How many objects it affects in all."},
                "targets": _TEXTS,
                "evidence": _list(_object({"source": _TEXT, "text": _TEXT})),
                "rulesOut": _TEXT,
                "explains": _list(_CODE, "Findings that are mere effects of it."),
                "confirm": _list(_TEXT, "Commands with which a person sees the same."),
                "hypotheses": _list(_object({"code": _TEXT, "text": _TEXT, "commands": _TEXTS})),
                "fix": _or_null(
                    _object(
                        {
                            "name": _text('What plan_fix takes; "" where a person has to make it.'),
                            "command": _TEXT,
                            "commands": _list(_TEXT, "The change by hand."),
                            "automatic": {**_YES_OR_NO, "description": "Whether no value has to be chosen."},
                            "advice": _TEXT,
                        }
                    )
                ),
                "docsUrl": _TEXT,
            }
        ),
        "Root causes, the worst first.",
    ),
    "ignored": _list(_CODE, "Codes that were found, and that people have asked to ignore here."),
    "checks": _object(dict.fromkeys(("passed", "failed", "unknown", "skipped", "crashed"), _NUMBER)),
    "notRead": _list(
        _object({"read": _TEXT, "permission": _TEXT, "reason": _TEXT}),
        "What could not be read, with the permission to add: it is unknown, not absent.",
    ),
}

DIAGNOSIS = _answer(
    {
        **_HEAD,
        "subjects": _list(
            _object(
                {
                    **_REF["properties"],
                    "status": _STATUS,
                    "loadBalancer": _or_null(
                        _object(dict.fromkeys(("arn", "name", "dnsName", "type", "scheme", "state"), _TEXT))
                    ),
                    "targetGroups": _NUMBER,
                    "targets": {**_COUNTS, "description": "Targets by their state, as AWS names it."},
                    "expectedUnhealthy": {**_NUMBER, "description": "Targets of these that fail by design."},
                }
            )
        ),
        **_FOUND_OUT,
    }
)

SCAN = _answer(
    {
        **_HEAD,
        "complete": {
            **_YES_OR_NO,
            "description": "False where the scan was ended before its end. What was denied stands in notRead.",
        },
        "namespace": _text('"" for all of them.'),
        "counts": _object(dict.fromkeys((status.value for status in Status), _NUMBER), "Frontends by status."),
        "reach": _object(
            {**dict.fromkeys(("objects", "targetGroups", "known", "asked"), _NUMBER), "slowedDown": _YES_OR_NO},
            "How many target groups there are, and of how many the state is known.",
        ),
        "frontends": _list(
            _object(
                {
                    **_REF["properties"],
                    "status": _STATUS,
                    "targets": _object({"healthy": _NUMBER, "total": _NUMBER}),
                    "rootCause": _or_null(
                        _object(
                            {
                                "code": _CODE,
                                "rank": {**_NUMBER, "description": "That of its diagnosis."},
                                "frontends": {**_NUMBER, "description": "How many have this cause."},
                                "message": {
                                    **_TEXT,
                                    "description": "Empty where several have it and its diagnosis or another frontend "
                                    "in this answer says it.",
                                },
                            }
                        )
                    ),
                    "causes": _list(_NUMBER, "Ranks of the diagnoses that affect it."),
                    "ignored": _list(_CODE),
                }
            ),
            "Those that need attention, the worst first; the others are in counts.",
        ),
        **_FOUND_OUT,
    }
)

PROBES = _answer(
    {
        **_HEAD,
        "targets": _object(dict.fromkeys(("passed", "failed", "unknown"), _NUMBER)),
        "probes": _list(
            _object(
                {
                    "subject": _REF,
                    **dict.fromkeys(("targetGroup", "target", "pod", "node"), _TEXT),
                    "via": _one_of(Transport),
                    "request": _object(
                        {"protocol": _TEXT, "port": _NUMBER, "path": _TEXT, "host": _TEXT, "matcher": _TEXT}
                    ),
                    "answer": _object(
                        {"outcome": _one_of(Outcome), "status": _or_null(_NUMBER), "location": _TEXT, "detail": _TEXT}
                    ),
                    "verdict": _object(dict.fromkeys(("state", "reason", "description"), _TEXT)),
                    "targetGroupSays": _object(dict.fromkeys(("state", "reason", "description"), _TEXT)),
                    "difference": _text("What the two prove side by side."),
                }
            ),
            "Each answer with the load balancer's verdict on it, those that fail first.",
        ),
        "notAsked": _list(_object({"target": _TEXT, "reason": _TEXT})),
    }
)

_OF_FIXES = {
    **_HEAD,
    "status": _one_of(FixOutcome, "How far it came."),
    "steps": _list(
        _object(
            {
                "fix": _TEXT,
                "code": _CODE,
                "object": _REF,
                "affects": _list(_REF),
                **dict.fromkeys(("field", "now", "then", "why", "risk"), _TEXT),
                "command": _text("The same change by hand."),
                "reversible": _YES_OR_NO,
                "instead": _TEXTS,
                "ownedBy": {
                    **_or_null(_object({"tool": _TEXT, "where": _TEXT})),
                    "description": "A tool that may take the change back: change it there.",
                },
                "state": _one_of(StepState),
            }
        )
    ),
    "refused": _list(
        _object({"fix": _TEXT, "reason": _TEXT, "choices": _TEXTS, "commands": _TEXTS}),
        "What is not planned, with the values to choose from (fix=VALUE).",
    ),
    "errors": _TEXTS,
}

PLAN = _answer({**_OF_FIXES, "digest": _text('Names this very plan for apply_fix; "" where it cannot be made.')})

FIX = _answer(
    {
        **_OF_FIXES,
        "undoFile": _text('Where the way back is kept; "" where nothing was changed.'),
        "undoCommand": _text("The command that takes it back."),
        "gone": _list(_CODE, "Codes that are no longer found."),
        "seconds": _or_null({"type": "number"}),
        "after": _or_null(
            _object(
                {
                    "status": _STATUS,
                    "diagnoses": _list(
                        _object({"code": _CODE, "severity": _one_of(Severity), "object": _REF, "message": _TEXT})
                    ),
                },
                "The diagnosis afterwards; null where there was none.",
            )
        ),
    }
)

EXPLANATION = _answer(
    {
        "topics": _list(
            _object(
                {
                    "topic": _text(enum=["check", "reason", "fix"]),
                    **dict.fromkeys(
                        ("name", "title", "severity", "targetState", "explanation", "rulesOut", "next"), _TEXT
                    ),
                    "fix": _TEXT,
                    "codes": _list(_object({"code": _CODE, "title": _TEXT})),
                    "sources": _TEXTS,
                }
            )
        )
    }
)

CODES = _answer({"codes": _list(_object({"code": _CODE, "severity": _one_of(Severity), "title": _TEXT, "fix": _TEXT}))})

"""Raw objects with something in every text field that an API can answer, made from the schemas of the SDKs: the models
of the kubernetes package and the shapes of botocore."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable
from typing import Any

Plant = Callable[[str], str]
"""From the place of a field ("Pod.spec.containers[].image") to the text that it holds."""

_TIME = "2030-01-07T12:00:00Z"
_DEPTH = 14


def kubernetes_object(model: str, plant: Plant) -> dict[str, Any]:
    """An object of the kubernetes package's model ("V1Pod"), as the API server's JSON has it."""
    made: dict[str, Any] = _kubernetes(model, model.removeprefix("Core").removeprefix("V1"), plant, 0)
    return made


def _kubernetes(kind: str, place: str, plant: Plant, depth: int) -> Any:
    import kubernetes.client.models as models

    if kind == "V1EnvVar":
        return {"name": "DB_URL", "value": plant(f"{place}.value")}
    if kind.startswith("list["):
        inner = kind[5:-1]
        if inner == "V1EnvVar":
            names = ("DB_URL", "AWS_SECRET_KEY", "AWS_RDS_PASSWORD", "AWS_ACCESS_KEY_ID", "AWS_ROLE_ARN")
            return [{"name": name, "value": plant(f"{place}[{name}]")} for name in names]
        return [_kubernetes(inner, f"{place}[]", plant, depth + 1)]
    if kind.startswith("dict"):
        inner = kind[5:-1].split(", ")[1].strip()
        if place.endswith(".annotations"):
            return annotations(place, plant)
        return {"tls.crt": "LS0=", "app": _kubernetes(inner, f"{place}{{}}", plant, depth + 1)}
    if place.endswith(".caBundle"):
        return base64.b64encode(plant(place).encode()).decode()
    if kind in ("str", "object"):
        return plant(place)
    if kind in ("int", "float", "bool"):
        return {"int": 80, "float": 1.0, "bool": True}[kind]
    if kind == "datetime":
        return _TIME
    if depth > _DEPTH:
        return {}
    model = getattr(models, kind)
    return {
        model.attribute_map[name]: _kubernetes(inner, f"{place}.{model.attribute_map[name]}", plant, depth + 1)
        for name, inner in model.openapi_types.items()
    }


def annotations(place: str, plant: Plant) -> dict[str, str]:
    """Annotations of all sorts: of others, of the controller, and of a tool that owns the object."""
    keys = (
        "kubectl.kubernetes.io/last-applied-configuration",
        "vault.hashicorp.com/agent-inject-template",
        "nginx.ingress.kubernetes.io/configuration-snippet",
        "description",
        "alb.ingress.kubernetes.io/healthcheck-path",
        "alb.ingress.kubernetes.io/conditions.web",
        "alb.ingress.kubernetes.io/actions.web",
        "argocd.argoproj.io/tracking-id",
    )
    made = {key: plant(f"{place}[{key}]") for key in keys}
    made[keys[4]] = f"/{made[keys[4]]}?{plant(f'{place}[{keys[4]}]?')}"
    header = {"field": "http-header", "httpHeaderConfig": {"httpHeaderName": "X-Origin", "values": [made[keys[5]]]}}
    made[keys[5]] = json.dumps([header])
    made[keys[6]] = json.dumps({"type": "fixed-response", "fixedResponseConfig": {"messageBody": made[keys[6]]}})
    return made


@functools.cache
def _service(name: str) -> Any:
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    return ServiceModel(Loader().load_service_model(name, "service-2"), name)


def aws_record(service: str, shape: str, plant: Plant) -> dict[str, Any]:
    """A record of a botocore shape ("elbv2", "TargetGroup"), as boto3 gives it."""
    made: dict[str, Any] = _aws(_service(service).shape_for(shape), shape, plant, ())
    return made


def _aws(shape: Any, place: str, plant: Plant, above: tuple[str, ...]) -> Any:
    if shape.type_name == "structure":
        if shape.name in above:
            return {}
        inside = (*above, shape.name)
        return {name: _aws(member, f"{place}.{name}", plant, inside) for name, member in shape.members.items()}
    if shape.type_name == "list":
        return [_aws(shape.member, f"{place}[]", plant, above)]
    if shape.type_name == "map":
        return {"key": _aws(shape.value, f"{place}{{}}", plant, above)}
    if shape.type_name in ("integer", "long", "float", "double"):
        return 80
    if shape.type_name == "boolean":
        return True
    return plant(place)

"""What writing needs of the clients of Kubernetes and AWS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Kube(Protocol):
    """Of `collect.kube.KubeReader`."""

    def get(self, path: str, params: Mapping[str, str | int | bool] | None = None) -> dict[str, Any] | None: ...

    def send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str | int | bool] | None = None,
        body: object = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]: ...


class Aws(Protocol):
    """Of `collect.aws.AwsReader`."""

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any: ...

"""What is behind the API server's pods: their logs, their applications through the proxy, and debug pods that run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from tests.support.api_requests import Answer, Asked, refusal
from tests.support.shop import CONTROLLER_LOG

Raw = dict[str, Any]


class Pods:
    """Stands in for the kubelets and the containers. `created` and `deleted` keep what was made and removed."""

    def __init__(self) -> None:
        self.reset(())

    def reset(self, controllers: Iterable[Raw]) -> None:
        """`controllers` are the pods that have a log from the start."""
        # What the pods answer on port 8080, by path; all other paths 404, all other ports refuse.
        self.served: dict[str, int] = {"/healthz": 200}
        # How a debug pod fares.
        self.debug_status: Callable[[Raw], Raw] = lambda raw: {"phase": "Succeeded"}
        # A pod's socket as /proc/net/tcp shows it, and how each request of a script ends where it is not answered.
        self.listens, self.script_says = "0100007F:1F90", ""
        self.created: list[Raw] = []
        self.deleted: list[str] = []
        self.logs = {_key(raw): CONTROLLER_LOG for raw in controllers}

    def log(self, asked: Asked) -> str:
        return self.logs.get(f"{asked.namespace}/{asked.name}", "")

    def proxy(self, asked: Asked) -> Answer:
        """What the pod proxy answers, as Kubernetes 1.34 does."""
        _, _, path = asked.resource.partition("pods/proxy")
        port = asked.name.rpartition(":")[2]
        if port != "8080":
            said = f"error trying to reach service: dial tcp 10.0.1.34:{port}: connect: connection refused"
            return refusal(503, "ServiceUnavailable", said)
        code = self.served.get(path or "/", 404)
        return Answer(code, f"{code} from the application\n")

    def start(self, raw: Raw) -> None:
        """A debug pod was made: it runs its script to the end."""
        raw["status"] = self.debug_status(raw)
        self.logs[_key(raw)] = self._script_log(raw["spec"]["containers"][0])
        self.created.append(raw)

    def attach(self, raw: Raw, container: Raw) -> None:
        """An ephemeral container was added: it runs its script to the end."""
        state = {"name": container["name"], "state": {"terminated": {"exitCode": 0}}}
        raw["status"].setdefault("ephemeralContainerStatuses", []).append(state)
        self.logs[_key(raw)] = self._script_log(container)

    def stop(self, raw: Raw) -> None:
        self.deleted.append(raw["metadata"]["name"])

    def _script_log(self, container: Raw) -> str:
        """What the script of a debug container would have found."""
        script = container["command"][-1]
        token = re.search(r"^t=(\w+)$", script, re.MULTILINE)
        assert token is not None
        lines = []
        if "/proc/net/tcp" in script:
            lines.append(f"S    0: {self.listens} 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1")
        for number, path in re.findall(r"^one (\d+) .* \S+://[^/ ]+(/\S*) &$", script, re.MULTILINE):
            lines += [f"{number} LBDW {self.served.get(path, 404)} 1.1 0.001 0.002 ", f"{number} EXIT 0"]
            if self.script_says:
                lines[-2:] = [f"{number} {self.script_says}"]
        return "".join(f"{token[1]} {line}\n" for line in lines)


def _key(raw: Raw) -> str:
    return f"{raw['metadata']['namespace']}/{raw['metadata']['name']}"

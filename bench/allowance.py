"""How many requests AWS takes, and what it says to more of them: buckets that are refilled, by account and region.

https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/throttling.html and
https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field

CONTROLLER = 3.0
"""Requests a second that the cluster's controller takes from the bucket of Elastic Load Balancing."""


class Bucket:
    """depth: requests that it holds; refill: a second."""

    def __init__(self, depth: float, refill: float) -> None:
        self._depth, self._refill = depth, refill
        self._level, self._at = depth, time.monotonic()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Whether there is a request left, which is taken."""
        with self._lock:
            now = time.monotonic()
            self._level = min(self._depth, self._level + (now - self._at) * self._refill)
            self._at = now
            if self._level < 1:
                return False
            self._level -= 1
            return True


@dataclass
class Account:
    """The allowance of one account and region, and what came in: (time, service, operation, whether it was taken)."""

    seen: list[tuple[float, str, str, bool]] = field(default_factory=list)
    _balancing: Bucket = field(default_factory=lambda: Bucket(40, 10 - CONTROLLER))
    _computing: dict[str, Bucket] = field(default_factory=lambda: defaultdict(lambda: Bucket(100, 20)))

    def admits(self, service: str, operation: str) -> bool:
        """Whether a request is answered."""
        taken = True
        if service == "elbv2":
            taken = self._balancing.take()
        elif service == "ec2":
            taken = self._computing[operation].take()
        self.seen.append((time.monotonic(), service, operation, taken))
        return taken


REFUSALS = {
    "elbv2": (
        "400 Bad Request",
        "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error>"
        "<RequestId>bench</RequestId></ErrorResponse>",
    ),
    "ec2": (
        "503 Service Unavailable",
        "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message></Error>"
        "</Errors><RequestID>bench</RequestID></Response>",
    ),
}
"""What each service says where it takes no more: status line and body."""

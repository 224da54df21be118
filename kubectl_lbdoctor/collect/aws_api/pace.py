"""How many requests a second a service is sent, where it shares its allowance with the cluster's controller.

All Describe calls of Elastic Load Balancing draw from one bucket of the account and region, 40 requests deep and
refilled by 10 a second; the controller lives on it, too.
https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/throttling.html
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from kubectl_lbdoctor.errors import ReadFailed

BURST = 10.0
"""Requests that may be sent at once when none was sent for a while: a quarter of the bucket."""

RECOVERY = 60.0
"""Seconds in which the pace grows by its whole again after it was halved."""

SLOWEST = 0.1
"""The part of the pace that is always kept."""

_CALM = 2.0
"""Seconds in which several refusals count as one: they were sent before anybody knew."""


class Pace:
    """A bucket of requests; safe to use from many threads. rate: requests a second in the long run.

    `slowed` says that the service has asked for fewer since the pace was made.
    """

    def __init__(self, rate: float, burst: float = BURST, clock: Callable[[], float] = time.monotonic) -> None:
        self.slowed = False
        self._wanted = self._rate = rate
        self._burst = max(1.0, min(burst, rate * 2))
        self._clock = clock
        self._tokens = self._burst
        self._told = self._refused = clock()
        self._lock = threading.Lock()
        self._ended = threading.Event()

    @property
    def rate(self) -> float:
        """Requests a second that are sent by now."""
        return self._rate

    def take(self) -> None:
        """Wait until a request may be sent. Raises ReadFailed once the run has ended."""
        if self._ended.wait(self._reserve()) or self._ended.is_set():
            raise ReadFailed("the run was ended before this was asked")

    def _reserve(self) -> float:
        """Take a request out of the bucket; seconds until it is there."""
        with self._lock:
            now = self._clock()
            passed, self._told = now - self._told, now
            self._rate = min(self._wanted, self._rate + passed * self._wanted / RECOVERY)
            self._tokens = min(self._burst, self._tokens + passed * self._rate) - 1
            return max(0.0, -self._tokens / self._rate)

    def refused(self) -> None:
        """The service has said that there are too many requests."""
        with self._lock:
            now = self._clock()
            if self.slowed and now - self._refused < _CALM:
                return
            self.slowed, self._refused = True, now
            self._rate = max(self._rate / 2, self._wanted * SLOWEST)
            self._tokens = min(self._tokens, 0.0)

    def end(self) -> None:
        """Nothing more is sent, and nobody waits any longer."""
        self._ended.set()

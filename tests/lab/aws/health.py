"""The health checker: every node of every load balancer checks every target, with real packets.

Compressed: a check starts every second instead of every 5-300 s, and its timeout is at most 2 s, so that a fault
shows in seconds; only a long timeout that somebody asked for is waited for, or it could repair nothing. Thresholds
count as configured.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from moto.elbv2.models import elbv2_backends

from tests.lab import topology
from tests.lab.aws import application, balancers, netns, probes, targets
from tests.lab.aws.probes import Check, Outcome
from tests.lab.aws.targets import Registration, Track

INTERVAL_SECONDS = 1.0
LONGEST_TIMEOUT_SECONDS = 2.0
# Above every default of the controller and AWS for an HTTP check (5 and 6 s): somebody asked for it.
ASKED_TIMEOUT_SECONDS = 7.0
_TICK_SECONDS = 0.2

log = logging.getLogger("health")


class Checker(threading.Thread):
    """Lives in the load balancers' network namespace, so that its sockets do."""

    def __init__(self) -> None:
        super().__init__(name="health", daemon=True)
        self._running: set[asyncio.Task[None]] = set()

    def run(self) -> None:
        netns.enter(topology.NETNS_ELB)
        with suppress(OSError):
            # Load balancers use ports from 1024 on, which decides what a network ACL must let back in.
            Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("1024 65535")
        asyncio.run(self._loop())

    async def _loop(self) -> None:
        while True:
            try:
                self._tick()
            except Exception:
                # Request threads change moto's objects meanwhile; the next tick sees them whole.
                log.exception("a round of health checks failed")
            await asyncio.sleep(_TICK_SECONDS)

    def _tick(self) -> None:
        now = time.monotonic()
        for group in list(elbv2_backends[topology.ACCOUNT][topology.REGION].target_groups.values()):
            registrations = targets.sweep(group)
            users = list(targets.users(group).values()) if registrations else []
            for registration in registrations:
                if registration.draining_until is not None:
                    continue
                if not users or targets.unused(group, registration) is not None:
                    registration.tracks.clear()
                elif now - registration.since >= targets.REGISTRATION_SECONDS:
                    for balancer, listener in users:
                        self._check_from(balancer, listener, group, registration, now)

    def _check_from(self, balancer: Any, listener: Any, group: Any, registration: Registration, now: float) -> None:
        sources = balancers.addresses(balancer, six=group.ip_address_type == "ipv6")
        for source in list(registration.tracks):
            if source not in sources:
                registration.tracks.pop(source, None)
        for source in sources:
            track = registration.tracks.setdefault(source, Track())
            if track.running or now < track.due:
                continue
            track.running, track.due = True, now + INTERVAL_SECONDS
            check = build(balancer, listener, group, registration, source)
            task = asyncio.get_running_loop().create_task(self._run(check, balancer, group, track))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _run(self, check: Check, balancer: Any, group: Any, track: Track) -> None:
        try:
            if group.target_type == "alb":
                outcome: Outcome | None = await application.answer(check, balancer, group, build)
            else:
                outcome = await probes.send(check)
            if outcome is not None:
                judge(track, outcome, int(group.healthy_threshold_count), int(group.unhealthy_threshold_count))
        except Exception:
            log.exception("check of %s:%s failed", check.address, check.port)
        finally:
            track.running = False


def build(balancer: Any, listener: Any, group: Any, registration: Registration, source: str) -> Check:
    address = registration.id
    if address.startswith("i-"):
        address = group.ec2_backend.get_instance(address).private_ip_address
    port = int(targets.check_port(group, registration.port))
    network = balancer.type == "network"
    matcher = getattr(group, "matcher", None) or {}
    return Check(
        source=source,
        address=address,
        port=port,
        protocol=group.health_check_protocol,
        version=group.protocol_version or "HTTP1",
        path=group.health_check_path or "/",
        # A network load balancer names itself, an application load balancer the target.
        host=f"{_host(source)}:{listener.port}" if network else f"{_host(address)}:{port}",
        matcher=str(matcher.get("GrpcCode") or matcher.get("HttpCode") or "200"),
        timeout=_timeout(group),
        network=network,
        proxy_header=str(group.attributes.get("proxy_protocol_v2.enabled")).lower() == "true",
    )


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _timeout(group: Any) -> float:
    asked = float(group.health_check_timeout_seconds)
    if group.health_check_protocol in ("HTTP", "HTTPS") and asked >= ASKED_TIMEOUT_SECONDS:
        return asked
    return min(asked, LONGEST_TIMEOUT_SECONDS)


def judge(track: Track, outcome: Outcome, healthy_after: int, unhealthy_after: int) -> None:
    """Count one outcome. A new target needs a single success; after a failure it needs the healthy threshold."""
    if outcome.reason is None:
        track.failures = 0
        track.successes += 1
        needed = 1 if track.health[0] == "initial" else healthy_after
        if track.successes >= needed:
            track.health = targets.HEALTHY
    else:
        track.successes = 0
        track.failures += 1
        if track.failures >= unhealthy_after or track.health[0] == "unhealthy":
            track.health = ("unhealthy", outcome.reason, outcome.description)

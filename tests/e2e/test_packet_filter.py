"""The evaluator against packets: for random rule sets its verdict is what a real connection does.

The rules are read from AWS by the doctor's own reader and evaluated; the connections are made with sockets between a
load balancer's address and a node's, through the lab's router, where the packet filter (tests/lab/aws/packetfilter.py)
plays the VPC. The two share nothing but what AWS holds.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from kubectl_lbdoctor.analysis.blocked_paths import world_of
from kubectl_lbdoctor.collect.aws_api.client import AwsReader
from kubectl_lbdoctor.collect.aws_api.session import open_session
from kubectl_lbdoctor.collect.kubernetes_api.aws_hints import AwsHints
from kubectl_lbdoctor.collect.network_reads import NetworkReader
from kubectl_lbdoctor.model.snapshot import NetworkFacts
from kubectl_lbdoctor.network import path
from kubectl_lbdoctor.network.matching import Answer
from kubectl_lbdoctor.network.path import PathVerdict
from kubectl_lbdoctor.options import AwsOptions
from tests.lab import topology
from tests.lab.api import Lab
from tests.lab.aws import netns
from tests.lab.rulesets import PORTS, Builder, Probe, RuleSet, addresses

SETS = 32
# The lab answers within a millisecond; what is dropped stays dropped.
PATIENCE = 1.2
AT_ONCE = 64


def try_from(space: str, probes: Sequence[Probe]) -> dict[Probe, bool]:
    """Try the connections from a thread that lives in a network namespace."""

    def run() -> dict[Probe, bool]:
        netns.enter(space)
        return asyncio.run(try_all(probes))

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()


class _Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._transport.sendto(data, addr)  # type: ignore[attr-defined]


@contextmanager
def listening(targets: Sequence[str]) -> Iterator[None]:
    """Servers for TCP and UDP on every port of every target, on the node."""
    ready, over = threading.Event(), threading.Event()
    failure: list[BaseException] = []

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        servers = []
        for target in targets:
            for port in PORTS:
                servers.append(await asyncio.start_server(lambda _, writer: writer.close(), target, port))
                await loop.create_datagram_endpoint(_Echo, local_addr=(target, port))
        ready.set()
        while not over.is_set():
            await asyncio.sleep(0.05)
        for server in servers:
            server.close()

    def run() -> None:
        try:
            netns.enter(topology.NODES[0].netns)
            asyncio.run(serve())
        except BaseException as error:
            failure.append(error)
            ready.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait(20)
    try:
        assert not failure, failure
        yield
    finally:
        over.set()
        thread.join(10)


async def connects(probe: Probe) -> bool:
    """Whether a connection is made, or a datagram answered. A refusal would be an answer, too: the packets passed."""
    kind = socket.SOCK_STREAM if probe.protocol == "tcp" else socket.SOCK_DGRAM
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, kind) as own:
        own.setblocking(False)
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        own.bind((probe.source, probe.source_port))
        try:
            await asyncio.wait_for(loop.sock_connect(own, (probe.target, probe.port)), PATIENCE)
            if kind == socket.SOCK_DGRAM:
                await loop.sock_sendall(own, b"?")
                await asyncio.wait_for(loop.sock_recv(own, 16), PATIENCE)
        except (TimeoutError, asyncio.TimeoutError):
            return False
        return True


async def try_all(probes: Sequence[Probe]) -> dict[Probe, bool]:
    some = asyncio.Semaphore(AT_ONCE)

    async def one(probe: Probe) -> bool:
        async with some:
            return await connects(probe)

    answers = await asyncio.gather(*(one(probe) for probe in probes))
    return dict(zip(probes, answers, strict=True))


def read(lab: Lab, sets: Sequence[RuleSet]) -> NetworkFacts:
    """What the doctor reads of these addresses."""
    environment = lab.environment()
    hints = AwsHints(env={key: environment[key] for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")})
    options = AwsOptions(region=topology.REGION)
    reader = AwsReader(open_session(options, hints, lambda: None, environment))
    with ThreadPoolExecutor(4) as pool:
        network = NetworkReader(reader, pool)
        known = [address for one in sets for address in (one.source, *one.targets)]
        return network.finish(network.start_interfaces([], known), [])


def loaded(group: str) -> bool:
    command = ["nft", "list", "set", "ip", "lbdlab", group.replace("-", "_")]
    done = subprocess.run(["nsenter", f"--net=/run/netns/{topology.NETNS_VPC}", *command], capture_output=True)
    return done.returncode == 0


def wait_loaded(group: str) -> None:
    end = time.monotonic() + 20
    while not loaded(group):
        assert time.monotonic() < end, "the packet filter does not follow AWS"
        time.sleep(0.2)


@pytest.mark.alone
def test_evaluator_equals_real_connections(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", topology.AWS_URL)
    seed = int(os.environ.get("LBDOCTOR_SEED") or random.randrange(1 << 32))
    print(f"\nLBDOCTOR_SEED={seed}")
    builder = Builder(lab, random.Random(seed))
    builder.remove()
    try:
        sets = [builder.build(number) for number in range(SETS)]
        marker = builder.marker()
        facts = read(lab, sets)
        with addresses(sets), listening([target for one in sets for target in one.targets]):
            wait_loaded(marker)
            probes = [probe for one in sets for probe in one.probes]
            seen = try_from(topology.NETNS_ELB, probes)
            verdicts = {probe: evaluate(facts, probe) for probe in probes}
            differing = [probe for probe in probes if expected(verdicts[probe], probe) is not seen[probe]]
            # A busy machine may be late with an answer: what did not come is asked for once more.
            again = [probe for probe in differing if not seen[probe]]
            seen |= try_from(topology.NETNS_ELB, again)
    finally:
        builder.remove()
    counted = Counter((v.answer, seen[p]) for p, v in verdicts.items())
    print("; ".join(f"{answer.value} {'passes' if ok else 'fails'}: {n}" for (answer, ok), n in counted.items()))
    wrong = [report(one, verdicts, seen) for one in sets]
    assert not any(wrong), f"LBDOCTOR_SEED={seed}\n" + "\n".join(filter(None, wrong))
    # No verdict is left open, and the dice give some of both kinds. (Seldom there is no partial one among them.)
    answers = {answer for answer, _ in counted}
    assert {Answer.ALLOWED, Answer.DENIED} <= answers <= {Answer.ALLOWED, Answer.PARTIAL, Answer.DENIED}, counted


def evaluate(facts: NetworkFacts, probe: Probe) -> PathVerdict:
    interfaces = facts.interfaces.need()
    source, target = (path.endpoint_at(address, interfaces) for address in (probe.source, probe.target))
    return path.evaluate(source, target, probe.protocol, probe.port, world_of(facts))


def expected(verdict: PathVerdict, probe: Probe) -> bool:
    return any(probe.source_port in ports for ports in verdict.reply_ports)


def report(one: RuleSet, verdicts: dict[Probe, PathVerdict], seen: dict[Probe, bool]) -> str:
    """The set's rules and the probes that went otherwise than evaluated; "" where none did."""
    lines = []
    for probe in one.probes:
        verdict = verdicts[probe]
        if expected(verdict, probe) is not seen[probe]:
            hops = ", ".join(f"{hop.filter.value} {hop.answer.value} ({hop.owner})" for hop in verdict.hops)
            lines.append(f"  {probe}: {'passes' if seen[probe] else 'fails'}, evaluated {verdict.answer.value}: {hops}")
    return "\n".join((f"set {one.number}:", *(f"  {text}" for text in one.said), *lines)) if lines else ""

"""What a debug pod runs, and how its log is read: `curl` for every request, several at once. Pure.

The script needs a shell, grep, sed and curl; `nc` saves the time that curl spends on a bare TCP connect (telnet://).
Each line of the log that counts begins with a token that only this run knows, so that nothing which a target sends can
pass for a result: what curl tells of it stands within one line.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from kubectl_lbdoctor.model.probe import Outcome, ProbeAnswer, ProbeRequest, Transport
from kubectl_lbdoctor.probe.requests import USER_AGENT, authority

AT_ONCE = 8
"""Requests that one pod sends at the same time."""

SOCKETS = "S"
"""In place of a request's number: a line of /proc/net/tcp or tcp6."""

_WROTE = "LBDW"
_FORMAT = rf"\n{_WROTE} %{{http_code}} %{{http_version}} %{{time_connect}} %{{time_total}} %{{redirect_url}}\n"
# What of curl's -v is wanted: its errors, the system's reason for a failed connection, and a gRPC status.
_WANTED = ("^LBDW ", "^curl: ", "^[*] .* failed: ", "^< grpc-status:")
_MAX_LINE = 400


def script(requests: Sequence[ProbeRequest], token: str, sockets: bool = False, loopback: bool = False) -> str:
    """The shell script. sockets: list the listening sockets, too. loopback: ask 127.0.0.1, not the addresses."""
    patterns = " ".join(f"-e {shlex.quote(pattern)}" for pattern in _WANTED)
    lines = [
        f"t={shlex.quote(token)}",
        "show() { printf '%s\\n' \"$o\" | grep -a -i "
        f'{patterns} | cut -c 1-{_MAX_LINE} | head -n 9 | sed "s/^/$t $i /"; echo "$t $i EXIT $e"; }}',
        # A gRPC server that has answered before the request's end resets the stream, which some curls call an error.
        "one() { i=$1; shift; for k in 1 2 3; do",
        "o=$(printf '\\000\\000\\000\\000\\000' | \"$@\" 2>&1); e=$?; [ $e = 92 ] || break; done; show; }",
        # nc is done once it is connected; curl stays for its whole time, but tells why it is not.
        "tcp() { i=$1; h=$2; p=$3; w=$4; shift 4; e=0",
        'if nc -z -w "$w" "$h" "$p" >/dev/null 2>&1 </dev/null; then o=; i="$i NC"',
        'else o=$("$@" 2>&1 </dev/null); e=$?; fi; show; }',
    ]
    if sockets:
        lines.append(f"grep -a -h ' 0A ' /proc/net/tcp /proc/net/tcp6 2>/dev/null | sed \"s/^/$t {SOCKETS} /\"")
    for number, request in enumerate(requests):
        address = ("::1" if ":" in request.address else "127.0.0.1") if loopback else request.address
        lines.append(" ".join(_command(number, request, address)) + " &")
        if number % AT_ONCE == AT_ONCE - 1:
            lines.append("wait")
    return "\n".join([*lines, "wait", ""])


def seconds(requests: Sequence[ProbeRequest]) -> float:
    """The longest that the script can take: a TCP connect that fails is tried twice."""
    batches = (requests[i : i + AT_ONCE] for i in range(0, len(requests), AT_ONCE))
    return sum(max(r.timeout * (2 if r.protocol == "TCP" else 1) for r in batch) for batch in batches) + 1.0


def _command(number: int, request: ProbeRequest, address: str) -> Iterator[str]:
    timeout = f"{request.timeout:g}"
    curl = ["curl", "-q", "-sSv", "-o", "/dev/null", "--noproxy", "*", "--globoff", "--connect-timeout", timeout]
    curl += ["--max-time", timeout, "-w", _FORMAT]
    where = authority(address, request.port)
    if request.protocol == "TCP":
        words = ["tcp", str(number), address, str(request.port), str(max(1, round(request.timeout)))]
        yield from (shlex.quote(word) for word in (*words, *curl, f"telnet://{where}"))
        return
    curl += ["-k", "--path-as-is", "-A", USER_AGENT, "-H", f"Host: {request.host}", "-H", "Accept:"]
    if request.version == "HTTP1":
        curl += ["--http1.1", "-H", "Connection: close", "-H", "Accept-Encoding: gzip, compressed"]
    else:
        curl += ["--http2" if request.protocol == "HTTPS" else "--http2-prior-knowledge"]
    if request.version == "GRPC":
        curl += ["-H", "Content-Type: application/grpc", "-H", "TE: trailers", "--data-binary", "@-"]
    if request.tls:
        curl += ["--tls-max", request.tls]
    url = f"{request.protocol.lower()}://{where}{request.path}"
    yield from (shlex.quote(word) for word in ("one", str(number), *curl, url))


def parse(
    log: str, requests: Sequence[ProbeRequest], token: str, via: Transport = Transport.POD, source: str = ""
) -> tuple[ProbeAnswer, ...]:
    """The answers that a script's log tells, in the order of the requests."""
    said: dict[int, list[str]] = {}
    for rest in _lines(log, token):
        number, _, text = rest.partition(" ")
        if number.isascii() and number.isdigit():
            said.setdefault(int(number), []).append(text)
    return tuple(_answer(request, said.get(n, []), via, source) for n, request in enumerate(requests))


def socket_lines(log: str, token: str) -> Iterator[str]:
    """The lines of /proc/net/tcp and tcp6 in a script's log."""
    for rest in _lines(log, token):
        number, _, text = rest.partition(" ")
        if number == SOCKETS:
            yield text


def _lines(log: str, token: str) -> Iterator[str]:
    for line in log.split("\n"):
        if line.startswith(f"{token} "):
            yield line[len(token) + 1 :].rstrip("\r")


def _answer(request: ProbeRequest, said: list[str], via: Transport, source: str) -> ProbeAnswer:
    def answer(outcome: Outcome, detail: str = "", status: int | None = None, location: str = "") -> ProbeAnswer:
        return ProbeAnswer(request, via, outcome, status, location, elapsed, detail, source)

    elapsed, code, version, connected, location = 0.0, 0, "", 0.0, ""
    by_nc = said[-1:] == ["NC EXIT 0"]
    said = [text.removeprefix("NC ") for text in said]
    ended = next((int(t[5:]) for t in said if re.fullmatch(r"EXIT [0-9]{1,3}", t)), None)
    if ended is None:
        return answer(Outcome.INCONCLUSIVE, "the pod ended before this request did")
    wrote = next((text.split(" ", 5) for text in said if text.startswith(f"{_WROTE} ")), None)
    if wrote is not None and len(wrote) >= 5:
        code = int(wrote[1]) if wrote[1].isascii() and wrote[1].isdigit() else 0
        version = wrote[2]
        connected, elapsed = _seconds(wrote[3]), _seconds(wrote[4])
        # curl makes a relative redirect absolute.
        location = (wrote[5] if len(wrote) > 5 else "").removeprefix(_origin(request))
    error = next((re.sub(r"^curl: \(\d+\) ", "", text) for text in said if text.startswith("curl: ")), "")
    reason = next((text.rpartition(" failed: ")[2] for text in said if " failed: " in text), "")
    if ended in (126, 127):
        return answer(Outcome.INCONCLUSIVE, "the image has no curl")
    if request.protocol == "TCP" and (by_nc or connected > 0):
        elapsed = connected
        return answer(Outcome.ANSWERED, "connected")
    detail = reason or error
    if code and (ended in (0, 18, 28, 56, 92) or request.version == "GRPC"):
        if request.version != "HTTP1" and version not in ("2", "2.0"):
            return answer(Outcome.GARBLED, f"it speaks HTTP/{version or '1'}")
        if request.version != "GRPC":
            ends_late = f"the body did not end within {request.timeout:g}s" if ended == 28 else ""
            return answer(Outcome.ANSWERED, ends_late, code, location)
        grpc = next((t.partition(":")[2].strip() for t in said if t.lower().startswith("< grpc-status:")), "")
        if grpc.isascii() and grpc.isdigit():
            return answer(Outcome.ANSWERED, "", int(grpc))
        return answer(Outcome.GARBLED, f"HTTP {code} without a grpc-status")
    outcome = _OUTCOMES.get(ended, Outcome.INCONCLUSIVE)
    if ended == 7:
        # Other reasons (no route, administratively prohibited) are silence for a load balancer.
        outcome = Outcome.REFUSED if "refused" in detail.lower() else Outcome.TIMEOUT
    elif ended == 35 and re.search(r"reset|SYSCALL|unexpected eof|Broken pipe", detail, re.IGNORECASE):
        outcome = Outcome.CLOSED
    elif ended in (1, 56) and request.version != "HTTP1":
        outcome = Outcome.GARBLED
    elif ended == 1 and "HTTP/0.9" not in detail:
        outcome = Outcome.INCONCLUSIVE
    if outcome is Outcome.INCONCLUSIVE:
        detail = f"curl of the image ended with {ended}: {detail or 'without a word'}"
    return answer(outcome, detail)


def _origin(request: ProbeRequest) -> str:
    return f"{request.protocol.lower()}://{authority(request.address, request.port)}"


# https://curl.se/libcurl/c/libcurl-errors.html
_OUTCOMES = {
    1: Outcome.GARBLED,
    7: Outcome.REFUSED,
    8: Outcome.GARBLED,
    16: Outcome.GARBLED,
    28: Outcome.TIMEOUT,
    35: Outcome.TLS,
    52: Outcome.CLOSED,
    55: Outcome.CLOSED,
    56: Outcome.CLOSED,
    59: Outcome.TLS,
    92: Outcome.GARBLED,
}


def _seconds(text: str) -> float:
    return float(text) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,9})?", text, re.ASCII) else 0.0

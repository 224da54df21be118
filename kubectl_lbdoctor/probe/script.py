"""What a debug pod runs, and how its log is read: `curl` for every request, several at once. Pure.

The script needs a shell, grep, sed and curl; `nc` saves the time that curl spends on a bare TCP connect (telnet://).
Each line of the log that counts begins with a token that only this run knows, so that nothing which a target sends can
pass for a result: what curl tells of it stands within one line.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace

from kubectl_lbdoctor.model.probe import Outcome, ProbeAnswer, ProbeRequest, Transport
from kubectl_lbdoctor.probe.requests import USER_AGENT, authority
from kubectl_lbdoctor.record import record

AT_ONCE = 8
"""Requests that one pod sends at the same time."""

SOCKETS = "S"
"""In place of a request's number: a line of /proc/net/tcp or tcp6."""

_WROTE = "LBDW"
_FORMAT = rf"\n{_WROTE} %{{http_code}} %{{http_version}} %{{time_connect}} %{{time_total}} %{{redirect_url}}\n"
# What of curl's -v is wanted: its errors, the system's reason for a failed connection, and a gRPC status.
_WANTED = ("^LBDW ", "^curl: ", "^[*] .* failed: ", "^< grpc-status:")
_MAX_LINE = 400


def unsupported_reason(request: ProbeRequest) -> str:
    """Why curl cannot send this request as it is; "" when it can. Its --haproxy-protocol is version 1."""
    return "curl sends no header of proxy protocol v2, and the check carries one" if request.proxy_protocol else ""


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
        if (place := _number(number)) is not None:
            said.setdefault(place, []).append(text)
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


def _answer(request: ProbeRequest, lines: list[str], via: Transport, source: str) -> ProbeAnswer:
    said = _read(lines, request)
    outcome, detail, status = _outcome(said, request)
    location = said.location if status is not None and request.version != "GRPC" else ""
    elapsed = said.connected if request.protocol == "TCP" and outcome is Outcome.ANSWERED else said.elapsed
    return ProbeAnswer(request, via, outcome, status, location, elapsed, detail, source)


@record
class _Said:
    """What the log says of one request. ended: the exit status, None where the pod ended first. code: HTTP status, 0
    for none. version: of HTTP. connected, elapsed: seconds. error: why it failed, in curl's or the system's words.
    grpc: the grpc-status, "" for none. by_nc: nc has connected."""

    ended: int | None
    code: int = 0
    version: str = ""
    connected: float = 0.0
    elapsed: float = 0.0
    location: str = ""
    error: str = ""
    grpc: str = ""
    by_nc: bool = False


def _read(lines: list[str], request: ProbeRequest) -> _Said:
    """The lines of one request, by what the script and curl's -w and -v write."""
    by_nc = lines[-1:] == ["NC EXIT 0"]
    lines = [line.removeprefix("NC ") for line in lines]
    error = next((re.sub(r"^curl: \(\d+\) ", "", line) for line in lines if line.startswith("curl: ")), "")
    reason = next((line.rpartition(" failed: ")[2] for line in lines if " failed: " in line), "")
    said = _Said(
        ended=next((int(line[5:]) for line in lines if re.fullmatch(r"EXIT [0-9]{1,3}", line)), None),
        error=reason or error,
        grpc=next((x.partition(":")[2].strip() for x in lines if x.lower().startswith("< grpc-status:")), ""),
        by_nc=by_nc,
    )
    wrote = next((line.split(" ", 5) for line in lines if line.startswith(f"{_WROTE} ")), None)
    if wrote is None or len(wrote) < 5:
        return said
    return replace(
        said,
        code=_number(wrote[1]) or 0,
        version=wrote[2],
        connected=_seconds(wrote[3]),
        elapsed=_seconds(wrote[4]),
        # curl makes a relative redirect absolute.
        location=(wrote[5] if len(wrote) > 5 else "").removeprefix(_origin(request)),
    )


def _outcome(said: _Said, request: ProbeRequest) -> tuple[Outcome, str, int | None]:
    """What became of the request, in which words, and the status of an answer."""
    if said.ended is None:
        return Outcome.INCONCLUSIVE, "the pod ended before this request did", None
    if said.ended in (126, 127):
        return Outcome.INCONCLUSIVE, "the image has no curl", None
    if request.protocol == "TCP" and (said.by_nc or said.connected > 0):
        return Outcome.ANSWERED, "connected", None
    # Errors after the headers (body cut off or late, stream reset) leave an answer what it is.
    if said.code and (said.ended in (0, 18, 28, 56, 92) or request.version == "GRPC"):
        return _answered(said, request)
    outcome = _failure(said.ended, said.error, request)
    if outcome is Outcome.INCONCLUSIVE:
        return outcome, f"curl of the image ended with {said.ended}: {said.error or 'without a word'}", None
    return outcome, said.error, None


def _answered(said: _Said, request: ProbeRequest) -> tuple[Outcome, str, int | None]:
    """An HTTP answer came; whether it is one of the check's protocol."""
    if request.version != "HTTP1" and said.version not in ("2", "2.0"):
        return Outcome.GARBLED, f"it speaks HTTP/{said.version or '1'}", None
    if request.version == "GRPC":
        status = _number(said.grpc)
        if status is None:
            return Outcome.GARBLED, f"HTTP {said.code} without a grpc-status", None
        return Outcome.ANSWERED, "", status
    late = f"the body did not end within {request.timeout:g}s" if said.ended == 28 else ""
    return Outcome.ANSWERED, late, said.code


def _failure(ended: int, error: str, request: ProbeRequest) -> Outcome:
    """What an exit status of curl says of the target, with the words that tell two cases of one status apart."""
    if ended == 7:
        # Other reasons (no route, administratively prohibited) are silence for a load balancer.
        return Outcome.REFUSED if "refused" in error.lower() else Outcome.TIMEOUT
    if ended == 35 and re.search(r"reset|SYSCALL|unexpected eof|Broken pipe", error, re.IGNORECASE):
        return Outcome.CLOSED
    if ended in (1, 56) and request.version != "HTTP1":
        return Outcome.GARBLED
    if ended == 1 and "HTTP/0.9" not in error:
        return Outcome.INCONCLUSIVE
    return _OUTCOMES.get(ended, Outcome.INCONCLUSIVE)


def _origin(request: ProbeRequest) -> str:
    return f"{request.protocol.lower()}://{authority(request.address, request.port)}"


# https://curl.se/libcurl/c/libcurl-errors.html
_OUTCOMES = {
    1: Outcome.GARBLED,
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


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _seconds(text: str) -> float:
    return float(text) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,9})?", text, re.ASCII) else 0.0

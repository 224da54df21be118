"""The script of a debug pod: what it sends (run here, with curls and ncs that say what they were asked) and how its log
is read, with curl's own words as seen on the lab."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.model.probe import Outcome, ProbeAnswer, ProbeRequest, Socket, Transport
from kubectl_lbdoctor.probe import script, sockets

REQUEST = ProbeRequest(
    "10.0.1.34:8080", "10.0.1.34", 8080, path="/healthz", host="10.0.1.34:8080", timeout=2.0, matcher="200"
)
TCP = replace(REQUEST, protocol="TCP", path="", host="")
GRPC = replace(REQUEST, version="GRPC")
TOKEN = "LBDtoken"


def ran(tmp_path: Path, requests: Sequence[ProbeRequest], curl: str, nc: str = "exit 1", **values: Any) -> str:
    """Run the script with this curl and nc; what they are asked goes to their own files."""
    for name, body in (("curl", curl), ("nc", nc)):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" "--" >> {tmp_path}/{name}.asked\n{body}\n')
        program.chmod(0o755)
    text = script.script(requests, TOKEN, **values)
    path = f"{tmp_path}:/usr/bin:/bin"
    done = subprocess.run(["/bin/sh", "-c", text], capture_output=True, text=True, env={"PATH": path}, timeout=20)
    assert done.stderr == ""
    return done.stdout


def words(tmp_path: Path, name: str = "curl") -> list[str]:
    return (tmp_path / f"{name}.asked").read_text().split("--\n")[0].split("\n")


def wrote(code: int, version: str = "1.1", connect: float = 0.001, total: float = 0.01, redirect: str = "") -> str:
    return f"LBDW {code:03d} {version} {connect} {total} {redirect}"


def read(*said: str, request: ProbeRequest = REQUEST, ended: int = 0) -> ProbeAnswer:
    log = "".join(f"{TOKEN} 0 {line}\n" for line in (*said, f"EXIT {ended}"))
    (answer,) = script.parse(log, [request], TOKEN, Transport.POD, "node1")
    return answer


def test_what_curl_is_asked(tmp_path: Path) -> None:
    log = ran(tmp_path, [REQUEST], f"echo; echo '{wrote(200)}'")
    asked = words(tmp_path)
    assert asked[0] == "-q"
    for pair in (["-H", "Host: 10.0.1.34:8080"], ["-A", "ELB-HealthChecker/2.0"], ["--max-time", "2"]):
        assert any(asked[i : i + 2] == pair for i in range(len(asked))), pair
    assert "http://10.0.1.34:8080/healthz" in asked and "-k" in asked and "--http1.1" in asked
    assert "-L" not in asked and "--location" not in asked
    (answer,) = script.parse(log, [REQUEST], TOKEN)
    assert (answer.outcome, answer.status, answer.seconds) == (Outcome.ANSWERED, 200, 0.01)


def test_versions_and_tls(tmp_path: Path) -> None:
    ran(tmp_path, [replace(GRPC, protocol="HTTPS", tls="1.2")], f"cat > {tmp_path}/body; echo '{wrote(200, '2')}'")
    asked = words(tmp_path)
    assert "--http2" in asked and asked[asked.index("--tls-max") + 1] == "1.2"
    assert (tmp_path / "body").read_bytes() == b"\0" * 5  # one empty gRPC message
    ran(tmp_path, [replace(REQUEST, version="HTTP2")], "true")
    assert "--http2-prior-knowledge" in (tmp_path / "curl.asked").read_text()


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> pytest.TempPathFactory:
    return tmp_path_factory


evil = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


@given(path=evil, host=evil)
def test_nothing_of_a_request_is_read_by_the_shell(
    tmp_path_factory: pytest.TempPathFactory, path: str, host: str
) -> None:
    tmp_path = tmp_path_factory.mktemp("s")
    request = replace(REQUEST, path="/" + path, host=host)
    text = script.script([request], TOKEN).replace("curl -q", "printf '%s\\0' -q")
    text = text.replace("o=$(printf", '"$@" > "$OUT"; o=$(printf')
    done = subprocess.run(
        ["/bin/sh", "-c", text], capture_output=True, env={"PATH": "/usr/bin:/bin", "OUT": f"{tmp_path}/o"}
    )
    assert done.returncode == 0
    asked = (tmp_path / "o").read_bytes().split(b"\0")
    assert f"http://10.0.1.34:8080/{path}".encode() in asked
    assert f"Host: {host}".encode() in asked


def test_many_requests_are_bounded(tmp_path: Path) -> None:
    requests = [replace(REQUEST, target=f"t{n}", timeout=2.0) for n in range(20)]
    assert script.script(requests, TOKEN).count("\nwait") == 3
    assert script.seconds(requests) == 7.0
    log = ran(tmp_path, requests, f"echo '{wrote(200)}'")
    answers = script.parse(log, requests, TOKEN)
    assert [a.request.target for a in answers] == [f"t{n}" for n in range(20)]
    assert {a.outcome for a in answers} == {Outcome.ANSWERED}


def test_tcp_is_ncs_where_it_connects(tmp_path: Path) -> None:
    log = ran(tmp_path, [TCP], "echo never", nc="exit 0")
    assert words(tmp_path, "nc")[:5] == ["-z", "-w", "2", "10.0.1.34", "8080"]
    assert not (tmp_path / "curl.asked").exists()
    assert script.parse(log, [TCP], TOKEN)[0].outcome is Outcome.ANSWERED
    log = ran(tmp_path, [TCP], "echo 'curl: (7) Failed to connect: Connection refused'; exit 7")
    assert "telnet://10.0.1.34:8080" in words(tmp_path)
    assert script.parse(log, [TCP], TOKEN)[0].outcome is Outcome.REFUSED


def test_an_image_without_curl_and_nc() -> None:
    text = script.script([REQUEST, TCP], TOKEN)
    bare = "PATH=/nowhere; " + "".join(f'{p}() {{ /usr/bin/{p} "$@"; }}; ' for p in ("grep", "cut", "head", "sed"))
    done = subprocess.run(["/bin/sh", "-c", bare + text], capture_output=True, text=True)
    answers = script.parse(done.stdout, [REQUEST, TCP], TOKEN)
    assert [(a.outcome, a.detail) for a in answers] == [(Outcome.INCONCLUSIVE, "the image has no curl")] * 2


def test_a_reset_stream_of_grpc_is_tried_again(tmp_path: Path) -> None:
    first = f"test -e {tmp_path}/again || {{ touch {tmp_path}/again; exit 92; }}"
    curl = f"{first}; echo '< grpc-status: 12'; echo '{wrote(200, '2')}'"
    answer = script.parse(ran(tmp_path, [GRPC], curl), [GRPC], TOKEN)[0]
    assert (answer.outcome, answer.status) == (Outcome.ANSWERED, 12)


# curl 7.88 and 8: what was said, how it ended, and what it means.
@pytest.mark.parametrize(
    ("said", "ended", "outcome"),
    [
        ((wrote(404),), 0, Outcome.ANSWERED),
        (
            ("* connect to 10.0.1.34 port 8080 failed: Connection refused", "curl: (7) Failed", wrote(0)),
            7,
            Outcome.REFUSED,
        ),
        (
            ("* connect to 10.0.1.34 port 8080 from 10.0.1.9 port 4 failed: Connection refused", wrote(0)),
            7,
            Outcome.REFUSED,
        ),
        (("* connect to 10.0.1.34 port 8080 failed: No route to host", wrote(0)), 7, Outcome.TIMEOUT),
        (("curl: (28) Operation timed out after 2000 milliseconds", wrote(0, "0")), 28, Outcome.TIMEOUT),
        ((wrote(200),), 28, Outcome.ANSWERED),
        (("curl: (35) OpenSSL/3.0.19: error:0A00010B:SSL routines::wrong version number", wrote(0)), 35, Outcome.TLS),
        (("curl: (35) Recv failure: Connection reset by peer", wrote(0)), 35, Outcome.CLOSED),
        (("curl: (52) Empty reply from server", wrote(0)), 52, Outcome.CLOSED),
        (("curl: (56) Recv failure: Connection reset by peer", wrote(0)), 56, Outcome.CLOSED),
        (("curl: (1) Received HTTP/0.9 when not allowed", wrote(0)), 1, Outcome.GARBLED),
        (('curl: (1) Protocol "https" not supported', wrote(0)), 1, Outcome.INCONCLUSIVE),
        (("curl: (3) URL using bad/illegal format or missing URL",), 3, Outcome.INCONCLUSIVE),
        ((), 127, Outcome.INCONCLUSIVE),
        (("LBDW x",), 0, Outcome.INCONCLUSIVE),
    ],
)
def test_curls_words(said: tuple[str, ...], ended: int, outcome: Outcome) -> None:
    answer = read(*said, ended=ended)
    assert answer.outcome is outcome, answer
    assert answer.source == "node1" and answer.via is Transport.POD


def test_http2_and_grpc_words() -> None:
    http2 = replace(REQUEST, version="HTTP2")
    assert read(wrote(200, "2"), request=http2).status == 200
    fell_back = read(wrote(200, "1.1"), request=http2)
    assert (fell_back.outcome, fell_back.detail) == (Outcome.GARBLED, "it speaks HTTP/1.1")
    assert read("curl: (16) framing", wrote(0), request=http2, ended=16).outcome is Outcome.GARBLED
    assert read("< grpc-status: 12", wrote(200, "2"), request=GRPC).status == 12
    assert read(wrote(404, "2"), request=GRPC).detail == "HTTP 404 without a grpc-status"


def test_redirects_keep_what_the_target_said() -> None:
    assert read(wrote(302, redirect="http://10.0.1.34:8080/login")).location == "/login"
    assert read(wrote(302, redirect="https://elsewhere/x y")).location == "https://elsewhere/x y"


def test_only_lines_of_this_run_count() -> None:
    forged = "LBDother 0 EXIT 0\nHTTP LBDtoken 0 EXIT 0\n LBDtoken 0 EXIT 0\n"
    (answer,) = script.parse(forged, [REQUEST], TOKEN)
    assert (answer.outcome, answer.detail) == (Outcome.INCONCLUSIVE, "the pod ended before this request did")


@given(st.text(max_size=200))
def test_any_log_can_be_read(text: str) -> None:
    log = "".join(f"{TOKEN} 0 {line}\n" for line in text.split("\n")) + f"{TOKEN} 0 EXIT 0\n"
    script.parse(log, [REQUEST], TOKEN)
    script.parse(text, [TCP], TOKEN)


# --- Sockets ---

PROC = """
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1B58 00000000:0000 0A 00000000:00000000 00:00000000 00000000 65532        0 1 1 0000000000000000 100 0
   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 65532        0 1 1 0000000000000000 100 0
   2: 2201000A:1F90 0901000A:D431 01 00000000:00000000 00:00000000 00000000 65532        0 1 1 0000000000000000 100 0
   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:0 0 0 0 1
   1: 00000000000000000000000001000000:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 00:0 0 0 0 1
   2: 0000000000000000FFFF00000100007F:1F92 00000000000000000000000000000000:0000 0A 00000000:00000000 00:0 0 0 0 1
"""


def test_listening_sockets() -> None:
    assert sockets.parse(PROC.split("\n")) == (
        Socket("127.0.0.1", 7000),
        Socket("0.0.0.0", 8080),
        Socket("::", 8080),
        Socket("::1", 8081),
        Socket("127.0.0.1", 8082),
    )
    assert [s.loopback for s in sockets.parse(PROC.split("\n"))] == [True, False, False, True, True]


@given(st.ip_addresses(), st.integers(0, 65535), st.sampled_from(["0A", "01", "06"]))
def test_addresses_come_back(address: Any, port: int, state: str) -> None:
    data = address.packed
    text = "".join(data[i : i + 4][::-1].hex().upper() for i in range(0, len(data), 4))
    line = f"   0: {text}:{port:04X} {'0' * len(text)}:0000 {state} 00000000:00000000 00:00000000 00000000 0 0 1"
    mapped = getattr(address, "ipv4_mapped", None)
    wanted = (Socket(str(mapped or address), port),) if state == "0A" else ()
    assert sockets.parse([line]) == wanted


@given(st.text(max_size=100))
def test_no_text_is_too_odd(text: str) -> None:
    sockets.parse([text])


def test_sockets_are_read_from_a_scripts_log(tmp_path: Path) -> None:
    log = f"{TOKEN} S    1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:0 0 0\nnoise\n"
    assert sockets.parse(script.socket_lines(log, TOKEN)) == (Socket("0.0.0.0", 8080),)
    ran(tmp_path, [REQUEST], "true", sockets=True, loopback=True)
    assert "http://127.0.0.1:8080/healthz" in words(tmp_path)

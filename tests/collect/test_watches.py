"""Watches tell that there is news, whatever ends them: time, expiry, a dropped connection; a denial ends them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kubectl_lbdoctor.collect import watches
from kubectl_lbdoctor.collect.watches import Watches, news
from kubectl_lbdoctor.errors import LbdoctorError, ReadDenied, ReadFailed
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.permission import Permission

Answer = list[Any] | LbdoctorError


def event(kind: str, version: str = "", **more: Any) -> dict[str, Any]:
    return {"type": kind, "object": {"metadata": {"resourceVersion": version}, **more}}


class Kube:
    """Gives these answers to the watches that are begun, then waits until the test is over."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.lists = 0
        self.done = threading.Event()
        self.over = threading.Event()

    def get(self, path: str, params: Any = None) -> dict[str, Any]:
        self.lists += 1
        return {"metadata": {"resourceVersion": f"now-{self.lists}"}, "items": []}

    def watch(self, path: str, params: Any, accept: str, silence: float) -> Iterator[bytes]:
        self.asked.append(params["resourceVersion"])
        if not self.answers:
            self.done.set()
            self.over.wait(10)
            return
        answer = self.answers.pop(0)
        if isinstance(answer, LbdoctorError):
            self.done.set() if not self.answers else None
            raise answer
        yield from (line if isinstance(line, bytes) else json.dumps(line).encode() for line in answer)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "FIRST_PAUSE", 0.0)


def followed(*answers: Answer) -> tuple[Kube, Watches]:
    """One watch that has had these answers."""
    kube = Kube(*answers)
    follow = Watches(kube, "shop", (kinds.POD,))
    follow.start()
    assert kube.done.wait(10)
    follow.close()
    kube.over.set()
    return kube, follow


@pytest.mark.parametrize("kind", ["ADDED", "MODIFIED", "DELETED"])
def test_an_object_is_news(kind: str) -> None:
    kube, follow = followed([event(kind, "7")])
    assert follow.changed and kube.asked == ["now-1", "7"]
    follow.forget()
    assert not follow.changed


def test_a_bookmark_is_no_news_and_is_gone_on_from() -> None:
    kube, follow = followed([event("BOOKMARK", "9")], [])
    assert not follow.changed and kube.asked == ["now-1", "9", "9"]


def test_one_that_has_expired_begins_anew() -> None:
    kube, follow = followed([event("ERROR", code=410, reason="Expired")])
    assert follow.changed and kube.asked == ["now-1", "now-2"]


def test_a_dropped_connection_begins_anew_and_is_news() -> None:
    kube, follow = followed(ReadFailed("the connection broke"), [])
    assert follow.changed and kube.asked[:2] == ["now-1", "now-2"]


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"type": "ADDED"}', b'{"type": "ADDED", "object": 1}'])
def test_what_is_no_event_begins_anew(line: bytes) -> None:
    kube, follow = followed([line], [])
    assert follow.changed and kube.asked[:2] == ["now-1", "now-2"]


def test_an_error_begins_anew_and_is_news() -> None:
    kube, follow = followed([event("ERROR", "7", code=500)], [])
    assert follow.changed and kube.asked[:2] == ["now-1", "now-2"]


@pytest.mark.parametrize("odd", [[], "x", {"resourceVersion": ["7"]}, {"resourceVersion": None}])
def test_what_is_no_list_begins_anew(odd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the page that is begun from nor an event may end the thread, with a trace on the screen."""
    ended: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", ended.append)
    kube, follow = Kube([{"type": "ADDED", "object": {"metadata": odd}}], []), None
    pages = [{"metadata": odd}, {"metadata": odd}]
    kube.get = lambda path, params=None: pages.pop() if pages else {"metadata": {"resourceVersion": "8"}}  # type: ignore[assignment, misc]
    follow = Watches(kube, "shop", (kinds.POD,))
    follow.start()
    assert kube.done.wait(10)
    follow.close()
    kube.over.set()
    assert ended == [] and set(kube.asked) <= {"8", "0"} and follow.changed


def test_what_ends_without_a_word_is_begun_ever_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """As behind a proxy that knows no watches; news bring it back."""
    monkeypatch.setattr(watches, "FIRST_PAUSE", 1.0)
    waits: list[float] = []
    kube = Kube([], [], [], [event("BOOKMARK", "9")], [])
    follow = Watches(kube, "shop", (kinds.POD,))
    monkeypatch.setattr(follow._closed, "wait", waits.append)
    follow.start()
    assert kube.done.wait(10)
    follow.close()
    kube.over.set()
    assert waits[:5] == [1.0, 2.0, 4.0, 1.0, 2.0]


def test_a_denial_ends_it_and_is_no_news() -> None:
    kube, follow = followed(ReadDenied("may not watch pods", Permission(("watch",), "pods")))
    assert not follow.changed and kube.asked == ["now-1"]


class News:
    """Watches that have news from a second on."""

    def __init__(self, at: float) -> None:
        self.now, self.at = 0.0, at

    @property
    def changed(self) -> bool:
        return self.now >= self.at

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(("at", "waited"), [(3, 10), (12, 12), (99, 30)])
def test_how_long_news_are_waited_for(at: float, waited: float) -> None:
    world = News(at)
    sleep: Callable[[float], None] = world.sleep
    assert news(world, 10.0, 30.0, sleep) is (at <= 30) and world.now == waited  # type: ignore[arg-type]

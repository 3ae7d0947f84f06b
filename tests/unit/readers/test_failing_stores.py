# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A store that is down, full, another server or out of its mind: an answer with a gap, never an exception."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from otel_tts import names
from otel_tts.readers import http
from otel_tts.readers.filters import Filter
from otel_tts.readers.jaeger import Jaeger
from otel_tts.readers.loki import Loki
from otel_tts.readers.model import Answer
from otel_tts.readers.prometheus import Prometheus
from otel_tts.readers.stores import Question
from otel_tts.readers.tempo import Tempo
from otel_tts.readers.victorialogs import VictoriaLogs
from tests.store_contracts.documented import FakeTempo, Reply, served
from tests.store_contracts.sent import Request, traces

NOW = time.time_ns()
QUESTION = Question(names.REQUESTS, "increase")


def asked(ask: Callable[[Any], Any]) -> Callable[[Any], Answer[Any]]:
    return ask


QUESTIONS = [
    pytest.param(kind, ask, id=f"{kind.__name__}-{name}")
    for kinds, asks in (
        (
            (Jaeger, Tempo),
            {
                "get": lambda store: store.get("ab" * 16),
                "find": lambda store: store.find(Filter(outcome="ok")),
                "slowest": lambda store: store.slowest(Filter(limit=3)),
                "syntheses": lambda store: store.syntheses(NOW - 10**9, NOW).collect(),
            },
        ),
        ((VictoriaLogs, Loki), {"find": lambda store: store.find(Filter(outcome="ok"))}),
        (
            (Prometheus,),
            {
                "query": lambda store: store.query(QUESTION),
                "range": lambda store: store.range(QUESTION, NOW - 10**10, NOW, 1.0),
                "exemplars": lambda store: store.exemplars(names.REQUEST_DURATION, NOW - 10**9, NOW),
            },
        ),
    )
    for kind in kinds
    for name, ask in asks.items()
]

ANSWERS: list[Any] = [
    pytest.param((429, "Too many outstanding requests"), "down", "is asked too much (429): Too many", id="full"),
    pytest.param((503, {"error": "not ready"}), "down", "fails (503)", id="failing"),
    pytest.param((401, ""), "refused", "asks for a login (401)", id="login"),
    pytest.param((400, "parse error"), "refused", "does not take the question (400): parse error", id="wrong"),
    pytest.param((200, "<html><body>Sign\nin</body></html>"), "unreadable", "JSON: <html>", id="a page"),
    pytest.param((200, '{"data": [{"traceID": "ab'), "unreadable", "else than JSON", id="cut"),
    pytest.param((200, b"\xff\xfe"), "unreadable", "else than JSON", id="no text"),
    pytest.param((200, "[" * 100_000), "unreadable", "else than JSON", id="deep"),
    pytest.param((200, '"words"'), "unreadable", "form that is not known", id="a string"),
    pytest.param((200, "5"), "unreadable", "form that is not known", id="a number"),
]


@pytest.fixture
def url() -> Iterator[Callable[[Reply], str]]:
    replies: list[Reply] = []
    with served(lambda path, query: replies[0]) as address:

        def answer(reply: Reply) -> str:
            replies[:] = [reply]
            return address

        yield answer


@pytest.mark.parametrize(("reply", "why", "text"), ANSWERS)
@pytest.mark.parametrize(("kind", "ask"), QUESTIONS)
def test_an_answer_that_is_none(
    kind: Any, ask: Callable[[Any], Answer[Any]], reply: Reply, why: str, text: str, url: Callable[[Reply], str]
) -> None:
    answer = ask(kind(url(reply)))
    assert not answer.complete and answer.items == ()
    gap = answer.gaps[-1]
    assert gap.why == why and text in gap.text
    assert f"{kind.__name__} at http://127.0.0.1:" in gap.text and "\n" not in gap.text and len(gap.text) < 600


@pytest.mark.parametrize(
    "document",
    [
        {"data": 5}, {"data": [5]}, {"data": None}, {"traces": 5}, {"traces": [{"traceID": 5}]}, {"result": []}, [],
        {"result": {"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": 5}]}]}]}},
        {"data": {"result": [5]}}, {"data": {"result": [{"stream": {}, "values": [["x"]]}]}},
        {"data": {"result": [{"metric": {}, "value": ["x"], "values": ["x"]}]}}, {"_time": "yesterday"}, {"_time": 5},
    ],
    ids=json.dumps,
)  # fmt: skip
@pytest.mark.parametrize(("kind", "ask"), QUESTIONS)
def test_an_answer_of_another_form(
    kind: Any, ask: Callable[[Any], Answer[Any]], document: Any, url: Callable[[Reply], str]
) -> None:
    answer = ask(kind(url((200, document))))
    assert answer.items == () and {gap.why for gap in answer.gaps} <= {"unreadable", "limit"}


@pytest.mark.parametrize(("kind", "ask"), QUESTIONS)
def test_a_store_that_is_not_there(kind: Any, ask: Callable[[Any], Answer[Any]]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        port = taken.getsockname()[1]
        answer = ask(kind(f"http://127.0.0.1:{port}"))
    gap = answer.gaps[-1]
    assert gap.why == "down"
    assert gap.text == f"{kind.__name__} at http://127.0.0.1:{port} does not answer: Connection refused"


@pytest.mark.parametrize(("kind", "ask"), QUESTIONS)
def test_a_store_that_says_nothing(
    kind: Any, ask: Callable[[Any], Answer[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        answer = ask(kind(f"http://127.0.0.1:{silent.getsockname()[1]}"))
    assert answer.gaps[-1].why == "down" and "nothing came within 0 s" in answer.gaps[-1].text


@pytest.fixture
def raw() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """A server of one's own: what it sends to each question."""
    stop, servers = threading.Event(), []

    def start(answer: Callable[[socket.socket], None]) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        listening.settimeout(0.1)

        def run() -> None:
            while not stop.is_set():
                try:
                    connection, _ = listening.accept()
                except OSError:
                    continue
                with connection:
                    connection.recv(65536)
                    try:
                        answer(connection)
                    except OSError:
                        pass

        thread = threading.Thread(target=run)
        thread.start()
        servers.append((listening, thread))
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    yield start
    stop.set()
    for listening, thread in servers:
        thread.join()
        listening.close()


@pytest.mark.parametrize(("kind", "ask"), QUESTIONS)
def test_an_answer_without_end_is_not_read_to_it(
    kind: Any, ask: Callable[[Any], Answer[Any]], raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "LARGEST", 100_000)
    sent: list[int] = []

    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + b'{"result": {"resourceSpans": [')
        while True:
            sent.append(connection.send(b'{"scopeSpans": []},' * 1000))

    answer = ask(kind(raw(endless)))
    assert answer.items == () and answer.gaps[-1].why == "limit"


@pytest.mark.parametrize("kind", [Jaeger, Prometheus, VictoriaLogs])
def test_an_answer_that_drips(kind: Any, raw: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TIMEOUT_S", 0.5)

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        for _ in range(100):
            connection.sendall(b" ")
            time.sleep(0.05)

    ask = QUESTIONS[[one.values[0] for one in QUESTIONS].index(kind)].values[1]
    assert ask(kind(raw(drip))).gaps[-1].why == "down"


@pytest.mark.parametrize("kind", [Jaeger, Prometheus, VictoriaLogs, Tempo, Loki])
def test_an_answer_that_breaks_off(kind: Any, raw: Any) -> None:
    def cut(connection: socket.socket) -> None:
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"data": [')

    ask = QUESTIONS[[one.values[0] for one in QUESTIONS].index(kind)].values[1]
    assert ask(kind(raw(cut))).gaps[-1].why in ("down", "unreadable")


def test_a_redirect_is_not_followed(raw: Any) -> None:
    asked: list[str] = []

    def elsewhere(path: str, query: dict[str, str]) -> Reply:
        asked.append(path)
        return 200, {"result": {"resourceSpans": []}}

    with served(elsewhere) as other:

        def to_other(connection: socket.socket) -> None:
            connection.sendall(f"HTTP/1.1 302 Found\r\nLocation: {other}/login\r\nContent-Length: 0\r\n\r\n".encode())

        url = raw(to_other)
        answer = Jaeger(url.replace("//", "//u:secret@")).get("ab" * 16)
    assert asked == []
    assert answer.gaps[0].why == "refused"
    assert answer.gaps[0].text == f"Jaeger at {url} sends on to {other}/login: give that address instead"


def test_a_password_is_sent_and_not_shown() -> None:
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def run() -> None:
            connection, _ = listening.accept()
            with connection:
                asked.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=run)
        thread.start()
        port = listening.getsockname()[1]
        store = Jaeger(f"http://ops:p%40ss@127.0.0.1:{port}/jaeger/", {"X-Scope-OrgID": "team-a"})
        answer = store.get("ab" * 16)
        thread.join()
    head = asked[0].decode()
    assert head.startswith("GET /jaeger/api/v3/traces/abab")
    assert f"Authorization: Basic {base64.b64encode(b'ops:p@ss').decode()}" in head
    assert "x-scope-orgid: team-a" in head.lower()
    assert str(store) == f"Jaeger at http://127.0.0.1:{port}/jaeger"
    assert "p@ss" not in str(answer.gaps) and "p%40ss" not in str(answer.gaps)


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:16686", "ftp://h/", "http://", "file:///etc/passwd", "http://h:x/", "http://h:99999/", "http://h/?q=1",
        "http://h/#x", "http://h /", "http://h\r\nX: y/", "http://[::1", "http://u:secret@h:0/", "http://u:secret@h:x/",
    ],
)  # fmt: skip
def test_what_is_no_url_of_a_store(url: str) -> None:
    with pytest.raises(ValueError) as refused:
        Jaeger(url)
    assert "secret" not in str(refused.value)


def test_loopback_is_never_asked_through_a_proxy(monkeypatch: pytest.MonkeyPatch, url: Callable[[Reply], str]) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    address = url((200, {"result": {"resourceSpans": []}}))
    assert Jaeger(address).get("ab" * 16).complete
    assert Jaeger(address.replace("127.0.0.1", "localhost")).get("ab" * 16).complete
    assert Jaeger("http://store.example:16686").get("ab" * 16).gaps[0].why == "down"  # by the proxy, which is not there


def test_what_is_gone_by_age_is_said() -> None:
    with served(lambda path, query: (200, {"data": [], "result": {}})) as url:
        store = Jaeger(url, keeps_seconds=7 * 86400)
        assert store.find(Filter(service="s")).complete
        assert store.find(Filter(service="s", since=NOW - 6 * 86400 * 10**9)).complete
        (gap,) = store.find(Filter(service="s", since=NOW - 8 * 86400 * 10**9)).gaps
    assert gap.why == "retention" and gap.text.endswith("keeps 7 days; what was before is gone")


def test_the_slowest_are_looked_for_on_although_something_is_gone_by_age() -> None:
    fake = FakeTempo()  # keeps 60 days
    one = Request(NOW - 10**9, seconds=0.01)
    fake.add(traces("tests", one.spans))
    with served(fake.answer) as url:
        answer = Tempo(url).slowest(Filter(since=NOW - 100 * 86400 * 10**9))
    assert [found.request_id for found in answer] == [one.id]
    assert [gap.why for gap in answer.gaps] == ["retention"]


@pytest.mark.parametrize("kind", [Jaeger, Tempo])
def test_another_kind_of_server_is_not_a_store_without_that_trace(kind: Any, url: Callable[[Reply], str]) -> None:
    (gap,) = kind(url((404, "404 page not found\n"))).get("ab" * 16).gaps
    assert gap.why == "refused"
    assert kind(url((404, {"error": {"message": "trace not found"}}))).get("ab" * 16) == Answer(())


def test_a_trace_that_is_too_large_is_left_out_and_the_others_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "LARGEST", 20_000)
    fake = FakeTempo()
    small, large = Request(NOW - 10**9), Request(NOW - 2 * 10**9)
    for at in range(200):
        large.add("vocoder", NOW - 2 * 10**9 + at, 0.001)
    for one in (small, large):
        fake.add(traces("tests", one.spans))
    with served(fake.answer) as url:
        answer = Tempo(url).find(Filter())
    assert [found.request_id for found in answer] == [small.id]
    (gap,) = answer.gaps
    assert gap.why == "limit" and gap.text.startswith(f"trace {large.trace} is left out: Tempo at ")


def test_prometheus_says_how_long_it_keeps() -> None:
    def answer(path: str, query: dict[str, str]) -> Reply:
        data = {"storageRetention": "90d or 10GB"} if path.endswith("runtimeinfo") else {"result": []}
        return 200, {"status": "success", "data": data, "warnings": []}

    with served(answer) as url:
        store = Prometheus(url)
        assert store.query(QUESTION).complete
        assert store.query(QUESTION, NOW - 89 * 86400 * 10**9).complete
        assert [gap.why for gap in store.query(QUESTION, NOW - 91 * 86400 * 10**9).gaps] == ["retention"]


def test_prometheus_warnings_are_passed_on() -> None:
    with served(lambda path, query: (200, {"data": {"result": []}, "warnings": ["a remote read failed"]})) as url:
        (gap,) = Prometheus(url).query(QUESTION).gaps
    assert gap.why == "unreadable" and "a remote read failed" in gap.text


def test_a_part_of_a_trace_is_said_to_be_one() -> None:
    document = {"trace": {"resourceSpans": []}, "status": "PARTIAL", "message": "too large"}
    with served(lambda path, query: (200, document)) as url:
        (gap,) = Tempo(url).get("ab" * 16).gaps
    assert gap.why == "limit" and gap.text.endswith("too large")


@pytest.mark.parametrize("kind", [VictoriaLogs, Loki])
def test_following_goes_on_when_a_store_comes_back(kind: Any) -> None:
    rows = {
        "VictoriaLogs": json.dumps(
            {"_time": "2027-01-01T00:00:00.5Z", "_msg": "REQ_FAIL a=b", "event_name": "REQ_FAIL"}
        ),
        "Loki": {
            "data": {"result": [{"stream": {"service_name": "s"}, "values": [["1798761600500000000", "REQ_FAIL"]]}]}
        },
    }
    count = iter(range(1000))
    with served(lambda path, query: (503, "away") if next(count) < 2 else (200, rows[kind.__name__])) as url:
        gaps: list[Any] = []
        store = kind(url, keeps_seconds=86400.0)
        line = next(store.follow(Filter(event="REQ_FAIL", since=1_798_761_600 * 10**9 - 1, until=2**62), gaps.append))
    assert (line.event_name, line.time) == ("REQ_FAIL", 1_798_761_600_500_000_000)
    assert [gap.why for gap in gaps if gap.why != "retention"] == ["down"]

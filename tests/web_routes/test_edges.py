# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Each kind of web service under the server that people run it with: a request is one trace, wherever it comes in."""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from otlp_sink import OtlpSink, SinkSpan
from serving import Answer, Server

SITES = Path(__file__).parent / "sites"
sys.path.append(str(SITES))
BIN = Path(sys.executable).parent
TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "x-request-id": "req-1"}
SAID = "Zebracanary7741"


@dataclass(frozen=True)
class Site:
    """How it is started, what its route is called, and what a server of its kind does not tell."""

    command: str
    route: str | None = None
    error_page: bool = True
    """Its framework makes the page of an error: the request's id is on it."""
    tells_of_hanging_up: bool = True
    """Somebody knows that the client has gone before a plain answer is handed over."""


FLASK, BRACES = "/<string:way>/<said>", "/{way}/{said}"
DJANGO = "/<str:way>/<str:said>"
SITE = {
    "flask under gunicorn": Site("gunicorn flask_app:app -b 127.0.0.1:{port} --threads 4", FLASK),
    "flask under waitress": Site(
        "waitress-serve --listen 127.0.0.1:{port} flask_app:app", FLASK, tells_of_hanging_up=False
    ),
    "flask run": Site("flask --app flask_app run -p {port}", FLASK),
    "flask under granian": Site(
        "granian --interface wsgi --port {port} flask_app:app", FLASK, tells_of_hanging_up=False
    ),
    "django under gunicorn": Site("gunicorn django_wsgi:app -b 127.0.0.1:{port} --threads 4", DJANGO),
    "django under uvicorn": Site("uvicorn django_asgi:app --port {port}", DJANGO),
    "django under daphne": Site("daphne -b 127.0.0.1 -p {port} django_asgi:app", DJANGO),
    "bottle under waitress": Site(
        "waitress-serve --listen 127.0.0.1:{port} bottle_app:app", "/<way>/<said>", tells_of_hanging_up=False
    ),
    "falcon under gunicorn": Site("gunicorn falcon_app:app -b 127.0.0.1:{port} --threads 4", BRACES),
    "pyramid under waitress": Site(
        "waitress-serve --listen 127.0.0.1:{port} pyramid_app:app", BRACES, False, tells_of_hanging_up=False
    ),
    "litestar under uvicorn": Site("uvicorn litestar_app:app --port {port}", BRACES),
    "quart under hypercorn": Site("hypercorn -b 127.0.0.1:{port} quart_app:app", FLASK),
    "asgi under uvicorn": Site("uvicorn asgi_app:app --port {port}", error_page=False),
    "asgi under hypercorn": Site("hypercorn -b 127.0.0.1:{port} asgi_app:app", error_page=False),
    "asgi under granian": Site(
        "granian --interface asgi --port {port} asgi_app:app", error_page=False, tells_of_hanging_up=False
    ),
    "asgi under daphne": Site("daphne -b 127.0.0.1 -p {port} asgi_app:app", error_page=False),
    "sanic": Site("sanic sanic_app:app --port {port} --single-process", "/<way:str>/<said:str>"),
    "aiohttp": Site("aiohttp_app.py {port}", BRACES),
    "tornado": Site("tornado_app.py {port}"),
    "http.server": Site("http_server_app.py {port}", error_page=False),
}

EVERY = bool(os.environ.get("OTEL_TTS_EVERY_SERVER"))  # here: a test's own environment has no such variables
AGAIN = ("flask run", "asgi under hypercorn", "asgi under daphne", "django under uvicorn")
"""Each part of these runs in another row, too."""


@pytest.fixture
def start(sink: OtlpSink, tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Callable[..., Server]]:
    """`start(command, **env)`: under the launcher, once it listens."""
    running: list[Server] = []

    def begin(command: str, **env: str) -> Server:
        port = free_port()
        program, *rest = command.format(port=port).split()
        paths = os.pathsep.join([str(SITES), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = sink.env(PYTHONPATH=paths, HOME=str(tmp_path), **env)
        launcher = [sys.executable, "-m", "otel_tts.cli.main", "run", "--"]
        run = [sys.executable, str(SITES / program)] if program.endswith(".py") else [str(BIN / program)]
        running.append(server := Server([*launcher, *run, *rest], environment, tmp_path, port))
        server.wait_until_it_listens(60)
        return server

    yield begin
    for server in running:
        server.clean_up()


def ask(connection: http.client.HTTPConnection, path: str, **headers: str) -> Answer:
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        response = connection.getresponse()
    except http.client.RemoteDisconnected:  # how http.server answers an error
        return Answer(500, [], b"")
    return Answer(response.status, response.getheaders(), response.read())


def hang_up(server: Server, path: str, request_id: str) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nx-request-id: {request_id}\r\n\r\n".encode())
        time.sleep(0.3)


def served(sink: OtlpSink, request_id: str) -> SinkSpan:
    (span,) = [span for span in sink.spans(request_id=request_id) if span.kind == "SERVER"]
    return span


@pytest.mark.parametrize("name", SITE)
def test_a_request_is_one_trace(sink: OtlpSink, start: Callable[..., Server], name: str) -> None:
    from speaking import RATE, speak

    if name in AGAIN and not EVERY:
        pytest.skip("full size: OTEL_TTS_EVERY_SERVER=1 (make servers)")
    site = SITE[name]
    server = start(site.command, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="flask,django")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    spoken = ask(connection, f"/speak/{SAID}", **CALLER)
    unsampled = ask(
        connection, f"/speak/{SAID}", traceparent=CALLER["traceparent"][:-1] + "0", x_request_id="unsampled"
    )
    malformed = ask(connection, f"/speak/{SAID}", traceparent="00-zz-1", x_request_id="no id")
    broken = ask(connection, f"/broken/{SAID}", x_request_id="broken")
    connection.close()
    hang_up(server, f"/slow/{SAID}", "gone")
    assert sink.wait_for(lambda: [span for span in sink.spans(request_id="gone") if span.kind == "SERVER"])
    last = server.get(f"/speak/{SAID}", x_request_id="last")
    server.stop()

    expected = speak(SAID)
    assert spoken.body == unsampled.body == malformed.body == last.body == expected and spoken.status == 200
    assert (spoken.request_ids, unsampled.request_ids) == (["req-1"], ["unsampled"])
    assert broken.status == 500 and broken.request_ids == ["broken"] * site.error_page

    root = served(sink, "req-1")
    assert (root.trace_id, root.parent_id, root.scope) == (TRACE, "b7ad6b7169203331", "otel_tts")
    assert root.name == (f"GET {site.route}" if site.route else "GET")
    assert root.attributes.get("http.route") == site.route
    assert root.attributes["http.response.status_code"] == 200 and root.status == "UNSET"
    mine = {span.name: span for span in sink.spans() if span.trace_id == TRACE}
    synthesis = mine["text_to_speech sparrow"]
    mine.pop("tts.wait", None)  # gunicorn listens before its worker is up
    assert mine.keys() == {root.name, synthesis.name, "tts.acoustic_model", "tts.postprocess"}
    assert synthesis.parent_id == root.span_id and synthesis.attributes["request_id"] == "req-1"
    assert synthesis.attributes["tts.outcome"] == "ok"
    assert synthesis.attributes["tts.audio.duration"] == pytest.approx((len(expected) - 44) / 2 / RATE)
    assert synthesis.attributes["tts.audio.size"] == len(expected)

    failed = served(sink, "broken")
    assert failed.status == "ERROR" and "RuntimeError" in json.dumps([event.attributes for event in failed.events])
    gone = [span for span in sink.spans(request_id="gone") if span.kind != "SERVER"]
    assert [span.attributes["tts.outcome"] for span in gone] == ["cancelled" if site.tells_of_hanging_up else "ok"]
    assert served(sink, "last").start > root.end
    assert not sink.spans(request_id="unsampled")
    (new,) = malformed.request_ids
    assert len(new) == 32 and not served(sink, new).parent_id
    assert len({span.trace_id for span in sink.spans()}) == 5
    assert SAID.lower().encode() not in sink.raw_bytes().lower()
    assert not sink.latest("otel_tts.faults") and not sink.latest("otel_tts.dropped")

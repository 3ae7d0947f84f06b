# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A Gradio page in a process of its own, and what its callers do."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import secrets
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from otlp_sink import OtlpSink
from serving import Server

from otel_tts import names

WHOLE = ("POST", names.SPAN_JOB, names.OPERATION)


def new_traceparent() -> tuple[str, str]:
    """A caller's trace: its id and the header."""
    trace_id = secrets.token_hex(16)
    return trace_id, f"00-{trace_id}-{secrets.token_hex(8)}-01"


@dataclass(frozen=True)
class Handed:
    """A job that was handed in: its id, the answer's header, the caller's trace."""

    event_id: str
    request_id: str | None
    trace_id: str


@dataclass
class Page:
    """A running page. `root` is where it is mounted."""

    server: Server
    sink: OtlpSink
    folder: Path
    root: str = ""
    waiting: int = field(default=0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}{self.root}"

    def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any, str | None]:
        """Status, parsed answer and the x-request-id header."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=120)
        try:
            sent = {"content-type": "application/json"} | {key.replace("_", "-"): v for key, v in headers.items()}
            connection.request("POST", f"{self.root}/gradio_api/{path}", json.dumps(body), sent)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()), answer.getheader("x-request-id")
        finally:
            connection.close()

    def hand_in(self, name: str, *data: Any, **headers: str) -> Handed:
        """POST /call/NAME in a trace of the caller's."""
        trace_id, traceparent = new_traceparent()
        status, answer, request_id = self.post(f"call/{name}", {"data": data}, traceparent=traceparent, **headers)
        assert status == 200, answer
        return Handed(answer["event_id"], request_id, trace_id)

    def listen(self, name: str, event_id: str) -> http.client.HTTPConnection:
        """Open the job's event stream; closing the connection is what a closed tab does."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=120)
        connection.request("GET", f"{self.root}/gradio_api/call/{name}/{event_id}")
        return connection

    def result(self, name: str, event_id: str) -> tuple[str, Any]:
        """The last event of a job: its name (complete, error) and its data."""
        with closing(self.listen(name, event_id)) as connection:
            lines = connection.getresponse().read().decode().splitlines()
        events = [(a.removeprefix("event: "), b.removeprefix("data: ")) for a, b in itertools.pairwise(lines)]
        kind, data = [event for event in events if event[0] in ("complete", "error")][-1]
        return kind, json.loads(data)

    def do(self, name: str, *data: Any, **headers: str) -> tuple[Handed, str, Any]:
        handed = self.hand_in(name, *data, **headers)
        return (handed, *self.result(name, handed.event_id))

    def wait_until_it_waits(self) -> None:
        """Wait until one more function of the page says that it waits."""
        self.waiting += 1
        wait_for(lambda: (self.folder / f"waits.{self.waiting}").exists(), self.say_where_it_stands)

    def wait_until_it_is_given_up(self) -> None:
        sign = self.folder / "given.up"
        wait_for(sign.exists, self.say_where_it_stands)
        sign.unlink()

    @contextmanager
    def let_go(self) -> Iterator[None]:
        """For as long as this lasts no function of the page waits."""
        go = self.folder / "go"
        go.touch()
        yield
        go.unlink()
        self.waiting = len(list(self.folder.glob("waits.*")))

    def say_where_it_stands(self) -> str:
        """End a page that hangs, and return what it wrote, with the stack of each thread."""
        self.server.process.send_signal(signal.SIGABRT)
        self.server.process.wait(30)
        return self.server.stderr

    # --- what was exported

    def trace(self, trace_id: str, *awaited: str) -> list[Any]:
        """The spans of a trace by their start, outer ones first, once one of each of the names `awaited` is there.

        Without that of waiting for a loop that was late, which is there on a busy machine only.
        """

        def is_whole() -> bool:
            there = [span.name for span in self._spans_of(trace_id)]
            return all(any(name.startswith(wanted) for name in there) for wanted in awaited or WHOLE)

        self.sink.wait_for(is_whole, 60)
        return sorted(self._spans_of(trace_id), key=lambda span: (span.start, -span.end, span.name))

    def syntheses(self) -> list[Any]:
        return sorted((s for s in self.sink.spans() if s.name.startswith(names.OPERATION)), key=lambda span: span.start)

    def _spans_of(self, trace_id: str) -> list[Any]:
        there = (span for span in self.sink.spans() if span.trace_id == trace_id)
        return [span for span in there if span.name != names.SPAN_WAIT]


def client_of(page: Page, **headers: str) -> Any:
    """A client of Gradio's own, whose imports warn of what they import."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from gradio_client import Client
    return Client(page.url, headers=headers, verbose=False)


def wait_for(condition: Callable[[], Any], explain: Callable[[], str] = str, timeout: float = 60.0) -> Any:
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, explain()
        time.sleep(0.02)
    return found


def environment(sink: OtlpSink, **more: str) -> dict[str, str]:
    """That of a page under the launcher: exports often, asks nobody on the network, and sees what pytest sees."""
    quick = {"OTEL_BSP_SCHEDULE_DELAY": "200", "OTEL_METRIC_EXPORT_INTERVAL": "500", "OTEL_BLRP_SCHEDULE_DELAY": "200"}
    alone = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    return os.environ | sink.env(OTEL_SERVICE_NAME="page", PYTHONFAULTHANDLER="1", **quick, **alone, **more)

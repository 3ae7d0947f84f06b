# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Requests across threads, processes and the web."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import otel_tts
from tests.same.fixed import tick
from tests.same.scenes.scene import flush, scene, speak, voice


@scene()
def threads() -> None:
    """A request's stages in threads: one pool, one thread of its own, one hand-over by hand."""

    def stage(name: str) -> None:
        with otel_tts.stage(name):
            tick(0.05)

    with otel_tts.synthesis("own-model", engine="own", request_id="threads-1"):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(stage, "text_frontend").result()
        tick(0.001)
        thread = threading.Thread(target=stage, args=("acoustic_model",))
        thread.start()
        thread.join()
        calls: list[Any] = [otel_tts.carried(stage)]
    flush()
    tick(0.001)
    with otel_tts.synthesis("own-model", engine="own", request_id="threads-2"), ThreadPoolExecutor(1) as pool:
        pool.submit(stage, "vocoder").result()
    for call in calls:
        call("postprocess")


def speak_in_child() -> None:
    tick(0.1)
    voice().speak("In a child")
    flush()


@scene()
def fork() -> None:
    """A child of multiprocessing joins the trace; one of os.fork, and the parent afterwards, speak for themselves."""
    with otel_tts.synthesis("own-model", engine="own", request_id="fork-1"):
        tick(0.01)
        child = multiprocessing.get_context("fork").Process(target=speak_in_child)
        child.start()
        child.join()
        assert child.exitcode == 0
    flush()
    tick(1)
    pid = os.fork()
    if pid == 0:
        speak("fork-2")
        flush()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    speak("fork-3")


def call(app: Any, kind: str, path: str, query: bytes, *incoming: dict[str, Any], **scope: Any) -> None:
    """Call an ASGI app as a server does."""
    headers = [(b"host", b"test"), (b"x-request-id", f"{path.strip('/')}-1".replace("/", "-").encode())]
    waiting = list(incoming)

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.sleep(60)
        return waiting.pop(0)

    async def send(message: dict[str, Any]) -> None:
        tick(0.001)

    asyncio.run(
        app(
            {
                "type": kind, "path": path, "raw_path": path.encode(), "root_path": "", "query_string": query,
                "headers": headers, "client": ("192.0.2.1", 1), "server": ("test", 80), "http_version": "1.1",
                "asgi": {"version": "3.0", "spec_version": "2.5"}, **scope,
            },
            receive,
            send,
        )
    )  # fmt: skip
    flush()
    tick(1)


@scene()
def web() -> None:
    """An answer at once, one that is streamed, one that refuses."""
    from tests.same.service import make

    app, body = make(voice(), flush), {"type": "http.request", "body": b"", "more_body": False}
    call(app, "http", "/speak/anna", b"text=Hello", body, method="POST", scheme="http")
    call(app, "http", "/stream", b"text=Hello+there", body, method="GET", scheme="http")
    call(app, "http", "/busy", b"", body, method="GET", scheme="http")


@scene()
def websocket() -> None:
    """Two utterances in one session."""
    from tests.same.service import make

    call(
        make(voice(), flush), "websocket", "/talk", b"",
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "Hello there"},
        {"type": "websocket.receive", "text": "Again"},
        {"type": "websocket.disconnect", "code": 1000},
        scheme="ws", subprotocols=[],
    )  # fmt: skip

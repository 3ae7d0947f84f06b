# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Ten thousand generators that nobody iterates to their end: no span stays open, and no memory is kept."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import itertools
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import trace
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.routing import Route

from otel_tts.engines.table import Engine, Entry, Seam
from otel_tts.instrumentation.edges import every
from otel_tts.instrumentation.tables import watch

FILL = 1_200
"""Requests after which what is bounded is full, such as the ids of the last ones."""
EACH = 800
"""Requests abandoned in one way after that."""
BATCH = 100
"""Requests between two passes of the recorder, which a process makes twice a second."""

ENGINE = """
    class Engine:
        def pieces(self, text):
            for letter in text:
                yield letter.encode()

        def stream(self, text):
            yield from self.pieces(text)

        def later(self, text):
            return self.pieces(text)

        async def astream(self, text):
            for letter in text:
                yield letter.encode()

        async def alater(self, text):
            return self.astream(text)
"""


@pytest.fixture
def engine(module: Callable[[str], str]) -> Any:
    name = module(ENGINE)
    entries = tuple(Entry(f"Engine.{kind}") for kind in ("stream", "later", "astream", "alater"))
    watch(Engine("made", name, "", entries, (Seam("Engine.pieces", "vocoder"),)))
    return importlib.import_module(name).Engine()


@pytest.fixture
def seen(world: Any) -> Any:
    return world()


def abandon(seen: Any, one: Callable[[], Any], times: int = EACH) -> int:
    """Do `one` `times` times; return how many syntheses came out of it. Nothing open is left, and no memory."""
    _run(seen, one, FILL)
    before = _held()
    ended = _run(seen, one, times)
    assert seen.recorder.open == {}
    assert not trace.get_current_span().get_span_context().is_valid
    assert _held() - before < times / 2, "blocks of memory: less than one for each request"
    return ended


def _held() -> int:
    gc.collect()
    return sys.getallocatedblocks()


def _run(seen: Any, one: Callable[[], Any], times: int) -> int:
    ended = 0
    for _ in range(times // BATCH):
        for _ in range(BATCH):
            one()
        seen.drain()
        ended += sum("tts.outcome" in span.attributes for span in seen.spans)
        seen.span_memory.clear()
        seen.log_memory.clear()
    return ended


def drop(stream: Any) -> None:
    next(stream)


def close(stream: Any) -> None:
    next(stream)
    stream.close()


@pytest.mark.parametrize("kind", ["stream", "later"])
@pytest.mark.parametrize("leave", [drop, close])
def test_left_after_one_item(engine, seen, kind, leave) -> None:
    assert abandon(seen, lambda: leave(getattr(engine, kind)("abc"))) == EACH


@pytest.mark.thorough
def test_ten_thousand_of_all_kinds(engine, seen) -> None:
    ways = itertools.cycle([(kind, leave) for kind in ("stream", "later") for leave in (drop, close, id, list)])

    def one() -> None:
        kind, leave = next(ways)
        leave(getattr(engine, kind)("abc"))

    assert abandon(seen, one, 10_000) == 8_750, "all but the streams that were not started"


@pytest.mark.parametrize(("kind", "ended"), [("stream", 0), ("later", EACH)])
def test_never_started(engine, seen, kind, ended) -> None:
    """A generator that was not started has done nothing; a call that returned one has been made."""
    assert abandon(seen, lambda: getattr(engine, kind)("abc")) == ended


@pytest.mark.parametrize("kind", ["stream", "later"])
def test_begun_here_and_dropped_in_another_thread(engine, seen, kind) -> None:
    with ThreadPoolExecutor(1) as pool:

        def one() -> None:
            stream = getattr(engine, kind)("abc")
            next(stream)
            pool.submit(next, stream).result()

        assert abandon(seen, one) == EACH


@pytest.mark.parametrize("kind", ["astream", "alater"])
@pytest.mark.parametrize("leave", ["drop", "close", "never"])
def test_asynchronous_ones(engine, seen, kind, leave) -> None:
    async def one() -> None:
        stream = getattr(engine, kind)("abc")
        stream = await stream if kind == "alater" else stream
        if leave != "never":
            await stream.__anext__()
        if leave == "close":
            await stream.aclose()
        del stream
        await asyncio.sleep(0)  # the loop closes what was dropped

    with asyncio.Runner() if hasattr(asyncio, "Runner") else _Loop() as loop:
        ended = abandon(seen, lambda: loop.run(one()))
    assert ended == (0 if (kind, leave) == ("astream", "never") else EACH)


class _Loop:
    """`asyncio.Runner` of Python 3.11."""

    def __enter__(self) -> _Loop:
        self._loop = asyncio.new_event_loop()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def run(self, coroutine: Any) -> Any:
        return self._loop.run_until_complete(coroutine)


def test_streamed_answers_whose_client_has_gone(engine, seen) -> None:
    app = Starlette(routes=[Route("/", lambda request: StreamingResponse(engine.stream("abc" * 9)))])
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": "/", "raw_path": b"/", "query_string": b"", "root_path": "", "headers": [],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
    }  # fmt: skip

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def one() -> None:
        left = 2

        async def send(message: Any) -> None:
            nonlocal left
            left -= 1
            if not left:
                raise OSError  # as uvicorn says that the client has gone

        with contextlib.suppress(OSError, ClientDisconnect):
            await app(dict(scope), receive, send)

    every.instrument()
    try:
        with asyncio.Runner() if hasattr(asyncio, "Runner") else _Loop() as loop:
            assert abandon(seen, lambda: loop.run(one())) == EACH
    finally:
        every.uninstrument()


def test_many_at_once_from_many_threads(engine, seen) -> None:
    """Their generators are all open at the same time, and dropped in another order than begun."""
    held: list[Any] = []

    def one() -> None:
        stream = engine.stream("abc")
        next(stream)
        held.append(stream)
        if len(held) == 50:
            threads = [threading.Thread(target=held.pop, args=(0,)) for _ in range(25)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            held.reverse()
            held.clear()

    assert abandon(seen, one) == EACH

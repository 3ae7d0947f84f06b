# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Makes otel-tts fail where it runs: at the entry, at any line and at the exit of any of its functions.

Python's own trace hook raises the error, so nothing has to be replaced and no place is forgotten:

    check(lambda: outcome(lambda: engine.say("Hello.")))
"""

from __future__ import annotations

import contextvars
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

from opentelemetry import trace

import otel_tts

PACKAGE = str(Path(otel_tts.__file__).parent)

PATH = {
    # The frames that call the application: what fails in their own lines cannot be told from the application's error.
    "entry.call_entry", "entry._run", "entry._await", "entry.hand_over", "entry.__init__",
    "entry.__enter__", "entry.__exit__",
    "streaming.iterate", "streaming.iterate_async", "streaming._close", "streaming._deeper", "streaming._rest_of",
    "seam.run_stage", "seam._await",
    "carried.run", "threads.once", "encoders._as_stage", "encoders._call_apart", "answer_audio._send_file",
    "callables.hooked", "asgi.__call__", "asgi.flush_then_send", "answer.send", "answer.receive",
    "trailer.send",
    "seam.run_seam", "job.__get__", "job.__set__", "lock.acquire", "lock.__enter__", "carried.__call__",
    "batch.__init__", "batch.__enter__", "batch.__exit__",
    "wsgi.__call__", "wsgi_answer.run", "wsgi_answer.start_response", "wsgi_answer._write", "wsgi_answer._close_file",
    "wsgi_answer.__iter__", "wsgi_answer.__next__", "wsgi_answer.close", "wsgi_answer.__len__",
    "wsgi_answer.__del__", "frameworks._noting", "frameworks._note_error", "frameworks._before_handler",
    "contrib.start", "serving.make_anothers",
    "asgi_servers.served", "asgi_servers.call", "asgi_servers.method", "asgi_servers.wrap_callback",
    "aiohttp._handle_request", "aiohttp.handle_error", "aiohttp.prepare", "aiohttp.write",
    "tornado._execute", "tornado._handle_request_exception", "tornado.flush", "tornado.finish",
    "sanic.__init__", "sanic.handle_request", "sanic.response", "sanic.send",
    "http_server.handle_one_request", "http_server.parse_request", "http_server.send_response_only",
    "http_server.end_headers",
    "delivery.tapped", "keep._await",
    "load.call_load", "load._await", "load.__init__", "load.__enter__", "load.__exit__",
    "fastapi.__call__", "graphs._capture_begin", "graphs._capture_end",
    "peak_statistics.memory_stats_as_nested_dict", "peak_statistics.reset_peak_memory_stats",
    "logging.makeRecord", "logging.emit", "logging.flush",
    "celery.trace_task", "celery._send", "celery._note_revoked", "wyoming.handle",
    "grpc.call", "grpc.stream", "grpc.intercept_service", "grpc._settle",
    "litserve.put", "litserve.put_nowait", "litserve.__getattr__", "litserve.__reduce__",
    "grpc.__enter__", "grpc.__exit__", "grpc.resume", "grpc.pause",
    "pipecat._speak", "ray.shut_down", "ray._call_http_entrypoint", "ray.__init__", "ray.run", "ray.__call__",
    "ray.__getattr__", "ray.send_without", "ray.set_sigterm_handler", "ray.on_sigterm",
    # Few lines, with nothing in them that can fail: what contains faults, a context variable, a global, a cache.
    "guard.contain", "guard.note_fault", "context.leave_context", "recorder.current", "callables.kind_of",
    "delivered.note_file", "patches.run", "asgi.on_start", "carried.__reduce__",
}  # fmt: skip

KEEPERS = {"entry._enter", "entry._exit", "stage.__enter__", "stage.__exit__", "carried.carried", "load._leave",
           "carried.enter", "carried.leave", "exchange.enter", "exchange.leave", "task.enter", "task.leave",
           "dramatiq._end", "litserve._start", "litserve._stop"}  # fmt: skip
"""Between a context's change and its undoing: a fault in these few lines loses the way back, and nothing else."""


class Fault(Exception):
    """The error of ours that nobody but otel-tts may see."""


class Place(NamedTuple):
    """Where to fail: `event` is call, line or return."""

    code: CodeType
    event: str
    line: int

    def __str__(self) -> str:
        module = self.code.co_filename[len(PACKAGE) + 1 : -3]
        return f"{module}.{getattr(self.code, 'co_qualname', self.code.co_name)}:{self.event}:{self.line}"

    @property
    def function(self) -> str:
        return f"{Path(self.code.co_filename).stem}.{self.code.co_name}"

    @property
    def calls_the_application(self) -> bool:
        """What stands in the place of a hooked callable has it as its first argument."""
        return self.code.co_varnames[:1] in (("wrapped",), ("original",))


@dataclass(frozen=True)
class Outcome:
    """What the caller got, or the class and message of what it had to catch; and whether a span was left current."""

    got: Any
    left_current: bool


def outcome(call: Callable[[], Any]) -> Outcome:
    """Return what comes of `call`."""
    try:
        got = call()
    except Fault:
        raise
    except Exception as error:
        got = type(error).__name__, str(error)
    return Outcome(got, trace.get_current_span().get_span_context().is_valid)


def check(run: Callable[[], list[Outcome]], only: tuple[str, ...] = ("",)) -> None:
    """Assert that `run` gives the same wherever otel-tts fails, and however slow it is.

    `only`: the modules whose lines are tried, by the beginnings of their names.
    """
    expected = run()
    assert run() == expected
    assert slow(run) == expected
    assert not any(one.left_current for one in expected)
    tried = [place for place in places(run) if place.function not in PATH and not place.calls_the_application]
    tried = [place for place in tried if place.function.startswith(only)]
    never = [part for part in only if not any(place.function.startswith(part) for place in tried)]
    assert not never, f"{never}: nothing of it runs here"
    wrong = [f"{place}: {found}" for place in tried if (found := _difference(place, run, expected))]
    assert not wrong, f"{len(wrong)} of {len(tried)}:\n" + "\n".join(wrong)


def _difference(place: Place, run: Callable[[], list[Outcome]], expected: list[Outcome]) -> str | None:
    try:
        found = failing(place, run)
    except Fault:
        return "the caller sees it"
    if [one.got for one in found] != [one.got for one in expected]:
        return f"{found}"
    if place.function not in KEEPERS and any(one.left_current for one in found):
        return "a span is left current"
    return None


def places(run: Callable[[], Any]) -> list[Place]:
    """Every place of ours that `run` comes by, in whatever thread."""
    found: dict[Place, None] = {}

    def local(frame: FrameType, event: str, arg: Any) -> Any:
        if event in ("line", "return"):
            found[Place(frame.f_code, event, frame.f_lineno if event == "line" else 0)] = None
        return local

    def top(frame: FrameType, event: str, arg: Any) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        found[Place(frame.f_code, "call", 0)] = None
        return local

    _traced(top, run)
    return list(found)


def failing(place: Place, run: Callable[[], Any]) -> Any:
    """Return what `run` returns while otel-tts fails at `place`, the first time that it comes by."""

    def local(frame: FrameType, event: str, arg: Any) -> Any:
        if event == place.event and (event != "line" or frame.f_lineno == place.line):
            raise Fault(str(place))
        return local

    def top(frame: FrameType, event: str, arg: Any) -> Any:
        if frame.f_code is not place.code:
            return None
        if place.event == "call":
            raise Fault(str(place))
        return local

    return _traced(top, run)


def slow(run: Callable[[], Any]) -> Any:
    """Return what `run` returns while each function of ours waits before it does anything."""

    def top(frame: FrameType, event: str, arg: Any) -> Any:
        if frame.f_code.co_filename.startswith(PACKAGE):
            time.sleep(0.0002)

    return _traced(top, run)


def _traced(hook: Any, run: Callable[[], Any]) -> Any:
    before, unraisable, in_threads = sys.gettrace(), sys.unraisablehook, threading.excepthook
    sys.unraisablehook = _unless_ours(unraisable)
    threading.excepthook = _unless_ours(in_threads)
    threading.settrace(hook)
    sys.settrace(hook)
    try:
        return contextvars.copy_context().run(run)
    finally:
        sys.settrace(before)
        threading.settrace(before)  # pyright: ignore[reportArgumentType]
        sys.unraisablehook, threading.excepthook = unraisable, in_threads


def _unless_ours(report: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """In a finalizer there is nobody whom an error could reach."""
    return lambda failed: None if failed.exc_type is Fault else report(failed)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The hooks of Gradio's queue on a stand-in of its structure; tests/gradio_pages has the real ones."""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import logging
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

from otel_tts import guard, names
from otel_tts.instrumentation.edges.asgi_scope import QUIET
from otel_tts.instrumentation.libraries import gradio as hooks
from otel_tts.instrumentation.libraries import queued_job as jobs
from otel_tts.recording import request

QUEUEING = """
    import asyncio
    from . import route_utils

    class Event:
        def __init__(self, session_hash, fn, request, username):
            self._id = f"event-{session_hash}"
            self.fn, self.alive = fn, True

    class Line:
        def __init__(self):
            self.queue = []

    class Queue:
        max_size, blocks = 1, None

        def __init__(self):
            self.active_jobs = [None]
            self.event_queue_per_concurrency_id = {"a": Line()}
            self.shown = []

        async def push(self, body, request, username):
            line = self.event_queue_per_concurrency_id["a"].queue
            if len(line) >= self.max_size:
                return False, "Queue is full.", "queue_full"
            line.append(Event(body.session_hash, body.fn, request, username))
            return True, line[-1]._id, "success"

        async def process_events(self, events, batch, begin_time):
            self.active_jobs[0] = events
            try:
                for event in events[:1]:
                    await route_utils.call_process_api(None, None, None, event.fn, "")
            except Exception:
                self.shown.append("error")
            finally:
                self.active_jobs[0] = None

        async def clean_events(self, *, session_hash=None, event_id=None):
            for line in self.event_queue_per_concurrency_id.values():
                line.queue = [event for event in line.queue if event._id != f"event-{session_hash}"]

        def set_progress(self, event_id, iterables):
            self.shown += [bar.desc for bar in iterables]
"""
ROUTE_UTILS = """
    async def call_process_api(app, body, gr_request, fn, root_path):
        await fn.fn()
        return {"data": []}

    def get_fn(blocks, api_name, body):
        return body.fn
"""


class Function:
    """What a page calls."""

    def __init__(self, fn: Callable[[], Any], api_name: str | None = "speak") -> None:
        self.api_name, self._fn = api_name, fn

    async def fn(self) -> None:
        self._fn()


@pytest.fixture
def gradio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """`gradio(source)` is the queue of a Gradio that has the hooks."""

    def load(source: str = QUEUEING) -> Any:
        package = tmp_path / "gradio"
        package.mkdir()
        for name, text in (("__init__", ""), ("queueing", source), ("route_utils", ROUTE_UTILS)):
            (package / f"{name}.py").write_text(dedent(text))
        monkeypatch.syspath_prepend(tmp_path)
        importlib.invalidate_caches()
        hooks.watch_gradio()
        return importlib.import_module("gradio.queueing")

    yield load
    hooks.unwatch_gradio()
    for name in [name for name in sys.modules if name.split(".")[0] == "gradio"]:
        del sys.modules[name]


def body(function: Function, session: str = "a") -> Any:
    return SimpleNamespace(session_hash=session, fn=function)


async def hand_in(queue: Any, function: Function, session: str = "a") -> Any:
    """As a caller does it: inside its own span, which ends at once. Returns the event."""
    with trace.get_tracer("web").start_as_current_span("join") as span:
        await queue.push(body(function, session), None, None)
    line = queue.event_queue_per_concurrency_id["a"].queue
    line[-1].caller = span.get_span_context()
    return line[-1]


async def work(queue: Any, *events: Any) -> None:
    """As the queue does it, in the context of whoever started it."""
    for event in events:
        queue.event_queue_per_concurrency_id["a"].queue.remove(event)
    await queue.process_events(list(events), len(events) > 1, 0.0)


@pytest.fixture
def everything(world: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = world()
    monkeypatch.setattr(trace, "get_tracer", lambda name: made.tracers.get_tracer(name))
    return made


def speak_in(world: Any) -> Callable[[], None]:
    """A page's function that makes one synthesis."""

    def speak() -> None:
        with world.synthesis() as synthesis:
            synthesis.attrs.pop(names.REQUEST_ID, None)

    return speak


def test_a_job_belongs_to_its_caller(everything: Any, gradio: Callable[..., Any]) -> None:
    module = gradio()
    seen: list[Any] = []

    def look() -> None:
        seen.append(request.current.get())
        speak_in(everything)()

    async def run() -> Any:
        queue = module.Queue()
        event = await hand_in(queue, Function(look))
        request.current.set(request.Request("startup", 0))  # what the queue's tasks inherit
        await work(queue, event)
        current = request.current.get()
        assert current is not None and current.id == "startup", "it is put back"
        assert hooks._JOB not in vars(event), "an event that is kept for ever keeps no context"
        return event

    event = asyncio.run(run())
    spans = {span.name: span for span in everything.drain().spans}
    job, queue, synthesis = spans["tts.job speak"], spans["tts.queue"], spans["text_to_speech"]
    assert job.parent.span_id == event.caller.span_id and job.context.trace_id == event.caller.trace_id
    assert queue.parent.span_id == synthesis.parent.span_id == job.context.span_id
    assert job.attributes[names.REQUEST_ID] == seen[0].id == "event-a"
    assert everything.points("tts.queue.duration")[("e",)][0] == 1


def test_a_job_without_a_synthesis_leaves_nothing(everything: Any, gradio: Callable[..., Any]) -> None:
    module = gradio()

    async def run() -> None:
        queue = module.Queue()
        await work(queue, await hand_in(queue, Function(lambda: None)))

    asyncio.run(run())
    assert everything.drain().names() == ["join"]


def test_counting_does_not_depend_on_sampling(
    world: Any, gradio: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world(sampler=ParentBased(ALWAYS_OFF))
    monkeypatch.setattr(trace, "get_tracer", lambda name: made.tracers.get_tracer(name))
    module = gradio()

    async def run() -> None:
        queue = module.Queue()
        await work(queue, await hand_in(queue, Function(speak_in(made))))

    asyncio.run(run())
    assert made.drain().names() == []
    assert made.points("tts.queue.duration")[("e",)][0] == 1


def test_removed_refused_and_failed_jobs(everything: Any, gradio: Callable[..., Any]) -> None:
    module = gradio()
    speak = speak_in(everything)
    function = Function(speak)

    async def run() -> None:
        queue = module.Queue()
        await work(queue, await hand_in(queue, function, "known"))
        await hand_in(queue, function, "gone")
        await queue.push(body(function, "refused"), None, None)
        await queue.clean_events(session_hash="gone")

        def fail() -> None:
            speak()
            raise RuntimeError("secret words")

        await work(queue, await hand_in(queue, Function(fail, "fails"), "failed"))
        assert queue.shown == ["error"]

    asyncio.run(run())
    jobs = {span.attributes[names.REQUEST_ID]: span for span in everything.drain().spans if "tts.job" in span.name}
    assert {key: job.attributes.get(names.OUTCOME) for key, job in jobs.items()} == {
        "event-known": None, "event-gone": "cancelled", "event-failed": "error"
    }  # fmt: skip
    assert jobs["event-failed"].attributes["error.type"] == "RuntimeError"
    counted = {labels[-1]: value for labels, value in everything.points("tts.requests").items()}
    assert counted == {"ok": 2, "rejected": 1}


def test_a_job_that_makes_many_syntheses_keeps_one(everything: Any, gradio: Callable[..., Any]) -> None:
    module = gradio()
    speak = speak_in(everything)
    kept: list[Any] = []

    async def run() -> None:
        queue = module.Queue()
        function = Function(lambda: [speak() for _ in range(20)])
        event = await hand_in(queue, function)
        job = event._otel_tts_job
        await work(queue, event)
        kept.extend(job._made)

    asyncio.run(run())
    assert len([span for span in everything.drain().spans if "text_to_speech" in span.name]) == 20
    assert len(kept) == 1


def test_a_job_whose_loop_is_gone_is_ended_all_the_same(everything: Any, gradio: Callable[..., Any]) -> None:
    """Its coroutine is closed from the outside, where the context is another one."""
    module = gradio()

    class Waiting(Function):
        async def fn(self) -> None:
            await super().fn()
            await pause()

    @types.coroutine
    def pause() -> Any:
        yield

    queue = module.Queue()
    event = asyncio.run(hand_in(queue, Waiting(speak_in(everything))))
    working = queue.process_events([event], False, 0.0)
    contextvars.copy_context().run(working.send, None)
    working.close()
    assert "tts.job speak" in everything.drain().names()


def test_a_batch_is_linked(everything: Any, gradio: Callable[..., Any]) -> None:
    module = gradio()
    module.Queue.max_size = 5
    function = Function(speak_in(everything))

    async def run() -> None:
        queue = module.Queue()
        await work(queue, *[await hand_in(queue, function, session) for session in "xyz"])

    asyncio.run(run())
    everything.drain()
    synthesis = everything.span("text_to_speech")
    parts = [span for span in everything.spans if "tts.job" in span.name]
    assert synthesis.parent is None and len(parts) == 3
    assert {link.context.span_id for link in synthesis.links} == {job.context.span_id for job in parts}
    assert all([link.context.span_id for link in job.links] == [synthesis.context.span_id] for job in parts)


def test_the_id_in_the_progress(world: Any, gradio: Callable[..., Any]) -> None:
    world(gradio_progress=True)
    queue = gradio().Queue()
    bar = SimpleNamespace(desc="half")
    queue.set_progress("event", [bar])
    token = request.current.set(request.Request("r-1", 0))
    queue.set_progress("event", [bar])
    queue.set_progress("event", [SimpleNamespace(desc=None)])
    request.current.reset(token)
    assert queue.shown == ["half", "half · r-1", "r-1"] and bar.desc == "half"


@pytest.mark.parametrize("place", ["__init__", "begin", "end", "take", "answer", "fail"])
def test_a_fault_of_ours_is_contained(
    everything: Any, gradio: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def explode(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(jobs.Job, place, explode)
    module = gradio()
    called: list[str] = []

    def speak_and_fail() -> None:
        called.append("yes")
        speak_in(everything)()
        raise RuntimeError

    async def run() -> None:
        queue = module.Queue()
        await work(queue, await hand_in(queue, Function(speak_and_fail)))
        await work(queue, await hand_in(queue, Function(lambda: called.append("again"))))

    asyncio.run(run())
    assert called == ["yes", "again"]
    assert sum(guard.faults.values()) >= 1
    assert not trace.get_current_span(context.get_current()).get_span_context().is_valid


def test_what_a_version_lacks_is_said_once(
    everything: Any, gradio: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "otel_tts"):
        module = gradio(QUEUEING.replace("async def push", "async def put"))
    (said,) = [record.getMessage() for record in caplog.records]
    assert "gradio.queueing has no Queue.push" in said

    async def run() -> None:
        queue = module.Queue()
        await queue.put(body(Function(speak_in(everything))), None, None)
        await work(queue, queue.event_queue_per_concurrency_id["a"].queue[0])

    asyncio.run(run())
    assert "tts.job speak" in everything.drain().names()


# --- noise -----------------------------------------------------------------------------------------------------------


def make_page(*pages: str) -> Any:
    cls: Any = type("App", (), {"__module__": "gradio.routes"})
    app = cls()
    app.blocks = SimpleNamespace(pages=[(name, name.title()) for name in pages])
    return app


def is_quiet(app: Any, path: str, method: str = "GET", **more: Any) -> bool:
    scope: dict[str, Any] = {"type": "http", "method": method, "path": path, **more}
    hooks.look_at(app, scope)
    assert (scope.get("fastapi.telemetry", "unset") is None) == (QUIET in scope)
    return QUIET in scope


JOBS = ["queue/join", "call/speak", "call/speak/", "call/v2/speak", "run/speak", "run/speak/", "api/speak"]


@pytest.mark.parametrize("path", JOBS)
def test_jobs_are_heard(path: str) -> None:
    assert not is_quiet(make_page(), f"/gradio_api/{path}", "POST")


@pytest.mark.parametrize(
    "path",
    ["/", "/config", "/assets/index-1.js", "/static/img/logo.svg", "/theme.css", "/favicon.ico", "/manifest.json",
     "/gradio_api/queue/data", "/gradio_api/queue/status", "/gradio_api/heartbeat/abc", "/gradio_api/startup-events",
     "/gradio_api/file=/tmp/gradio/aa/audio.wav", "/gradio_api/upload", "/gradio_api/upload_progress", "/second/",
     "/gradio_api/call/speak/0123abc", "/gradio_api/call/v2/speak/0123abc", "/gradio_api/info", "/gradio_api/cancel",
     "/gradio_api/stream/a/b/c/playlist.m3u8", "/login", "/pwa_icon/192", "/second"],
)  # fmt: skip
def test_the_rest_of_a_page_is_quiet(path: str) -> None:
    assert is_quiet(make_page("", "second"), path)


@pytest.mark.parametrize("path", ["/third", "/health", "/configuration", "/assetsx"])
def test_routes_that_are_not_gradios_are_heard(path: str) -> None:
    assert not is_quiet(make_page("", "second"), path)


def test_a_page_inside_an_app() -> None:
    page, route = make_page(), SimpleNamespace

    class App:
        router = route(routes=[route(path="/config"), route(path="/page", app=page), route(path="/x", app=object())])

    app = App()
    assert not is_quiet(app, "/config") and not is_quiet(app, "/pages/config") and not is_quiet(app, "/x/config")
    assert is_quiet(app, "/page") and is_quiet(app, "/page/config")
    assert not is_quiet(app, "/page/gradio_api/queue/join", "POST")
    assert is_quiet(app, "/behind/page/config", root_path="/behind")
    App.router.routes.append(route(path="/late", app=page))
    assert is_quiet(app, "/late/theme.css"), "mounted after the first look"


def test_a_lifespan_has_no_path() -> None:
    hooks.look_at(make_page(), {"type": "lifespan"})

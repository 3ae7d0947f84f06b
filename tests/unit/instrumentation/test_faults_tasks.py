# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""otel-tts fails at every line of the edges that are no web server, and of what makes a synthesis of an unknown engine.

What calls them here has the form of the libraries, which need not be installed; those run in tests/services.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections import namedtuple
from collections.abc import Callable
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from opentelemetry import trace

import otel_tts
from otel_tts import guard
from otel_tts.instrumentation.edges import asgi, celery, dramatiq, every, grpc, litserve, ray, rq, wyoming
from otel_tts.instrumentation.libraries import encoders, onnxruntime, pipecat
from tests.unit.support.faults import check, outcome

pytestmark = pytest.mark.thorough  # every line of ours fails once: not part of make check

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def speak(text: str) -> str:
    if not text:
        raise ValueError("no text")
    with otel_tts.synthesis("m"):
        return text[::-1]


class GreenletExit(Exception):
    """As greenlet's, which is no Exception but a BaseException."""


def test_tasks_of_celery(world: Any) -> None:
    seen = world()

    def run(uuid: str, args: tuple[str], kwargs: Any, request: Any = None) -> Any:
        if args[0] == "fails":
            failed = SimpleNamespace(state="FAILURE", retval=ValueError("theirs"))
            return SimpleNamespace(info=failed, retval=None)
        if args[0] == "killed":
            raise GreenletExit
        return SimpleNamespace(info=None, retval=speak(*args))

    def ask(text: str) -> Any:
        traced = celery._build(lambda *args, **kwargs: run, None, ("tasks.speak", None), {})
        headers: dict[str, Any] = {"id": "t-1", "retries": 1, "delivery_info": {"routing_key": "q"}}
        celery._send(headers=headers)
        return traced("t-1", (text,), {}, headers).retval

    def revoke() -> None:
        headers = {"id": "t-2", "traceparent": CALLER}
        celery._note_revoked(SimpleNamespace(name="tasks.speak"), SimpleNamespace(**headers), terminated=False)

    calls = [*(partial(ask, text) for text in ("hello", "fails", "killed", "")), revoke]
    check(lambda: [outcome(call) for call in calls], only=("celery", "task"))
    seen.drain()


def test_jobs_of_rq(world: Any) -> None:
    seen = world()

    def ask(text: str) -> str:
        job = SimpleNamespace(func_name="jobs.speak", id="j-1", origin="default", meta={"traceparent": CALLER})
        assert rq._create(lambda: job, None, (), {}) is job
        return rq._perform(partial(speak, text), job, (), {})

    check(lambda: [outcome(partial(ask, text)) for text in ("hello", "")], only=("rq", "task"))
    seen.drain()


def test_messages_of_dramatiq(world: Any) -> None:
    seen = world()

    def ask(text: str) -> Any:
        message = SimpleNamespace(queue_name="q", actor_name="speak", message_id="m-1", options={"retries": 1})
        told: list[str] = []
        dramatiq._before(lambda signal, *more: told.append(signal), None, ("enqueue", message), {})
        dramatiq._before(lambda signal, *more: told.append(signal), None, ("process_message", message), {})
        error = None
        try:
            told.append(speak(text))
        except ValueError as raised:
            error = raised
        after: Callable[..., None] = lambda signal, *more, **named: told.append(signal)  # noqa: E731
        dramatiq._after(after, None, ("process_message", message), {"exception": error})
        return told

    check(lambda: [outcome(partial(ask, text)) for text in ("hello", "")], only=("dramatiq", "task"))
    seen.drain()


class Handler:
    """A server's end of a connection, in the form of Wyoming's."""

    def __init__(self, *events: Any) -> None:
        self.events, self.said = list(events), []
        self.writer = SimpleNamespace(is_closing=lambda: len(events) == 3)

    async def handle_event(self, event: Any) -> bool:
        if event.data.get("text") is not None:
            self.said.append(speak(event.data["text"]))
        return True

    async def run(self) -> list[str]:
        for event in self.events:
            if not await self.handle_event(event):
                break
        return self.said


def event(kind: str, **data: Any) -> Any:
    return SimpleNamespace(type=kind, data=data)


def test_clients_of_wyoming(world: Any) -> None:
    seen = world()
    start = event("synthesize-start", context={"traceparent": CALLER})
    spoken = [
        (event("describe"), event("synthesize", text="hello", traceparent=CALLER)),
        (start, event("synthesize-chunk", text="a"), event("synthesize-chunk", text="b"), event("synthesize-stop")),
        (start, event("synthesize-chunk", text="a"), event("audio")),
        (event("synthesize", text=""),),
    ]

    def serve(events: tuple[Any, ...]) -> Any:
        handler = Handler(*events)
        return asyncio.run(wyoming._run(handler.run, handler, (), {}))

    check(lambda: [outcome(partial(serve, events)) for events in spoken], only=("wyoming", "task"))
    seen.drain()


def test_a_client_of_wyoming(world: Any) -> None:
    from dataclasses import dataclass, field

    @dataclass
    class Event:
        type: str
        data: dict[str, Any] = field(default_factory=dict)

    world()

    def ask() -> list[str]:
        sent: list[str] = []
        with otel_tts.synthesis("m"):
            for made in (Event("describe"), Event("synthesize", {"text": "hello"})):
                wyoming._write(lambda event: sent.append(event.type), None, (made,), {})
        return sent

    check(lambda: [outcome(ask)], only=("wyoming", "task.send_along", "task.carried_in"))


def test_a_service_of_pipecat(world: Any) -> None:
    seen = world()

    async def process(context_id: str, generator: Any) -> list[str]:
        return [each async for each in generator]

    async def run(text: str) -> Any:
        yield speak(text)

    def ask(text: str, opened: str) -> Any:
        with trace.get_tracer("pipecat").start_as_current_span("conversation"):
            service = SimpleNamespace(_tts_spans={"c-1": {"span": trace.get_tracer("pipecat").start_span("tts")}})
            return asyncio.run(pipecat._speak(process, service, (opened, run(text)), {}))

    calls = [partial(ask, text, opened) for text in ("hello", "") for opened in ("c-1", "c-2")]
    check(lambda: [outcome(call) for call in calls], only=("pipecat",))
    seen.drain()


class Replica:
    async def shutdown(self) -> str:
        return "down"


def on_their_loop(answer: Any) -> Any:
    return functools.wraps(answer)(lambda self, *args: answer(self, *args))


class UserCallableWrapper:
    """What calls a deployment's code, in the form of Ray Serve's."""

    _run_user_code = on_their_loop

    @on_their_loop
    async def _call_http_entrypoint(self, info: Any, scope: Any, receive: Any, send: Any) -> str:
        said = (await receive())["body"].decode() + receive.more
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-request-id", b"mine")]})
        try:
            await send({"type": "http.response.body", "body": speak(said).encode()})
        except ValueError as error:
            await send({"type": "http.response.body", "body": self.handle_exception(error)})
            raise
        return "result"

    def handle_exception(self, exc: BaseException) -> bytes:
        return str(exc).encode()


class Receive:
    """Ray's has more than ASGI asks for."""

    def __init__(self, text: str) -> None:
        self.text, self.more = text, text

    async def __call__(self) -> Any:
        return {"type": "http.request", "body": self.text.encode()}


def test_requests_to_a_replica_of_ray(world: Any) -> None:
    seen = world()
    every.instrument(before_end=lambda: None)

    async def ask(text: str, is_asgi_app: bool) -> Any:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append((message["type"], message.get("body")))

        replica, caller = type("Replica", (Replica,), {}), type("Caller", (), dict(vars(UserCallableWrapper)))
        guard.contain("ray", ray.patch, SimpleNamespace(Replica=replica, UserCallableWrapper=caller))
        scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"x-request-id", b"r-1")]}
        info = SimpleNamespace(is_asgi_app=is_asgi_app)
        try:
            answer = await caller()._call_http_entrypoint(info, scope, Receive(text), send)
        except ValueError as error:
            answer = str(error)
        return answer, sent, await replica().shutdown()

    calls = [lambda how=how: asyncio.run(ask(*how)) for how in (("a", False), ("", False), ("a", True))]
    try:
        check(lambda: [outcome(call) for call in calls], only=("ray",))
    finally:
        every.uninstrument()
    seen.drain()


def test_sigterm_in_a_process_of_ray(world: Any) -> None:
    seen, flushed = world(), []
    every.instrument(before_end=lambda: flushed.append(True))

    def end() -> str:
        taken: list[Any] = []
        utils: Any = ModuleType("utils")
        utils.set_sigterm_handler = taken.append
        guard.contain("ray", ray.patch, utils)
        utils.set_sigterm_handler(lambda number, frame: f"ended by {number}")
        return taken[0](15, None)

    try:
        check(lambda: [outcome(end)], only=("ray",))
    finally:
        every.uninstrument()
    assert flushed
    seen.drain()


KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
Method = namedtuple("Method", ("request_streaming", "response_streaming", *KINDS))


class Context:
    def __init__(self, *, active: bool = True) -> None:
        self._active, self._trailing = active, ()

    def code(self) -> Any:
        return None

    def is_active(self) -> bool:
        return self._active

    def trailing_metadata(self) -> Any:
        return self._trailing

    def set_trailing_metadata(self, trailing: Any) -> None:
        self._trailing = trailing

    def send_initial_metadata(self, head: Any) -> None:
        assert len(head) == 1


def stream(text: str, context: Any) -> Any:
    yield speak(text)
    yield speak(text)


async def answer(text: str, context: Any) -> str:
    return speak(text)


async def stream_async(text: str, context: Any) -> Any:
    yield speak(text)
    yield speak(text)


def test_calls_of_grpc(world: Any) -> None:
    seen = world()
    details = SimpleNamespace(method="/pkg.Speech/Say", invocation_metadata=(("x-request-id", "c-1"),))

    def method(code: Any, streams: bool) -> Any:
        handler = Method(
            False, streams, *[code if kind == f"unary_{'stream' if streams else 'unary'}" else None for kind in KINDS]
        )
        found = grpc.Interceptor().intercept_service(lambda details: handler, details)
        return found.unary_stream if streams else found.unary_unary

    async def collect(answers: Any) -> list[str]:
        return [each async for each in answers]

    def break_off() -> str:
        answers = method(stream, True)("hello", Context())
        first = next(answers)
        answers.close()
        return first

    calls = [
        *(
            partial(lambda text: method(lambda asked, context: speak(asked), False)(text, Context()), t)
            for t in ("a", "")
        ),
        lambda: method(lambda asked, context: speak(asked), False)("a", Context(active=False)),
        *(partial(lambda text: list(method(stream, True)(text, Context())), t) for t in ("a", "")),
        *(partial(lambda text: asyncio.run(method(answer, False)(text, Context())), t) for t in ("a", "")),
        *(
            partial(lambda text: asyncio.run(collect(method(stream_async, True)(text, Context()))), t)
            for t in ("a", "")
        ),
        break_off,
    ]
    check(lambda: [outcome(call) for call in calls], only=("grpc", "task"))
    seen.drain()


def test_making_a_server_of_grpc(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "grpc.aio", SimpleNamespace(ServerInterceptor=object))
    world()

    def make(serve: Any, *args: Any, **kwargs: Any) -> Any:
        return serve(lambda pool, handlers=None, interceptors=None: pool, None, args, kwargs)

    calls = [
        partial(make, serve, *args) for serve in (grpc._serve, grpc._serve_async) for args in ((1,), (1, (), ("x",)))
    ]
    check(lambda: [outcome(call) for call in calls], only=("grpc",))


def test_requests_of_litserve(world: Any) -> None:
    import pickle
    import queue

    seen = world()

    def ask(text: str) -> Any:
        requests: Any = litserve._give_queue(queue.Queue, None, (), {})
        with otel_tts.synthesis("web"):
            requests.put((0, "u-1", 1.0, text))
        consumer, uid, _, asked = pickle.loads(pickle.dumps(requests.get()))
        sent: list[Any] = []

        def put(status: str, data: Any = ()) -> None:
            named = {
                "transport": None, "response_queue_id": consumer, "uid": uid, "response_data": data,
                "status": SimpleNamespace(name=status), "response_type": SimpleNamespace(name="REGULAR"),
            }  # fmt: skip
            litserve._put_response(lambda **told: sent.append((told["uid"], told["response_data"])), None, (), named)

        def work() -> Any:
            put("START")
            try:
                put("OK", speak(asked))
            except ValueError:
                put("ERROR")
            return sent

        return contextvars.Context().run(work)

    check(lambda: [outcome(partial(ask, text)) for text in ("hello", "")], only=("litserve",))
    seen.drain()


def test_an_unknown_engine_behind_a_web_service(world: Any) -> None:
    from starlette.responses import Response

    seen = world()
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "asgi": {"spec_version": "2.5"}}

    async def app(self: Any, *call: Any) -> None:
        samples = onnxruntime._run_apart(lambda: b"\0" * 100, (), {})
        await Response(encoders._call_apart(lambda: samples, (), {}), media_type="audio/wav")(*call)

    def ask() -> Any:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append({key: value for key, value in message.items() if key != "headers"})

        asyncio.run(asgi.with_edge(app)(None, dict(scope), None, send))
        return sent

    check(lambda: [outcome(ask)], only=("pieces",))
    seen.drain()

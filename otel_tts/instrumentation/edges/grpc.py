# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""gRPC: each call of a server is a request. Trace and id come in its metadata; the id goes out in that of the answer:
in the trailing one, and before the first message in the initial one, unless the method's code has sent one itself.

An interceptor before all others is around the method's own code: a function or a generator, or their like of asyncio,
each of which has to stay what it is, since gRPC looks. A stream is stepped, and its call is current only inside a step.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

from otel_tts import names
from otel_tts.guard import contain
from otel_tts.instrumentation.edges.task import GIVEN_UP, Task, carried_in
from otel_tts.instrumentation.wrapping import wrap_in
from otel_tts.recording.request import is_acceptable
from otel_tts.recording.server import ServerSpan

_ID: Final = "x-request-id"
_CANCELLED, _UNKNOWN = 1, 2
_SERVERS_FAULT: Final = {
    _UNKNOWN: "UNKNOWN", 4: "DEADLINE_EXCEEDED", 12: "UNIMPLEMENTED", 13: "INTERNAL", 14: "UNAVAILABLE",
    15: "DATA_LOSS",
}  # fmt: skip
"""The statuses that are a server's own error, as OpenTelemetry's conventions have them; others are the client's."""
_EXCLUDED: Final = "OTEL_PYTHON_GRPC_EXCLUDED_SERVICES"
_KINDS: Final = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


def patch(module: Any) -> None:
    """Hook the making of gRPC's servers."""
    wrap_in(module, "server", _serve_async if module.__name__ == "grpc.aio" else _serve)


def _serve(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    args, kwargs = contain("grpc", _with_interceptor, Interceptor(), args, kwargs) or (args, kwargs)
    return wrapped(*args, **kwargs)


def _serve_async(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    interceptor = contain("grpc", _make_async_interceptor)
    if interceptor is not None:
        args, kwargs = contain("grpc", _with_interceptor, interceptor, args, kwargs) or (args, kwargs)
    return wrapped(*args, **kwargs)


def _with_interceptor(
    interceptor: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Put it before the others: the third argument."""
    if len(args) > 2:
        return (*args[:2], (interceptor, *(args[2] or ())), *args[3:]), kwargs
    return args, {**kwargs, "interceptors": (interceptor, *(kwargs.get("interceptors") or ()))}


class Interceptor:
    """Stands before each method of a server: gRPC asks for no base class."""

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """Return the method's handler with the edge around its code."""
        handler = continuation(details)
        return contain("grpc", _with_edge, handler, details) or handler


def _make_async_interceptor() -> Any:
    base: Any = sys.modules["grpc.aio"].ServerInterceptor

    class AsyncInterceptor(base):
        async def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
            handler = await continuation(details)
            return contain("grpc", _with_edge, handler, details) or handler

    return AsyncInterceptor()


def _with_edge(handler: Any, details: Any) -> Any:
    """None where there is no such method, or its service is excluded."""
    service, _, method = str(details.method).lstrip("/").rpartition("/")
    if handler is None or service in os.environ.get(_EXCLUDED, "").split(","):
        return None
    kind = _KINDS[2 * bool(handler.request_streaming) + bool(handler.response_streaming)]
    code = getattr(handler, kind)
    session = handler.request_streaming and handler.response_streaming
    begin = functools.partial(_Call, service, method, details.invocation_metadata, session)
    return handler._replace(**{kind: _around(code, begin, handler.response_streaming)})


def _around(code: Callable[..., Any], begin: Callable[[Any], _Call], streams: bool) -> Callable[..., Any]:
    if inspect.isasyncgenfunction(code):
        around = _stream_async(code, begin)
    elif inspect.iscoroutinefunction(code):
        around = _await(code, begin)
    else:
        around = _stream(code, begin) if streams else _call(code, begin)
    return functools.wraps(code)(around)


# --- around a method's code -------------------------------------------------------------------------------------------


def _call(code: Callable[..., Any], begin: Callable[[Any], _Call]) -> Callable[..., Any]:
    def call(asked: Any, context: Any) -> Any:
        inside = contain("grpc", begin, context)
        if inside is None:
            return code(asked, context)
        with inside:
            answer = code(asked, context)
            contain("grpc", inside.introduce)
            return answer

    return call


def _await(code: Callable[..., Any], begin: Callable[[Any], _Call]) -> Callable[..., Any]:
    async def call(asked: Any, context: Any) -> Any:
        inside = contain("grpc", begin, context)
        if inside is None:
            return await code(asked, context)
        with inside:
            answer = await code(asked, context)
            await _settle(contain("grpc", inside.introduce))
            return answer

    return call


def _stream(code: Callable[..., Any], begin: Callable[[Any], _Call]) -> Callable[..., Any]:
    def stream(asked: Any, context: Any) -> Iterator[Any]:
        inside = contain("grpc", begin, context)
        if inside is None:
            yield from code(asked, context)
            return
        with inside:
            answers = iter(code(asked, context))
            try:
                for answer in answers:
                    contain("grpc", inside.introduce)
                    inside.pause()
                    yield answer
                    inside.resume()
            finally:
                inside.resume()
                if inspect.isgenerator(answers):
                    answers.close()

    return stream


def _stream_async(code: Callable[..., Any], begin: Callable[[Any], _Call]) -> Callable[..., Any]:
    async def stream(asked: Any, context: Any) -> AsyncIterator[Any]:
        inside, answers = contain("grpc", begin, context), code(asked, context)
        if inside is None:
            async for answer in answers:
                yield answer
            return
        with inside:
            try:
                async for answer in answers:
                    await _settle(contain("grpc", inside.introduce))
                    inside.pause()
                    yield answer
                    inside.resume()
            finally:
                inside.resume()
                await answers.aclose()

    return stream


async def _settle(sent: Any) -> None:
    if sent is not None:
        with contextlib.suppress(Exception):  # as in `introduce`: it fails when it is awaited
            await sent


# --- one call ---------------------------------------------------------------------------------------------------------


class _Call(Task):
    def __init__(self, service: str, method: str, metadata: Any, session: bool, context: Any) -> None:
        headers: dict[str, Any] = {}
        for key, value in metadata or ():
            headers.setdefault(key, value)
        attrs: dict[str, Any] = {names.RPC_SYSTEM: "grpc", names.RPC_SERVICE: service, names.RPC_METHOD: method}
        super().__init__(f"{service}/{method}", headers.get(_ID), carried_in(headers), attrs, ServerSpan)
        self.request.answers = not session
        self.request.session = session  # what is asked for in a stream is asked for piece by piece
        self._context, self._is_in, self._is_introduced = context, False, False
        contain("grpc", self._tell_id)  # an end that the code brings about by itself sends what there is by then

    def __enter__(self) -> None:
        self.resume()

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        self.pause()
        contain("grpc", self.close, error)

    def resume(self) -> None:
        """What is called from here on is for this call, if it was not already."""
        if not self._is_in:
            self._is_in = True
            contain("grpc", self.enter)

    def pause(self) -> None:
        """What is called from here on is not for it."""
        if self._is_in:
            self._is_in = False
            contain("grpc", self.leave)

    def introduce(self) -> Any:
        """The first message is about to go out: the id goes before it. What asyncio's contexts return is awaited."""
        if self._is_introduced:
            return None
        self._is_introduced = True
        contain("grpc", self._tell_id)
        try:
            return self._context.send_initial_metadata(((_ID, self.request.id),))
        except Exception:  # the code has sent its own, or nobody listens any more
            return None

    def close(self, error: BaseException | None) -> None:
        """The method's code is done, or `error` has left it, by which a call is also aborted or given up."""
        contain("grpc", self._tell_id)
        said = contain("grpc", self._note_status, error)
        self.end(None if said else error)

    def _note_status(self, error: BaseException | None) -> bool:
        """Note how the call ended; True where that says all of `error`."""
        code = _number(self._ask("code"))
        given_up = self._is_given_up(error, code)
        if given_up:
            self.cancel()
            code = code or _CANCELLED
        aborted = error is not None and code != 0 and _aborts(error)
        if error is not None:
            code = code or _UNKNOWN
        if self.span is not None:
            self.span.attrs[names.RPC_STATUS] = code
            if code in _SERVERS_FAULT and (error is None or aborted):
                self.span.attrs[names.ERROR_TYPE] = _SERVERS_FAULT[code]
        return given_up or aborted

    def _is_given_up(self, error: BaseException | None, code: int) -> bool:
        if code == _CANCELLED or isinstance(error, GIVEN_UP):
            return True
        return self._ask("is_active") is False  # asyncio's has none: there the task is cancelled

    def _ask(self, what: str) -> Any:
        """What the context says; None where it is none that says so: plain functions of asyncio's server get less."""
        ask = getattr(self._context, what, None)
        return None if ask is None else ask()

    def _tell_id(self) -> None:
        """The id that the code itself answers with is the one that the client holds."""
        given: Any = self._ask("trailing_metadata")
        trailing: tuple[Any, ...] = tuple(given) if given else ()
        said: Any = next((value for key, value in trailing if key == _ID), None)
        if said is None:
            self._context.set_trailing_metadata((*trailing, (_ID, self.request.id)))
        elif isinstance(said, str) and is_acceptable(said):
            self.request.rename(said)


def _aborts(error: BaseException) -> bool:
    """Whether it is what ``context.abort`` raises to leave the method's code."""
    return type(error) is Exception or type(error).__name__ == "AbortError"


def _number(code: Any) -> int:
    """Return a status as its number; 0 where none was set."""
    value = getattr(code, "value", code)
    return value[0] if isinstance(value, tuple) else value or 0  # pyright: ignore[reportUnknownVariableType]

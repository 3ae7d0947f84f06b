# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Ray Serve: a deployment without an application of ASGI, a plain ``__call__``, answers in its replica as one does.

Ray's proxy hands a request of HTTP on as a scope of ASGI with an id, its own where the client gave none, and puts that
id into the answer's head itself. It kills a replica, and a proxy, when its shutdown has returned.

Ray's processes take SIGTERM for themselves, and may be killed before the end of the interpreter runs.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from otel_tts.guard import contain
from otel_tts.instrumentation.edges import asgi, ending
from otel_tts.instrumentation.edges.answer import HEADER
from otel_tts.instrumentation.wrapping import HOOKS
from otel_tts.patches import replace

_HEADS: Final = frozenset({"http.response.start", "websocket.accept"})


def patch(module: Any) -> None:
    """Hook the replicas or the proxies of Ray Serve, or how Ray's processes take SIGTERM."""
    if hasattr(module, "ProxyActor"):
        contain("ray", _patch_proxy, module.ProxyActor)
    elif hasattr(module, "set_sigterm_handler"):
        contain("ray", replace, module, "set_sigterm_handler", _flushing_first, HOOKS)
    else:
        _patch_replica(module)


def _patch_proxy(maker: Any) -> None:
    """The controller asks a proxy to shut down, and waits for that, where its class has such a method.

    What stands in the module makes the actor; the class inside of it travels, with what is put into it here.
    """
    actor: Any = maker.__ray_metadata__.modified_class
    if hasattr(actor, "shutdown"):
        replace(actor, "shutdown", _flushing, HOOKS)


def _patch_replica(module: Any) -> None:
    contain("ray", replace, module.Replica, "shutdown", _flushing, HOOKS)
    cls = module.UserCallableWrapper
    on_their_loop: Any = cls._run_user_code  # a plain function to whoever asks the class
    replace(cls, "_call_http_entrypoint", functools.partial(_with_edge, on_their_loop), HOOKS)


def _flushing(shutdown: Any) -> Any:
    @functools.wraps(shutdown)
    async def shut_down(actor: Any) -> Any:
        try:
            return await shutdown(actor)
        finally:
            await ending.flush()

    return shut_down


def _flushing_first(set_handler: Any) -> Any:
    @functools.wraps(set_handler)
    def set_sigterm_handler(sigterm_handler: Any) -> Any:
        return set_handler(contain("ray", _flush_before, sigterm_handler) or sigterm_handler)

    return set_sigterm_handler


def _flush_before(handler: Any) -> Any:
    if not callable(handler):  # one of the signal module's own
        return handler

    @functools.wraps(handler)
    def on_sigterm(number: int, frame: Any) -> Any:
        if ending.before_end is not None:
            contain("ray", ending.before_end)
        return handler(number, frame)

    return on_sigterm


def _with_edge(on_their_loop: Any, original: Any) -> Any:
    """`original` may hand over to the loop of another thread; what it hands over is within the edge."""
    answer = original.__wrapped__

    async def _call_http_entrypoint(self: Any, info: Any, scope: Any, receive: Any, send: Any) -> Any:
        send = contain("ray", _without_id, scope, send) or send
        if info.is_asgi_app:  # which has the edge itself
            return await answer(self, info, scope, receive, send)
        call = _Call(functools.partial(answer, self, info), receive)
        await _edge(call, scope, receive, send)
        return call.result

    placed = on_their_loop(_call_http_entrypoint)
    placed.__wrapped__ = original
    return placed


def _without_id(scope: Any, send: Any) -> Any:
    """Ray's `send` for an answer in whose head an edge has put the id that Ray's proxy will put there."""
    named: Any = next((header for header in scope["headers"] if header[0] == HEADER), None)

    async def send_without(message: Any) -> None:
        if message["type"] in _HEADS:
            message = contain("ray", _drop, message, named) or message
        await send(message)

    return send_without if named is not None else None


def _drop(message: Any, named: tuple[bytes, bytes]) -> Any:
    others = [header for header in message.get("headers") or () if (header[0].lower(), header[1]) != named]
    return {**message, "headers": others}


class _Call:
    """One request to a plain callable: the application, as the edge knows it."""

    def __init__(self, answer: Any, receive: Any) -> None:
        self._answer, self._receive = answer, receive
        self.result: Any = None

    async def run(self, scope: Any, receive: Any, send: Any) -> None:
        self.result = await self._answer(scope, _Receive(self._receive, receive), send)


class _Receive:
    """Ray's `receive`, which has more than ASGI asks for: what comes in passes the edge's."""

    def __init__(self, theirs: Any, ours: Any) -> None:
        self._theirs, self._ours = theirs, ours

    async def __call__(self) -> Any:
        return await self._ours()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._theirs, name)


_edge = asgi.with_edge(_Call.run, "ray")

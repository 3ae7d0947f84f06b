# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The edge of Tornado's applications: around a handler's method, and where it flushes and finishes its answer."""

from __future__ import annotations

import functools
from typing import Any, Final

from otel_tts.guard import contain
from otel_tts.instrumentation.edges import exchange, serving
from otel_tts.instrumentation.edges.exchange import HEADER, Exchange
from otel_tts.patches import replace

_GROUP: Final = "tornado"
_MARK: Final = "_otel_tts_exchange"
_excluded: Final = serving.Excluded("tornado")


def patch(module: Any) -> None:
    """Give Tornado's request handlers the edge."""
    handler = module.RequestHandler
    replace(handler, "_execute", _with_edge, _GROUP)
    replace(handler, "flush", _with_head, _GROUP)
    replace(handler, "finish", _with_end, _GROUP)
    errors = (module.HTTPError, module.Finish)
    replace(handler, "_handle_request_exception", functools.partial(_noting_errors, answers=errors), _GROUP)


def _with_edge(original: Any) -> Any:
    @functools.wraps(original)
    async def _execute(self: Any, *args: Any, **kwargs: Any) -> Any:
        current = contain("tornado", _enter, self)
        try:
            return await original(self, *args, **kwargs)
        finally:
            if current is not None:
                contain("tornado", _leave, self, current)

    return _execute


def _enter(handler: Any) -> Exchange:
    asked = handler.request
    ask = functools.partial(_as_scope, asked)
    came_on = getattr(getattr(asked.connection, "stream", None), "socket", None)
    current = exchange.begin(_excluded, asked.headers.get, asked.method, asked.protocol, ask, came_on=came_on)
    setattr(handler, _MARK, current)
    current.enter()
    return current


def _as_scope(asked: Any) -> dict[str, Any]:
    return exchange.as_scope(
        asked.headers.get, method=asked.method, scheme=asked.protocol, path=asked.path, query=asked.query,
        version=asked.version.partition("/")[2], client=(asked.remote_ip, None),
    )  # fmt: skip


def _leave(handler: Any, current: Exchange) -> None:
    current.leave()
    if not getattr(handler, "_finished", False) or not current.started:  # who waits for it has to wait no longer
        current.end()


def _noting_errors(original: Any, answers: tuple[type[Exception], ...]) -> Any:
    """`answers` are exceptions that are an answer."""

    @functools.wraps(original)
    def _handle_request_exception(self: Any, e: BaseException) -> Any:
        if not isinstance(e, answers):
            contain("tornado.error", _note_error, self, e)
        return original(self, e)

    return _handle_request_exception


def _note_error(handler: Any, error: BaseException) -> None:
    current: Exchange | None = getattr(handler, _MARK, None)
    if current is None:
        return
    if type(error).__name__ == "StreamClosedError":
        current.lose()
    else:
        current.note_error(error)


# --- the answer -------------------------------------------------------------------------------------------------------


def _with_head(original: Any) -> Any:
    @functools.wraps(original)
    def flush(self: Any, *args: Any, **kwargs: Any) -> Any:
        contain("tornado.flush", _note_flush, self)
        return original(self, *args, **kwargs)

    return flush


def _note_flush(handler: Any) -> None:
    current: Exchange | None = getattr(handler, _MARK, None)
    if current is None:
        return
    if not current.started:
        said = {name.lower(): value for name, value in handler._headers.items()}
        if (lacking := current.note_head(handler.get_status(), said)) is not None:
            handler.set_header(HEADER, lacking)
    stream = getattr(handler.request.connection, "stream", None)
    if stream is not None and stream.closed():
        current.lose()
    for piece in handler._write_buffer:
        current.pass_piece(piece)


def _with_end(original: Any) -> Any:
    @functools.wraps(original)
    def finish(self: Any, *args: Any, **kwargs: Any) -> Any:
        sent = original(self, *args, **kwargs)
        contain("tornado.finish", _await_the_last, self, sent)
        return sent

    return finish


def _await_the_last(handler: Any, sent: Any) -> None:
    current: Exchange | None = getattr(handler, _MARK, None)
    if current is not None:
        sent.add_done_callback(functools.partial(contain, "tornado.sent", _note_sent, current))


def _note_sent(current: Exchange, done: Any) -> None:
    if done.cancelled() or done.exception() is not None:
        current.lose()
    current.exhaust()
    current.end()

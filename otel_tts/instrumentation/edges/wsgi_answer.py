# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One answer of a WSGI app on its way through the edge: the id in its head, and whether somebody took all of it.

A server takes the body piece by piece after the app has returned, and closes it: before its end where the client has
gone. What the app and its body find in the context is theirs: each step of the body has the context that the step
before has left, and what serves other requests in between has none of it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, Final

from opentelemetry.context import Context

from otel_tts.guard import contain
from otel_tts.instrumentation.edges.exchange import HEADER, Exchange
from otel_tts.otel_private.context import current_context, enter_context, restore_context
from otel_tts.recording.delivered import note_file
from otel_tts.recording.request import Request, current

StartResponse = Callable[..., Any]

_LISTS: Final = (list, tuple)
"""Whole bodies. Servers know them by their class, and announce their size or send them in one."""


class Answer(Exchange):
    """Stands for the server towards the app, and for the app towards the server."""

    __slots__ = ("_start",)

    def __init__(
        self, request: Request, start_response: StartResponse, inside: Context, environ: Any, connection: Any
    ) -> None:
        super().__init__(request, inside, environ.get("REQUEST_METHOD", ""), connection)
        self._start = start_response

    def run(self, call: Callable[..., Any], *args: Any) -> Any:
        """Return what `call` returns: a step of the app, in the context that its last one has left."""
        outside, web = enter_context(self._inside), current.set(self.request)
        try:
            return call(*args)
        finally:
            self._inside = current_context()
            current.reset(web)
            restore_context(outside)

    # --- its head -----------------------------------------------------------------------------------------------------

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        """Start, with the request's id in the head. `exc_info`: the answer so far is taken back for this error's."""
        headers = contain("wsgi.header", self._with_id, status, headers, exc_info) or headers
        if exc_info is None:
            write = self._start(status, headers)
        else:
            try:
                write = self._start(status, headers, exc_info)
            finally:
                exc_info = None  # no cycle with the frames
        return functools.partial(self._write, write)

    def _with_id(self, status: str, headers: Any, exc_info: Any) -> Any:
        if exc_info is not None:
            self.note_error(exc_info[1])
        lacking = self.note_head(int(status[:3]), {name.lower(): value for name, value in headers})
        if lacking is None or not isinstance(headers, list):  # what is no list is the server's to refuse
            return headers
        return [*headers, (HEADER, lacking)]

    # --- its body -----------------------------------------------------------------------------------------------------

    def _write(self, write: Callable[[bytes], object], piece: bytes) -> None:
        contain("wsgi.piece", self.pass_piece, piece)
        try:
            write(piece)
        except OSError:
            contain("wsgi.left", self.lose)
            raise

    def take(self, result: Any, environ: Any) -> Any:
        """Return what the server gets for the app's `result`: itself, where the server knows it by what it is."""
        if type(result) in _LISTS:
            self._take_whole(result)
            return result
        if _is_for_the_server(result, environ.get("wsgi.file_wrapper")):
            self._send_file(result)
            return result
        return (SizedBody if hasattr(result, "__len__") else Body)(self, result)

    def _take_whole(self, pieces: list[bytes] | tuple[bytes, ...]) -> None:
        for piece in pieces:
            self.pass_piece(piece)
        self.exhaust()
        self.end()

    def _send_file(self, result: Any) -> None:
        file: Any = getattr(result, "filelike", None) or getattr(result, "file", None) or result
        path: Any = getattr(file, "name", file)
        if self.request.body is not None and note_file(self.request, path, returned=True):
            self.request.body = None
        close = getattr(result, "close", None)
        try:
            result.close = functools.partial(self._close_file, close)
        except AttributeError:
            self._close_file(None)

    def _close_file(self, close: Callable[[], object] | None) -> None:
        try:
            if close is not None:
                self.run(close)
        finally:
            contain("wsgi.end", self.exhaust)
            contain("wsgi.end", self.end)


class Body:
    """Stands in the place of an app's result. One that nobody closes ends when nobody holds it any more."""

    __slots__ = ("_answer", "_ended", "_next", "_result")

    def __init__(self, answer: Answer, result: Any) -> None:
        self._answer, self._result, self._ended = answer, result, False
        self._next: Any = None

    def __iter__(self) -> Iterator[bytes]:
        result = self._result
        steps = iter(result) if hasattr(result, "__next__") else self._answer.run(iter, result)
        self._next = steps.__next__
        return self

    def __next__(self) -> bytes:
        try:
            piece = self._answer.run(self._next)
        except StopIteration:
            contain("wsgi.end", self._answer.exhaust)
            raise
        except BaseException as error:
            contain("wsgi.failed", self._answer.fail, error)
            raise
        contain("wsgi.piece", self._answer.pass_piece, piece)
        return piece

    def close(self) -> None:
        """Close the app's result, as the server has to in any case."""
        close = getattr(self._result, "close", None)
        try:
            if close is not None:
                self._answer.run(close)
        finally:
            contain("wsgi.end", self._end)

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._answer.end()

    def __del__(self) -> None:
        if not getattr(self, "_ended", True):  # one that could not be made has nothing
            contain("wsgi.end", self._end)


class SizedBody(Body):
    """Of a result with a length: servers ask whether it is of one piece, which they announce the size of then."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._result)


def _is_for_the_server(result: Any, file_wrapper: Any) -> bool:
    """Whether a server knows `result` by what it is: of its own class, or in uWSGI a file."""
    if isinstance(file_wrapper, type):
        return isinstance(result, file_wrapper)
    return file_wrapper is not None and hasattr(result, "read")

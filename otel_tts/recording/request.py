# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The web request that the current code works for: its id, when it came in, its SERVER span.

A ContextVar of its own, not a value in OpenTelemetry's context: `propagate.extract` starts from an empty context and
would drop it before the SERVER span is made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import SpanKind

from otel_tts import names
from otel_tts.chance import bits

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from otel_tts.recording.server import ServerSpan

MAX_ID_LENGTH: Final = 128


@dataclass(slots=True, frozen=True)
class Elsewhere:
    """What arrives of a request in another process: Ray Serve pickles the scope in which it stands for its replicas."""

    traceparent: str | None


@dataclass(slots=True)
class Request:
    """One request at the edge of the process: `started` is perf_counter_ns, `span` its SERVER span once there is one.

    `synthesis` is the newest synthesis made for it: encoding its audio afterwards is still one of its stages.
    `given` says that the caller chose the id. `begun` is told of each synthesis that is made for it. `session`: a
    WebSocket, of which each utterance is asked for when it begins; `numbers` are theirs. `answers`: its answer passes
    the edge and is worth waiting for; the edge notes in `ended` (perf_counter_ns) when it was handed to the server as a
    whole, or when its client `left` before that. `syntheses` counts those that were made for it. `body` is what passes
    of its answer, where that is audio (see `edges/answer_audio.py`). `offered`: the id that it had before the
    application answered with another one. `own`: its SERVER span while that is ours and open; `status` and `length` are
    what its answer said of itself. `canary`: a watcher's probe, proved by its mark (see
    `otel_tts.marking`). `facts` are attributes that only the edge knows, for the first synthesis that is
    made for it. `gone` is when it was seen first that the client had left, by `is_gone`, which the edge gives where its
    server says so: what is noted when the answer is sent may be much later. `route` is the
    template of the route that took it, or who finds it, where the framework has said so. `kind` is that of its span:
    CONSUMER for a task of a queue. `pieces`: see `otel_tts.recording.pieces`.
    """

    id: str
    started: int
    span: Span | None = None
    synthesis: Any = None
    given: bool = False
    begun: Callable[[Any], None] | None = None
    session: bool = False
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    answers: bool = False
    ended: int | None = None
    left: bool = False
    offered: str | None = None
    syntheses: int = 0
    body: Any = None
    own: ServerSpan | None = None
    status: int | None = None
    length: int | None = None
    canary: bool = False
    facts: dict[str, Any] | None = None
    is_gone: Callable[[], bool] | None = None
    gone: int | None = None
    route: str | Callable[[], str] = ""
    kind: SpanKind = SpanKind.SERVER
    pieces: Any = None

    def __reduce__(self) -> tuple[type[Elsewhere], tuple[str | None]]:
        seen = self.span.get_span_context() if self.span is not None else None
        if seen is None or not seen.is_valid:
            return Elsewhere, (None,)
        return Elsewhere, (f"00-{seen.trace_id:032x}-{seen.span_id:016x}-{seen.trace_flags:02x}",)

    def adopt(self, span: Span) -> None:
        """Put the request's id on a span that stands for it; the outermost is its own."""
        span.set_attribute(names.REQUEST_ID, self.id)
        if self.span is None:
            self.span = span

    def name_utterance(self) -> str:
        """Return the id of a synthesis for this request: its own while its answer is open, else one of a row below it.

        An utterance of a WebSocket, and what goes on after the answer (a bot that a POST has started, a background
        task): there may be many of them.
        """
        if not self.session and self.ended is None:
            return self.id
        return f"{_stem(self.id)}.{next(self.numbers)}"  # in one step: threads may ask at once

    def rename(self, name: str) -> None:
        """The client is told another id than was offered: it is the request's from now on, and both stand on its span.

        What has left by now has the one that was offered.
        """
        if name == self.id:
            return
        self.offered, self.id = self.id, name
        if self.span is not None:
            self.span.set_attribute(names.REQUEST_ID, name)
            self.span.set_attribute(names.REQUEST_OFFERED, self.offered)

    def name_now(self, name: str) -> str:
        """Return the id by now of what was named `name` for this request."""
        if self.offered is None:
            return name
        if name == self.offered:
            return self.id
        stem, dot, number = name.rpartition(".")
        return f"{_stem(self.id)}.{number}" if dot and stem == _stem(self.offered) else name

    def end(self, at: int, *, left: bool = False) -> None:
        """The answer is complete, or its client has left before it was. Only the first call counts."""
        if self.ended is None:
            self.left, self.ended = left, at

    def look_for_client(self, at: int) -> None:
        """Note that the client has left, where that can be seen. Off the request's path, while its work goes on."""
        if self.gone is None and self.ended is None and self.is_gone is not None and self.is_gone():
            self.gone = at

    @property
    def is_answering(self) -> bool:
        """Whether its answer is still being made or handed over."""
        return self.answers and self.ended is None

    def awaits(self, at: int) -> bool:
        """Whether at `at` somebody was waiting for what this request is answered with."""
        return not self.session and (self.ended is None or at <= self.ended)


def _stem(name: str) -> str:
    return name[: MAX_ID_LENGTH - 12]


current: Final[ContextVar[Request | None]] = ContextVar("otel_tts_request", default=None)


def leave(token: Token[Request | None]) -> None:
    """Undo `current.set`, unless it is undone from another context: as an abandoned coroutine or generator does."""
    try:
        current.reset(token)
    except ValueError:
        pass


_acceptable: Final = re.compile(rf"[A-Za-z0-9._:-]{{1,{MAX_ID_LENGTH}}}").fullmatch


def is_acceptable(text: str) -> bool:
    """Say whether `text` is harmless as an id."""
    return _acceptable(text) is not None


def accept_id(raw: bytes | str | None) -> str:
    """Return `raw` when it is harmless as an id (1 to 128 of ``[A-Za-z0-9._:-]``), else a new id (32 hex digits).

    An id comes from outside and goes into headers, logs and labels of links: what could break any of them is replaced.
    """
    if raw:
        text = raw.decode("latin-1") if isinstance(raw, bytes) else raw
        if _acceptable(text):
            return text
    return new_id()


def name_of(given: bytes | str | None, trusts: bool) -> tuple[str, bool]:
    """Return a request's id, and whether it is the one that its caller has `given`.

    A service that does not trust its callers gives ids of its own: another client's id would mix the two.
    """
    if not trusts or not given:
        return new_id(), False
    name = accept_id(given)
    return name, name == (given.decode("latin-1") if isinstance(given, bytes) else given)


def new_id() -> str:
    """A random UUID of version 4 as 32 hex digits: what libraries that check or make such ids take for one of theirs.

    Not from the system: it names a request, it guards nothing, and this is a tenth of the price.
    """
    return f"{bits(128) & _NOT_FIXED | _VERSION_4:032x}"


_VERSION_4: Final = (0x4 << 76) | (0x8 << 60)
_NOT_FIXED: Final = ~((0xF << 76) | (0xC << 60))

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The web request that the current code works for: its id, when it came in, its SERVER span.

A ContextVar of its own, not a value in OpenTelemetry's context: `propagate.extract` starts from an empty context and
would drop it before the SERVER span is made.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from opentelemetry.trace import Span

MAX_ID_LENGTH: Final = 128


@dataclass(slots=True)
class Request:
    """One request at the edge of the process: `started` is perf_counter_ns, `span` its SERVER span once there is one.

    `synthesis` is the newest synthesis made for it: encoding its audio afterwards is still one of its stages.
    `complete` says that the whole response has been handed to the server; `given`, that the caller chose the id.
    `begun` is told of each synthesis that is made for it. `session`: a WebSocket, of which each utterance is asked for
    when it begins. `syntheses` counts those that were made for it. `answering`: its answer has not been handed over
    yet. `answer` is what passes of it, where that is audio (see `instrumentation.answers`).
    """

    id: str
    started: int
    span: Span | None = None
    synthesis: Any = None
    complete: bool = False
    given: bool = False
    begun: Callable[[Any], None] | None = None
    session: bool = False
    utterances: int = 0
    syntheses: int = 0
    answering: bool = False
    answer: Any = None

    def name_utterance(self) -> str:
        """Return the id of a synthesis for this request: its own, numbered where there may be many of them."""
        if not self.session:
            return self.id
        self.utterances += 1
        return f"{self.id[: MAX_ID_LENGTH - 12]}.{self.utterances}"


current: Final[ContextVar[Request | None]] = ContextVar("otel_tts_request", default=None)

_acceptable: Final = re.compile(rf"[A-Za-z0-9._:-]{{1,{MAX_ID_LENGTH}}}").fullmatch


def accept_id(raw: bytes | str | None) -> str:
    """Return `raw` when it is harmless as an id (1 to 128 of ``[A-Za-z0-9._:-]``), else a new id (32 hex digits).

    An id comes from outside and goes into headers, logs and labels of links: what could break any of them is replaced.
    """
    if raw:
        text = raw.decode("latin-1") if isinstance(raw, bytes) else raw
        if _acceptable(text):
            return text
    return new_id()


def new_id() -> str:
    """A random id. Not from urandom: it names a request, it guards nothing, and this is seven times cheaper."""
    return f"{random.getrandbits(128):032x}"

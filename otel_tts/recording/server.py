# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The span of a request that comes in at an edge of the process: a record like all others, made a span off the path.

What the request path notes is what only it can: when, which method, which status. All else (route, addresses, sizes)
is read by `describe` when the span is made, after the answer is out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, SamplingResult
from opentelemetry.trace import SpanKind, Status, StatusCode

from otel_tts import names
from otel_tts.otel_private.context import SPAN_KEY
from otel_tts.record import PlainSpan, describe, now, set_item, type_name

_DROP: Final = SamplingResult(Decision.DROP)


class ServerSpan(PlainSpan):
    """A request at the edge. `span.describe` is asked once, off the path, and puts name and attributes on it."""

    __slots__ = ("around", "describe", "has_foreign", "received", "sent", "status_code")

    kind = SpanKind.SERVER

    describe: Callable[[ServerSpan], None] | None
    around: Context | None
    """The context around the edge, without the caller's."""
    has_foreign: bool
    """A span of another provider than ours is made inside of it for the same request."""
    status_code: int | None
    """The status that the application answered with."""
    received: int | None
    """Bytes of the request's body, where it was announced."""
    sent: int | None
    """Bytes of the answer's body, where it was announced."""

    def __init__(
        self,
        name: str,
        outside: Context,
        t0: int,
        epoch_offset_ns: int,
        attrs: dict[str, Any],
        describe: Callable[[ServerSpan], None] | None = None,
    ) -> None:
        super().__init__(name, outside, t0, epoch_offset_ns, attrs)
        self.around, self.describe = outside, describe
        self.status_code = self.received = self.sent = None
        self.has_foreign = False

    def raised(self, error: BaseException) -> None:
        """Note what left the application, also after its answer: a server answers 500 first and raises then."""
        self.events.append(("exception", describe(error), None, self.t1 or now()))
        self.attrs.setdefault(names.ERROR_TYPE, type_name(error))

    def settle(self) -> None:
        """Off the path: put on it what is told of it. A status of 500 and above is the server's own error."""
        if self.describe is not None:
            self.describe(self)
        if self.status_code is not None:
            self.attrs[names.HTTP_STATUS] = self.status_code
            if self.status_code >= 500:
                self.attrs[names.ERROR_TYPE] = str(self.status_code)
        if names.ERROR_TYPE in self.attrs and self.status is None:
            self.status = Status(StatusCode.ERROR)

    def before_foreign(self, current: Context) -> Context:
        """Return `current`, with this span in the place of one that another provider has made for the same request.

        BentoML has a provider of its own, which samples nothing and exports nowhere unless it is told to: what is
        below its span would be lost, or have a parent that nobody has, although this one is there.
        """
        other: Any = current.get(SPAN_KEY)
        if not self.has_foreign or other is None or self.is_withdrawn:
            return current
        if other.get_span_context().trace_flags.sampled and getattr(other, "kind", None) is not self.kind:
            return current
        inside = Context(current)
        set_item(inside, SPAN_KEY, self)
        return inside

    def withdraw(self) -> None:
        """Somebody else has made a span for the same request: be none, in nobody's telemetry."""
        self.sampling, self.t1, self.describe = _DROP, now(), None

    @property
    def is_withdrawn(self) -> bool:
        """Whether it has given way."""
        return self.sampling is _DROP

    def unlink(self) -> None:
        super().unlink()
        self.around = self.describe = None


class TaskSpan(ServerSpan):
    """A task of a queue, from the moment when work on it begins."""

    __slots__ = ()

    kind = SpanKind.CONSUMER

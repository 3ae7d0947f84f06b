# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A span that is its own record: it has its identity at once, the SDK's span is made from it after the audio is out.

The request path notes times and plain values in slots; nothing is copied at the end. See docs/architecture.md
("Why records, not spans") for what this saves against spans of the SDK.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, SamplingResult
from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext, SpanKind, Status, StatusCode

from otel_tts import names
from otel_tts.otel_private.context import SPAN_KEY

if TYPE_CHECKING:
    import numpy as np
else:
    from otel_tts.late_numpy import np

now = time.perf_counter_ns
"""The host clock of all records: monotonic nanoseconds. `Synthesis.epoch_offset_ns` maps them to the time of day."""

# Both skip checks that cost half of a stage: Context forbids item assignment once it is shared (ours is still new), and
# SpanContext() validates ids (ours come from the provider's own generator).
set_item: Any = dict.__setitem__  # pyright: ignore[reportUnknownVariableType]
make_tuple: Any = tuple.__new__  # pyright: ignore[reportUnknownVariableType]

_PLAIN: Final = frozenset((str, int, float, bool))
_are_plain: Final = _PLAIN.issuperset
_DROP: Final = SamplingResult(Decision.DROP)
_CLIENT, _INTERNAL = SpanKind.CLIENT, SpanKind.INTERNAL  # an Enum that is asked for one takes longer than a call

Event = tuple[str, "dict[str, Any] | None", "int | None", int]
"""Name, attributes, the caller's own timestamp (ns since the epoch) or None, and ours (perf_counter_ns)."""


class Identifies(Protocol):
    """Who gives spans their ids and asks the user's sampler: the recorder."""

    identities: Any
    inherited: tuple[SamplingResult, SamplingResult]
    new_span_id: Callable[[], int]
    new_trace_id: Callable[[], int]


class LateSpan(trace.Span):
    """The span API over plain slots. Every method may be called from any thread; after the end they do nothing."""

    __slots__ = (
        "attrs", "events", "identity", "inside", "links", "name", "outside", "sampling", "status", "t0", "t1",
    )  # fmt: skip

    kind: SpanKind = SpanKind.INTERNAL

    name: str
    identity: SpanContext
    outside: Context
    """The context in which it was opened: its span is the parent."""
    inside: Context
    """The context inside: this span is current in it."""
    t0: int
    t1: int | None
    attrs: dict[str, Any]
    events: list[Event]
    links: tuple[trace.Link, ...]
    status: Status | None
    sampling: SamplingResult

    def get_span_context(self) -> SpanContext:
        return self.identity

    def is_recording(self) -> bool:
        return self.t1 is None and self.sampling.decision is not Decision.DROP

    def set_attribute(self, key: str, value: Any) -> None:
        if self.t1 is None:
            self.attrs[key] = value if value.__class__ in _PLAIN else _freeze(value)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        if self.t1 is None:
            self.attrs.update(_frozen(attributes))

    def add_event(self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None) -> None:
        if self.t1 is None:
            self.events.append((name, _frozen(attributes) if attributes else None, timestamp, now()))

    def add_link(self, context: SpanContext, attributes: Mapping[str, Any] | None = None) -> None:
        if self.t1 is None:
            self.links = (*self.links, trace.Link(context, attributes))

    def update_name(self, name: str) -> None:
        if self.t1 is None:
            self.name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        if self.t1 is not None or (self.status is not None and self.status.status_code is StatusCode.OK):
            return
        wanted = status if isinstance(status, Status) else Status(status, description)
        if wanted.status_code is not StatusCode.UNSET:
            self.status = wanted

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Note the exception's class and where it was raised; never its message, which may quote the text.

        No frame is kept alive: frames hold tensors.
        """
        if self.t1 is None:
            self.events.append(("exception", describe(exception), timestamp, now()))

    def end(self, end_time: int | None = None) -> None:
        """Nothing: who opened it ends it, so that a stray ``end()`` of a current span cannot cut it short."""

    def begin(self, recorder: Identifies, outside: Context) -> bool:
        """Take an identity below the span of the context `outside`, and make the context inside.

        False where spans of ours are not wanted: it has the identity of the one around it.
        """
        outer: Any = outside.get(SPAN_KEY)
        above: SpanContext | None = outer.get_span_context() if outer is not None else None
        identities = recorder.identities
        if wanted := identities.enabled():
            trace_id = above[0] if above is not None and above[5] else recorder.new_trace_id()
            flags, state, self.sampling = identities.sample(outside, above, trace_id, self.name, self.attrs, self.kind)
            self.identity = make_tuple(SpanContext, (trace_id, recorder.new_span_id(), False, flags, state, True))
        else:
            self.sampling, self.identity = recorder.inherited[0], above if above is not None else INVALID_SPAN_CONTEXT
        inside = Context(outside)
        set_item(inside, SPAN_KEY, self)
        self.outside, self.inside = outside, inside
        return wanted

    def give_up(self) -> None:
        """Be a span that is not recording and never was: what stays of one that could not be opened."""
        self.identity, self.sampling = INVALID_SPAN_CONTEXT, _DROP
        self.t0 = self.t1 = now()

    def unlink(self) -> None:
        """Break the cycle with its contexts, so that nothing is left to the cyclic collector."""
        self.inside = self.outside = None  # pyright: ignore[reportAttributeAccessIssue]

    def discard(self) -> None:
        """Nobody will make telemetry of it: as `unlink`, for all that belongs to it."""
        self.unlink()

    def own_stages(self) -> Sequence[StageRecord]:
        """Return the stages whose times have to be known before it can leave."""
        return ()

    def note(self, name: str, attributes: dict[str, Any]) -> None:
        """Add an event of ours: `attributes` are plain values that nobody changes afterwards."""
        self.events.append((name, attributes, None, now()))

    def fail(self, error: BaseException) -> None:
        """Mark as failed with `error`'s class."""
        self.record_exception(error)
        self.attrs[names.ERROR_TYPE] = type_name(error)
        self.set_status(StatusCode.ERROR)


Where = str | Sequence[Any] | None
"""What a stage runs on: ``"cpu"`` is never a device, a sequence names streams, else it is the current stream."""


class StageRecord(LateSpan):
    """What a stage notes of itself, as the clocks and the device's books know it."""

    @property
    def kind(self) -> SpanKind:  # pyright: ignore[reportIncompatibleVariableOverride]
        """A client's where the work is somebody else's."""
        return _CLIENT if self.stage == names.Stage.REMOTE else _INTERNAL

    __slots__ = ("count", "counted", "fold", "memory", "nested", "root", "since", "stage", "thread", "timing", "where")

    root: Any
    """The synthesis that it belongs to, which only its own kind knows by name: to others it is a `LateSpan`."""
    stage: str
    nested: StageRecord | None
    """The stage that it is a part of."""
    count: int
    fold: bool
    """All stages of this kind in a request are one span."""
    counted: bool
    """Its time is in the sums of its synthesis."""
    since: int
    """When the first of the stages of this kind began that overlap up to this one."""
    timing: Any
    """What the clock has noted between its ends."""
    memory: Any
    """What was noted of the device's memory between its ends."""
    where: Where
    thread: int
    """Who opened it (threading.get_ident): where that thread stands says whether the stage moves on."""

    def own_stages(self) -> Sequence[StageRecord]:
        return (self,)

    def unlink(self) -> None:
        super().unlink()
        self.nested = None


class OpenRequests(Protocol):
    """The requests that run now: what a device's books need to know of each other's company."""

    open: dict[int, Any]
    """The open syntheses, by their identity."""
    overlaps: int
    """How often a synthesis began while another one was open."""


class PlainSpan(LateSpan):
    """A span that is neither a synthesis nor a stage of one: a queue's job, its waiting, a load, a batch."""

    __slots__ = ("epoch_offset_ns",)

    epoch_offset_ns: int
    """Nanoseconds to add to the host clock for the time of day, as it was at the start."""

    def __init__(self, name: str, outside: Context, t0: int, epoch_offset_ns: int, attrs: dict[str, Any]) -> None:
        self.name, self.outside, self.t0, self.epoch_offset_ns, self.attrs = name, outside, t0, epoch_offset_ns, attrs
        self.events, self.links, self.status, self.t1 = [], (), None, None


def type_name(error: BaseException) -> str:
    """Return the exception's qualified class name, as the conventions' ``error.type``."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def describe(error: BaseException) -> dict[str, Any]:
    """Return what may be said of an exception: its class and where it was raised."""
    return {"exception.type": type_name(error), **location_of(error)}


def location_of(error: BaseException) -> dict[str, Any]:
    """Return file (base name), line and function of the innermost frame: what an engineer on call asks first."""
    innermost = None
    for innermost in traceback.walk_tb(error.__traceback__):  # noqa: B007
        pass
    if innermost is None:
        return {}
    frame, line = innermost
    code = frame.f_code
    return {
        "code.file.path": code.co_filename.rsplit("/", 1)[-1],
        "code.line.number": line,
        "code.function.name": code.co_name,
    }


def _frozen(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy whose values nobody changes: as a rule all are plain, which is asked at once."""
    copied = dict(attributes)
    if not _are_plain(map(type, copied.values())):
        copied = {key: value if value.__class__ in _PLAIN else _freeze(value) for key, value in copied.items()}
    return copied


def _freeze(value: Any) -> Any:
    if isinstance(value, np.generic):  # numpy's numbers, which the SDK would refuse
        return value.item()  # pyright: ignore[reportUnknownVariableType]
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]

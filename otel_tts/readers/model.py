# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What is read back: spans, log records, data points, syntheses; and answers that say what they lack.

Times are Unix nanoseconds unless a name says otherwise, ids are lower-case hex. What is unknown is None or absent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from otel_tts import names

Attributes = Mapping[str, Any]
"""Values are str, bool, int, float, bytes as base64, or lists and dicts of these."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Event:
    """Something that happened within a span."""

    name: str
    time: int
    attributes: Attributes


@dataclass(frozen=True)
class Span:
    """One span; `parent_id` is empty for a root."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    start: int
    end: int
    attributes: Attributes
    events: tuple[Event, ...]
    status: str
    status_message: str
    scope: str
    resource: Attributes

    @property
    def seconds(self) -> float:
        """The span's duration in seconds."""
        return (self.end - self.start) / 1e9


@dataclass(frozen=True)
class LogLine:
    """One log record; `time` is 0 when unknown, the ids are empty outside a span."""

    time: int
    severity: str
    body: Any
    event_name: str
    attributes: Attributes
    trace_id: str
    span_id: str
    scope: str
    resource: Attributes


@dataclass(frozen=True)
class Exemplar:
    """A measurement that a point keeps, with the span in which it was taken."""

    value: float
    time: int
    trace_id: str
    span_id: str


@dataclass(frozen=True)
class Point:
    """One data point: `value` of a sum or gauge; `count`, `sum`, `bounds` and `buckets` of a histogram.

    `delta`: it counts since the point before, not since `start`.
    """

    metric: str
    kind: str
    unit: str
    attributes: Attributes
    start: int
    time: int
    value: float | None
    count: int | None
    sum: float | None
    bounds: tuple[float, ...]
    buckets: tuple[int, ...]
    exemplars: tuple[Exemplar, ...]
    scope: str
    resource: Attributes
    delta: bool = False


@dataclass(frozen=True)
class Synthesis:
    """One utterance, as far as its trace tells; or a request that came to none (`span_id` is empty then).

    `stages` are seconds by stage, all segments of a kind together; what ran at the same time counts once. `devices` are
    the `hw.id` of its stages. `root` is the outermost span above it that was read: itself where there is none. `waited`
    are the seconds in a queue before it began; they are among the stages too.
    """

    trace_id: str
    span_id: str
    start: int
    end: int
    attributes: Attributes
    resource: Attributes
    stages: Mapping[str, float]
    devices: tuple[str, ...]
    root: Span
    waited: float = 0.0

    @property
    def seconds(self) -> float:
        """The synthesis's duration in seconds."""
        return (self.end - self.start) / 1e9

    @property
    def request_id(self) -> str | None:
        """The id of the request: the synthesis's own, else its root's."""
        own = self.attributes.get(names.REQUEST_ID)
        return _text(own if own is not None else self.root.attributes.get(names.REQUEST_ID))

    @property
    def is_canary(self) -> bool:
        """Whether nobody asked for it: `otel-tts watch` or `otel-tts doctor` tried the service, or its telemetry."""
        return self.attributes.get(names.CANARY) is True or self.resource.get("service.name") == names.DOCTOR

    @property
    def outcome(self) -> str | None:
        """How it ended: one of `names.OUTCOMES`."""
        return _text(self.attributes.get(names.OUTCOME))

    @property
    def error_type(self) -> str | None:
        """The class of the exception that ended it, or what stands for one."""
        return _text(self.attributes.get(names.ERROR_TYPE))

    @property
    def engine(self) -> str | None:
        """The engine's name, as in its table."""
        return _text(self.attributes.get(names.ENGINE))

    @property
    def model(self) -> str | None:
        """The name of the model that spoke."""
        return _text(self.attributes.get(names.MODEL))

    @property
    def voice(self) -> str | None:
        """A preset's name, or the keyed hash of a reference voice."""
        return _text(self.attributes.get(names.VOICE))

    @property
    def anomalies(self) -> tuple[str, ...]:
        """What looks wrong with its audio: of `names.ANOMALIES`."""
        told = self.attributes.get(names.AUDIO_ANOMALY) or ()
        return tuple(map(str, told)) if isinstance(told, (list, tuple)) else (str(told),)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]

    @property
    def service(self) -> str | None:
        """The service that made it."""
        return _text(self.resource.get("service.name"))


def _text(value: object) -> str | None:
    """Return `value` as the text that it should be: in files of others anything may stand under our names."""
    return value if value is None or isinstance(value, str) else str(value)


Why = Literal["limit", "retention", "down", "refused", "unreadable", "late", "clock"]


@dataclass(frozen=True)
class Gap:
    """One reason why an answer may lack something, with a sentence for people.

    `limit`: more was found than asked for, or than is read. `retention`: the time reaches back further than the store
    keeps. `down`: the store did not answer. `refused`: it answered that it does not do that. `unreadable`: a part could
    not be read. `late`: spans came so long after the rest of their trace that they are missing from it.
    """

    why: Why
    text: str

    def __str__(self) -> str:
        return self.text


OnGap = Callable[[Gap], None]


@dataclass(frozen=True)
class Answer(Generic[T_co]):
    """What was found, and what may be missing from it."""

    items: tuple[T_co, ...]
    gaps: tuple[Gap, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether this is all there is."""
        return not self.gaps

    def __iter__(self) -> Iterator[T_co]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


class Stream(Iterator[T]):
    """An answer that is read while it is used, once and in bounded memory. What it lacks is known at its end.

    `read` is called with a function that takes gaps, and yields the items.
    """

    def __init__(self, read: Callable[[OnGap], Iterator[T]]) -> None:
        self._gaps: dict[Gap, None] = {}  # each once, in the order found
        self._items = read(lambda gap: self._gaps.setdefault(gap))
        self._ended = False

    def __next__(self) -> T:
        try:
            return next(self._items)
        except StopIteration:
            self._ended = True
            raise

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What is missing so far."""
        return tuple(self._gaps)

    @property
    def complete(self) -> bool:
        """Whether it was read to its end and nothing is missing."""
        return self._ended and not self._gaps

    def collect(self) -> Answer[T]:
        """Read all that is left, into memory."""
        return Answer(tuple(self), self.gaps)

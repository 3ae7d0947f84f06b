# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What can be asked of any store of traces, log records or metrics. No query language passes here.

A store that is down, slow or full is no exception: the answer has what was read until then, and a gap that says so.
ValueError is for questions that make no sense, and is raised before a store is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from otel_tts.names import Metric
from otel_tts.readers.filters import Filter
from otel_tts.readers.growth import Counted, Counts, Presence
from otel_tts.readers.model import Answer, Exemplar, LogLine, OnGap, Span, Stream, Synthesis


class TraceStore(Protocol):
    """Traces, and the syntheses in them."""

    def get(self, trace_id: str) -> Answer[Span]:
        """All spans of a trace, in order of start; none, and complete, where the store has no such trace."""
        ...

    def traces(self, trace_ids: Sequence[str]) -> Answer[tuple[Span, ...]]:
        """The spans of some traces, in the order asked, each in order of start; what is not there is left out."""
        ...

    def named(self, request_id: str) -> Answer[tuple[Span, ...]]:
        """The spans of each trace in which a span has this request id, in order of start."""
        ...

    def near(self, time: int, most: int, seconds: float) -> Answer[Synthesis]:
        """Some of those that began about `time` (Unix nanoseconds), to compare one with: at most `most`.

        As many as are read within about `seconds`, those closest first; which ones is not promised. Canaries among them
        are not counted.
        """
        ...

    def find(self, wanted: Filter) -> Answer[Synthesis]:
        """The newest syntheses that meet `wanted`, newest first. By request id also requests that came to none."""
        ...

    def slowest(self, wanted: Filter) -> Answer[Synthesis]:
        """The `wanted.limit` slowest of all that meet `wanted`, slowest first: by `wanted.stage` where one is named."""
        ...

    def syntheses(self, since: int | None = None, until: int | None = None) -> Stream[Synthesis]:
        """All that began in a period, each once, in bounded memory; their order is not promised."""
        ...


class LogStore(Protocol):
    """What can be asked of any store of log records."""

    def find(self, wanted: Filter) -> Answer[LogLine]:
        """The newest records that meet `wanted`, newest first."""
        ...

    def follow(self, wanted: Filter, on_gap: OnGap, patience: float | None = None) -> Iterator[LogLine]:
        """Wait for records that meet `wanted` and yield each as it comes, from `wanted.since` on (else from now).

        Goes on through a store that is down, which `on_gap` is told once each time. Ends after `patience` seconds
        without a record, never where that is None.
        """
        ...


MOST_STEPS: Final = 200_000
"""Times of one range."""


@dataclass(frozen=True)
class Question:
    """What is asked of a metric.

    `show`: the `value` (of a gauge or an up-down counter: of now), the `increase` over the `window`, the `rate` a
    second, of histograms the `mean` and the `quantile` below which `share` of the measurements lie; of histograms
    increase and rate count measurements. `labels` have to be equal, `by` are kept apart; both by OpenTelemetry's names,
    of attributes of the point or of its resource. Sums are taken over what is not kept apart. `window` is in seconds.
    """

    metric: Metric
    show: Literal["value", "increase", "rate", "mean", "quantile"]
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    by: tuple[str, ...] = ()
    share: float = 0.95
    window: float = 300.0

    def __post_init__(self) -> None:
        histogram = self.metric.kind == "histogram"
        counter = self.metric.kind == "counter"
        possible = {
            "value": not histogram and not counter,
            "increase": histogram or counter,
            "rate": histogram or counter,
            "mean": histogram,
            "quantile": histogram,
        }
        if not possible.get(self.show):
            raise ValueError(f"{self.metric.name} is a {self.metric.kind}: it has no {self.show}")
        if not 0 < self.share < 1:
            raise ValueError(f"share lies between 0 and 1, not at {self.share}")
        if not 1 <= self.window <= 366 * 86400:
            raise ValueError(f"window is 1 second to a year, not {self.window}")


@dataclass(frozen=True)
class Series:
    """Values of one combination of labels: pairs of Unix nanoseconds and value, in order of time."""

    labels: Mapping[str, str]
    values: tuple[tuple[int, float], ...]


def steps(since: int, until: int, step: float) -> list[int]:
    """The times of a range. Raises ValueError for a range that no store could answer."""
    if not 0.001 <= step <= 366 * 86400 or not 0 <= since <= until < 2**63:
        raise ValueError(f"no range: from {since} to {until} in steps of {step} seconds")
    count = int((until - since) // (step * 1e9)) + 1
    if count > MOST_STEPS:
        raise ValueError(f"{count} steps are more than {MOST_STEPS}: take a longer step")
    return [since + round(number * step * 1e9) for number in range(count)]


class MetricStore(Protocol):
    """What can be asked of any store of metrics."""

    def query(self, question: Question, at: int | None = None) -> Answer[Series]:
        """The answer at one time (now where that is None): one value a series. No series where nothing was counted."""
        ...

    def range(self, question: Question, since: int, until: int, step: float) -> Answer[Series]:
        """The answer at `since` and then every `step` seconds up to `until`."""
        ...

    def exemplars(
        self, metric: Metric, since: int, until: int, labels: Mapping[str, str] | None = None
    ) -> Answer[Exemplar]:
        """Measurements of a histogram that were kept with their trace ids."""
        ...

    def counts(self, asked: Sequence[Counted], presences: Sequence[Presence], times: Sequence[int]) -> Counts:
        """By how much counters grew between each two of `times`, exactly, and in which hours metrics were said."""
        ...

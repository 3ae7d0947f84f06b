# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Is a canary found again in each store, whole and soon? Each finding says what to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from otel_tts import names
from otel_tts.doctor.canary import STAGES, Canary
from otel_tts.doctor.check import FAIL, PASS, WARN, Check
from otel_tts.readers.file_metrics import FileMetrics
from otel_tts.readers.files import FileLogs, FileTraces
from otel_tts.readers.filters import Filter
from otel_tts.readers.model import Gap, LogLine, Span
from otel_tts.readers.stores import LogStore, MetricStore, Question, TraceStore
from otel_tts.readers.syntheses import is_synthesis, stage_of

LATE_S: Final = 10.0
"""Telemetry that comes later than this is late: the SDK sends every few seconds, the Collector at once."""

_METRICS_EVERY_S: Final = 60.0
_PAUSE_S: Final = 0.5
_LINES: Final = (names.REQ_START, names.REQ_SUCCESS, names.STAGE_TIME)


@dataclass
class Looked:
    """One store: what is found there so far, and when it was all there."""

    name: str
    store: object
    find: Callable[[], str | None]
    missing: str | None = "nothing was looked for"
    after_s: float = 0.0
    gaps: list[Gap] = field(default_factory=list[Gap])


class Arrival:
    """Looks for one canary in the stores there are."""

    def __init__(
        self, canary: Canary, traces: TraceStore | None, logs: LogStore | None, metrics: MetricStore | None
    ) -> None:
        self._canary = canary
        self.spans: tuple[Span, ...] = ()
        self._traces, self._logs, self._metrics = traces, logs, metrics
        looked = (
            ("traces", traces, self._in_traces),
            ("logs", logs, self._in_logs),
            ("metrics", metrics, self._in_metrics),
        )
        self._looked = [Looked(name, store, find) for name, store, find in looked if store is not None]
        self._gaps: tuple[Gap, ...] = ()

    def wait(self, seconds: float) -> Iterator[Check]:
        """Look until all is found or time is up, then yield a check for each store."""
        until = time.monotonic() + seconds
        open_ones = list(self._looked)
        while open_ones:
            for one in open_ones:
                self._gaps = ()
                one.missing = one.find()
                one.gaps = list(self._gaps)
                one.after_s = (time.time_ns() - self._canary.at) / 1e9
            open_ones = [one for one in open_ones if one.missing is not None]
            if time.monotonic() > until:
                break
            if open_ones:
                time.sleep(_PAUSE_S)
        yield from (self._judge(one) for one in self._looked)

    def _judge(self, one: Looked) -> Check:
        if one.missing is None:
            found = f"all of it was in {one.store} after {one.after_s:.1f} s"
            if one.after_s > self._late_after_s(one):
                return Check(one.name, WARN, f"late: {found}", _LATE_FIX)
            return Check(one.name, PASS, found)
        why = "; ".join(gap.text for gap in one.gaps)
        said = f"{one.missing} in {one.store} {one.after_s:.0f} s after it was sent" + (f": {why}" if why else "")
        is_asked = not isinstance(one.store, (FileTraces, FileLogs, FileMetrics))
        if is_asked and one.gaps and one.gaps[0].why in ("down", "refused"):
            return Check(one.name, FAIL, said, _DOWN_FIX)
        return Check(one.name, FAIL, said + self._own_words(), _FIXES[one.name])

    def _late_after_s(self, one: Looked) -> float:
        """After how many seconds it is late; a service's figures leave once a minute, those of our own at its end."""
        return LATE_S if self._canary.is_own or one.name != "metrics" else LATE_S + _METRICS_EVERY_S

    def _own_words(self) -> str:
        return f"; its process said: {self._canary.said}" if self._canary.said else ""

    def _in_traces(self) -> str | None:
        assert self._traces is not None
        answer = self._traces.get(self._canary.trace_id)
        spans = answer.items
        self._gaps = answer.gaps
        if not spans and not answer.gaps:
            named = self._traces.named(self._canary.request_id)
            self._gaps = named.gaps
            spans = next(iter(named.items), ())
        self.spans = spans or self.spans
        if not any(map(is_synthesis, spans)):
            return f"there is no synthesis of the canary {self._canary.request_id}"
        lacking = [stage for stage in STAGES if self._canary.is_own and stage not in map(stage_of, spans)]
        return f"the canary has no stage {' and no '.join(lacking)}" if lacking else None

    def _in_logs(self) -> str | None:
        assert self._logs is not None
        hour = 3600 * 10**9
        asked = Filter(self._canary.at - hour, self._canary.at + 2 * hour, request_id=self._canary.request_id)
        answer = self._logs.find(asked)
        self._gaps = answer.gaps
        events = {_event(line) for line in answer}
        if names.REQ_FAIL in events:
            events.add(names.REQ_SUCCESS)  # an outcome is what is looked for
        lacking = [event for event in _LINES if event not in events]
        return f"the canary has no line {', '.join(lacking)}" if lacking else None

    def _in_metrics(self) -> str | None:
        assert self._metrics is not None
        labels = self._labels()
        if labels is None:
            return "which service answered is not known, so that none of its figures can be looked for"
        window = max(60.0, (time.time_ns() - self._canary.at) / 1e9 + 5.0)
        answer = self._metrics.query(Question(names.REQUESTS, "increase", labels, window=window))
        self._gaps = answer.gaps
        if not sum(series.values[-1][1] for series in answer):
            return f"{names.REQUESTS.name} did not count the canary"
        return None

    def _labels(self) -> dict[str, str] | None:
        if self._canary.instance is not None:
            return {"service.instance.id": self._canary.instance}
        service = self._canary.service or next((str(span.resource.get("service.name")) for span in self.spans), None)
        return None if service is None else {"service.name": service}


def _event(line: LogLine) -> str:
    return line.event_name or str(line.body).partition(" ")[0]


def synthesis_of(spans: Sequence[Span]) -> Span | None:
    """The synthesis among the spans of a trace."""
    return next(filter(is_synthesis, spans), None)


_DOWN_FIX: Final = "start the store, or name another by --traces, --logs, --metrics or --dir"
_LATE_FIX: Final = "see whether the Collector's queue grows (board tts-telemetry), and OTEL_BSP_SCHEDULE_DELAY"
_FIXES: Final = {
    "traces": "see what the service says at its start (where spans go), OTEL_TRACES_EXPORTER, OTEL_TRACES_SAMPLER, and "
    "the Collector's pipeline of traces",
    "logs": "see OTEL_LOGS_EXPORTER and the Collector's pipeline of logs; lines that only stderr has are not stored",
    "metrics": "see OTEL_METRICS_EXPORTER, OTEL_METRIC_EXPORT_INTERVAL (a minute by default: wait longer by --within) "
    "and whether Prometheus takes OTLP",
}

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the telemetry says about the demo's requests: one row each, and whether anything is missing."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from otel_tts import names
from otel_tts.demo.client import Answer
from otel_tts.names import Stage
from otel_tts.readers import otlp_files
from otel_tts.readers.model import Attributes, LogLine, Point, Span
from otel_tts.readers.otlp_files import BadLine
from otel_tts.readers.syntheses import is_synthesis

EXPECTED_STAGES: Final = tuple(
    names.STAGE_PREFIX + stage for stage in (Stage.TEXT_FRONTEND, Stage.ACOUSTIC_MODEL, Stage.VOCODER)
)


@dataclass(frozen=True)
class Telemetry:
    """All that the service wrote, and the lines that could not be read."""

    spans: tuple[Span, ...]
    logs: tuple[LogLine, ...]
    points: tuple[Point, ...]
    bad: tuple[BadLine, ...]

    @property
    def series(self) -> int:
        """Different metrics and label sets: a series is written again with every export."""
        return len({(point.metric, repr(sorted(point.attributes.items()))) for point in self.points})


@dataclass(frozen=True)
class Row:
    """One request: what was asked, what the client got, what its trace says. Unknown is None."""

    kind: str
    request_id: str
    trace_id: str | None
    status_code: int
    outcome: str | None
    error_type: str | None
    text_length: int
    duration: float | None
    audio_duration: float | None
    real_time_factor: float | None
    time_to_first_audio: float | None
    anomalies: tuple[str, ...]
    wav: str | None


SIGNALS: Final = (otlp_files.TRACES, otlp_files.METRICS, otlp_files.LOGS)


def files_in(folder: Path) -> list[Path]:
    """The files of telemetry in `folder`."""
    return [path for signal in SIGNALS for path in otlp_files.find(folder, signal)]


def read(files: Iterable[Path]) -> Telemetry:
    """Read all of `files`, each by its name; what none of them holds counts as empty."""
    files = list(files)
    bad: list[BadLine] = []

    def load(signal: str, reader: Any) -> tuple[Any, ...]:
        return tuple(item for path in files if path.name.startswith(signal) for item in reader(path, bad.append))

    spans = load(otlp_files.TRACES, otlp_files.read_spans)
    logs = load(otlp_files.LOGS, otlp_files.read_logs)
    points = load(otlp_files.METRICS, otlp_files.read_points)
    return Telemetry(spans, logs, points, tuple(bad))


class Traces:
    """Spans by trace, and traces by request id."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._traces: dict[str, list[Span]] = defaultdict(list)
        self._roots: dict[str, Span] = {}
        for span in spans:
            self._traces[span.trace_id].append(span)
            if span.kind == "server" and names.REQUEST_ID in span.attributes:
                self._roots[span.attributes[names.REQUEST_ID]] = span

    def root(self, request_id: str) -> Span | None:
        """The server span that carries `request_id`."""
        return self._roots.get(request_id)

    def below(self, top: Span) -> list[Span]:
        """`top` and all spans under it, in order of start. A trace may hold several requests of one caller."""
        children: dict[str, list[Span]] = defaultdict(list)
        for span in self._traces[top.trace_id]:
            children[span.parent_id].append(span)
        found = [top]
        for span in found:
            found.extend(children.pop(span.span_id, ()))
        return sorted(found, key=lambda span: span.start)

    def synthesis(self, request_id: str) -> Span | None:
        """The synthesis under the request's server span, if it got that far."""
        root = self.root(request_id)
        if root is None:
            return None
        return next((span for span in self.below(root) if is_synthesis(span)), None)


def make_row(answer: Answer, traces: Traces, wav: str | None) -> Row:
    """Join what the client saw with what the trace says."""
    root = traces.root(answer.request_id)
    synthesis = traces.synthesis(answer.request_id)
    said: Attributes = synthesis.attributes if synthesis else {}
    return Row(
        kind=answer.case.kind,
        request_id=answer.request_id,
        trace_id=root.trace_id if root else None,
        status_code=answer.status,
        outcome=said.get(names.OUTCOME),
        error_type=said.get(names.ERROR_TYPE),
        text_length=len(answer.case.text),
        duration=synthesis.seconds if synthesis else None,
        audio_duration=said.get(names.AUDIO_DURATION),
        real_time_factor=said.get(names.REAL_TIME_FACTOR),
        time_to_first_audio=said.get(names.TIME_TO_FIRST_AUDIO),
        anomalies=tuple(said.get(names.AUDIO_ANOMALY, ())),
        wav=wav,
    )


def find_problems(answers: Iterable[Answer], traces: Traces, telemetry: Telemetry) -> list[str]:
    """Say what is missing of what every request should have left behind; empty when all is there."""
    problems = [str(bad) for bad in telemetry.bad]
    if not telemetry.spans:
        problems.append("no spans were written; the log of the service may say why")
        return problems
    for answer in answers:
        problems += _missing(answer, traces)
    if not telemetry.points:
        problems.append("no metrics were written")
    if not telemetry.logs:
        problems.append("no log lines were written")
    return problems


def _missing(answer: Answer, traces: Traces) -> list[str]:
    who = f"request {answer.request_id or '?'} ({answer.case.kind})"
    if not answer.request_id:
        return [f"{who}: the answer has no x-request-id header"]
    root = traces.root(answer.request_id)
    if root is None:
        return [f"{who}: no server span has its request_id"]
    if answer.status != 200:
        return []
    synthesis = traces.synthesis(answer.request_id)
    if synthesis is None:
        return [f"{who}: no {names.OPERATION} span under its server span"]
    if not (answer.delivered and synthesis.attributes.get(names.AUDIO_DURATION)):
        return []
    found = {span.name for span in traces.below(synthesis)}
    return [f"{who}: no {stage} span in its trace" for stage in EXPECTED_STAGES if stage not in found]


def slowest(rows: Iterable[Row], traces: Traces) -> list[Span]:
    """The spans of the slowest request that went well, in order of start; empty when none did."""
    well = [row.request_id for row in rows if row.outcome == names.Outcome.OK]
    roots = [root for root in map(traces.root, well) if root is not None]
    return traces.below(max(roots, key=lambda root: root.seconds)) if roots else []


def lines_of(spans: list[Span], telemetry: Telemetry) -> list[LogLine]:
    """The REQ_ and STAGE_TIME lines of the request whose spans these are, the server's first."""
    request_id = spans[0].attributes.get(names.REQUEST_ID)
    return [
        line
        for line in telemetry.logs
        if line.scope == names.SCOPE and line.attributes.get(names.REQUEST_ID) == request_id and line.body
    ]


def summarise(rows: list[Row], telemetry: Telemetry, files: Iterable[Path], problems: list[str]) -> dict[str, Any]:
    """All of the demo as plain values, for `--json`."""
    return {
        "requests": [asdict(row) for row in rows],
        "outcomes": dict(Counter(row.outcome or "no synthesis" for row in rows)),
        "duration": _quantiles(row.duration for row in rows if row.outcome == names.Outcome.OK),
        "real_time_factor": _quantiles(row.real_time_factor for row in rows if row.outcome == names.Outcome.OK),
        "spans": len(telemetry.spans),
        "log_lines": len(telemetry.logs),
        "metrics": len({point.metric for point in telemetry.points}),
        "series": telemetry.series,
        "files": {str(path): path.stat().st_size for path in files if path.exists()},
        "problems": problems,
    }


def _quantiles(values: Iterable[float | None]) -> dict[str, float | None]:
    known = sorted(value for value in values if value is not None)
    return {f"p{percent}": quantile(known, percent / 100) for percent in (50, 95)}


def quantile(ordered: list[float], share: float) -> float | None:
    """The value below which `share` of `ordered` lies, between neighbours in proportion; None without values."""
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def file_name(request_id: str) -> str | None:
    """`request_id` as the name of a WAV file, or None when it could lead out of the folder."""
    return f"{request_id}.wav" if re.fullmatch(r"[A-Za-z0-9_:-][A-Za-z0-9._:-]{0,127}", request_id) else None

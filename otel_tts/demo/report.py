# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the telemetry says about the demo's requests: one row each, and whether anything is missing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from otel_tts import names
from otel_tts.demo.client import Answer
from otel_tts.names import Stage
from otel_tts.readers.model import Attributes, LogLine, Span
from otel_tts.readers.traces import Telemetry, Traces
from otel_tts.views.summary import quantiles

EXPECTED_STAGES: Final = tuple(
    names.STAGE_PREFIX + stage for stage in (Stage.TEXT_FRONTEND, Stage.ACOUSTIC_MODEL, Stage.VOCODER)
)


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
        "duration": quantiles(row.duration for row in rows if row.outcome == names.Outcome.OK),
        "real_time_factor": quantiles(row.real_time_factor for row in rows if row.outcome == names.Outcome.OK),
        "spans": len(telemetry.spans),
        "log_lines": len(telemetry.logs),
        "metrics": len({point.metric for point in telemetry.points}),
        "series": telemetry.series,
        "files": {str(path): path.stat().st_size for path in files if path.exists()},
        "problems": problems,
    }


def file_name(request_id: str) -> str | None:
    """`request_id` as the name of a WAV file, or None when it could lead out of the folder."""
    return f"{request_id}.wav" if re.fullmatch(r"[A-Za-z0-9_:-][A-Za-z0-9._:-]{0,127}", request_id) else None

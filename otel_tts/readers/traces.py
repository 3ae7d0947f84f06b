# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Traces and telemetry out of files of OTLP JSON: spans by trace, traces by request id."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from otel_tts import names
from otel_tts.readers import otlp_files
from otel_tts.readers.model import LogLine, Point, Span
from otel_tts.readers.otlp_files import BadLine
from otel_tts.readers.syntheses import is_synthesis


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

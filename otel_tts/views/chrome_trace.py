# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Requests as Chrome trace JSON, which Perfetto shows: a track a request, the device's memory as a counter.

Perfetto nests what lies within each other on a track and nothing else, so spans that overlap get a track of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from otel_tts import names
from otel_tts.readers.model import Span
from otel_tts.views.printable import printable, readable
from otel_tts.views.waterfall import lay_out

_PID = 1
_MAIN = 1
"""The track that would be called the main thread: none is."""


def document(traces: Sequence[Sequence[Span]]) -> dict[str, Any]:
    """The whole file. Its times are microseconds since the first span's start, which `began_unix_nano` says."""
    began = min((span.start for spans in traces for span in spans), default=0)
    return {
        "displayTimeUnit": "ms",
        "otherData": {"began_unix_nano": str(began)},
        "traceEvents": list(_events(traces, began)),
    }


def _events(traces: Iterable[Sequence[Span]], began: int) -> Iterator[dict[str, Any]]:
    track = _MAIN
    yield {"ph": "M", "pid": _PID, "name": "process_name", "args": {"name": "requests"}}
    for spans in traces:
        lanes: list[list[Span]] = []
        for row in lay_out(spans):
            lane = next((lane for lane in lanes if _fits(lane, row.span)), None)
            if lane is None:
                lanes.append(lane := [])
            lane.append(row.span)
        title = _title(spans)
        for number, lane in enumerate(lanes):
            track += 1
            name = title if number == 0 else f"{title} ({number + 1})"
            yield {"ph": "M", "pid": _PID, "tid": track, "name": "thread_name", "args": {"name": name}}
            yield {"ph": "M", "pid": _PID, "tid": track, "name": "thread_sort_index", "args": {"sort_index": track}}
            for span in lane:
                yield _slice(span, track, began)
        for span in spans:
            yield from _memory(span, began)


def _fits(lane: list[Span], span: Span) -> bool:
    """Whether `span` lies within or beside each span of a track, and crosses none."""
    return all(
        one.end <= span.start or span.end <= one.start
        or (one.start <= span.start and span.end <= one.end) or (span.start <= one.start and one.end <= span.end)
        for one in lane
    )  # fmt: skip


def _title(spans: Sequence[Span]) -> str:
    ids = (span.attributes.get(names.REQUEST_ID) for span in sorted(spans, key=lambda span: span.start))
    return printable(next((one for one in ids if one), spans[0].trace_id if spans else ""), 128)


def _slice(span: Span, track: int, began: int) -> dict[str, Any]:
    args = {**span.attributes, "trace_id": span.trace_id, "span_id": span.span_id, "status": span.status}
    return {
        "ph": "X", "pid": _PID, "tid": track, "name": printable(span.name), "cat": printable(span.kind, 40),
        "ts": (span.start - began) / 1e3, "dur": max(0, span.end - span.start) / 1e3, "args": readable(args),
    }  # fmt: skip


def _memory(span: Span, began: int) -> Iterator[dict[str, Any]]:
    for event in span.events:
        if event.name == names.MEMORY_EVENT:
            known = {
                key.rsplit(".", 1)[-1]: value
                for key in (names.MEMORY_ALLOCATED, names.MEMORY_RESERVED, names.MEMORY_PEAK)
                if isinstance(value := event.attributes.get(key), (int, float))
            }
            if known:
                device = printable(event.attributes.get(names.HW_ID, "device"), 60)
                yield {
                    "ph": "C",
                    "pid": _PID,
                    "name": f"memory of {device}",
                    "ts": (event.time - began) / 1e3,
                    "args": known,
                }

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What to look for, in every store alike, and the check of what was read against it.

A store's own index may find too much: Jaeger joins keys and values, and meets several conditions by several spans. So
every store asks as closely as it can and then checks here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Final

from otel_tts import names
from otel_tts.readers.model import LogLine, Synthesis

LONGEST: Final = 1024
"""Characters of a filter's value; no name of ours is longer."""


@dataclass(frozen=True)
class Filter:
    """All that is given has to be met by one synthesis (or one log record). What is None is not asked.

    `since` and `until` are Unix nanoseconds: it began at `since` or later, and before `until`. `least_seconds` is the
    least time in `stage`, without one that of the whole synthesis. `limit` is the most that is returned, the newest.
    `trace_id` and `event` (`REQ_FAIL`, say) are for log records. Without `canaries` syntheses that nobody asked for are
    left out. Raises ValueError where a value makes no sense.
    """

    since: int | None = None
    until: int | None = None
    request_id: str | None = None
    trace_id: str | None = None
    outcome: str | None = None
    stage: str | None = None
    least_seconds: float | None = None
    voice: str | None = None
    anomaly: str | None = None
    engine: str | None = None
    service: str | None = None
    event: str | None = None
    limit: int = 100
    canaries: bool = True

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, str):
                _check_text(field.name, value)
        if self.trace_id is not None and not re.fullmatch(r"[0-9a-f]{32}", self.trace_id):
            raise ValueError(f"trace_id has 32 hexadecimal digits in lower case, not {self.trace_id!r}")
        if self.limit < 0:
            raise ValueError(f"limit is 0 or more, not {self.limit}")
        if self.least_seconds is not None and not 0 <= self.least_seconds < float("inf"):
            raise ValueError(f"least_seconds is 0 or more, not {self.least_seconds}")
        for name, time in (("since", self.since), ("until", self.until)):
            if time is not None and not 0 <= time < 2**63:
                raise ValueError(f"{name} is in nanoseconds since 1970, not {time}")


def _check_text(name: str, value: str) -> None:
    if not value or len(value) > LONGEST:
        raise ValueError(f"{name} has 1 to {LONGEST} characters, not {len(value)}")
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError(f"{name} is no text that a store can hold: {value!r}")


def fits(synthesis: Synthesis, wanted: Filter) -> bool:
    """Whether `synthesis` meets all of `wanted`."""
    if not is_within(synthesis.start, wanted) or (synthesis.is_canary and not wanted.canaries):
        return False
    pairs = (
        (wanted.request_id, synthesis.request_id),
        (wanted.trace_id, synthesis.trace_id),
        (wanted.outcome, synthesis.outcome),
        (wanted.voice, synthesis.voice),
        (wanted.engine, synthesis.engine),
        (wanted.service, synthesis.service),
    )
    if any(asked is not None and asked != found for asked, found in pairs):
        return False
    if wanted.anomaly is not None and wanted.anomaly not in synthesis.anomalies:
        return False
    seconds = synthesis.seconds if wanted.stage is None else synthesis.stages.get(wanted.stage)
    return seconds is not None and (wanted.least_seconds is None or seconds >= wanted.least_seconds)


def line_fits(line: LogLine, wanted: Filter) -> bool:
    """Whether `line` meets all of `wanted`. Seconds are those that its text says: `duration`, or the stage's field."""
    if not is_within(line.time, wanted):
        return False
    said = line.attributes.get
    pairs = (
        (wanted.request_id, said(names.REQUEST_ID)),
        (wanted.trace_id, line.trace_id),
        (wanted.outcome, said(names.OUTCOME)),
        (wanted.voice, said(names.VOICE)),
        (wanted.engine, said(names.ENGINE)),
        (wanted.service, line.resource.get("service.name")),
        (wanted.event, line.event_name or None),
    )
    if any(asked is not None and asked != found for asked, found in pairs):
        return False
    if wanted.anomaly is not None and wanted.anomaly not in str(said(names.ERROR_TYPE, "")).split(","):
        return False
    if wanted.stage is None and wanted.least_seconds is None:
        return True
    spoken = seconds_of(line)
    if wanted.least_seconds is None:
        return said(names.STAGE) == wanted.stage or wanted.stage in spoken
    return spoken.get(wanted.stage or "duration", -1.0) >= wanted.least_seconds


def seconds_of(line: LogLine) -> dict[str, float]:
    """The seconds in a line of ours: `duration` of REQ_SUCCESS and REQ_FAIL, one for each stage of STAGE_TIME."""
    if not isinstance(line.body, str) or line.event_name not in names.LOG_LINES:
        return {}
    found: dict[str, float] = {}
    for field in line.body.split(" ")[1:]:
        key, _, value = field.partition("=")
        if key == "duration" or line.event_name == names.STAGE_TIME:
            try:
                found[key] = float(value)
            except ValueError:
                continue
    return found


def is_within(time: int, wanted: Filter) -> bool:
    """Whether `time` lies in the time that is asked for."""
    return (wanted.since is None or time >= wanted.since) and (wanted.until is None or time < wanted.until)

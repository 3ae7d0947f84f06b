# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Why requests failed, from the archive's day files: of months before `tts.requests` had `error.type`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from otel_tts import names
from otel_tts.names import Outcome
from otel_tts.readers import day_files
from otel_tts.readers.model import Gap, LogLine
from otel_tts.reporting.figures import CANARY
from otel_tts.reporting.month import Month
from otel_tts.trouble import WrongUse


@dataclass(frozen=True)
class Archived:
    """Errors by `error.type`, and the UTC days of the month for which there is no file."""

    reasons: Mapping[str, float]
    missing: tuple[date, ...]
    gaps: tuple[Gap, ...]


def read(folder: Path, month: Month, until: int, service: str | None) -> Archived:
    """Count the errors of a month, up to `until`. Raises WrongUse where there is no such folder."""
    check(folder)
    first, last = day_files.utc_day(month.begin), day_files.utc_day(until - 1)
    reasons: Counter[str] = Counter()
    lines = day_files.read(folder, first, last)
    for line in lines:
        if (
            month.begin <= line.time < until
            and _is_error(line)
            and service in (None, line.resource.get("service.name"))
        ):
            reasons[str(line.attributes.get(names.ERROR_TYPE) or "")] += 1
    there = {day_files.day_of(path.name) for path in day_files.find(folder, first, last)}
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    missing = tuple(day for day in days if day not in there)
    return Archived({kind: float(count) for kind, count in reasons.most_common()}, missing, lines.gaps)


def check(folder: Path) -> None:
    """Raise WrongUse where there is no such folder."""
    if not folder.is_dir():
        raise WrongUse(f"{folder} is no folder of day files.")


def _is_error(line: LogLine) -> bool:
    if line.event_name != names.REQ_FAIL or line.attributes.get(names.OUTCOME) != Outcome.ERROR:
        return False
    said = {**line.resource, **line.attributes}
    return not any(str(said.get(name)).lower() == value for name, value in CANARY)

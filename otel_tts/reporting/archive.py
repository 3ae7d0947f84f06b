# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Why requests failed, from log lines that were packed by day: months before `tts.requests` had `error.type`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from otel_tts import names
from otel_tts.names import Outcome
from otel_tts.readers import otlp_files, otlp_json
from otel_tts.readers.file_search import OfText
from otel_tts.readers.files import Skipped, readable
from otel_tts.readers.model import Gap, LogLine, OnGap
from otel_tts.reporting.figures import CANARY
from otel_tts.reporting.month import Month
from otel_tts.trouble import WrongUse

_DAY_FILE: Final = re.compile(r"(tts-(\d{8})(?:-\d+)?\.jsonl)(?:\.gz)?")


@dataclass(frozen=True)
class Archived:
    """Errors by `error.type`, and the days of the month for which there is no file."""

    reasons: Mapping[str, float]
    missing: tuple[date, ...]
    gaps: tuple[Gap, ...]


def read(folder: Path, month: Month, until: int, service: str | None) -> Archived:
    """Count the errors of a month, up to `until`. Raises WrongUse where there is no such folder."""
    if not folder.is_dir():
        raise WrongUse(f"{folder} is no folder of packed days.")
    files = _day_files(folder)
    gaps: dict[Gap, None] = {}
    reasons: Counter[str] = Counter()
    a_day = timedelta(days=1)  # a file's day may be another zone's
    for day in sorted(files):
        if month.first - a_day <= day <= month.next.first:
            for line in (line for path in files[day] for line in _failures(path, gaps.setdefault)):
                if month.begin <= line.time < until and service in (None, line.resource.get("service.name")):
                    reasons[str(line.attributes.get(names.ERROR_TYPE) or "")] += 1
    past = (day for day in month.days if day < datetime.fromtimestamp(until / 1e9, month.zone).date())
    missing = tuple(day for day in past if day not in files)
    return Archived({kind: float(count) for kind, count in reasons.most_common()}, missing, tuple(gaps))


def _day_files(folder: Path) -> dict[date, list[Path]]:
    """The files of each day, late records' too; of each the plain one where it is there packed as well."""
    found: dict[date, dict[str, Path]] = {}
    for path in sorted(folder.glob("tts-*.jsonl*"), reverse=True):
        if (named := _DAY_FILE.fullmatch(path.name)) is not None:
            try:
                found.setdefault(datetime.strptime(named[2], "%Y%m%d").date(), {})[named[1]] = path
            except ValueError:
                continue
    return {day: list(parts.values()) for day, parts in found.items()}


def _failures(path: Path, on_gap: OnGap) -> Iterator[LogLine]:
    """The errors in a file, those of canaries aside."""
    skipped = Skipped(on_gap)
    for lines in readable(path, on_gap, otlp_files.read_batches(path, otlp_json.logs, skipped, OfText(names.REQ_FAIL))):
        yield from (line for line in lines if _is_error(line))
    skipped.tell()


def _is_error(line: LogLine) -> bool:
    if line.event_name != names.REQ_FAIL or line.attributes.get(names.OUTCOME) != Outcome.ERROR:
        return False
    said = {**line.resource, **line.attributes}
    return not any(str(said.get(name)).lower() == value for name, value in CANARY)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Day files: what `otel-tts archive` makes of log records, `tts-20261130.jsonl.gz`, split by the records' own UTC day.

Records that came after a day's file had been uploaded are in a further one: `tts-20261130-2.jsonl.gz`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Final

from otel_tts.readers import otlp_files, otlp_json
from otel_tts.readers.files import Skipped, readable
from otel_tts.readers.model import LogLine, OnGap, Stream

_NAME: Final = re.compile(r"tts-(\d{8})(?:-([1-9]\d*))?\.jsonl\.gz")


def name(day: date, part: int = 1) -> str:
    """The file's name; the first part has no number."""
    return f"tts-{day:%Y%m%d}{f'-{part}' if part > 1 else ''}.jsonl.gz"


def day_of(name: str) -> date | None:
    """The day that a file's name says, None where it is no day file's."""
    found = _NAME.fullmatch(name)
    try:
        return None if found is None else datetime.strptime(found[1], "%Y%m%d").date()
    except ValueError:
        return None


def find(folder: Path, first: date | None = None, last: date | None = None) -> list[Path]:
    """The day files of `folder` from the day `first` to `last`, both among them, in the order of days and parts.

    Raises OSError where the folder cannot be read.
    """
    found = [(day, path) for path in folder.glob(otlp_files.ARCHIVED) if (day := day_of(path.name)) is not None]
    chosen = [(day, path) for day, path in found if (first is None or day >= first) and (last is None or day <= last)]
    return [path for _, path in sorted(chosen, key=lambda one: (one[0], len(one[1].name), one[1].name))]


def read(folder: Path, first: date | None = None, last: date | None = None) -> Stream[LogLine]:
    """The records of some days, day by day, in the order written. What cannot be read is a gap."""
    return Stream(lambda on_gap: _read(find(folder, first, last), on_gap))


def _read(paths: list[Path], on_gap: OnGap) -> Iterator[LogLine]:
    skipped = Skipped(on_gap)
    for path in paths:
        for batch in readable(path, on_gap, otlp_files.read_batches(path, otlp_json.logs, skipped)):
            yield from batch
    skipped.tell()


def utc_day(time: int) -> date:
    """The UTC day of Unix nanoseconds; beyond the year 9999 its last day."""
    try:
        return datetime.fromtimestamp(time // 10**9, timezone.utc).date()
    except (ValueError, OverflowError, OSError):
        return date.max

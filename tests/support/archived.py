# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A Collector's folder of log records for the archive, and what came out of it in the store."""

from __future__ import annotations

import gzip
import json
import os
import time
from collections.abc import Callable, Iterable
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

from otel_tts.archiving.archive import Done, Limits, run
from otel_tts.archiving.store import Store
from tests.store_contracts.sent import logs, record

DAY_NS = 86400 * 10**9
NOON = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)
"""Long over, whenever the tests run."""


def at(day: int, hour: float = 12.0) -> int:
    """Unix nanoseconds of a time in November 2026."""
    return round(datetime(2026, 11, day, tzinfo=timezone.utc).timestamp() + hour * 3600) * 10**9


def line(*records: tuple[str, int]) -> bytes:
    """One line as the Collector writes it: ids and times of its records."""
    made = [record(time, "REQ_SUCCESS", f"REQ_SUCCESS request_id={id}", request_id=id) for id, time in records]
    return json.dumps(logs("tts", made)).encode() + b"\n"


class Folder:
    """A Collector's folder, ours beside it, and a store that is a folder."""

    def __init__(self, root: Path) -> None:
        self.logs, self.home, self.store = root / "archive", root / "archived", root / "store"
        for one in (self.logs, self.store):
            one.mkdir(parents=True)
        self.said: list[str] = []

    def write(self, name: str, *lines: bytes, age_days: float = 0.0) -> Path:
        path = self.logs / name
        with path.open("ab") as file:
            file.writelines(lines)
        if age_days:
            then = time.time() - age_days * 86400
            os.utime(path, (then, then))
        return path

    def rotate(self, name: str) -> None:
        """As the Collector puts its file aside."""
        (self.logs / "logs.jsonl").rename(self.logs / name)

    def run(self, store: Store | None = None, **limits: Any) -> Done:
        return run(self.logs, self.home, store or Store(f"file://{self.store}"), Limits(**limits), self.said.append)

    def archived(self) -> dict[str, list[str]]:
        """The ids in each day file of the store."""
        return {path.name: ids(gzip.decompress(path.read_bytes())) for path in sorted(self.store.glob("tts-*"))}

    def all_ids(self) -> list[str]:
        return sorted(one for found in self.archived().values() for one in found)


def ids(content: bytes) -> list[str]:
    """The ids of the records in OTLP JSON lines."""
    found: list[str] = []
    for text in content.splitlines():
        for group in json.loads(text)["resourceLogs"]:
            assert group["resource"]["attributes"]
            for scope in group["scopeLogs"]:
                assert scope["scope"]["name"]
                found += [one["attributes"][0]["value"]["stringValue"] for one in scope["logRecords"]]
    return found


def until(true: Callable[[], object], seconds: float = 30.0) -> None:
    patience = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < patience
        time.sleep(0.02)


def days(names: Iterable[str]) -> list[date]:
    return [datetime.strptime(name[4:12], "%Y%m%d").date() for name in names]

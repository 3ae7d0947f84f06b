# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Very many rows: every one is counted, and what is held does not grow with them. `make soak` takes a million."""

from __future__ import annotations

import json
import os
import time
import tracemalloc
from datetime import datetime
from pathlib import Path

from otel_tts import names
from otel_tts.readers.file_metrics import FileMetrics
from otel_tts.reporting.report import make
from tests.store_contracts.sent import S, counted, metrics
from tests.support.a_month import ZONE

ROWS = int(float(os.environ.get("OTEL_TTS_REPORT_ROWS") or 8_000))
SERIES = 20


def test_each_is_counted_in_bounded_memory(tmp_path: Path) -> None:
    begin = round(datetime(2026, 10, 1, tzinfo=ZONE).timestamp()) * S
    exports = ROWS // SERIES
    step = 31 * 86400 * S // (exports + 1)
    with (tmp_path / "metrics-h-1.jsonl").open("w") as file:
        for number in range(1, exports + 1):
            at = begin + number * step
            made = [
                counted(names.REQUESTS, at, begin, number, **{names.OUTCOME: "ok", names.VOICE: f"voice-{voice}"})
                for voice in range(SERIES)
            ]
            file.write(json.dumps(metrics("x", made)) + "\n")
    tracemalloc.start()
    began = time.process_time()
    told = make("2026-10", FileMetrics(tmp_path), ZONE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"{exports * SERIES} rows: {time.process_time() - began:.1f} s, at most {peak / 1e6:.1f} MB")
    assert told.figures.requests == exports * SERIES
    assert told.gaps == () and peak < 20e6

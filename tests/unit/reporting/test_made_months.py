# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Every figure of a made month is the true one, whatever its files look like; and what is missing is said."""

from __future__ import annotations

import gzip
import json
import shutil
import time
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from otel_tts import names
from otel_tts.readers.day_files import utc_day
from otel_tts.readers.file_metrics import FileMetrics
from otel_tts.readers.stores import MetricStore
from otel_tts.reporting.figures import Figures
from otel_tts.reporting.lacking import lacking
from otel_tts.reporting.report import Price, Report, make
from otel_tts.reporting.wording import Wording
from otel_tts.trouble import Trouble, WrongUse
from tests.store_contracts.sent import counted, logs, metrics, record
from tests.support.a_month import PRICE, SERVICE, ZONE, Made, Month, write_files

S = 10**9
EN = Wording("en")


def report(folder: Path, month: str = "2026-10", **more: Any) -> Report:
    return make(month, FileMetrics(folder), ZONE, **more)


def test_every_figure_is_the_true_one(made: Made, told: Report) -> None:
    is_true(told.figures, made.true["2026-10"])
    is_true(told.before, made.true["2026-09"])
    assert told.is_over and told.gaps == () and told.left_out == 0.0
    true = made.true["2026-10"]
    assert dict(told.reasons) == dict(true.errors)
    assert told.cost is not None and told.cost_before is not None
    assert (told.cost.amount, told.cost.currency) == (pytest.approx(true.cost), "CNY")
    assert told.cost_before.amount == pytest.approx(made.true["2026-09"].cost)
    assert told.restarts > 0


def is_true(figures: Figures, true: Month) -> None:
    """Compare all that is counted with what happened."""
    assert dict(figures.outcomes) == dict(true.outcomes)
    assert dict(figures.voices) == dict(true.voices)
    assert (figures.requests, figures.failed, figures.delivered) == (true.requests, true.failed, true.delivered)
    assert (figures.prompt, figures.measured, figures.silent) == (true.prompt, true.measured, true.silent)
    assert figures.audio_seconds == pytest.approx(true.audio_seconds)
    assert figures.gpu_seconds == pytest.approx(true.gpu_seconds)
    assert figures.failed_share == true.failed / (true.requests - true.outcomes["cancelled"])


def test_days_are_those_of_the_zone_and_gaps_are_named(made: Made, told: Report) -> None:
    true = made.true["2026-10"].by_day
    days = dict(zip(map(str, told.month.days), told.figures.by_day_or_zero, strict=True))
    assert {day: count for day, count in days.items() if count is not None} == dict(true)
    assert days["2026-10-12"] is None
    assert (told.figures.missing_days, told.figures.missing_hours) == ((11,), 5)
    assert (told.figures.cards, told.figures.card_hours) == (1, 30 * 24 - 5)
    assert lacking(told, EN) == (
        "Nothing is known of 12 October. Whatever was asked for then is in no figure.",
        "Of 5 hours of other days nothing was heard: the service was off, or its records were lost.",
    )


def test_rotated_packed_and_doubled_files_tell_the_same(made: Made, folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        lines = path.read_bytes().splitlines(keepends=True)
        third = len(lines) // 3
        (tmp_path / f"{path.stem}.2.jsonl.gz").write_bytes(gzip.compress(b"".join(lines[:third]), 1))
        (tmp_path / f"{path.stem}.1.jsonl.gz").write_bytes(gzip.compress(b"".join(lines[third : 2 * third]), 1))
        (tmp_path / path.name).write_bytes(b"".join(lines[2 * third - 5 :]))  # some lines came twice
    told = report(tmp_path)
    is_true(told.figures, made.true["2026-10"])
    is_true(told.before, made.true["2026-09"])
    assert told.gaps == ()


def test_torn_and_broken_lines_are_left_out_and_said(made: Made, folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        shutil.copy(path, tmp_path)
    with (tmp_path / "metrics-h-1.jsonl").open("ab") as file:
        file.write(b'not json\n{"resourceMetrics": 7}\n{"resourceMetrics": [{"resour')
    told = report(tmp_path)
    is_true(told.figures, made.true["2026-10"])
    assert [gap.why for gap in told.gaps] == ["unreadable"] and "and 2 more" in told.gaps[0].text
    assert "A part of the records could not be read; figures may be too low. The appendix says which." in lacking(
        told, EN
    )


def test_a_price_makes_the_cost_of_the_hours(made: Made, store: MetricStore) -> None:
    told = make("2026-10", store, ZONE, price=Price(2 * PRICE, "EUR"))
    assert told.cost is not None
    assert (told.cost.amount, told.cost.currency) == (pytest.approx(2 * made.true["2026-10"].cost), "EUR")


def test_a_service_is_told_from_others(made: Made, folder: Path) -> None:
    is_true(report(folder, service=SERVICE).figures, made.true["2026-10"])
    with pytest.raises(Trouble, match="Nothing is known of 2026-10 in the files in"):
        report(folder, service="nobody")


def test_a_month_without_data_is_said(store: MetricStore, tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="Nothing is known of 2025-03"):
        make("2025-03", store, ZONE)
    with pytest.raises(Trouble, match=r"there is no metrics\*\.jsonl\* in"):
        report(tmp_path)
    september = make("2026-09", store, ZONE)
    assert not september.before.is_known
    assert "Of August 2026 nothing is known, so nothing is compared." in lacking(september, EN)


def test_a_month_that_is_not_over_is_compared_with_as_much_of_the_other(made: Made, folder: Path) -> None:
    now = round(datetime(2026, 10, 8, 9, 30, tzinfo=ZONE).timestamp()) * S
    told = report(folder, now=now)
    assert not told.is_over and len(told.figures.by_day) == 8
    heard = sum(made.true["2026-10"].by_day[f"2026-10-0{day}"] for day in range(1, 8))
    assert heard < told.figures.requests < heard + made.true["2026-10"].by_day["2026-10-08"]
    before = made.true["2026-09"].by_day
    whole = sum(before[f"2026-09-0{day}"] for day in range(1, 8))
    assert whole < told.before.requests < whole + before["2026-09-08"]


def test_reasons_of_a_time_before_they_were_counted_are_the_archives(tmp_path: Path) -> None:
    made = Made(errors_are_named=False, device=False)
    write_files(made, tmp_path / "files")
    alone = report(tmp_path / "files")
    true = made.true["2026-10"]
    assert dict(alone.reasons) == {"": float(true.errors.total())}
    assert "failures the reason was not recorded." in " ".join(lacking(alone, EN))
    assert alone.figures.gpu_seconds is None and alone.cost is None
    archive(made, tmp_path / "days", left_out="20261005")
    told = report(tmp_path / "files", day_files=tmp_path / "days")
    lost = [kind for at, kind in made.failures if utc_day(at) == date(2026, 10, 5)]
    assert told.reasons[""] == len(lost) > 0
    assert sum(told.reasons.values()) == true.errors.total()
    assert told.reasons["OutOfMemoryError"] == true.errors["OutOfMemoryError"] - lost.count("OutOfMemoryError")
    assert "The archive has no file of 5 October." in lacking(told, EN)
    with pytest.raises(WrongUse, match="is no folder of day files"):
        report(tmp_path / "files", day_files=tmp_path / "nowhere")


def archive(made: Made, folder: Path, left_out: str) -> None:
    """The failures as the archive keeps them: a file a UTC day, with canaries and other lines, some of them late."""
    folder.mkdir()
    days: dict[str, list[dict[str, Any]]] = {}
    for at, kind in made.failures:
        day = f"{utc_day(at):%Y%m%d}"
        said = {names.OUTCOME: "error", names.ERROR_TYPE: kind}
        lines = days.setdefault(day, [record(at, names.REQ_FAIL, "REQ_FAIL canary", **{**said, names.CANARY: True})])
        lines.append(record(at, names.REQ_FAIL, f"REQ_FAIL error_type={kind}", **said))
        lines.append(record(at, names.REQ_SUCCESS, "REQ_SUCCESS"))
    for day, lines in days.items():
        if day != left_out:
            for part, some in (("", lines[::2]), ("-2", lines[1::2])):  # half of them came late
                text = json.dumps(logs(SERVICE, some)).encode() + b"\n"
                (folder / f"tts-{day}{part}.jsonl.gz").write_bytes(gzip.compress(text, 1))
    (folder / "tts-20261399.jsonl.gz").write_bytes(b"no day")


def test_a_clock_that_is_ahead_is_said(tmp_path: Path) -> None:
    now = time.time_ns() // S * S
    at = datetime.fromtimestamp(now / S, ZONE)
    lines = [
        metrics("x", [counted(names.REQUESTS, now - S, now - 60 * S, 7, **{names.OUTCOME: "ok"})]),
        metrics("x", [counted(names.REQUESTS, now + 86400 * S, now - 60 * S, 99, **{names.OUTCOME: "ok"})], "2"),
        metrics("x", [counted(names.REQUESTS, 0, 0, 99, **{names.OUTCOME: "ok"})], "3"),
    ]
    (tmp_path / "metrics-h-1.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    told = report(tmp_path, f"{at:%Y-%m}")
    assert told.figures.requests == 7
    assert [gap.why for gap in told.gaps] == ["clock", "clock"]
    assert "a machine's clock is wrong" in told.gaps[0].text


def test_costs_in_two_currencies_are_not_added(tmp_path: Path) -> None:
    at = round(datetime(2026, 10, 2, tzinfo=ZONE).timestamp()) * S
    made = [
        counted(names.GPU_COST, at, at - S, amount, **{names.COST_CURRENCY: currency})
        for amount, currency in ((5.0, "CNY"), (2.0, "USD"))
    ]
    made.append(counted(names.GPU_TIME, at, at - S, 3600.0))
    made.append(counted(names.REQUESTS, at, at - S, 10, **{names.OUTCOME: "ok"}))
    (tmp_path / "metrics-h-1.jsonl").write_text(json.dumps(metrics("x", made)) + "\n")
    told = report(tmp_path)
    assert told.cost is not None and (told.cost.amount, told.cost.currency) == (5.0, "CNY")
    assert "Costs were told in more than one currency; $2.00 are in no figure." in lacking(told, EN)

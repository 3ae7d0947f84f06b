# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The monthly report out of a real Prometheus that is given two months whose figures are known."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from otel_tts.readers.file_metrics import FileMetrics
from otel_tts.readers.prometheus import Prometheus
from otel_tts.reporting.report import Report, make
from otel_tts.stack import build
from otel_tts.trouble import Trouble
from tests.support.a_month import SERVICE, ZONE, Made, openmetrics, write_files


@pytest.fixture(scope="module")
def made() -> Made:
    return Made()


@pytest.fixture(scope="module")
def filled(made: Made, stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the months in it. `stack` sees to it that the binaries are there."""
    folder = tmp_path_factory.mktemp("months")
    (folder / "months.om").write_text("".join(openmetrics(made)), encoding="utf-8")
    promtool = build.binaries()["prometheus"] / "promtool"
    subprocess.run(
        [
            promtool, "tsdb", "create-blocks-from", "openmetrics", "--quiet", "--max-block-duration=2000h",
            folder / "months.om", folder / "data",
        ],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    (folder / "prometheus.yml").write_text("{}\n")
    return folder


@pytest.fixture(scope="module")
def server(filled: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (filled / "log").open("wb")
    process = subprocess.Popen(
        [
            build.binaries()["prometheus"] / "prometheus", f"--config.file={filled / 'prometheus.yml'}",
            f"--storage.tsdb.path={filled / 'data'}", "--storage.tsdb.retention.time=20y",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=log, stderr=log,
    )  # fmt: skip
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        log.close()


@pytest.fixture
def url(server: str, eventually: Callable[..., Any]) -> str:
    eventually(lambda: httpx.get(f"{server}/-/ready").status_code == 200)
    return server


def figures(report: Report) -> dict[str, Any]:
    now = report.figures
    known = {
        "outcomes": dict(now.outcomes), "voices": dict(now.voices), "reasons": dict(report.reasons),
        "days": now.by_day_or_zero, "failed": now.failed_by_day, "prompt": (now.prompt, now.measured),
        "anomalies": dict(now.anomalies), "heard": now.heard, "cards": (now.cards, now.card_hours),
        "gaps": report.gaps,
    }  # fmt: skip
    measured = (now.audio_seconds, now.gpu_seconds, *now.costs.values(), *now.prompt_by_day)
    return {**known, "measured": [None if one is None else round(one, 4) for one in measured]}


def test_every_figure_is_the_true_one_and_that_of_files(made: Made, url: str, tmp_path: Path) -> None:
    told = make("2026-10", Prometheus(url), ZONE, SERVICE)
    true = made.true["2026-10"]
    assert dict(told.figures.outcomes) == dict(true.outcomes)
    assert dict(told.figures.voices) == dict(true.voices)
    assert dict(told.reasons) == dict(true.errors)
    assert (told.figures.prompt, told.figures.measured, told.figures.silent) == (
        true.prompt, true.measured, true.silent,
    )  # fmt: skip
    assert told.figures.gpu_seconds == pytest.approx(true.gpu_seconds)
    assert told.cost is not None and told.cost.amount == pytest.approx(true.cost)
    # Nobody tells Prometheus when a process began: what stands in its first hour may be older, is left out and told.
    assert 0 < told.left_out < 30
    assert told.before.requests + told.left_out == made.true["2026-09"].requests
    write_files(made, tmp_path)
    assert figures(told) == figures(make("2026-10", FileMetrics(tmp_path), ZONE, SERVICE))


def test_a_month_of_which_it_has_nothing(url: str) -> None:
    with pytest.raises(Trouble, match="Nothing is known of 2026-06 in Prometheus at"):
        make("2026-06", Prometheus(url), ZONE)


def test_a_server_that_fails_between_two_questions_leaves_a_part_and_says_so(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Prometheus(url)
    asked = iter(range(12))

    def result(path: str, params: Any) -> Any:
        if next(asked, None) is None:  # what follows is asked of a port on which nobody listens
            return Prometheus("http://127.0.0.1:9")._result(path, params)
        return Prometheus(url)._result(path, params)

    monkeypatch.setattr(store, "_result", result)
    told = make("2026-10", store, ZONE)
    assert told.figures.requests > 0 and told.figures.gpu_seconds is None
    assert told.gaps[0].why == "down"

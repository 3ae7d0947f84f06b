# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The page /metrics: where it listens, what it is called, and that its address goes away with it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource

from otel_tts.export import pull
from otel_tts.export.pull import PullReader


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    monkeypatch.setenv("OTEL_EXPORTER_PROMETHEUS_PORT", str(free))
    monkeypatch.delenv("OTEL_TTS_SCRAPE_DIR", raising=False)
    monkeypatch.delenv("OTEL_EXPORTER_PROMETHEUS_HOST", raising=False)
    return free


@pytest.fixture
def measured(port: int) -> Iterator[PullReader]:
    reader = PullReader()
    meters = MeterProvider([reader], Resource({"service.name": "s", "secret": "no"}), shutdown_on_exit=False)
    meter = meters.get_meter("m")
    meter.create_gauge("a.share", "1").set(0.5)
    meter.create_gauge("a.ratio", "1").set(0.5)
    meter.create_up_down_counter("a.state", "1").add(1)
    meter.create_counter("a.count", "{request}").add(1)
    meter.create_histogram("a.factor", "1").record(0.5)
    yield reader
    meters.shutdown()


def page(number: int, host: str = "127.0.0.1") -> str:
    with urllib.request.urlopen(f"http://{host}:{number}/metrics", timeout=10) as answer:
        return answer.read().decode()


def told(folder: Path) -> list[Any]:
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))]


def test_names_are_those_by_otlp(measured: PullReader, port: int) -> None:
    names = {line.partition("{")[0] for line in page(port).splitlines() if not line.startswith("#")}
    assert names >= {"a_share_ratio", "a_ratio", "a_state_ratio", "a_count_total", "a_factor_sum", "target_info"}


def test_labels_are_what_is_promoted_and_nothing_of_other_libraries_is_there(measured: PullReader, port: int) -> None:
    text = page(port)
    (line,) = (line for line in text.splitlines() if line.startswith("a_count_total"))
    assert line == 'a_count_total{service_name="s"} 1.0'
    assert "python_gc" not in text


def test_it_listens_on_this_machine_only_unless_told(measured: PullReader, port: int) -> None:
    assert measured._server.server_address[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_an_error_where_each_would_need_its_own(measured: PullReader) -> None:
    with pytest.raises(OSError, match="in use"):
        PullReader()


def test_with_a_folder_the_next_free_port_is_taken_and_told(
    measured: PullReader, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TTS_SCRAPE_DIR", str(tmp_path / "scrape"))
    other = PullReader()
    assert port < other.port < port + 100
    assert told(tmp_path / "scrape") == [[{"targets": [f"127.0.0.1:{other.port}"]}]]
    other.shutdown()
    other.shutdown()
    assert told(tmp_path / "scrape") == []


def test_where_it_listens_everywhere_the_machines_name_is_told(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TTS_SCRAPE_DIR", str(tmp_path))
    monkeypatch.setenv("OTEL_EXPORTER_PROMETHEUS_HOST", "0.0.0.0")
    reader = PullReader()
    assert told(tmp_path) == [[{"targets": [f"{socket.gethostname()}:{reader.port}"]}]]
    reader.shutdown()


def test_addresses_of_processes_that_are_gone_are_taken_away(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    mine = f"{socket.gethostname()}-{ended.pid}.json"
    kept = {f"{socket.gethostname()}-{os.getppid()}.json", f"another-machine-{ended.pid}.json", "own.json"}
    for name in (mine, *kept):
        (tmp_path / name).write_text("[]", encoding="utf-8")
    monkeypatch.setenv("OTEL_TTS_SCRAPE_DIR", str(tmp_path))
    reader = PullReader()
    reader.shutdown()
    assert {file.name for file in tmp_path.iterdir()} == kept


def test_a_folder_that_cannot_be_written_to_is_named(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TTS_SCRAPE_DIR", "/proc/none")
    with pytest.raises(OSError, match="OTEL_TTS_SCRAPE_DIR=/proc/none"):
        PullReader()
    with socket.socket() as free:
        free.bind(("127.0.0.1", port))  # nothing listens there any more


def test_what_is_promoted_is_what_prometheus_promotes() -> None:
    import yaml

    from otel_tts.stack import places

    prometheus = yaml.safe_load((places.configurations() / "compose" / "prometheus.yml").read_text(encoding="utf-8"))
    assert set(prometheus["otlp"]["promote_resource_attributes"]) == pull.PROMOTED

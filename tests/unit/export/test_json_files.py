# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The exporters that write OTLP JSON lines to a directory."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

from otel_tts.export import json_files, shared_folder
from otel_tts.readers import otlp_files


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("OTEL_TTS_FILE_DIR", str(tmp_path / "a" / "b"))
    return tmp_path / "a" / "b"


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_each_signal_has_a_file_of_this_process_and_only_its_owner_reads_it(directory: Path) -> None:
    spans = TracerProvider(shutdown_on_exit=False)
    spans.add_span_processor(BatchSpanProcessor(json_files.TraceFile()))
    logs = LoggerProvider(shutdown_on_exit=False)
    logs.add_log_record_processor(SimpleLogRecordProcessor(json_files.LogFile()))
    meters = MeterProvider([PeriodicExportingMetricReader(json_files.MetricFile())], shutdown_on_exit=False)
    assert names(directory) == [], "who has nothing to say leaves nothing"

    spans.get_tracer("t").start_span("s").end()
    logs.get_logger("t").emit(LogRecord(body="é"))
    meters.get_meter("t").create_counter("c").add(2)
    for provider in (spans, logs, meters):
        provider.shutdown()

    who = f"{shared_folder.host()}-{os.getpid()}"
    assert names(directory) == [f"{signal}-{who}.jsonl" for signal in ("logs", "metrics", "traces")]
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}
    (span,) = otlp_files.read_spans(directory / f"traces-{who}.jsonl")
    (line,) = otlp_files.read_logs(directory / f"logs-{who}.jsonl")
    (point,) = otlp_files.read_points(directory / f"metrics-{who}.jsonl")
    assert (span.name, line.body, point.value) == ("s", "é", 2)


def test_without_a_setting_it_is_beside_the_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert json_files.LogFile().file.folder.path == tmp_path / "otel-tts-telemetry"


def test_a_home_directory_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OTEL_TTS_FILE_DIR", "~/telemetry")
    assert json_files.LogFile().file.folder.path == tmp_path / "telemetry"


def test_what_is_in_the_way_is_said_clearly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for name, why in {
        "file": "is a file; name a directory",
        "file/sub": "cannot be used: .*; choose another directory",
        "link": "is a symbolic link, which is not followed; name the directory itself",
    }.items():
        monkeypatch.setenv("OTEL_TTS_FILE_DIR", str(tmp_path / name))
        with pytest.raises(OSError, match=f"OTEL_TTS_FILE_DIR={tmp_path / name} {why}"):
            json_files.TraceFile()
    assert names(tmp_path / "real") == []


def test_a_directory_that_cannot_be_written_is_said_clearly(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(OSError, match="cannot be written to; choose another directory"):
        json_files.MetricFile()


def test_a_batch_that_is_too_large_for_the_folder_becomes_several_lines(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TTS_FILE_BYTES", "1000000")
    exporter = json_files.TraceFile()
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t")
    spans = [tracer.start_span("s", attributes={"key": "v" * 1000}) for _ in range(600)]
    for span in spans:
        span.end()
    assert exporter.export(spans) is SpanExportResult.SUCCESS  # type: ignore[arg-type]
    exporter.shutdown()
    paths = otlp_files.find(directory, otlp_files.TRACES)
    assert sum(len(list(otlp_files.read_spans(path))) for path in paths) == 600


def test_what_cannot_be_written_is_a_failure_and_no_exception(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = json_files.LogFile()
    directory.rmdir()
    directory.write_text("")
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    provider.get_logger("t").emit(LogRecord(body="x"))
    assert "is a file; name a directory" in caplog.text
    directory.unlink()
    provider.get_logger("t").emit(LogRecord(body="y"))
    (path,) = otlp_files.find(directory, otlp_files.LOGS)
    assert json.loads(path.read_text())["resourceLogs"]
    provider.shutdown()

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The exporters that write OTLP JSON lines to a directory."""

from __future__ import annotations

import json
import os

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from otel_tts.emit import files


def test_the_directory_is_made_and_each_signal_has_its_file(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("OTEL_TTS_FILE_DIR", str(tmp_path / "a" / "b"))
    assert [files.path_of(signal).name for signal in ("traces", "metrics", "logs")] == [
        "traces.jsonl", "metrics.jsonl", "logs.jsonl",
    ]  # fmt: skip
    assert (tmp_path / "a" / "b").is_dir()


def test_without_a_setting_it_is_beside_the_process(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    assert files.path_of("logs").resolve() == tmp_path / "otel-tts-telemetry" / "logs.jsonl"


def test_a_home_directory_is_expanded(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OTEL_TTS_FILE_DIR", "~/telemetry")
    assert files.path_of("logs") == tmp_path / "telemetry" / "logs.jsonl"


def test_a_file_in_the_way_is_said_clearly(monkeypatch, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OTEL_TTS_FILE_DIR", str(tmp_path / "file" / "sub"))
    with pytest.raises(OSError, match=r"otel-tts: OTEL_TTS_FILE_DIR=.*sub cannot be made: Not a directory"):
        files.TraceFile()


def test_a_directory_that_cannot_be_written_is_said_clearly(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("OTEL_TTS_FILE_DIR", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(OSError, match="cannot be written to; choose another directory"):
        files.MetricFile()


def test_spans_are_otlp_json_lines(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("OTEL_TTS_FILE_DIR", str(tmp_path))
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(files.TraceFile()))
    provider.get_tracer("t").start_span("s").end()
    provider.shutdown()
    (line,) = (tmp_path / "traces.jsonl").read_text().splitlines()
    (span,) = json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert span["name"] == "s"

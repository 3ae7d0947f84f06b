# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A collector that is not there, or answers nonsense: a line or two on stderr, whatever the application logs to."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from otlp_sink import OtlpSink

OFTEN = {
    "OTEL_BSP_SCHEDULE_DELAY": "50",
    "OTEL_BLRP_SCHEDULE_DELAY": "50",
    "OTEL_METRIC_EXPORT_INTERVAL": "100",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    "OTEL_TTS_LOG_FORMAT": "none",
}
SIGNALS = ("TRACES", "METRICS", "LOGS")
WORK = """
    import logging, time
    from opentelemetry import trace
    SETUP

    def work(count):
        for _ in range(count):
            with trace.get_tracer("otel_tts").start_as_current_span("tts.vocoder"):
                logging.getLogger("app").warning("a line")
            time.sleep(0.1)

    work(20)
    print("half", flush=True)
    input()
    work(10)
"""


@pytest.mark.parametrize("setup", ["", "logging.basicConfig(level=logging.DEBUG)"])
def test_a_server_that_refuses_is_told_once_and_once_that_it_goes_on(
    sink: OtlpSink, tmp_path: Path, setup: str
) -> None:
    sink.answer = 404
    (tmp_path / "program.py").write_text(textwrap.dedent(WORK.replace("SETUP", setup)))
    command = ["opentelemetry-instrument", sys.executable, "program.py"]
    with subprocess.Popen(
        command, env=sink.env(**OFTEN), cwd=tmp_path, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stdout.readline() == "half\n"
        sink.answer = 200
        _, stderr = process.communicate("\n", timeout=60)
    assert process.returncode == 0, stderr

    told = [line for line in stderr.splitlines() if "otel-tts: " in line]
    assert len(told) == 3, stderr
    begins, again, at_the_end = told
    assert f" do not arrive at {sink.endpoint} (404 Not Found). Is the collector running?" in begins
    assert f"telemetry does arrive at {sink.endpoint} again; " in again and "spans" in again and "were lost" in again
    assert "had not been delivered" in at_the_end
    for flood in ("Failed to export", "Transient", "connectionpool", "Traceback"):
        assert flood not in stderr
    assert {log.scope for log in sink.logs()} == {"app"}
    assert sink.latest("otel_tts.dropped", reason="export_failed_spans")


def test_a_server_that_is_not_there_is_told_before_the_first_batch_is_given_up(
    sink: OtlpSink, free_port: Callable[[], int], script: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    env = sink.env(**OFTEN, OTEL_TTS_SHUTDOWN_TIMEOUT="1")
    for protocol in ("http/protobuf", "grpc"):
        address = f"127.0.0.1:{free_port()}"
        env |= {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{address}", "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
        ended = script(WORK.replace("SETUP", "input = str"), env)
        assert ended.returncode == 0, ended.stderr
        told = [line for line in ended.stderr.splitlines() if "do not arrive" in line]
        assert len(told) == 1 and address in told[0] and "(Connection refused)" in told[0], ended.stderr
        assert "Failed to export" not in ended.stderr and "Transient" not in ended.stderr
        assert f"{address}: Connection refused" in ended.stderr.splitlines()[-1]


@pytest.mark.parametrize("named", [{}, {f"OTEL_{name}_EXPORTER": "otlp,otel_tts_file" for name in SIGNALS}])
def test_files_have_all_of_it_where_a_server_that_is_named_too_is_not_there(
    sink: OtlpSink,
    free_port: Callable[[], int],
    script: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    named: dict[str, str],
) -> None:
    folder = tmp_path / "telemetry"
    env = sink.env(OTEL_TTS_FILE_DIR=str(folder), OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}")
    ended = script(WORK.replace("SETUP", "input = str"), env | named)
    assert ended.returncode == 0, ended.stderr
    found = {path.name.partition("-")[0]: path.read_text() for path in folder.glob("*.jsonl")}
    assert sorted(found) == ["logs", "metrics", "traces"], ended.stderr
    assert found["traces"].count("tts.vocoder") == 30
    assert found["logs"].count('"severityText"') == 30

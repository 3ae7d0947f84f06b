# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A receiver that wants telemetry later gets it later; what is left at the end is counted, said, and not waited for."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from otlp_sink import OtlpSink

OFTEN = {
    "OTEL_BSP_SCHEDULE_DELAY": "50",
    "OTEL_BLRP_SCHEDULE_DELAY": "50",
    "OTEL_METRIC_EXPORT_INTERVAL": "200",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    "OTEL_TTS_LOG_FORMAT": "none",
    "OTEL_TTS_SHUTDOWN_TIMEOUT": "20",
}
WORK = """
    import time
    from opentelemetry import trace

    for number in range(20):
        with trace.get_tracer("otel_tts").start_as_current_span("tts.vocoder"):
            time.sleep(0.05)
    print("made", flush=True)
    input()
"""


@pytest.fixture
def program(sink: OtlpSink, tmp_path: Path):  # type: ignore[no-untyped-def]
    (tmp_path / "program.py").write_text(textwrap.dedent(WORK))
    with subprocess.Popen(
        ["opentelemetry-instrument", sys.executable, "program.py"],
        env=sink.env(**OFTEN), cwd=tmp_path, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        yield process
        process.kill()


def test_nothing_is_lost_where_the_receiver_wants_it_later(sink: OtlpSink, program: subprocess.Popen[str]) -> None:
    sink.answer, sink.retry_after = 429, 3
    assert program.stdout is not None and program.stdout.readline() == "made\n"
    assert not sink.spans()
    sink.answer, sink.retry_after = 200, None
    _, stderr = program.communicate("\n", timeout=60)
    assert program.returncode == 0, stderr

    assert len(sink.spans()) == 20
    begins, *more = [line for line in stderr.splitlines() if "otel-tts: " in line]
    assert f"do not arrive at {sink.endpoint} (429 Too Many Requests" in begins
    assert "had not been delivered" not in stderr and "were lost" not in stderr, more


@pytest.mark.parametrize("ends", ["at its end", "by SIGTERM"])
def test_what_is_due_after_the_end_is_counted_and_said_at_once(
    sink: OtlpSink, program: subprocess.Popen[str], ends: str
) -> None:
    sink.answer, sink.retry_after = 429, 3600
    assert program.stdout is not None and program.stdout.readline() == "made\n"
    began = time.monotonic()
    if ends == "by SIGTERM":
        program.send_signal(signal.SIGTERM)
        _, stderr = program.communicate(timeout=60)
    else:
        _, stderr = program.communicate("\n", timeout=60)
    assert program.returncode == (-signal.SIGTERM if ends == "by SIGTERM" else 0), stderr
    assert time.monotonic() - began < 15
    assert "20 spans" in stderr and "had not been delivered" in stderr
    assert "429 Too Many Requests" in stderr and "Traceback" not in stderr

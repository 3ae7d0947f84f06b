# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""However a process ends, its telemetry arrives; and where nobody listens, it ends in time all the same."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping

import pytest
from otlp_sink import OtlpSink
from serving import Server

Script = Callable[..., "subprocess.CompletedProcess[str]"]
LATER = {"OTEL_BSP_SCHEDULE_DELAY": "600000", "OTEL_BLRP_SCHEDULE_DELAY": "600000"}

WORK = """
    import logging, os, signal, sys, time
    from opentelemetry import trace, metrics
    counter = metrics.get_meter("test").create_counter("tts.requests")

    def work(count=5):
        for _ in range(count):
            with trace.get_tracer("otel_tts").start_as_current_span("tts.vocoder"):
                counter.add(1)
                logging.getLogger("app").warning("a line")
"""

ENDINGS = {
    "return": ("work()", 0),
    "exit": ("work(); sys.exit(3)", 3),
    "exception": ("work(); raise ValueError('no')", 1),
    "sigterm": ("work(); os.kill(os.getpid(), signal.SIGTERM); time.sleep(30)", -signal.SIGTERM),
    "sigint": ("work(); os.kill(os.getpid(), signal.SIGINT); time.sleep(30)", -signal.SIGINT),
    "own handler": ("signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); work(); os.kill(os.getpid(), 15)", 7),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_everything_arrives_however_a_program_ends(sink: OtlpSink, script: Script, ending: str) -> None:
    last, status = ENDINGS[ending]
    ended = script(f"{WORK}\n    {last}\n", sink.env(**LATER))
    assert ended.returncode == status, ended.stderr
    assert len(sink.spans("tts.vocoder")) == 5
    assert len([log for log in sink.logs() if log.scope == "app"]) == 5
    assert [point.value for point in sink.latest("tts.requests")] == [5]
    assert "delivered" not in ended.stderr
    assert ended.stderr.count("Traceback") == (1 if ending in ("exception", "sigint") else 0)


def test_a_signal_that_was_ignored_stays_ignored(sink: OtlpSink, script: Script) -> None:
    source = f"{WORK}\n    work(); signal.signal(signal.SIGTERM, signal.SIG_IGN); os.kill(os.getpid(), 15); work()\n"
    ended = script(source, sink.env(**LATER))
    assert ended.returncode == 0
    assert len(sink.spans("tts.vocoder")) == 10


def seconds_to_end(script: Script, env: Mapping[str, str], **more: str) -> tuple[float, str]:
    """Seconds from the last line of a program to its end, and what it wrote to stderr."""
    source = f"{WORK}\n    work(1000); print(time.time(), flush=True)\n"
    ended = script(source, {**env, **more})
    over = time.time()
    assert ended.returncode == 0, ended.stderr
    return over - float(ended.stdout), ended.stderr


@pytest.mark.parametrize("how", ["refused", "hanging", "unavailable"])
def test_a_dead_collector_is_waited_for_no_longer_than_the_setting_says(
    script: Script, free_port: Callable[[], int], how: str
) -> None:
    with OtlpSink(hang=how == "hanging", answer=503 if how == "unavailable" else 200) as dead:
        env = dead.env(**LATER)
        if how == "refused":
            env["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{free_port()}"
        short, told = seconds_to_end(script, env, OTEL_TTS_SHUTDOWN_TIMEOUT="1")
        long, _ = seconds_to_end(script, env, OTEL_TTS_SHUTDOWN_TIMEOUT="3")

    assert 1 <= short < 3 <= long < 3 + short
    counts = re.search(r"(\d+) spans, (\d+) log records and the last metrics had not been delivered within 1 s", told)
    assert counts is not None, told
    assert int(counts[1]) == 1000
    assert int(counts[2]) >= 1000  # OpenTelemetry's own warnings about it are log records too


def test_sigterm_with_a_dead_collector_ends_in_time_and_of_the_signal(script: Script) -> None:
    with OtlpSink(hang=True) as dead:
        source = f"{WORK}\n    work(7); os.kill(os.getpid(), signal.SIGTERM); time.sleep(30)\n"
        ended = script(source, dead.env(OTEL_TTS_SHUTDOWN_TIMEOUT="1", **LATER), timeout=25)
    assert ended.returncode == -signal.SIGTERM
    assert "7 spans" in ended.stderr and "within 1 s" in ended.stderr


def test_the_ways_out_share_one_budget(serve: Callable[..., Server], free_port: Callable[[], int]) -> None:
    """uvicorn ends in two of them, lifespan and SIGTERM: a dead collector is not waited for twice."""
    app = """
        import fastapi
        app = fastapi.FastAPI()
        @app.get("/")
        def root(): return {}
    """
    with OtlpSink(hang=True) as dead:
        env = dead.env(OTEL_TTS_SHUTDOWN_TIMEOUT="3", **LATER)
        server = serve(app, ["opentelemetry-instrument", "uvicorn", "app:app", "--port", "{port}"], env)
        assert server.get("/").status == 200
        began = time.monotonic()
        assert server.stop() == -signal.SIGTERM
        assert 3 <= time.monotonic() - began < 6
    assert server.stderr.count("had not been delivered") == 1


def test_what_a_full_queue_drops_is_counted(sink: OtlpSink, script: Script) -> None:
    ended = script(
        f"{WORK}\n    work(300)\n", sink.env(OTEL_BSP_MAX_QUEUE_SIZE="10", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="10")
    )
    arrived = len(sink.spans("tts.vocoder"))
    (dropped,) = sink.latest("otel_tts.dropped", reason="queue_full_spans")
    assert arrived + dropped.value == 300
    assert f"{dropped.value} spans had not been delivered" in ended.stderr or dropped.value == 1


def test_nothing_raises_after_shutdown(sink: OtlpSink, script: Script) -> None:
    source = f"""{WORK}
    from otel_tts.distro import shutdown
    work()
    assert shutdown.shutdown() and shutdown.shutdown()
    work()
    assert not shutdown.flush()
    """
    ended = script(source, sink.env(**LATER))
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(sink.spans("tts.vocoder")) == 5

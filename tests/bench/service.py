# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""hibari behind FastAPI, with and without otel-tts: two servers at once, asked in turn."""

from __future__ import annotations

import http.client
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from otel_tts.demo.process import APP, HOST, command
from tests.bench.content import TEXT
from tests.bench.crew import ROOT
from tests.bench.report import Row, at_most, plain
from tests.integration.otlp_sink import OtlpSink

SECTION = "hibari through FastAPI"
LIMIT = 1.02
_WARM_UP = 10


def compare(folder: Path, count: int) -> list[Row]:
    """Ask both servers `count` times for the same sentence."""
    times: tuple[list[float], list[float]] = ([], [])
    with OtlpSink() as sink, _serve(_plain_command, sink.env(), folder / "plain.log") as without:
        env = {**sink.env(), "OTEL_METRIC_EXPORT_INTERVAL": "10000"}
        with _serve(command, env, folder / "otel-tts.log") as with_ours:
            pair = (without, with_ours)
            for number in range(count + _WARM_UP):
                for side in (0, 1) if number % 2 else (1, 0):  # who is first has the other's threads still spinning
                    took = _ask(pair[side])
                    if number >= _WARM_UP:
                        times[side].append(took)
        spans = len([span for span in sink.spans() if span.name.startswith("text_to_speech")])
    medians = [statistics.median(found) for found in times]
    tails = [sorted(found)[int(count * 0.95)] for found in times]
    added = statistics.median(b - a for a, b in zip(*times, strict=True))
    detail = f"{medians[1] * 1e3:.2f} ms / {medians[0] * 1e3:.2f} ms, {count} requests each"
    return [
        at_most(SECTION, "median request time, with / without", medians[1] / medians[0], LIMIT, "", detail),
        plain(SECTION, "added, median over pairs of requests", added * 1e3, "ms"),
        plain(SECTION, "95th percentile, with / without", tails[1] / tails[0], "×"),
        Row(SECTION, "syntheses that arrived at the receiver", f"{spans} of {count + _WARM_UP}", spans,
            "all", spans == count + _WARM_UP),
    ]  # fmt: skip


def _plain_command(port: int) -> list[str]:
    return [sys.executable, "-m", "uvicorn", APP, "--host", HOST, "--port", str(port)]


@contextmanager
def _serve(start: object, env: Mapping[str, str], log: Path) -> Generator[http.client.HTTPConnection]:
    port = _free_port()
    arguments: Sequence[str] = start(port)  # type: ignore[operator]
    with log.open("wb") as output:
        process = subprocess.Popen(arguments, env=dict(env), cwd=ROOT, stdout=output, stderr=output)
    try:
        connection = http.client.HTTPConnection(HOST, port, timeout=60)
        _wait(connection, process, log)
        yield connection
        connection.close()
        process.terminate()
        process.wait(30)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _wait(connection: http.client.HTTPConnection, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        try:
            connection.request("GET", "/health")
            connection.getresponse().read()
            return
        except OSError:
            connection.close()
            time.sleep(0.2)
    raise RuntimeError(f"the service did not start; the end of what it said:\n{log.read_text()[-2000:]}")


def _ask(connection: http.client.HTTPConnection) -> float:
    body = json.dumps({"input": TEXT})
    began = time.perf_counter()
    connection.request("POST", "/v1/audio/speech", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    sound = answer.read()
    took = time.perf_counter() - began
    if answer.status != 200 or len(sound) < 1000:
        raise RuntimeError(f"the service answered {answer.status}")
    return took


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""How long a Python takes to start and end that does nothing."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path

from tests.bench.report import Row, plain
from tests.integration.otlp_sink import OtlpSink

SECTION = "Starting a process"


def compare(rounds: int) -> list[Row]:
    """Start each in turn; the times are of the whole process, with its last flush."""
    tools = Path(sys.executable).parent
    nothing = [sys.executable, "-c", "pass"]
    commands = {
        "python -c pass": nothing,
        "python -c 'import otel_tts'": [sys.executable, "-c", "import otel_tts"],
        "otel-tts run -- python -c pass": [str(tools / "otel-tts"), "run", "--", *nothing],
        "opentelemetry-instrument python -c pass, with otel-tts": [
            str(tools / "opentelemetry-instrument"), "--distro", "otel_tts", *nothing,
        ],
    }  # fmt: skip
    if "distro" in {entry_point.name for entry_point in entry_points(group="opentelemetry_distro")}:
        commands["opentelemetry-instrument python -c pass, with the default distribution"] = [
            str(tools / "opentelemetry-instrument"), "--distro", "distro", "--configurator", "configurator", *nothing,
        ]  # fmt: skip
    times: dict[str, list[float]] = {name: [] for name in commands}
    with OtlpSink() as sink:
        for _ in range(rounds + 1):
            for name, command in commands.items():
                began = time.perf_counter()
                subprocess.run(command, env=sink.env(), check=True, capture_output=True)
                times[name].append(time.perf_counter() - began)
    return [plain(SECTION, f"`{name}`", statistics.median(found[1:]), "s") for name, found in times.items()]

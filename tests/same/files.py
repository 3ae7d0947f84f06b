# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Plays scenes and holds what they say against the files."""

from __future__ import annotations

import difflib
import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.integration.otlp_sink import OtlpSink
from tests.same import told
from tests.same.scenes import SCENES, Scene

__all__ = ["SCENES", "difference", "path", "play", "read"]

HERE = Path(__file__).parent
ENGINE = HERE / "engine"
PATIENCE_S = 120
SETTINGS = {
    "PYTHONPATH": str(ENGINE),
    "PYTHONWARNINGS": "ignore",
    "OTEL_RESOURCE_ATTRIBUTES": "service.version=1,deployment.environment.name=test",
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "system_metrics",  # they are of this machine
    "OTEL_METRIC_EXPORT_INTERVAL": "3600000",
    "OTEL_TTS_HASH_KEY": "same",
    "OTEL_TTS_NVML_INTERVAL": "0",
    "OTEL_TTS_SHUTDOWN_TIMEOUT": "60",
}
"""Of each scene's process. Metrics are read once, at its end."""


def play(names: Iterable[str] = ()) -> dict[str, str]:
    """Play these scenes, or all, some at a time; returns what each says."""
    scenes = [SCENES[name] for name in names] or list(SCENES.values())
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return {scene.name: text for scene, text in zip(scenes, pool.map(_play, scenes), strict=True)}


def _play(scene: Scene) -> str:
    with OtlpSink() as sink:
        done = subprocess.run(
            [sys.executable, "-m", "tests.same.play", scene.name],
            env=sink.env(**{**SETTINGS, **scene.settings}), cwd=HERE.parents[1], capture_output=True, text=True,
            timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0 and "Traceback" not in done.stderr, f"{scene.name}: {done.stdout}{done.stderr}"
        stderr = done.stderr.replace(sink.endpoint, "http://collector")
        return told.tell(scene.meaning, {signal: sink.bodies(signal) for signal in told.SIGNALS}, stderr)


def path(name: str) -> Path:
    return HERE / "expected" / f"{name}.json"


def read(name: str) -> str:
    """Return what the file says; nothing where there is none yet."""
    return path(name).read_text(encoding="utf-8") if path(name).exists() else ""


def difference(name: str, text: str) -> str:
    """Return what differs from the file, as a diff."""
    return "".join(
        difflib.unified_diff(
            read(name).splitlines(True), text.splitlines(True), f"expected/{name}.json", f"{name} now", n=3
        )
    )

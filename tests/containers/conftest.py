# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Tempo and Loki as containers, with the Collector in front: only here are they run, and only where Docker is."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from in_containers import LOKI, TEMPO, eventually

HERE = Path(__file__).parent
COMPOSE = HERE.parents[1] / "collector" / "compose.yaml"
READY = (f"{TEMPO}/ready", f"{LOKI}/ready", "http://127.0.0.1:13133/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.containers)


def compose(*arguments: str) -> list[str]:
    return ["docker", "compose", "--project-name", "otel-tts-tests", "--file", str(COMPOSE), *arguments]


@pytest.fixture(scope="session")
def containers() -> Iterator[None]:
    """The servers of collector/compose.yaml, ready; their volumes are thrown away."""
    if shutil.which("docker") is None:
        pytest.skip("there is no docker on PATH: https://docs.docker.com/engine/install/")
    running = subprocess.run(["docker", "info"], capture_output=True, text=True, timeout=60)
    if running.returncode:
        pytest.skip(f"Docker does not run: {running.stderr.strip().splitlines()[-1]}")
    try:
        subprocess.run(compose("up", "--detach", "tempo", "loki", "otelcol"), check=True, timeout=900)
        for url in READY:
            eventually(lambda url=url: httpx.get(url).status_code == 200)
        yield
    finally:
        subprocess.run(compose("down", "--volumes"), check=False, timeout=120)

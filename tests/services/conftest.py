# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Programs whose replicas, tasks and jobs run in processes that they start: Ray Serve, Celery, RQ; and Django.

These tests need an environment of their own (tests/environments/services.in); elsewhere they are not collected.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "integration"))

collect_ignore_glob = [] if find_spec("celery") else ["test_*.py"]

LAUNCHERS = {
    "opentelemetry-instrument": [str(Path(sys.executable).with_name("opentelemetry-instrument"))],
    "otel-tts run": [sys.executable, "-m", "otel_tts.cli.main", "run", "--"],
}
LATER = {"OTEL_BSP_SCHEDULE_DELAY": "600000", "OTEL_BLRP_SCHEDULE_DELAY": "600000"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(params=LAUNCHERS)
def launcher(request: pytest.FixtureRequest) -> list[str]:
    """Each of the two commands that put otel-tts into a program."""
    return LAUNCHERS[request.param]


@pytest.fixture
def sink() -> Iterator[object]:
    from otlp_sink import OtlpSink

    with OtlpSink() as running:
        yield running


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`start(command, env)`: a program in a process group of its own; its output is in the file `output`."""
    running: list[subprocess.Popen[str]] = []

    def begin(command: list[str], env: dict[str, str]) -> subprocess.Popen[str]:
        with (tmp_path / "output").open("w") as output:
            process = subprocess.Popen(
                command, env=env, cwd=tmp_path, stdin=subprocess.PIPE, stdout=output, stderr=output, text=True,
                start_new_session=True,
            )  # fmt: skip
        running.append(process)
        return process

    yield begin
    for process in running:
        try:
            os.killpg(process.pid, 9)
        except ProcessLookupError:
            pass
        process.wait()
        if process.stdin is not None:
            process.stdin.close()


def environment(sink: object, folder: Path, **more: str) -> dict[str, str]:
    """Variables of a program that sends to `sink`, and finds the modules that lie here."""
    paths = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return sink.env(PYTHONPATH=os.pathsep.join(paths), HOME=str(folder), **more)  # type: ignore[attr-defined]

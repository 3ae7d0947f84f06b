# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What all tests share: commands that a test needs, a clean environment, and what no test may leave behind."""

from __future__ import annotations

import os
import shutil
import socket
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from opentelemetry import trace

from otel_tts import guard
from otel_tts.audio.samples.sound import pending
from otel_tts.privacy import policy

GET = {
    "go": "install Go from https://go.dev/dl/",
    "ffmpeg": "apt-get install ffmpeg",
    "ffprobe": "apt-get install ffmpeg",
    "sox": "apt-get install sox",
    "espeak-ng": "apt-get install espeak-ng",
    "cc": "apt-get install gcc",
    "redis-server": "apt-get install redis-server",
    "chromium": "apt-get install --no-install-recommends chromium",
}


def need(command: str) -> str:
    """Return the path of `command`; without it skip the test, or fail it where CI=true: there it has to be there."""
    if path := shutil.which(command):
        return path
    reason = f"{command} is not on PATH ({GET.get(command, 'install it')})"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; with CI=true this is a failure", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def requires() -> Callable[[str], str]:
    """`requires("ffmpeg")` is the command's path, or the test is skipped (CI=true: fails) with the reason."""
    return need


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requires(*commands): skip, or with CI=true fail, where a command is missing")


@pytest.hookimpl(tryfirst=True)  # before the module's own fixtures, which may need the command too
def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("requires"):
        for command in mark.args:
            need(command)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which folder took how long: where the next minute is to be won."""
    seconds: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds["/".join(report.nodeid.split("::")[0].split("/")[:-1])] += report.duration
    if len(seconds) > 1:
        terminalreporter.section("seconds in each folder")
        for folder, taken in seconds.most_common():
            terminalreporter.write_line(f"{taken:8.1f}  {folder}")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the developer's shell sets for OpenTelemetry does not reach a test or the processes it starts."""
    for name in os.environ:
        if name.startswith("OTEL_") and name != "OTEL_TTS_CACHE_DIR":  # where the built servers are
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Each test starts with nothing counted and no sound waiting, and ends with no span current."""
    guard.faults.clear()
    policy.forget_counts()
    pending.renew()
    yield
    assert not trace.get_current_span().get_span_context().is_valid, "the test left a span current"


@pytest.fixture
def free_port() -> Callable[[], int]:
    """`free_port()` is a TCP port of 127.0.0.1 that nobody listens on."""

    def choose() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    return choose

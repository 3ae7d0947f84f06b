# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What is lost by which fault, signal by signal: the table of docs/reliability.md. OTEL_TTS_LOSSES is its size."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from leaving import Leaving, collector

REQUESTS = int(os.environ.get("OTEL_TTS_LOSSES", "100"))
SERVICE = """
import os, sys, time
import numpy, otel_tts

otel_tts.configure(service_name="losses")
tone = numpy.sin(numpy.arange(1600) / 10) * 0.3
for number in range(int(sys.argv[1])):
    with otel_tts.synthesis("m", engine="own", text="hello", request_id=f"r-{number}") as synthesis:
        with otel_tts.stage("acoustic_model"):
            time.sleep(0.01)
        with otel_tts.stage("vocoder"):
            time.sleep(0.01)
        synthesis.audio(tone, 16000)
    print(number + 1, flush=True)
"""
QUICK = {"OTEL_BSP_SCHEDULE_DELAY": "200", "OTEL_BLRP_SCHEDULE_DELAY": "200", "OTEL_METRIC_EXPORT_INTERVAL": "400"}


class Service:
    """A service that speaks so many times and ends."""

    def __init__(self, endpoint: str, inside: tuple[str, ...] = (), **more: str) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
        environ |= {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TTS_LOG_FORMAT": "none", **QUICK, **more}
        command = [*inside, sys.executable, "-c", SERVICE, str(REQUESTS)]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(command, env=environ, text=True, start_new_session=True, **pipes)
        self.spoken = 0

    def speak(self, until: float = 1.0) -> None:
        """Return after this share of the requests."""
        assert self.process.stdout is not None
        while self.spoken < until * REQUESTS and (line := self.process.stdout.readline()):
            self.spoken = int(line)

    def end(self, how: signal.Signals | None = None) -> str:
        """Wait until it has ended, after a signal where one is named; return what it said on stderr."""
        if how is not None:
            self.process.send_signal(how)
        out, said = self.process.communicate(timeout=120)
        self.spoken = max([self.spoken, *map(int, out.split())])
        return said


def arrived(leaving: Leaving) -> dict[str, int]:
    """How many requests each signal tells of, each once."""
    spans = {
        span["traceId"]
        for message in leaving.received("traces")
        for rs in message.get("resourceSpans", ())
        for ss in rs["scopeSpans"]
        for span in ss["spans"]
        if span["name"] == "text_to_speech m"
    }
    lines = {
        record["body"]["stringValue"]
        for message in leaving.received("logs")
        for rl in message.get("resourceLogs", ())
        for sl in rl["scopeLogs"]
        for record in sl["logRecords"]
        if record.get("eventName") == "REQ_SUCCESS"
    }
    counted = [
        int(point["asInt"])
        for message in leaving.received("metrics")
        for rm in message.get("resourceMetrics", ())
        for sm in rm["scopeMetrics"]
        for metric in sm["metrics"]
        if metric["name"] == "tts.requests"
        for point in metric["sum"]["dataPoints"]
    ]
    return {"traces": len(spans), "metrics": max(counted, default=0), "logs": len(lines)}


WHOLE = dict.fromkeys(("traces", "metrics", "logs"), REQUESTS)


def settle(leaving: Leaving, wanted: dict[str, int] = WHOLE, quiet_s: float = 3.0) -> dict[str, int]:
    """What has arrived once it is what is wanted, or once nothing more has come for so many seconds."""
    found, last = arrived(leaving), time.monotonic()
    while found != wanted and time.monotonic() - last < quiet_s:
        time.sleep(0.25)
        if (now := arrived(leaving)) != found:
            found, last = now, time.monotonic()
    return found


@pytest.fixture
def tell(record_property: Callable[[str, object], None], request: pytest.FixtureRequest) -> Callable[..., None]:
    """Print a line of the table."""

    def line(service: Service, found: dict[str, int]) -> None:
        lost = ", ".join(f"{name} {service.spoken - count}" for name, count in found.items())
        print(f"{request.node.name}: sent {service.spoken}, arrived {found}, lost {lost}")

    return line


@pytest.fixture
def leaving(stack: object, tmp_path: Path) -> Iterator[Leaving]:
    with collector(tmp_path) as found:
        yield found


BETWEEN_TRIES_S = 12.0
"""The Collector's exporters wait 10 s at most before they try again."""


def test_the_collector_is_killed(leaving: Leaving, tell: Callable[..., None]) -> None:
    service = Service(leaving.stack.url("otlp_http"))
    for share in (0.25, 0.5, 0.75):
        service.speak(share)
        leaving.stack.kill("otelcol")
        leaving.stack.start("otelcol")
    service.end()
    found = settle(leaving, quiet_s=BETWEEN_TRIES_S)
    tell(service, found)
    assert found == WHOLE


@pytest.mark.parametrize("gone", ["traces", "metrics", "logs"])
def test_a_store_is_gone(leaving: Leaving, tell: Callable[..., None], gone: str) -> None:
    """And the Collector is killed meanwhile; the other signals arrive as ever."""
    leaving.gone = {gone}
    service = Service(leaving.stack.url("otlp_http"))
    service.end()
    leaving.wait_until_refused(gone)
    assert settle(leaving, WHOLE | {gone: 0}, BETWEEN_TRIES_S) == WHOLE | {gone: 0}
    leaving.stack.kill("otelcol")
    leaving.stack.start("otelcol")
    leaving.gone = set()
    found = settle(leaving, quiet_s=BETWEEN_TRIES_S)
    tell(service, found)
    assert found == WHOLE


def test_the_service_is_told_to_end(leaving: Leaving, tell: Callable[..., None]) -> None:
    service = Service(leaving.stack.url("otlp_http"))
    service.speak(0.5)
    service.end(signal.SIGTERM)
    found = settle(leaving)
    tell(service, found)
    assert min(found.values()) >= service.spoken


def test_the_service_is_killed(leaving: Leaving, tell: Callable[..., None]) -> None:
    """Loses what was not sent yet: by default what is younger than 5 s, and of metrics a minute."""
    service = Service(leaving.stack.url("otlp_http"))
    service.speak(0.5)
    service.end(signal.SIGKILL)
    found = settle(leaving)
    tell(service, found)
    assert 0 < min(found.values()) < service.spoken


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Callable[[str], object]]:
    """A disk of its own below the folder; the value makes it larger."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a full disk of its own needs root, and mount")
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=False)
    if made.returncode != 0:
        pytest.skip("this machine lets nobody mount a disk")
    try:
        yield lambda larger: subprocess.run(["mount", "-o", f"remount,size={larger}", folder], check=True)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_the_collectors_disk_is_full(stack: object, tmp_path: Path, tell: Callable[..., None]) -> None:
    """It refuses what it cannot keep; the service tries again, then counts what it gives up, and says so."""
    with small_disk(tmp_path / "state", "1m") as enlarge, collector(tmp_path / "state") as leaving:
        leaving.refuse.set()
        (tmp_path / "state" / "filler").write_bytes(b"")
        _fill(tmp_path / "state" / "filler")
        service = Service(leaving.stack.url("otlp_http"), OTEL_EXPORTER_OTLP_TIMEOUT="2")
        service.speak(0.5)
        (tmp_path / "state" / "filler").unlink()
        enlarge("200m")
        said = service.end()
        leaving.refuse.clear()
        found = settle(leaving, quiet_s=BETWEEN_TRIES_S)
        tell(service, found)
        assert found["metrics"] == REQUESTS, "sums go on"
        assert min(found.values()) > 0
        told = re.search(r"at the end of process \d+, (\d+) spans", said)
        spans_of_a_request = 3
        assert (REQUESTS - found["traces"]) * spans_of_a_request <= (int(told[1]) if told else 0), said


def _fill(file: Path) -> None:
    with file.open("ab", buffering=0) as filler:
        try:
            while True:
                filler.write(b"x" * 4096)
        except OSError:
            pass


@contextmanager
def network() -> Iterator[tuple[str, tuple[str, ...], Callable[[str], object]]]:
    """A network of its own: the host's address in it, what runs a command inside, and what takes it `down` or `up`."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("a network of its own needs root, and ip")
    name, subnet = f"tts{os.getpid() % 10000}", f"10.{200 + os.getpid() % 50}.{os.getpid() % 250}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"this machine lets nobody make a network: {made.stderr.strip()}")

    def ip(*arguments: str) -> object:
        return subprocess.run(["ip", *arguments], check=True, capture_output=True)

    try:
        ip("link", "add", f"{name}h", "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("addr", "add", f"{subnet}.1/24", "dev", f"{name}h")
        ip("link", "set", f"{name}h", "up")
        ip("-n", name, "addr", "add", f"{subnet}.2/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        yield f"{subnet}.1", ("ip", "netns", "exec", name), lambda how: ip("link", "set", f"{name}h", how)
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def test_the_network_is_cut(stack: object, tmp_path: Path, tell: Callable[..., None]) -> None:
    """For less than OTEL_EXPORTER_OTLP_TIMEOUT: what was on the way is sent again."""
    with network() as (host, inside, link), collector(tmp_path, STACK_BIND="0.0.0.0") as leaving:
        endpoint = f"http://{host}:{leaving.stack.ports['otlp_http']}"
        service = Service(endpoint, inside, OTEL_TTS_SHUTDOWN_TIMEOUT="30")
        service.speak(0.3)
        link("down")
        time.sleep(min(5, REQUESTS / 100))
        link("up")
        service.end()
        found = settle(leaving, quiet_s=BETWEEN_TRIES_S)
        tell(service, found)
        assert found == WHOLE

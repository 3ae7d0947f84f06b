# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts watch` on a real service that hangs, fills its device, is killed: healed once, and well again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from otlp_sink import OtlpSink

from tests.unit.support.nvml_stub import build

SERVICE = Path(__file__).parent / "services" / "failing_app.py"
ROOT = Path(__file__).parents[2]

RESTART = """
import json, os, signal, subprocess
from pathlib import Path
here = Path(__file__).parent
if (here / "pid").exists():
    try:
        os.kill(int((here / "pid").read_text()), signal.SIGKILL)
    except ProcessLookupError:
        pass
(here / "mode").write_text("well")
with open(here / "service.log", "ab") as log:
    started = subprocess.Popen(
        json.loads((here / "command.json").read_text()), cwd=here, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
(here / "pid").write_text(str(started.pid))
"""


class Site:
    """A folder with the service, what restarts it, and its watcher."""

    def __init__(self, folder: Path, sink: OtlpSink, port: int) -> None:
        self.folder, self.port, self.sink = folder, port, sink
        self.env = sink.env(
            PYTHONPATH=str(ROOT), OTEL_TTS_CONTROL=str(folder / "control"), OTEL_METRIC_EXPORT_INTERVAL="300",
            OTEL_TTS_NVML_INTERVAL="0.1", OTEL_SERVICE_NAME="failing",
        )  # fmt: skip
        self.lines: list[dict[str, Any]] = []
        self.watcher: subprocess.Popen[str] | None = None
        shutil.copy(SERVICE, folder / "app.py")
        (folder / "restart.py").write_text(RESTART)
        command = ["opentelemetry-instrument", "uvicorn", "app:app", "--port", str(port), "--log-level", "warning"]
        (folder / "command.json").write_text(json.dumps(command))

    def start(self) -> None:
        subprocess.run([sys.executable, str(self.folder / "restart.py")], env=self.env, check=True, timeout=60)

    def is_well(self) -> bool:
        try:
            return self.speak(5)
        except OSError:
            return False

    def speak(self, timeout: float) -> bool:
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/speak", b'{"text": "hello"}', {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(asked, timeout=timeout) as answer:
            return answer.status == 200

    def wait(self, is_so: Callable[[], Any], why: str, timeout: float = 60) -> None:
        until = time.monotonic() + timeout
        while not is_so():
            log = (self.folder / "service.log").read_text()[-3000:]
            assert time.monotonic() < until, f"{why}\n{self.lines}\n{log}"
            time.sleep(0.1)

    def watch(self) -> None:
        config = {
            "name": "failing", "service": "failing", "control": str(self.folder / "control"),
            "state": str(self.folder / "state"), "every_s": 0.2, "for_s": 1.5, "settle_s": 2, "start_period_s": 20,
            "page": {"url": f"http://127.0.0.1:{self.port}/health", "timeout_s": 2},
            "canary": {"url": f"http://127.0.0.1:{self.port}/speak", "json": {"text": "one two"}, "every_s": 0.5,
                       "within_s": 2},
            "stages": {"stuck_after_s": 1.5}, "gpu": {"window_s": 1.5},
            "restart": {"command": [sys.executable, str(self.folder / "restart.py")]},
        }  # fmt: skip
        (self.folder / "watch.json").write_text(json.dumps(config))
        tool = Path(sys.executable).parent / "otel-tts"
        self.watcher = subprocess.Popen(
            [tool, "watch", str(self.folder / "watch.json"), "--act", "--json"], env=self.env, stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        threading.Thread(target=self._read, args=(self.watcher,), daemon=True).start()

    def _read(self, watcher: subprocess.Popen[str]) -> None:
        assert watcher.stdout is not None
        for line in watcher.stdout:
            self.lines.append(json.loads(line))

    def events(self, *names: str) -> list[dict[str, Any]]:
        return [line for line in list(self.lines) if line["event"] in names]

    def end(self) -> int:
        assert self.watcher is not None
        self.watcher.send_signal(signal.SIGTERM)
        return self.watcher.wait(30)

    def clean_up(self) -> None:
        if self.watcher is not None:
            self.watcher.kill()
            self.watcher.communicate()
        if (self.folder / "pid").exists():
            self.kill()

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(int((self.folder / "pid").read_text()), number)
        except ProcessLookupError:
            pass


def hang(site: Site) -> None:
    (site.folder / "mode").write_text("hang")


def fill(site: Site) -> None:
    (site.folder / "mode").write_text("full")


HARMS: dict[str, tuple[Callable[[Site], None], str]] = {
    "hang": (hang, "restart"),
    "gpu_full": (fill, "empty_cache"),
    "death": (Site.kill, "restart"),
    "freeze": (Site.freeze, "restart"),
}


@pytest.fixture
def sites(tmp_path: Path, free_port: Callable[[], int], requires: Callable[[str], str]) -> Iterator[dict[str, Site]]:
    """A service with its watcher for each harm, side by side: most of their time is waiting."""
    library = build(requires("cc"), tmp_path)
    with ExitStack() as at_the_end:
        made: dict[str, Site] = {}
        for cause in HARMS:
            folder = tmp_path / cause
            folder.mkdir()
            shutil.copy(library, folder)
            made[cause] = Site(folder, at_the_end.enter_context(OtlpSink()), free_port())
            at_the_end.callback(made[cause].clean_up)
            made[cause].start()
        for site in made.values():
            site.wait(site.is_well, "the service does not come up")
            site.watch()
        for site in made.values():
            site.wait(lambda site=site: site.sink.latest("tts.watch.probes"), "no probe came to a synthesis")
        yield made


def test_services_are_healed_once(sites: dict[str, Site]) -> None:
    for cause, site in sites.items():
        HARMS[cause][0](site)
    for cause, site in sites.items():
        site.wait(lambda site=site: site.events("well"), "it does not get well", 120)
        assert site.is_well()
        did = [(line["cause"], line["step"], line["well"]) for line in site.events("did")]
        assert did == [(cause, HARMS[cause][1], True)]
        assert site.events("breaker", "fault") == []
        check_what_is_left(site)


def check_what_is_left(site: Site) -> None:
    """The watcher ends when it is told to; its book is what it said, and its heartbeat is the service's."""
    assert site.end() == 0
    site.wait(lambda: site.events("ends"), "it does not say that it ends")
    book = (site.folder / "state" / "audit.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in book] == site.lines
    looked = site.sink.latest("tts.watch.heartbeat")
    assert {point.resource["service.name"] for point in looked} == {"failing"}
    assert all(abs(point.value - time.time()) < 3600 for point in looked)
    assert "hello" not in json.dumps(site.lines) and "one two" not in json.dumps(site.lines)

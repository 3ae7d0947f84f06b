# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The heartbeat of a watcher whose Collector is not there: said once, and nothing else changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path


def test_a_collector_that_is_down_is_said_once_and_the_watcher_goes_on(tmp_path: Path, free_port) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    file = tmp_path / "watch.json"
    said = {"name": "x", "service": "x", "state": str(tmp_path / "state"), "every_s": 0.1, "page": {"url": nobody}}
    file.write_text(json.dumps(said))
    own = {"OTEL_METRIC_EXPORT_INTERVAL": "100", "OTEL_EXPORTER_OTLP_ENDPOINT": nobody}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    command = [sys.executable, "-m", "otel_tts.cli.main", "watch", str(file), "--json"]
    errors = tmp_path / "stderr"
    with (
        errors.open("w") as written,
        subprocess.Popen(command, env={**kept, **own}, stdout=subprocess.PIPE, stderr=written, text=True) as watcher,
    ):
        until = time.monotonic() + 60
        while "do not arrive" not in errors.read_text():
            assert time.monotonic() < until and watcher.poll() is None, errors.read_text()
            time.sleep(0.1)
        time.sleep(1)  # ten more exports
        watcher.terminate()
        lines = [json.loads(line) for line in watcher.communicate(timeout=60)[0].splitlines()]
    assert watcher.returncode == 0
    assert [line["event"] for line in lines] == ["begins", "signal", "ends"]
    assert len(errors.read_text().splitlines()) == 1

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The archive reads what the real Collector writes and puts aside, while it does; its figures reach Prometheus."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import yaml

from otel_tts.archiving.store import Store
from otel_tts.stack import build, places, ports
from tests.support.archived import Folder, at, line, until

if TYPE_CHECKING:
    from conftest import Backends

COMMAND = [sys.executable, "-m", "otel_tts.cli.main", "archive"]


def test_files_that_the_collector_puts_aside(stack: Backends, tmp_path: Path) -> None:
    """Its file exporter as we configure it, with a hundredth of the size."""
    folder = Folder(tmp_path)
    ours = yaml.safe_load((places.configurations() / "otelcol.yaml").read_text(encoding="utf-8"))
    exporter: dict[str, Any] = {**ours["exporters"]["file/archive"], "path": str(folder.logs / "logs.jsonl")}
    assert exporter["rotation"]["max_backups"] == 0
    exporter["rotation"]["max_megabytes"] = 1
    port = ports.free()["otlp_http"]
    configuration = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
        "exporters": {"file": exporter},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"logs": {"receivers": ["otlp"], "exporters": ["file"]}},
        },
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
    binary = build.binaries()["otelcol"] / "otelcol-tts"
    log = (tmp_path / "c.log").open("wb")
    process = subprocess.Popen([binary, f"--config={tmp_path / 'c.yaml'}"], stdout=log, stderr=log)
    try:
        until(lambda: _answers(port))
        for number in range(8):
            records = [(f"{number}-{n:04}", at(20 + number % 3)) for n in range(1500)]
            body = line(*records)
            httpx.post(f"http://127.0.0.1:{port}/v1/logs", content=body, headers={"Content-Type": "application/json"})
            if number in (3, 6):
                assert folder.run(keep_days=7).failed == ""
        until(lambda: sum(path.stat().st_size for path in folder.logs.iterdir()) > 2_000_000)
    finally:
        process.terminate()
        process.wait(30)
        log.close()
    assert folder.run(keep_days=0).failed == ""
    assert len(folder.archived()) >= 3
    found = folder.all_ids()
    assert len(found) == len(set(found)) == 8 * 1500
    assert [path.name for path in folder.logs.iterdir()] == ["logs.jsonl"]
    assert folder.said == []


def test_its_figures_reach_prometheus(stack: Backends, tmp_path: Path, eventually: Callable[..., Any]) -> None:
    body = line(("now", time.time_ns()))
    headers = {"Content-Type": "application/json"}
    assert httpx.post(f"{stack.otlp_http}/v1/logs", content=body, headers=headers).status_code == 200
    written = stack.state / "archive" / "logs.jsonl"
    eventually(lambda: written.exists() and b"now" in written.read_bytes())
    to = tmp_path / "store"
    to.mkdir()
    ended = subprocess.run(
        [*COMMAND, "--to", f"file://{to}", "--dir", str(written.parent), "--state", str(tmp_path / "s"), "--json"],
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": stack.otlp_http, "OTEL_SERVICE_NAME": "archived"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["lines"] > 0 and told["figures_sent"]
    found = eventually(lambda: stack.series('tts_archive_waiting_since_seconds{service_name="archived"}'))
    assert abs(float(found[0]["value"][1]) - told["figures"]["waiting_since"]) < 1
    waiting = eventually(lambda: stack.series('tts_archive_waiting_size_bytes{service_name="archived"}'))
    assert float(waiting[0]["value"][1]) == told["figures"]["waiting_bytes"] > 0
    assert Store(f"file://{to}").names() in ([], ["otel-tts-archive.txt"])


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/").status_code > 0
    except httpx.TransportError:
        return False

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""OTEL_METRICS_EXPORTER=prometheus under the real launcher with several workers: a page each, found by a folder."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path

from otlp_sink import OtlpSink
from serving import Server

APP = """
    import fastapi
    import otel_tts

    app = fastapi.FastAPI()

    @app.get("/speak")
    def speak():
        with otel_tts.synthesis("m", engine="own", text="purpleotter") as synthesis:
            synthesis.set_attribute("tts.text", "purpleotter")
        return {}
"""


def pages(folder: Path) -> list[str]:
    """Every page whose address is in the folder, as Prometheus would ask for it."""
    found = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))]
    targets = [target for groups in found for group in groups for target in group["targets"]]
    assert all(target.startswith("127.0.0.1:") for target in targets)
    return [urllib.request.urlopen(f"http://{target}/metrics", timeout=10).read().decode() for target in targets]


def spoken(page: str) -> int:
    counted = (line for line in page.splitlines() if line.startswith("tts_requests_total{"))
    return sum(round(float(line.rpartition(" ")[2])) for line in counted)


def test_each_worker_has_a_page_and_none_is_left_behind(
    sink: OtlpSink, serve: Callable[..., Server], tmp_path: Path
) -> None:
    folder = tmp_path / "scrape"
    env = sink.env(
        OTEL_SERVICE_NAME="pulled", OTEL_METRICS_EXPORTER="prometheus", OTEL_TTS_SCRAPE_DIR=str(folder),
        OTEL_EXPORTER_PROMETHEUS_PORT="21464", OTEL_TTS_LOG_FORMAT="none",
    )  # fmt: skip
    gunicorn = ["opentelemetry-instrument", "gunicorn", "app:app", "--workers", "2", "--bind", "127.0.0.1:{port}"]
    gunicorn += ["--worker-class", "uvicorn.workers.UvicornWorker"]
    server = serve(APP, gunicorn, env)
    sink.wait_for(lambda: len(list(folder.glob("*.json"))) == 3)  # the one that started them too
    for _ in range(40):
        assert server.get("/speak").status == 200
    found = sink.wait_for(lambda: (all_pages := pages(folder)) and sum(map(spoken, all_pages)) == 40 and all_pages)
    assert sorted(map(spoken, found))[0] == 0, "who started the workers speaks itself"
    assert "purpleotter" not in "".join(found)
    assert len({line for page in found for line in page.splitlines() if line.startswith("target_info")}) == 3

    server.stop()
    assert not list(folder.glob("*.json")), server.stderr

    # One that is killed leaves its address; the next to start takes it away.
    server = serve(APP, gunicorn, env)
    sink.wait_for(lambda: len(list(folder.glob("*.json"))) == 3)
    os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait()
    assert len(list(folder.glob("*.json"))) == 3
    serve(APP, gunicorn, env)
    sink.wait_for(lambda: len(list(folder.glob("*.json"))) == 3 and len(pages(folder)) == 3)

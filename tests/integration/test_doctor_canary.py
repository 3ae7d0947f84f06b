# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts doctor --canary`: a real process speaks, and what arrives, what does not and why is said with its fix."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from serving import Server

from otel_tts.readers.file_metrics import FileMetrics
from otel_tts.reporting.report import make
from otel_tts.reporting.zones import zone_of
from otel_tts.trouble import Trouble

COMMAND = [sys.executable, "-m", "otel_tts.cli.main", "doctor"]


class Told:
    """What the command said: checks by name, in the order said."""

    def __init__(self, *arguments: str, env: dict[str, str] | None = None) -> None:
        command = [*COMMAND, *arguments, "--json"]
        self.done = subprocess.run(
            command, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=240, check=False
        )
        assert "Traceback" not in self.done.stderr, self.done.stderr
        self.document: dict[str, Any] = json.loads(self.done.stdout) if self.done.stdout else {}
        self.checks = {check["name"]: check for check in self.document.get("checks", ())}
        self.statuses = {name: check["status"] for name, check in self.checks.items()}


def test_a_canary_is_found_in_files(tmp_path: Path) -> None:
    told = Told("--canary", env={"OTEL_TTS_FILE_DIR": str(tmp_path)})
    assert told.done.returncode == 0
    assert told.statuses == {
        "canary": "pass", "traces": "pass", "logs": "pass", "metrics": "pass", "trace of the caller": "pass",
        "coverage": "skip",
    }  # fmt: skip
    with pytest.raises(Trouble, match="Nothing is known"):  # it is in no report: nobody asked for it
        make("2026-10", FileMetrics(tmp_path), zone_of("UTC"), "otel-tts-doctor")


def test_its_own_requests_can_be_judged(tmp_path: Path) -> None:
    told = Told("--canary", "--service", "otel-tts-doctor", env={"OTEL_TTS_FILE_DIR": str(tmp_path)})
    assert told.document["coverage"]["score"] == 100, told.document


@pytest.mark.parametrize("signal", ["traces", "logs", "metrics"])
def test_what_is_not_exported_is_missed(tmp_path: Path, signal: str) -> None:
    env = {"OTEL_TTS_FILE_DIR": str(tmp_path), f"OTEL_{signal.upper()}_EXPORTER": "none"}
    told = Told("--canary", "--within", "1", env=env)
    assert told.done.returncode == 1
    assert {name for name, status in told.statuses.items() if status == "fail"} == {signal}
    assert f"OTEL_{signal.upper()}_EXPORTER" in told.checks[signal]["fix"]


def test_telemetry_that_goes_nowhere_is_missed_with_what_its_process_said(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    told = Told("--canary", "--within", "0", "--dir", str(tmp_path), env=env)
    assert told.done.returncode == 1
    assert [told.statuses[signal] for signal in ("traces", "logs", "metrics")] == ["fail"] * 3
    assert "its process said: " in told.checks["traces"]["detail"]
    assert "Connection refused" in told.checks["traces"]["detail"]


def test_stores_that_are_down_fail_and_those_that_nobody_named_are_left_out(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    stores = ("--traces", f"jaeger+{nobody}", "--metrics", nobody)
    told = Told("--canary", "--within", "0", *stores, env={"OTEL_TRACES_EXPORTER": "none", "HOME": str(tmp_path)})
    assert told.done.returncode == 1
    assert (told.statuses["traces"], told.statuses["metrics"]) == ("fail", "fail")
    assert "Connection refused" in told.checks["traces"]["detail"]
    assert "start the store" in told.checks["metrics"]["fix"]
    if "logs" in told.statuses:  # where no stack runs on this machine
        assert told.statuses["logs"] in ("skip", "fail")


@pytest.fixture
def demo(serve: Callable[..., Server], tmp_path: Path) -> Server:
    """The demo's service, which knows nothing of telemetry, under the launcher; its telemetry goes to files."""
    folder = tmp_path / "telemetry"
    folder.mkdir()
    env = {
        **os.environ, "OTEL_SERVICE_NAME": "asked", "OTEL_TTS_FILE_DIR": str(folder),
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
    }  # fmt: skip
    launcher = [sys.executable, "-m", "otel_tts.cli.main", "run", "--", sys.executable, "-m", "uvicorn"]
    return serve("from otel_tts.demo.service import app\n", [*launcher, "app:app", "--port", "{port}"], env)


def test_a_service_that_is_asked_is_found_and_judged(demo: Server, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text(json.dumps({"input": "Good morning, everybody."}))
    url = f"http://127.0.0.1:{demo.port}/v1/audio/speech"
    told = Told("--ask", url, "--body", str(tmp_path / "body.json"), "--dir", str(tmp_path / "telemetry"))
    assert told.done.returncode == 0, told.document
    assert {told.statuses[name] for name in ("canary", "traces", "logs", "metrics", "trace of the caller")} == {"pass"}
    shares = told.document["coverage"]["shares"]
    assert told.document["coverage"]["score"] > 80
    assert (shares["text length"], shares["audio facts"], shares["request id"], shares["context in"]) == (1, 1, 1, 1)
    assert "Good morning" not in told.done.stdout + told.done.stderr


def test_a_service_that_refuses_is_said(demo: Server, tmp_path: Path) -> None:
    told = Told("--ask", f"http://127.0.0.1:{demo.port}/v1/audio/speech", "--dir", str(tmp_path / "telemetry"))
    assert told.done.returncode == 1
    assert told.checks["canary"]["detail"] == (
        "The service answers the canary with status 405; give it by --body what it takes."
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--ask", "ftp://x"), "The canary's URL is no http:// or https:// URL of a service."),
        (("--ask", "http://127.0.0.1:1", "--body", "nowhere.json"), "nowhere.json cannot be read: No such file"),
        (("--canary", "--traces", "nothing"), "nothing is no http:// or https:// URL"),
    ],
)
def test_wrong_use_is_status_2(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    told = Told(*arguments, "--logs", "victorialogs+http://127.0.0.1:1", "--metrics", "http://127.0.0.1:1")
    assert told.done.returncode == 2 and said in told.done.stderr.replace("\n", " ")


def test_a_service_that_is_not_there_is_said(tmp_path: Path, free_port: Callable[[], int]) -> None:
    told = Told("--ask", f"http://user:secret@127.0.0.1:{free_port()}/", "--dir", str(tmp_path))
    assert told.done.returncode == 1 and "secret" not in told.done.stdout + told.done.stderr
    assert told.checks["canary"]["detail"] == "The service does not answer the canary: Connection refused."

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from otel_tts.cli import doctor
from otel_tts.cli.main import app
from otel_tts.doctor import gpu
from otel_tts.doctor.basics import examine
from otel_tts.doctor.check import FAIL, PASS, SKIP, WARN, Check, attempt

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def found(environ: dict[str, str] | None = None) -> dict[str, list[Check]]:
    checks: dict[str, list[Check]] = {}
    for check in examine(environ or {}):
        checks.setdefault(check.name, []).append(check)
    return checks


class Takes(BaseHTTPRequestHandler):
    """Answers as an OTLP receiver answers an empty request: by nothing."""

    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Takes) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://someone:secret@127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_what_is_looked_at_and_that_this_environment_is_well(collector: str) -> None:
    checks = found({ENDPOINT: collector})
    assert set(checks) == {
        "Python", "packages", "runtimes", "dependencies", "launcher", "settings", "endpoint", "engines", "onnxruntime",
        "GPU health",
    }  # fmt: skip
    assert {check.status for each in checks.values() for check in each} <= {PASS, SKIP, "measured", WARN}
    (endpoint,) = checks["endpoint"]
    assert endpoint.status == PASS and "secret" not in endpoint.detail
    assert endpoint.detail.startswith("traces, metrics, logs: http/protobuf http://127.0.0.1:")


def test_an_endpoint_that_was_asked_for_and_is_not_there_fails(free_port: Callable[[], int]) -> None:
    (endpoint,) = found({ENDPOINT: f"http://127.0.0.1:{free_port()}"})["endpoint"]
    assert endpoint.status == FAIL and "is the collector running?" in endpoint.detail


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "http://[::1", "http://host:port"])
def test_an_endpoint_that_is_no_url_fails_in_words(url: str) -> None:
    (endpoint,) = found({ENDPOINT: url})["endpoint"]
    assert endpoint.status == FAIL and "not a URL" in endpoint.detail


def test_signals_with_endpoints_of_their_own_are_all_looked_at(collector: str, free_port: Callable[[], int]) -> None:
    environ = {ENDPOINT: collector, "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": f"http://127.0.0.1:{free_port()}/v1/logs"}
    assert sorted(check.status for check in found(environ)["endpoint"]) == [FAIL, PASS]
    off = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
    (endpoint,) = found(off)["endpoint"]
    assert endpoint.status == SKIP


def test_settings_that_are_not_understood_fail(collector: str) -> None:
    (problem,) = found({ENDPOINT: collector, "OTEL_TTS_CLOCK": "sundial"})["settings"]
    assert problem.status == FAIL and "OTEL_TTS_CLOCK" in problem.detail
    off, _ = found({ENDPOINT: collector, "OTEL_TTS_ENABLED": "false"})["settings"]
    assert off.status == WARN


def test_an_error_in_a_check_is_a_finding() -> None:
    def look() -> Iterator[Check]:
        yield Check("a", PASS, "")
        raise RuntimeError("first line\nsecond line")

    first, second = attempt("a", look)
    assert (first.status, second.status) == (PASS, FAIL)
    assert "RuntimeError" in second.detail and "second line" not in second.detail


def test_exit_statuses_and_json(monkeypatch: pytest.MonkeyPatch, collector: str, free_port: Callable[[], int]) -> None:
    runner = CliRunner()
    monkeypatch.setenv(ENDPOINT, collector)
    result = runner.invoke(app, ["doctor", "--json"])
    assert result.exit_code == 0
    checks = json.loads(result.stdout)["checks"]
    assert all(set(check) == {"name", "status", "detail", "fix"} for check in checks)
    monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{free_port()}")
    result = runner.invoke(app, ["doctor"])
    assert result.exit_code == 1 and "fail" in result.stdout
    assert runner.invoke(app, ["doctor", "--gpus"]).exit_code == 2


@pytest.mark.parametrize(
    ("torch", "reason"),
    [(None, "PyTorch is not installed"), (types.SimpleNamespace(is_available=lambda: False), "sees no CUDA device")],
)
def test_without_a_gpu_it_says_what_was_skipped_and_why(torch, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = types.ModuleType("torch")
    fake.cuda = torch
    monkeypatch.setitem(sys.modules, "torch", fake)
    monkeypatch.setattr(gpu.importlib.util, "find_spec", lambda name: torch)
    (check,) = gpu.examine_gpu()
    assert check.status == SKIP and reason in check.detail
    for name in ("synchronisations", "profiler", "capture", "energy"):
        assert name in check.detail


def test_every_status_has_a_style() -> None:
    assert set(doctor._STYLES) == {PASS, FAIL, WARN, SKIP, "measured"}


# --- packages that do not fit together ------------------------------------------------------------------


def install(folder: Path, name: str, version: str, *needs: str) -> None:
    """Put the metadata of a package into `folder`."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    lines = [f"Requires-Dist: {need}\n" for need in needs]
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{''.join(lines)}")


def dependencies(folder: Path) -> list[tuple[str, str]]:
    """What the doctor finds in a process for which the packages of `folder` are installed too, before the others."""
    done = subprocess.run(
        [sys.executable, "-m", "otel_tts.cli.main", "doctor", "--json"],
        env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    found = [(check["status"], check["detail"]) for check in json.loads(done.stdout)["checks"]
             if check["name"] == "dependencies"]  # fmt: skip
    assert done.returncode == 1 or all(status in ("pass", "warn") for status, _ in found)
    return found


def test_packages_that_fit_are_well(tmp_path: Path) -> None:
    ((status, detail),) = dependencies(tmp_path)
    assert status == "pass" and "packages are as otel-tts needs them" in detail


def test_a_protobuf_that_an_engine_holds_back_concerns_the_sdks_exporters_alone(tmp_path: Path) -> None:
    install(tmp_path, "protobuf", "3.19.6")
    install(tmp_path, "descript-audiotools", "0.7.2", "protobuf (<3.20,>=3.9.2)", "tensorboard", "no such (syntax")
    install(tmp_path, "bystander", "1.0", "protobuf>=3")
    ((status, detail),) = dependencies(tmp_path)
    assert status == "warn"
    assert "own exporters (gRPC) alone: protobuf 3.19.6 is installed, " in detail and "opentelemetry-proto" in detail
    assert " install 'protobuf" in detail and ">=5.0" in detail
    assert detail.endswith("Held back by descript-audiotools 0.7.2 (<3.20,>=3.9.2): see docs/known-issues.md")


def test_what_a_dependency_needs_further_down_is_found_too(tmp_path: Path) -> None:
    install(tmp_path, "typer", "0.20.0", "not-there>=2", 'never; python_version < "3"', 'other; extra == "more"')
    ((status, detail),) = dependencies(tmp_path)
    assert status == "fail" and detail.startswith("not-there is not installed, typer 0.20.0 needs >=2: ")

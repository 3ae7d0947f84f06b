# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""otel-tts in the environment that upstream IndexTTS lives in, whose descript-audiotools holds protobuf below 3.20.

The receiver keeps bytes, since there is no protobuf here that could read them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest

ENGINE = Path(__file__).resolve().parents[1] / "torch_cpu"
HERE = Path(__file__).resolve().parent


class Receiver(ThreadingHTTPServer):
    """Takes everything; `received` holds it by path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Takes)
        self.received: dict[str, bytes] = defaultdict(bytes)
        self.endpoint = f"http://127.0.0.1:{self.server_address[1]}"


class Takes(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received[self.path] += body
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small checkpoint, and a reference voice."""
    import numpy as np
    import soundfile

    folder = tmp_path_factory.mktemp("inputs")
    reference = folder / "purpleotter-reference.wav"
    soundfile.write(reference, 0.1 * np.sin(np.arange(22050 * 2) * 0.06), 22050)
    subprocess.run([sys.executable, str(ENGINE / "tiny.py"), str(folder / "tiny")], check=True, timeout=300)
    return folder / "tiny", reference


def run(command: list[str], **env: str) -> subprocess.CompletedProcess[str]:
    whole = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")} | {"HF_HUB_OFFLINE": "1"} | env
    return subprocess.run(command, env=whole, capture_output=True, text=True, timeout=600)


def test_the_versions_are_those_that_upstream_asks_for() -> None:
    assert metadata.version("protobuf").startswith(("3.19.", "3.20."))
    assert any("protobuf" in need and "<3.20" in need for need in metadata.requires("descript-audiotools") or ())
    assert find_spec("opentelemetry.proto") is None and find_spec("opentelemetry.exporter.otlp.proto") is None


def test_nobody_complains() -> None:
    """Neither pip nor the doctor finds a package that does not fit another."""
    checked = run([sys.executable, "-m", "pip", "check"])
    assert checked.returncode == 0, checked.stdout
    doctor = run([sys.executable, "-m", "otel_tts.cli.main", "doctor", "--json"])
    assert '"dependencies"' in doctor.stdout and "are as otel-tts needs them" in doctor.stdout, doctor.stdout


def test_all_three_signals_arrive(receiver: Receiver, inputs: tuple[Path, Path], tmp_path: Path) -> None:
    program = [str(HERE / "speak_beside.py"), *map(str, inputs), str(tmp_path)]
    launcher = str(Path(sys.executable).with_name("opentelemetry-instrument"))
    where = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "OTEL_SERVICE_NAME": "speech"}
    done = run([launcher, sys.executable, *program], **where)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "gate=on(canary ok)" in done.stderr and "had not been delivered" not in done.stderr
    assert set(receiver.received) == {"/v1/traces", "/v1/metrics", "/v1/logs"}
    for path, parts in {
        "/v1/traces": (b"text_to_speech indextts-2.5", b"tts.gpt", b"tts.s2mel", b"tts.vocoder"),
        "/v1/metrics": (b"tts.requests", b"tts.stage.duration", b"indextts"),
        "/v1/logs": (b"REQ_START", b"STAGE_TIME"),
    }.items():
        for part in (*parts, b"speech"):
            assert part in receiver.received[path], (path, part)
        for word in (b"quincebread", b"purpleotter"):
            assert word not in receiver.received[path].lower()


@pytest.mark.parametrize(
    ("wanted", "signals"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, set()),
        ({"OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "grpc"}, {"/v1/traces", "/v1/metrics"}),
        ({"OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER": "mine"}, set()),
        ({"OTEL_TRACES_EXPORTER": "otlp_proto_http"}, {"/v1/traces", "/v1/metrics", "/v1/logs"}),
    ],
    ids=["grpc", "grpc for logs", "credentials", "the SDK's over HTTP"],
)
def test_what_the_extra_brings_is_named(receiver: Receiver, wanted: dict[str, str], signals: set[str]) -> None:
    code = """
import otel_tts
with otel_tts.synthesis(engine="own", text="Quincebread."):
    pass
"""
    launcher = str(Path(sys.executable).with_name("opentelemetry-instrument"))
    where = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "OTEL_SERVICE_NAME": "speech"}
    done = run([launcher, sys.executable, "-c", code], **where, **wanted)
    assert done.returncode == 0, done.stderr
    (said, *_) = [line for line in done.stderr.splitlines() if "[otlp]" in line]
    assert "pip install" in said and "Until then" in said, said
    assert set(receiver.received) == signals, done.stderr

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts doctor` speaks to where telemetry would go, and says what to change where that cannot work."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from otlp_sink import OtlpSink

from otel_tts.distro import destinations

BASE, PROTOCOL = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"
TRACES_ONLY = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}


class Traces(trace_service_pb2_grpc.TraceServiceServicer):
    def Export(self, request: object, context: object) -> object:
        return trace_service_pb2.ExportTraceServiceResponse()


class Page(http.server.BaseHTTPRequestHandler):
    """A web page that takes everything, and an address that has moved."""

    def do_POST(self) -> None:
        moved = self.path.startswith("/moved")
        self.send_response(301 if moved else 200)
        self.send_header("Location", "https://elsewhere/v1/traces")
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Files(http.server.SimpleHTTPRequestHandler):
    """What `python -m http.server` is: 501 to every POST."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def places() -> Iterator[dict[str, str]]:
    """Addresses, HOST:PORT, by what is there."""
    with contextlib.ExitStack() as stack:
        found: dict[str, str] = {}
        for name, handler in {"page": Page, "files": Files}.items():
            server = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            stack.callback(server.shutdown)
            found[name] = f"127.0.0.1:{server.server_address[1]}"
        for name in ("otlp over gRPC", "other gRPC"):
            calls = grpc.server(futures.ThreadPoolExecutor(2))
            if name == "otlp over gRPC":
                trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Traces(), calls)
            found[name] = f"127.0.0.1:{calls.add_insecure_port('127.0.0.1:0')}"
            calls.start()
            stack.callback(calls.stop, None)
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        found["silent"] = f"127.0.0.1:{silent.getsockname()[1]}"
        with socket.create_server(("127.0.0.1", 0)) as closed:
            found["nobody"] = f"127.0.0.1:{closed.getsockname()[1]}"
        found["otlp"] = stack.enter_context(OtlpSink()).endpoint.removeprefix("http://")
        yield found


@pytest.mark.parametrize(
    ("environ", "works", "said"),
    [
        ({BASE: "http://{otlp}"}, True, "http/protobuf http://{otlp} takes OTLP"),
        ({BASE: "http://{otlp over gRPC}", PROTOCOL: "grpc"}, True, "grpc {otlp over gRPC} takes OTLP"),
        (
            {BASE: "http://{otlp over gRPC}"},
            False,
            "answers, but not with HTTP; 4317 is the port for gRPC: name 4318",
        ),
        (
            {BASE: "http://{otlp}", PROTOCOL: "grpc"},
            False,
            "answers, but not with gRPC; 4318 is the port for HTTP",
        ),
        ({BASE: "http://{files}", PROTOCOL: "grpc"}, False, "answers, but not with gRPC"),
        ({BASE: "http://{other gRPC}", PROTOCOL: "grpc"}, False, "is a gRPC server without OTLP's service"),
        ({BASE: "{otlp}"}, False, BASE + "={otlp} has no scheme; write http://{otlp}"),
        (
            {BASE: "{otlp over gRPC}", PROTOCOL: "grpc"},
            False,
            "but not with TLS; write http:// in front of",
        ),
        (
            {BASE: "http://{otlp}/v1/traces"},
            False,
            "is the base URL, to which each signal adds its own /v1/…; take",
        ),
        ({BASE: "http://{otlp}/collector"}, False, "answers 404 Not Found: that is no OTLP receiver"),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://{otlp}"},
            False,
            "the whole URL of its signal; add /v1/",
        ),
        ({BASE: "http://{files}"}, False, "answers 501 Unsupported method ('POST'): that is no OTLP receiver"),
        ({BASE: "http://{page}"}, False, "answers 200 OK with a web page: that is no OTLP receiver"),
        ({BASE: "http://{page}/moved"}, False, "where no exporter follows; name https://elsewhere/v1/traces"),
        ({BASE: "https://{otlp}"}, False, "answers, but not with TLS; write http:// in place of https://"),
        ({BASE: "https://{otlp over gRPC}", PROTOCOL: "grpc"}, False, "answers, but not with TLS; write http://"),
        ({BASE: "http://{nobody}"}, False, "cannot be reached (Connection refused); is the collector running?"),
        (
            {BASE: "http://{nobody}", PROTOCOL: "grpc"},
            False,
            "cannot be reached (Connection refused); is the",
        ),
        ({BASE: "http://{silent}"}, False, "does not answer in time"),
        (
            {BASE: "http://{otlp}", "HTTP_PROXY": "http://someone:secret@{nobody}"},
            False,
            "(Connection refused; HTTP_PROXY=http://{nobody}); correct that, or add 127.0.0.1 to NO_PROXY",
        ),
        ({BASE: "http://{otlp}", "HTTP_PROXY": "http://{nobody}", "NO_PROXY": "127.0.0.1"}, True, "takes OTLP"),
        (
            {BASE: "http://{otlp over gRPC}", PROTOCOL: "grpc", "http_proxy": "http://{nobody}"},
            False,
            "it goes through",
        ),
        ({BASE: "http://127.0.0.1:99999", PROTOCOL: "grpc"}, False, "is not a URL with a port from 0 to 65535"),
        ({BASE: "http://{otlp}", PROTOCOL: "http/json"}, True, "http/protobuf http://{otlp} takes OTLP"),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, False, "pip install opentelemetry-exporter-zipkin, or correct the name"),
        ({"OTEL_TRACES_EXPORTER": "console"}, True, "console can be made"),
    ],
)
def test_what_is_wrong_and_what_to_change(
    places: dict[str, str], environ: dict[str, str], works: bool, said: str
) -> None:
    given = {name: value.format(**places) for name, value in environ.items()}
    (found,) = destinations.examine({**TRACES_ONLY, **given})
    assert (found.works, said.format(**places) in found.detail) == (works, True), found.detail
    assert "secret" not in found.detail


def test_a_package_that_does_not_fit_is_told(places: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    (found,) = destinations.examine({**TRACES_ONLY, BASE: f"http://{places['otlp']}"})
    assert (not found.works and "ImportError" in found.detail) or "ModuleNotFoundError" in found.detail
    assert "pip check" in found.detail


def test_a_folder_is_tried_too(places: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    good, bad = tmp_path / "telemetry", tmp_path / "file"
    (found,) = destinations.examine({**TRACES_ONLY, "OTEL_TTS_FILE_DIR": str(good)})
    assert found.works and f"{good} can be written to" in found.detail and list(good.iterdir()) == []
    both = {**TRACES_ONLY, "OTEL_TTS_FILE_DIR": str(bad), BASE: f"http://{places['otlp']}"}
    server, files = destinations.examine(both)
    assert not files.works and "name a directory" in files.detail and server.works


def test_nothing_of_the_caller_is_changed(places: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BASE, "http://mine")
    list(destinations.examine({BASE: f"http://{places['otlp']}", "HTTP_PROXY": "x", "NO_PROXY": "*"}))
    assert os.environ[BASE] == "http://mine" and "HTTP_PROXY" not in os.environ
    assert "OTEL_TRACES_EXPORTER" not in os.environ


@pytest.mark.parametrize(("where", "status"), [("otlp", 0), ("page", 1)])
def test_the_doctor_fails_where_telemetry_would_not_arrive(
    places: dict[str, str], sink: OtlpSink, where: str, status: int
) -> None:
    command = [sys.executable, "-m", "otel_tts.cli.main", "doctor", "--json"]
    env = sink.env(**{BASE: f"http://{places[where]}"})
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == status, done.stdout + done.stderr
    (check,) = [check for check in json.loads(done.stdout)["checks"] if check["name"] == "endpoint"]
    assert check["detail"].startswith("traces, metrics, logs: http/protobuf http://")


@pytest.mark.parametrize(("where", "said"), [("files", "answers 501"), ("silent", "does not answer in time")])
def test_the_demo_asks_before_it_starts(
    places: dict[str, str], sink: OtlpSink, tmp_path: Path, where: str, said: str
) -> None:
    command = [sys.executable, "-m", "otel_tts.cli.main", "demo", "--out", str(tmp_path), "--endpoint"]
    env = {name: value for name, value in sink.env().items() if not name.startswith("OTEL_")}
    done = subprocess.run([*command, f"http://{places[where]}"], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())

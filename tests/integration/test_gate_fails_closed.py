# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever cannot be built at the start: what does leave has passed the gate, and what is healthy does leave."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote_plus

import pytest
from otlp_sink import OtlpSink

Script = Callable[..., "subprocess.CompletedProcess[str]"]

WORDS = ("purpleotter", "quincebread")
TEXT = " whispers ".join(WORDS)

SERVICE = f"""
    import asyncio, httpx, logging
    from fastapi import FastAPI
    from opentelemetry import metrics, trace
    import otel_tts

    app = FastAPI()

    @otel_tts.synthesis("bird", text_argument="text")
    def say(text):
        logging.getLogger("shop").warning("saying %s", text)
        metrics.get_meter("shop").create_counter("said", description=text).add(1, {{"said": text}})
        with trace.get_tracer("shop").start_as_current_span(f"say {{text}}", attributes={{"said": text}}):
            if "boom" in text:
                raise RuntimeError(f"cannot say: {{text}}")
        return [0.0] * 2400

    @app.get("/tts")
    def tts(text: str):
        say(text)

    async def ask():
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            for text in ("{TEXT}", "boom {TEXT}"):
                print((await client.get("/tts", params={{"text": text}})).status_code)

    asyncio.run(ask())
"""


@dataclass(frozen=True)
class Case:
    """Variables that break something; which signals stay healthy; what one line on stderr has to name."""

    variables: Mapping[str, str]
    named: tuple[str, ...]
    healthy: str = "traces metrics logs"
    entry_points: str = field(default="", repr=False)


def variable(name: str, value: str, *named: str, **more: str) -> Case:
    """A value that the SDK cannot read: it is left out, and all signals go on."""
    return Case({name: value, **more}, (f"{name}={value}", *named))


GRPC = {"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc"}
BROKEN = """
class Raises:
    def __init__(self, *args, **kwargs): raise RuntimeError("broken component")
def not_a_component(*args): return None
class Detector(__import__("opentelemetry.sdk.resources").sdk.resources.ResourceDetector):
    def __init__(self): super().__init__(raise_on_error=True)
    def detect(self): raise RuntimeError("broken component")
class Logs(__import__("opentelemetry.sdk._logs.export").sdk._logs.export.LogRecordExporter, Raises):
    __init__ = Raises.__init__
    def export(self, batch): pass
    def shutdown(self): pass
    def force_flush(self, timeout_millis=0): pass
"""
CASES = {
    "prometheus port taken": Case(
        {"OTEL_METRICS_EXPORTER": "prometheus"}, ("metrics", "=prometheus", "port {taken}", "_PORT"), "traces logs"
    ),
    "folder of the metrics": Case(
        {"OTEL_METRICS_EXPORTER": "otel_tts_file", "OTEL_TTS_FILE_DIR": "/proc/none"},
        ("metrics", "OTEL_METRICS_EXPORTER=otel_tts_file", "OTEL_TTS_FILE_DIR=/proc/none"),
        "traces logs",
    ),
    "folder of the logs": Case(
        {"OTEL_LOGS_EXPORTER": "otel_tts_file", "OTEL_TTS_FILE_DIR": "/proc/none"},
        ("logs", "OTEL_LOGS_EXPORTER=otel_tts_file", "OTEL_TTS_FILE_DIR=/proc/none"),
        "traces metrics",
    ),
    "unknown exporter": Case(
        {"OTEL_TRACES_EXPORTER": "zipkin"},
        ("traces", "OTEL_TRACES_EXPORTER=zipkin", "pip install opentelemetry-exporter-zipkin", "console"),
        "metrics logs",
    ),
    "one of two exporters": Case(
        {"OTEL_LOGS_EXPORTER": "pigeon,otlp"}, ("logs", "OTEL_LOGS_EXPORTER=pigeon", "console")
    ),
    "an exporter that raises": Case(
        {"OTEL_LOGS_EXPORTER": "raises"}, ("logs", "=raises", "broken component"), "traces metrics",
        "[opentelemetry_logs_exporter]\nraises = broken_parts:Logs",
    ),
    "an exporter that is none": Case(
        {"OTEL_METRICS_EXPORTER": "odd"}, ("metrics", "OTEL_METRICS_EXPORTER=odd"), "traces logs",
        "[opentelemetry_metrics_exporter]\nodd = broken_parts:not_a_component",
    ),
    "an exporter that is not importable": Case(
        {"OTEL_METRICS_EXPORTER": "gone"}, ("metrics", "=gone", "ModuleNotFoundError"), "traces logs",
        "[opentelemetry_metrics_exporter]\ngone = no_such_module:Exporter",
    ),
    "credentials that are not there": Case(
        {"OTEL_PYTHON_EXPORTER_OTLP_HTTP_METRICS_CREDENTIAL_PROVIDER": "nobody"},
        ("metrics", "OTEL_METRICS_EXPORTER=otlp", "nobody"), "traces logs",
    ),
    "retryable codes": Case(
        {**GRPC, "OTEL_PYTHON_EXPORTER_OTLP_GRPC_RETRYABLE_ERROR_CODES": "BOGUS"},
        ("metrics", "OTEL_METRICS_EXPORTER=otlp", "BOGUS"), "traces logs",
    ),
    "compression of gRPC": Case(
        {**GRPC, "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION": "deflate"},
        ("metrics", "OTEL_METRICS_EXPORTER=otlp", "deflate"), "traces logs",
    ),
    "id generator": Case({"OTEL_PYTHON_ID_GENERATOR": "bogus"}, ("traces", "OTEL_PYTHON_ID_GENERATOR", "bogus")),
    "id generator that raises": Case(
        {"OTEL_PYTHON_ID_GENERATOR": "raises"}, ("traces", "OTEL_PYTHON_ID_GENERATOR"),
        entry_points="[opentelemetry_id_generator]\nraises = broken_parts:Raises",
    ),
    "sampler that raises": Case(
        {"OTEL_TRACES_SAMPLER": "raises"}, ("sampler", "broken component"),
        entry_points="[opentelemetry_traces_sampler]\nraises = broken_parts:Raises",
    ),
    "resource detector": Case(
        {"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "raises"}, ("detector", "raises"),
        entry_points="[opentelemetry_resource_detector]\nraises = broken_parts:Raises",
    ),
    "resource detector that insists": Case(
        {"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "insists"}, ("resource", "broken component"),
        entry_points="[opentelemetry_resource_detector]\ninsists = broken_parts:Detector",
    ),
    "certificate": Case(
        {**GRPC, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "https://127.0.0.1:9",
         "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE": "/nonexistent.pem"}, ("/nonexistent.pem",), "traces logs",
    ),
    "headers": Case({"OTEL_EXPORTER_OTLP_LOGS_HEADERS": "no pair at all"}, ()),
    "a header with a line break": Case(
        {"OTEL_EXPORTER_OTLP_LOGS_HEADERS": "key=a%0d%0ab: c"},
        ("logs", "OTEL_LOGS_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_LOGS_HEADERS holds a header with a control character"),
        "traces metrics",
    ),
    "an endpoint that is no URL": Case(
        {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "collector:4318"},
        ("metrics", "OTEL_METRICS_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT is no URL"),
        "traces logs",
    ),
    "exemplar filter": variable("OTEL_METRICS_EXEMPLAR_FILTER", "bogus", "metrics", "always_on, always_off"),
    "empty exemplar filter": Case({"OTEL_METRICS_EXEMPLAR_FILTER": ""}, ()),
    "protocol": variable("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "traces, metrics, logs", "grpc, http/protobuf"),
    "protocol of one signal": variable("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "udp", "logs", "grpc, http/protobuf"),
    "sampler": variable("OTEL_TRACES_SAMPLER", "bogus", "traces", "always_on"),
    "sampler's argument": variable("OTEL_TRACES_SAMPLER_ARG", "5", "0 to 1", OTEL_TRACES_SAMPLER="traceidratio"),
    "limit read at import": variable("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "bogus", "traces", "whole number"),
    "limit of links": variable("OTEL_SPAN_LINK_COUNT_LIMIT", "-1", "traces", "not negative"),
    "limit of log records": variable("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "many", "logs", "whole number"),
    "interval": variable("OTEL_METRIC_EXPORT_INTERVAL", "0", "metrics", "above 0"),
    "queue": variable("OTEL_BSP_MAX_QUEUE_SIZE", "-3", "traces", "from 1"),
    "batch above the queue": variable(
        "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "900", "logs", "OTEL_BLRP_MAX_QUEUE_SIZE", OTEL_BLRP_MAX_QUEUE_SIZE="600"
    ),
    "small queue": Case({"OTEL_BSP_MAX_QUEUE_SIZE": "100"}, ()),
    "delay": variable("OTEL_BSP_SCHEDULE_DELAY", "0", "traces"),
    "timeout": variable("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "10s", "metrics", "seconds"),
    "compression": variable("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "none, gzip, deflate"),
}  # fmt: skip


def install_broken_parts(folder: Path, entry_points: str) -> str:
    """Make a distribution as pip would leave it."""
    info = folder / "parts" / "broken_parts-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-parts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    (info.parent / "broken_parts.py").write_text(BROKEN)
    return str(info.parent)


def leaks(data: bytes) -> list[str]:
    return [word for word in WORDS if word.encode() in data.lower() or quote_plus(word).encode() in data.lower()]


def assert_that_nothing_leaked(sink: OtlpSink, ended: subprocess.CompletedProcess[str], healthy: str) -> None:
    assert (ended.returncode, ended.stdout.split()) == (0, ["200", "500"]), ended.stderr
    assert leaks(sink.raw_bytes()) == []
    arrived = {path.removeprefix("/v1/") for path in sink.paths()}
    assert arrived == set(healthy.split()), ended.stderr
    lines = [line for line in ended.stderr.splitlines() if "REQ_" in line]
    assert sum("REQ_SUCCESS" in line for line in lines) == 1 and sum("REQ_FAIL" in line for line in lines) == 1
    assert leaks("\n".join(lines).encode()) == []
    if "traces" in healthy:
        servers = [span for span in sink.spans() if span.kind == "SERVER"]
        assert {span.resource["service.name"] for span in sink.spans()} <= {"test", "from-file"}
        assert len(servers) == 2 and all("url.query" not in span.attributes for span in servers)
        assert len([span for span in sink.spans() if span.attributes.get("tts.outcome")]) == 2
    if "metrics" in healthy:
        assert sum(point.value for point in sink.latest("tts.requests")) == 2
    if "logs" in healthy:
        assert len([log for log in sink.logs() if log.scope == "shop"]) == 2


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize("name", CASES)
def test_what_cannot_be_built_opens_no_gate(
    name: str, sink: OtlpSink, script: Script, tmp_path: Path, taken: int
) -> None:
    case = CASES[name]
    env = sink.env(**case.variables)
    env.setdefault("OTEL_EXPORTER_PROMETHEUS_PORT", str(taken))
    if case.entry_points:
        env["PYTHONPATH"] = install_broken_parts(tmp_path, case.entry_points)
    ended = script(SERVICE, env)
    named = [part.format(taken=taken) for part in case.named]
    if named:
        assert [line for line in ended.stderr.splitlines() if all(part in line for part in named)], ended.stderr
    assert "telemetry is off" not in ended.stderr
    assert_that_nothing_leaked(sink, ended, case.healthy)


FILE = """
file_format: "1.0"
resource:
  attributes: [{{name: service.name, value: from-file}}]
tracer_provider:
  processors: [{{batch: {{exporter: {{otlp_http: {{endpoint: "{sink}/v1/traces"}}}}}}}}]
  sampler: {{{sampler}: {{}}}}
meter_provider:
  readers: [{{periodic: {{exporter: {{{metrics}: {{endpoint: "{sink}/v1/metrics"}}}}}}}}]
  views: [{{selector: {{instrument_name: {view}}}, stream: {{name: renamed}}}}]
logger_provider:
  processors: [{{batch: {{exporter: {{{logs}: {{endpoint: "{sink}/v1/logs"}}}}}}}}]
propagator: {{composite: [{{{propagator}: {{}}}}]}}
"""
SOUND = {
    "sampler": "always_on", "metrics": "otlp_http", "view": "nothing", "logs": "otlp_http",
    "propagator": "tracecontext",
}  # fmt: skip
FILE_CASES = {
    "metrics": (("metrics", "pigeon"), "traces logs"),
    "logs": (("logs", "pigeon"), "traces metrics"),
    "sampler": (("sampler", "pigeon"), "metrics logs"),
    "view": (("view", '"*"'), "traces logs"),
    "propagator": (("propagator", "pigeon"), "traces metrics logs"),
}


@pytest.mark.parametrize("what", FILE_CASES)
def test_what_a_configuration_file_asks_for_in_vain(what: str, sink: OtlpSink, script: Script, tmp_path: Path) -> None:
    (key, value), healthy = FILE_CASES[what]
    file = tmp_path / "otel.yaml"
    file.write_text(FILE.format(sink=sink.endpoint, **(SOUND | {key: value})))
    ended = script(SERVICE, sink.env(OTEL_CONFIG_FILE=str(file)))
    assert f"{what}: OTEL_CONFIG_FILE={file}" in ended.stderr or what in ("sampler", "view", "propagator")
    assert f"OTEL_CONFIG_FILE={file}" in ended.stderr
    assert_that_nothing_leaked(sink, ended, healthy)


REPLACED = "from otel_tts.otel_private import providers as p; real = p.{0}; p.{0} = lambda *a: "
GATE = {
    "policy": ("from otel_tts.privacy import policy; policy.Policy.from_settings = broken", ""),
    "import": ("import sys; sys.modules['otel_tts.privacy.gate'] = None", ""),
    "canary": ("from otel_tts.privacy import canary; canary.check = broken", ""),
    "place": ("from otel_tts.privacy import gate; gate.install = broken", ""),
    "one signal's exporter": ("from otel_tts.privacy import gate; gate.GatedLogExporter = broken", ""),
    "cleaner": ("from otel_tts.privacy import cleaner; cleaner.Cleaner.span = lambda self, span: span", ""),
    "spans cannot be reached": (
        f"{REPLACED.format('replace_exporter')} 'BatchSpan' not in type(a[0]).__name__ and real(*a)", "metrics logs"
    ),
    "metrics cannot be reached": (
        f"{REPLACED.format('replace_receiver')} 'Periodic' not in type(a[0]).__name__ and real(*a)", "traces logs"
    ),
    "log records cannot be listed": (
        f"{REPLACED.format('is_opaque')} 'Logger' in type(a[0]).__name__ or real(*a)", "traces metrics"
    ),
}  # fmt: skip


@pytest.mark.parametrize("part", GATE)
def test_without_a_gate_nothing_leaves(part: str, sink: OtlpSink, script: Script) -> None:
    breaks, healthy = GATE[part]
    begin = f"""
    def broken(*args, **kwargs): raise RuntimeError("broken gate")
    {breaks}
    import otel_tts
    otel_tts.configure()
    """
    ended = script(textwrap.dedent(begin) + textwrap.dedent(SERVICE), sink.env(), launcher=())
    assert "gate" in ended.stderr
    assert_that_nothing_leaked(sink, ended, healthy)


def test_beside_a_provider_of_the_application(sink: OtlpSink, script: Script, taken: int) -> None:
    begin = """
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    trace.set_tracer_provider(TracerProvider())
    import otel_tts
    otel_tts.configure()
    """
    env = sink.env(OTEL_METRICS_EXPORTER="prometheus", OTEL_EXPORTER_PROMETHEUS_PORT=str(taken))
    ended = script(textwrap.dedent(begin) + textwrap.dedent(SERVICE), env, launcher=())
    assert "traces=joined metrics=none logs=otlp" in ended.stderr
    assert_that_nothing_leaked(sink, ended, "logs")


def test_the_variables_are_the_users_afterwards(sink: OtlpSink) -> None:
    wrong = {
        "OTEL_METRICS_EXEMPLAR_FILTER": "bogus", "OTEL_BSP_MAX_QUEUE_SIZE": "x", "OTEL_PROPAGATORS": "b3",
        "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "pigeon",
    }  # fmt: skip
    code = f"import os, otel_tts; otel_tts.configure(); print([os.environ[name] for name in {list(wrong)}])"
    ended = subprocess.run(
        [sys.executable, "-c", code], env=sink.env(**wrong), cwd=os.sep, capture_output=True, text=True, timeout=60
    )
    assert ended.stdout == f"{list(wrong.values())}\n", ended.stderr
    assert "pip install opentelemetry-propagator-b3" in ended.stderr
    assert "pigeon: no package brings it" in ended.stderr
    assert "Traceback" not in ended.stderr

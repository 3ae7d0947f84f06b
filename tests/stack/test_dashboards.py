# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Every query of every dashboard and alert, asked of the real servers after real telemetry has gone through them."""

from __future__ import annotations

import json
import math
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import set_span_in_context

import dashboards
from dashboards import queries
from dashboards.build import GENERATED
from dashboards.targets import EVERYTHING, Target, fill, targets
from otel_tts import names
from otel_tts.stack import build

if TYPE_CHECKING:
    from conftest import Backends

FOLDER = Path(dashboards.__file__).resolve().parent
BOARDS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(GENERATED.glob("*.json"))}
TARGETS = [pytest.param(target, id=f"{name}: {target}") for name, board in BOARDS.items() for target in targets(board)]

SERVICE, ENGINE, MODEL = "dashboard-test", "indextts", "IndexTTS-2"
CHOSEN = {"service": SERVICE, "engine": ENGINE, "model": MODEL, "slower_than": "3s"}
NOBODY = {**CHOSEN, "service": "nobody"}

# A healthy Collector has no such series, and these tests do not make it ill.
FED_BY_NOTHING = {"Collector: given up"}
# The Collector tells of refusals (none) only for a signal that it has received.
NOT_OF_A_SERVICE = {"Collector: refused", "Collector: queues", "Telemetry lost"}

# What these ask of is under the AGPL and not run here.
CONTAINERS = {"tempo": "TraceQL is Tempo's, which runs in containers only", "loki": "LogQL is Loki's, the same"}

OUTCOMES = ("ok",) * 7 + ("error", "anomalous", "rejected")


@dataclass(frozen=True)
class Seed:
    """What was sent: the ids of its traces in hexadecimal."""

    traces: list[str]
    failed: str


class Speaker:
    """Sends what a service with otel-tts sends, with the names of otel_tts.names and times that are made up."""

    def __init__(self, otlp: str, instance: str) -> None:
        resource = Resource({"service.name": SERVICE, "service.instance.id": instance})
        self._spans = TracerProvider(resource=resource)
        self._spans.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{otlp}/v1/traces")))
        self._logs = LoggerProvider(resource=resource)
        self._logs.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(f"{otlp}/v1/logs")))
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{otlp}/v1/metrics"), math.inf)
        self._metrics = MeterProvider([reader], resource)
        self._tracer = self._spans.get_tracer(names.SCOPE)
        self._logger = self._logs.get_logger(names.SCOPE)
        meter = self._metrics.get_meter(names.SCOPE)
        make = {
            "counter": meter.create_counter,
            "updowncounter": meter.create_up_down_counter,
            "gauge": meter.create_gauge,
        }
        self._instruments: dict[str, Any] = {
            metric.name: meter.create_histogram(
                metric.name, metric.unit, metric.meaning, explicit_bucket_boundaries_advisory=metric.edges
            )
            if metric.kind == "histogram"
            else make[metric.kind](metric.name, metric.unit, metric.meaning)
            for metric in names.METRICS
        }

    def speak(self, outcome: str, seconds: float) -> str:
        """One request with its spans, points and lines; return its trace id."""
        end = time.time_ns()
        start = end - int(seconds * 1e9)
        both = {names.ENGINE: ENGINE, names.MODEL: MODEL}
        span = self._tracer.start_span(
            f"{names.OPERATION} {MODEL}",
            start_time=start,
            attributes={
                **both,
                names.OPERATION_NAME: names.OPERATION,
                names.REQUEST_ID: f"r-{start}",
                names.OUTCOME: outcome,
                names.TEXT_LENGTH: 42,
                names.AUDIO_DURATION: 4.0,
                names.REAL_TIME_FACTOR: seconds / 4,
            },
        )
        context = set_span_in_context(span)
        by_stage = {names.Stage.ACOUSTIC_MODEL: seconds * 0.7, names.Stage.VOCODER: seconds * 0.3}
        for stage in by_stage:
            attributes = {names.STAGE: stage, names.ENGINE: ENGINE}
            inner = self._tracer.start_span(
                f"{names.STAGE_PREFIX}{stage}", context, start_time=start, attributes=attributes
            )
            inner.end(end)
        span.end(end)
        labels = {
            names.REQUESTS: {**both, names.VOICE: "alice", names.OUTCOME: outcome},
            names.REQUEST_DURATION: {**both, names.OUTCOME: outcome},
            names.AUDIO_ANOMALIES: {names.ENGINE: ENGINE, names.AUDIO_ANOMALY: "clipped"},
        }
        for metric in names.METRICS:
            point = labels.get(metric) or {key: _label(key) for key in metric.labels}
            instrument = self._instruments[metric.name]
            if metric is names.STAGE_DURATION:
                for stage, spent in by_stage.items():
                    instrument.record(spent, {**point, names.STAGE: stage}, context)
            elif metric.kind == "histogram":
                instrument.record(seconds, point, context)
            elif metric.kind == "gauge":
                instrument.set(seconds, point)
            else:
                instrument.add(1, point, context)
        self._say(f"{names.REQ_START} request_id=r-{start} engine={ENGINE} text_len=42", SeverityNumber.INFO, context)
        if outcome == "ok":
            body = f"{names.REQ_SUCCESS} request_id=r-{start} engine={ENGINE} duration={seconds} status=ok"
            self._say(body, SeverityNumber.INFO, context)
        else:
            body = f"{names.REQ_FAIL} request_id=r-{start} engine={ENGINE} error_type=OutOfMemoryError stage=vocoder"
            self._say(f"{body} status={outcome}", SeverityNumber.ERROR, context)
        return f"{span.get_span_context().trace_id:032x}"

    def flush(self) -> None:
        """Send the metrics as they are now."""
        assert self._metrics.force_flush()

    def close(self) -> None:
        """Send what is left and stop."""
        for provider in (self._metrics, self._logs, self._spans):
            provider.shutdown()

    def _say(self, body: str, severity: SeverityNumber, context: Any) -> None:
        now = time.time_ns()
        # Attributes as the lines have, so that a query that confuses the two is found out.
        attributes = {names.ENGINE: ENGINE, names.ERROR_TYPE: "OutOfMemoryError", names.STAGE: "vocoder"}
        self._logger.emit(
            LogRecord(
                timestamp=now,
                observed_timestamp=now,
                context=context,
                severity_number=severity,
                severity_text=severity.name,
                body=body,
                attributes=attributes,
            )
        )


def _label(key: str) -> str:
    return {names.ENGINE: ENGINE, names.MODEL: MODEL, names.STAGE: names.Stage.VOCODER}.get(key, "something")


@pytest.fixture(scope="module")
def seed(stack: Backends) -> Iterator[Seed]:
    """Telemetry of two workers, each exported twice, as far as every store can find it."""
    found: dict[str, list[str]] = {}
    for instance in ("one", "two"):
        speaker = Speaker(stack.otlp_http, instance)
        for _ in range(2):
            for outcome in OUTCOMES:
                found.setdefault(outcome, []).append(speaker.speak(outcome, 4.0 if outcome == "error" else 0.8))
            speaker.flush()
            time.sleep(0.05)
        speaker.close()
    expected = 4 * len(OUTCOMES)
    _await(lambda: _total(stack, f'sum(tts_requests_total{{service_name="{SERVICE}"}})') == expected)
    # What the Collector says of itself comes with Prometheus's next look at it.
    _await(lambda: _total(stack, "count(otelcol_exporter_queue_size)") > 0)
    for signal in ("spans", "metric_points", "log_records"):
        _await(lambda signal=signal: _total(stack, f"count(otelcol_receiver_refused_{signal})") > 0)
    _await(lambda: len(stack.search(SERVICE)) == expected)
    _await(lambda: len(stack.logs(f'{{service.name="{SERVICE}"}}')) == 2 * expected)
    yield Seed([trace for traces in found.values() for trace in traces], found["error"][0])


def _await(ready: Callable[[], bool], seconds: float = 60.0) -> None:
    patience = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > patience:
            pytest.fail(f"the telemetry has not arrived after {seconds:.0f} s")
        time.sleep(0.3)


def _total(stack: Backends, promql: str) -> float:
    return sum(float(row["value"][1]) for row in stack.series(promql))


def ask(stack: Backends, target: Target, variables: Mapping[str, str]) -> list[Any]:
    """The series, lines or traces that a target's query finds, asked as Grafana asks; not-a-number is nothing."""
    if target.source in CONTAINERS:
        pytest.skip(CONTAINERS[target.source])
    expression, now = fill(target.expression, variables), time.time()
    window = {"start": str(int(now) - 3600), "end": str(int(now) + 1)}
    prefix = f"{stack.prometheus}/api/v1"
    if target.instant:
        result = _get(f"{prefix}/query", {"query": expression})["data"]["result"]
        return [row for row in result if not math.isnan(float(row["value"][1]))]
    result = _get(f"{prefix}/query_range", {"query": expression, "step": "15", **window})["data"]["result"]
    return [row for row in result if any(value[1] != "NaN" for value in row["values"])]


def _get(address: str, parameters: Mapping[str, str]) -> dict[str, Any]:
    answer = httpx.get(address, params=parameters, timeout=30)
    assert answer.status_code == 200, f"{answer.status_code}: {answer.text}\n{parameters}"
    return answer.json()


@pytest.mark.parametrize("target", TARGETS)
def test_each_query_finds_something(stack: Backends, seed: Seed, target: Target) -> None:
    found = ask(stack, target, EVERYTHING)
    if target.panel not in FED_BY_NOTHING:
        assert found, fill(target.expression)


@pytest.mark.parametrize("target", TARGETS)
def test_each_query_finds_what_is_chosen(stack: Backends, seed: Seed, target: Target) -> None:
    chosen = ask(stack, target, CHOSEN)
    if target.panel not in FED_BY_NOTHING:
        assert chosen, fill(target.expression, CHOSEN)
    if target.panel not in FED_BY_NOTHING | NOT_OF_A_SERVICE:
        assert ask(stack, target, NOBODY) == []


def test_variables_offer_what_there_is(stack: Backends, seed: Seed) -> None:
    for board in BOARDS.values():
        for variable in board["templating"]["list"]:
            if variable["type"] != "query":
                continue
            series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]).groups()  # type: ignore[union-attr]
            found = _get(f"{stack.prometheus}/api/v1/label/{label}/values", {"match[]": fill(series)})["data"]
            assert CHOSEN[variable["name"]] in found


def test_names_are_as_prometheus_translates_them(stack: Backends, seed: Seed) -> None:
    """Of every metric, whether a dashboard shows it or not."""
    selector = f'{{service_name="{SERVICE}"}}'
    found = set(_get(f"{stack.prometheus}/api/v1/label/__name__/values", {"match[]": selector})["data"])
    for metric in names.METRICS:
        name = queries.translate(metric)
        parts = {f"{name}_{part}" for part in ("bucket", "sum", "count")} if metric.kind == "histogram" else {name}
        assert parts <= found, metric.name
    labels = {queries.ENGINE, queries.MODEL, queries.VOICE, queries.OUTCOME, "service_name", "service_instance_id"}
    (first, *_) = stack.series(f"tts_requests_total{selector}")
    assert labels <= first["metric"].keys()


@pytest.mark.parametrize("target", [param for param in TARGETS if param.values[0].exemplars])
def test_exemplars_lead_to_traces(stack: Backends, seed: Seed, target: Target) -> None:
    now = int(time.time())
    found = _get(
        f"{stack.prometheus}/api/v1/query_exemplars",
        {"query": fill(target.expression, CHOSEN), "start": str(now - 3600), "end": str(now + 1)},
    )["data"]
    traces = {exemplar["labels"]["trace_id"] for series in found for exemplar in series["exemplars"]}
    assert traces
    assert traces <= set(seed.traces)
    assert stack.trace(traces.pop()) is not None


def test_numbers_of_the_first_row(stack: Backends, seed: Seed) -> None:
    """That a query answers does not make it right: the seed fails in 3 of 10 requests, all of them new series."""
    row = {
        target.panel: ask(stack, target, CHOSEN)
        for target in targets(BOARDS["tts-overview"])
        if target.instant and target.source == "prometheus"
    }
    number = {panel: float(rows[0]["value"][1]) for panel, rows in row.items() if rows}
    assert number["Requests"] == pytest.approx(4 * len(OUTCOMES) / queries.NOW_SECONDS)
    assert number["Failed"] == pytest.approx(0.3)
    # The seed's anomalies are one each request, of which one is anomalous and seven are ok.
    assert number["Audio anomalies"] == pytest.approx(10 / 8)
    assert 3 < number["Duration P95"] < 5
    assert number["Oldest open stage"] == pytest.approx(0.8)
    assert number["Telemetry lost"] == pytest.approx(4 * len(OUTCOMES))


def test_top_failures(stack: Backends, seed: Seed) -> None:
    (target,) = (target for target in targets(BOARDS["tts-overview"]) if target.panel == "Top failures")
    found = {row["metric"]["how"]: row for row in ask(stack, target, CHOSEN)}
    assert found.keys() == {"error", "anomalous", "rejected"}
    assert found["error"]["metric"] == {"failure": "OutOfMemoryError", "failed_stage": "vocoder", "how": "error"}
    assert float(found["error"]["value"][1]) == 4


def test_slow_traces_say_whose_they_are(stack: Backends, seed: Seed) -> None:
    (target,) = (target for target in targets(BOARDS["tts-overview"]) if target.panel == "Slowest syntheses")
    spans = [span for trace in ask(stack, target, CHOSEN) for span in trace["spanSets"][0]["spans"]]
    assert len(spans) == 4
    for span in spans:
        shown = {attribute["key"] for attribute in span["attributes"]}
        assert {names.REQUEST_ID, names.ENGINE, names.MODEL, names.OUTCOME, names.TEXT_LENGTH} <= shown


def test_from_a_trace_to_metrics(stack: Backends, seed: Seed) -> None:
    settings = _datasource("tempo")["tracesToMetrics"]
    assert [tag["value"] for tag in settings["tags"]] == ["service_name"]
    for query in settings["queries"]:
        assert stack.series(query["query"].replace("$$__tags", f'service_name="{SERVICE}"')), query["name"]


def _datasource(uid: str) -> dict[str, Any]:
    sources = yaml.safe_load((FOLDER / "provisioning/datasources/tts.yaml").read_text(encoding="utf-8"))["datasources"]
    return next(source["jsonData"] for source in sources if source["uid"] == uid)


@pytest.mark.parametrize("target", [param for param in TARGETS if param.values[0].source == "prometheus"])
def test_promql_parses(stack: Backends, target: Target) -> None:
    """Also where no data would let the evaluation find a mistake."""
    _get(f"{stack.prometheus}/api/v1/parse_query", {"query": fill(target.expression)})


def test_the_rules_are_loaded_and_evaluated(stack: Backends) -> None:
    groups = _get(f"{stack.prometheus}/api/v1/rules", {})["data"]["groups"]
    found = {rule["name"]: rule for group in groups for rule in group["rules"]}
    assert {"TTSErrorRatioHigh", "TTSAcousticModelSlow", "TTSTelemetryDropped"} <= found.keys()
    assert [rule["lastError"] for rule in found.values() if rule.get("lastError")] == []


def _promtool(stack: Backends, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(build.binaries()["prometheus"] / "promtool"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("path", sorted((FOLDER / "alerts").glob("*.yml")), ids=lambda path: path.stem)
def test_rules_are_valid(stack: Backends, path: Path) -> None:
    result = _promtool(stack, "check", "rules", "--lint=all", "--lint-fatal", str(path))
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", sorted((FOLDER / "alerts" / "tests").glob("*.yml")), ids=lambda path: path.stem)
def test_rules_do_what_they_say(stack: Backends, path: Path) -> None:
    result = _promtool(stack, "test", "rules", str(path))
    assert result.returncode == 0, result.stdout + result.stderr

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Every query of every board, asked of the real servers after a real service has spoken thousands of times."""

from __future__ import annotations

import html
import json
import math
import os
import re
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import speaking
import yaml
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from dashboards import foreign, picture, queries
from dashboards.boards import BOARDS as DESCRIBED
from dashboards.boards.stages import per_hundred
from dashboards.targets import EVERYTHING, Target, fill, panels, read, targets
from otel_tts import names
from otel_tts.stack import build

if TYPE_CHECKING:
    from conftest import Backends

ROOT = Path(__file__).resolve().parents[2]
BOARDS = read("jaeger-victorialogs")
TARGETS = [pytest.param(target, id=f"{name}: {target}") for name, board in BOARDS.items() for target in targets(board)]
VICTORIALOGS = "victoriametrics-logs-datasource"
PLAN = speaking.PLAN

CHOSEN = {**EVERYTHING, "service": speaking.SERVICE}
EVERYTHING_ONCE = "everything-once"

# What neither the load nor a healthy Collector has; each is a panel whose description says why it may be empty.
EMPTY = {"The same seven days before", "Collector: given up", "Collector: not queued", "Delivered files"}
# What only a service that is ill has, or one of tomorrow; a second service, which is none, sends these.
NOT_OF_THE_LOAD = EMPTY | {"Dropped in services", "Faults by reason", "Faults in otel-tts", "Event loop lag"}
# What is of the pipeline, or of a request by its id, whatever service is chosen.
NOT_OF_A_SERVICE = {
    "Collector: ",
    "Servers",
    "Fullest queue",
    "Refused by",
    "Alerts",
    "Folded",
    "Telemetry lost",
    "Its ",
}


@dataclass(frozen=True)
class Load:
    """What was said: the id of a failed request and of its trace."""

    request: str
    trace: str

    @property
    def variables(self) -> dict[str, str]:
        return {**CHOSEN, "request": self.request, "trace": self.trace}


@pytest.fixture(scope="module")
def load(stack: Backends, requires: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Load:
    """A service has spoken as its plan says; every store has all of it, and Prometheus each metric of names.py."""
    nvml = tmp_path_factory.mktemp("nvml")
    (source,) = (ROOT / "tests" / "unit").rglob("nvml_stub.c")
    flags = ("-O2", "-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1", "-o", str(nvml / "libnvidia-ml.so.1"))
    subprocess.run([requires("cc"), *flags, str(source), "-lpthread"], check=True, timeout=60)
    settings = {
        "LD_LIBRARY_PATH": str(nvml),
        "OTEL_SERVICE_NAME": speaking.SERVICE,
        "OTEL_EXPORTER_OTLP_ENDPOINT": stack.otlp_http,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_METRIC_EXPORT_INTERVAL": "2000",
        "OTEL_TTS_VOICES": ",".join(speaking.VOICES),
        "OTEL_TTS_GPU_PRICE": "2.5",
        "OTEL_TTS_NVML_INTERVAL": "0.5",
        "OTEL_TTS_MEMORY_EVENTS": "logs",
    }
    launched = [str(Path(sys.executable).parent / "otel-tts"), "run", "--", sys.executable, speaking.__file__]
    done = subprocess.run(
        launched, env=os.environ | settings, capture_output=True, text=True, timeout=240, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-3000:]
    _send_everything_once(stack)
    counted = f'sum(tts_requests_total{{service_name="{speaking.SERVICE}"}})'
    ended = f'{{service.name="{speaking.SERVICE}"}} _msg:~"REQ_(SUCCESS|FAIL)" | stats count() n'
    _await(lambda: _total(stack, counted) == sum(PLAN.values()))
    # What the Collector says of itself comes with Prometheus's next looks at it.
    for signal in foreign.SIGNALS:
        _await(lambda signal=signal: _total(stack, f"count(otelcol_receiver_refused_{signal})") > 0)
        _await(lambda signal=signal: _total(stack, f"sum(otelcol_exporter_sent_{signal})") > 0)
    _await(lambda: stack.logs(ended)[0]["n"] == str(sum(PLAN.values())))
    # What is recorded of objectives comes with the next evaluation of their rules.
    budget = f'slo:period_error_budget_remaining:ratio{{service_name="{speaking.SERVICE}"}}'
    _await(lambda: len(stack.series(budget)) == 3)
    (failed, *_) = stack.logs(f'{{service.name="{speaking.SERVICE}"}} error.type:=RuntimeError', limit=1)
    _await(lambda: stack.trace(failed["trace_id"]) is not None)
    return Load(failed["request_id"], failed["trace_id"])


def _send_everything_once(stack: Backends) -> None:
    """Each metric of names.py, and those that are awaited, from a service of its own; exported twice, for rates."""
    resource = Resource({"service.name": EVERYTHING_ONCE, "service.instance.id": "one"})
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{stack.otlp_http}/v1/metrics"), math.inf)
    provider = MeterProvider([reader], resource)
    meter = provider.get_meter(names.SCOPE)
    make = {
        "counter": meter.create_counter,
        "updowncounter": meter.create_up_down_counter,
        "gauge": meter.create_gauge,
    }
    for _ in range(2):
        for metric in (*names.METRICS, *foreign.AWAITED):
            labels = dict.fromkeys(metric.labels, "something")
            if metric.kind == "histogram":
                edges = metric.edges
                meter.create_histogram(metric.name, metric.unit, explicit_bucket_boundaries_advisory=edges).record(
                    1, labels
                )
            elif metric.kind == "gauge":
                make[metric.kind](metric.name, metric.unit).set(1, labels)
            else:
                make[metric.kind](metric.name, metric.unit).add(1, labels)
        assert provider.force_flush()
        time.sleep(0.05)
    provider.shutdown()


def _await(ready: Callable[[], bool], seconds: float = 60.0) -> None:
    patience = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > patience:
            pytest.fail(f"the telemetry has not arrived after {seconds:.0f} s")
        time.sleep(0.3)


def _total(stack: Backends, promql: str) -> float:
    return sum(float(row["value"][1]) for row in stack.series(promql))


def ask(stack: Backends, target: Target, variables: Mapping[str, str]) -> list[Any]:
    """The series, lines or spans that a target's query finds, asked as Grafana asks; not-a-number is nothing."""
    expression, now = fill(target.expression, variables), time.time()
    window = {"start": str(int(now) - 3600), "end": str(int(now) + 1)}
    if target.source == "jaeger":
        return stack.trace(expression) or [] if expression else []
    if target.source == VICTORIALOGS:
        if target.kind == "stats":
            stats = {"query": expression, "start": window["start"], "time": window["end"]}
            return _get(f"{stack.victorialogs}/select/logsql/stats_query", stats)["data"]["result"]
        return stack.logs(expression, limit=200)
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
def test_each_query_finds_something(stack: Backends, load: Load, target: Target) -> None:
    variables = {**EVERYTHING, "request": load.request, "trace": load.trace}
    found = ask(stack, target, variables)
    assert bool(found) == (target.panel not in EMPTY), fill(target.expression, variables)


@pytest.mark.parametrize("target", TARGETS)
def test_each_query_finds_what_is_chosen(stack: Backends, load: Load, target: Target) -> None:
    if target.panel not in NOT_OF_THE_LOAD:
        assert ask(stack, target, load.variables), fill(target.expression, load.variables)
    if target.panel not in EMPTY and not target.panel.startswith(tuple(NOT_OF_A_SERVICE)):
        assert ask(stack, target, {**EVERYTHING, "service": "nobody"}) == []


def test_what_is_empty_says_why() -> None:
    reasons = {panel.title[0]: panel.empty for board in DESCRIBED for panel in board.panels}
    assert [title for title in NOT_OF_THE_LOAD if not reasons[title]] == []


def test_variables_offer_what_there_is(stack: Backends, load: Load) -> None:
    offered: dict[str, set[str]] = {}
    for board in BOARDS.values():
        for variable in board["templating"]["list"]:
            if variable["type"] != "query":
                continue
            series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]).groups()  # type: ignore[union-attr]
            found = _get(f"{stack.prometheus}/api/v1/label/{label}/values", {"match[]": fill(series)})["data"]
            offered.setdefault(variable["name"], set()).update(found)
    assert {speaking.SERVICE} <= offered["service"]
    assert {"own", "hibari", "streamed"} <= offered["engine"]
    assert {speaking.MODEL, "hibari"} <= offered["model"]
    assert {speaking.GPU} <= offered["gpu"]


def test_names_are_as_prometheus_translates_them(stack: Backends, load: Load) -> None:
    """Of every metric, whether a board shows it or not."""
    selector = f'{{service_name="{EVERYTHING_ONCE}"}}'
    found = set(_get(f"{stack.prometheus}/api/v1/label/__name__/values", {"match[]": selector})["data"])
    for metric in (*names.METRICS, *foreign.AWAITED):
        name = queries.translate(metric)
        parts = {f"{name}_{part}" for part in ("bucket", "sum", "count")} if metric.kind == "histogram" else {name}
        assert parts <= found, metric.name
    labels = {queries.ENGINE, queries.MODEL, queries.VOICE, queries.OUTCOME, queries.ERROR, "service_instance_id"}
    (first, *_) = stack.series(f"tts_requests_total{selector}")
    assert labels <= first["metric"].keys()


def test_names_of_frameworks_are_as_they_send_them(stack: Backends, load: Load) -> None:
    for metric in foreign.PROCESSES:
        part = "_count" if metric.kind == "histogram" else ""
        (first, *_) = stack.series(f'{queries.translate(metric)}{part}{{service_name="{speaking.SERVICE}"}}')
        assert {queries.label(key) for key in metric.labels} <= first["metric"].keys()


@pytest.mark.parametrize("target", [param for param in TARGETS if param.values[0].exemplars])
def test_exemplars_lead_to_traces(stack: Backends, load: Load, target: Target) -> None:
    now = int(time.time())
    found = _get(
        f"{stack.prometheus}/api/v1/query_exemplars",
        {"query": fill(target.expression, CHOSEN), "start": str(now - 3600), "end": str(now + 1)},
    )["data"]
    traces = {exemplar["labels"]["trace_id"] for series in found for exemplar in series["exemplars"]}
    assert traces
    assert stack.trace(traces.pop()) is not None


def numbers(stack: Backends, board: str, variables: Mapping[str, str]) -> dict[str, float]:
    """The first row of a board: each light's number."""
    lights = [target for target in targets(BOARDS[board]) if target.instant and target.source == "prometheus"]
    rows = {target.panel: ask(stack, target, variables) for target in lights}
    return {panel: float(found[0]["value"][1]) for panel, found in rows.items() if found}


def rows(stack: Backends, board: str, panel: str, *columns: str) -> dict[tuple[str, ...], float]:
    """A table's rows by their labels."""
    (target, *_) = (target for target in targets(BOARDS[board]) if target.panel == panel)
    found = ask(stack, target, CHOSEN)
    return {tuple(row["metric"].get(one, "") for one in columns): float(row["value"][1]) for row in found}


TOTAL = sum(PLAN.values())
WANTED = TOTAL - PLAN["cancelled"]
FAILED = sum(PLAN[kind] for kind in speaking.FAILED)
DELIVERED = WANTED - sum(PLAN[kind] for kind in speaking.ERRORS)


def test_service_says_what_was_sent(stack: Backends, load: Load) -> None:
    number = numbers(stack, "tts-overview", CHOSEN)
    assert number["Requests"] == pytest.approx(TOTAL / queries.NOW_SECONDS)
    assert number["Failed"] == pytest.approx(FAILED / WANTED)
    anomalies = sum(PLAN[kind] * len(found) for kind, found in speaking.ANOMALIES.items())
    assert number["Audio anomalies"] == pytest.approx(anomalies / DELIVERED)
    assert 0 < number["Duration P95"] < speaking.SLOW_SECONDS
    assert number["Telemetry lost"] == 0


def test_failures_and_voices(stack: Backends, load: Load) -> None:
    top = rows(stack, "tts-overview", "Top failures", "failure", "how")
    assert top == {
        **{
            (error, "rejected" if kind == "rejected" else "error"): PLAN[kind]
            for kind, error in speaking.ERRORS.items()
        },
        ("silent", "anomalous"): PLAN["silent"],
    }
    voices = rows(stack, "tts-overview", "Success by voice", queries.VOICE)
    assert sum(voices.values()) == WANTED
    assert set(voices) == {("alice",), ("bob",), ("heart",), ("",)}


def test_errors_by_type(stack: Backends, load: Load) -> None:
    (target,) = (target for target in targets(BOARDS["tts-overview"]) if target.panel == "Errors by type")
    types = {row["metric"][queries.ERROR] for row in ask(stack, target, CHOSEN)}
    assert types == set(speaking.ERRORS.values())
    for kind, error in speaking.ERRORS.items():
        assert (
            _total(stack, f'tts_requests_total{{service_name="{speaking.SERVICE}",error_type="{error}"}}') == PLAN[kind]
        )


def test_statuses(stack: Backends, load: Load) -> None:
    of_service = f'{{service_name="{speaking.SERVICE}"}}'
    counted = f"sum by (http_response_status_code) (http_server_request_duration_seconds_count{of_service})"
    found = {row["metric"]["http_response_status_code"]: float(row["value"][1]) for row in stack.series(counted)}
    assert found == {"200": PLAN["hibari"], "429": PLAN["rejected"], "500": PLAN["broken"]}


def test_audio_says_what_was_sent(stack: Backends, load: Load) -> None:
    number = numbers(stack, "tts-audio", CHOSEN)
    assert number["Silent or empty"] == pytest.approx(PLAN["silent"] / DELIVERED)
    assert number["Clipped or clicking"] == pytest.approx(2 * PLAN["clipped"] / DELIVERED)
    assert number["Wrong format"] == number["Limit reached"] == 0
    assert rows(stack, "tts-audio", "Most frequent anomalies", "failure", "of_engine") == {
        ("silent", "own"): PLAN["silent"]
    }


def test_devices_say_what_was_sent(stack: Backends, load: Load) -> None:
    number = numbers(stack, "tts-devices", CHOSEN)
    assert number["Out of memory"] == PLAN["out of memory"]
    assert number["Fallbacks to the CPU"] == PLAN["fallen"]
    assert number["Lost devices"] == 0
    assert number["Memory used"] == pytest.approx(60 / 80)
    assert number["Temperature"] == 71
    assert 0 < number["Rise a request"] < 200_000
    assert number["Cost of a request"] > 0


def test_slow_requests_are_found(stack: Backends, load: Load) -> None:
    (target,) = (target for target in targets(BOARDS["tts-stages"]) if target.panel == "Slowest syntheses")
    found = ask(stack, target, CHOSEN)
    assert len(found) == PLAN["slow"]
    assert all(float(row["took"]) > 3 for row in found)
    assert {row["request_id"].rpartition("-")[0] for row in found} == {"slow"}
    assert ask(stack, target, {**CHOSEN, "slower_than": "60"}) == []
    for row in found[:3]:
        assert stack.trace(row["trace_id"]) is not None


def test_one_request_by_its_id(stack: Backends, load: Load) -> None:
    by_panel = {target.panel: target for target in targets(BOARDS["tts-request"])}
    (synthesis,) = ask(stack, by_panel["Its syntheses"], load.variables)
    assert (synthesis["trace_id"], synthesis["error.type"]) == (load.trace, "RuntimeError")
    lines = {row["_msg"].split()[0] for row in ask(stack, by_panel["Its lines"], load.variables)}
    assert lines >= {"REQ_START", "REQ_FAIL", "STAGE_TIME"}
    spans = {span["name"] for span in ask(stack, by_panel["Its trace"], load.variables)}
    assert {"tts.acoustic_model", "tts.vocoder"} <= spans


def test_a_week_ago(stack: Backends, tmp_path: Path) -> None:
    """No load can be a week old: promtool is given one, whose stages took twice as long per character."""
    labels = 'service_name="s",tts_engine_name="e"'
    week, hours = 7 * 24 * 60, 120
    test = {
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {
                        "series": f'tts_stage_duration_seconds_sum{{{labels},tts_stage="vocoder"}}',
                        "values": f"0+12x{week} {12 * week}+6x{hours}",
                    },
                    {
                        "series": f'tts_text_length_sum{{{labels},gen_ai_request_model="m"}}',
                        "values": f"0+600x{week + hours}",
                    },
                ],
                "promql_expr_test": [
                    {
                        "expr": f"round({fill(per_hundred(offset))}, 0.001)",
                        "eval_time": f"{week + hours // 2}m",
                        "exp_samples": [{"labels": '{tts_stage="vocoder"}', "value": seconds}],
                    }
                    for offset, seconds in (("", 1.0), ("7d", 2.0))
                ],
            }
        ],
    }
    path = tmp_path / "week.yml"
    path.write_text(yaml.safe_dump(test), encoding="utf-8")
    result = _promtool("test", "rules", str(path))
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("pair", ["tempo-loki", "jaeger-victorialogs"])
def test_from_a_trace_to_metrics(stack: Backends, load: Load, pair: str) -> None:
    store = {"tempo-loki": "tempo", "jaeger-victorialogs": "jaeger"}[pair]
    settings = _datasource(pair, store)["tracesToMetrics"]
    assert [tag["value"] for tag in settings["tags"]] == ["service_name"]
    for query in settings["queries"]:
        assert stack.series(query["query"].replace("$$__tags", f'service_name="{speaking.SERVICE}"')), query["name"]


def test_from_a_trace_to_its_lines(stack: Backends, load: Load) -> None:
    query = _datasource("jaeger-victorialogs", "jaeger")["tracesToLogsV2"]["query"]
    lines = stack.logs(query.replace("$${__trace.traceId}", load.trace))
    assert {line["_msg"].split()[0] for line in lines} >= {"REQ_START", "REQ_FAIL", "STAGE_TIME"}
    assert {line.get("request_id", load.request) for line in lines} == {load.request}


def _datasource(pair: str, uid: str) -> dict[str, Any]:
    path = ROOT / f"dashboards/provisioning/{pair}/datasources/tts.yaml"
    sources = yaml.safe_load(path.read_text(encoding="utf-8"))["datasources"]
    return next(source["jsonData"] for source in sources if source["uid"] == uid)


def test_an_alert_comes_to_alertmanager_with_all_its_words(stack: Backends, load: Load) -> None:
    """From the service's counter over Prometheus's rule to who tells people."""
    asked = {"filter": [f'service_name="{speaking.SERVICE}"', 'alertname="TTSFallbackToCpu"']}
    address = f"{stack.alertmanager}/api/v2/alerts"
    _await(lambda: httpx.get(address, params=asked).json() != [])
    (alert,) = httpx.get(address, params=asked).json()
    assert alert["labels"]["severity"] == "critical"
    said = alert["annotations"]
    assert said["summary"] == f"own on {speaking.SERVICE} went on on the CPU: {PLAN['fallen']} requests"
    assert said["summary_zh"] == f"{speaking.SERVICE} 上的 own 已改在 CPU 上运行：{PLAN['fallen']} 个请求"
    assert (ROOT / said["runbook"]).is_file()

    def others() -> dict[str, str]:
        return {one["labels"]["alertname"]: json.dumps(one["annotations"]) for one in httpx.get(address).json()}

    _await(lambda: "TTSTelemetryDropped" in others())  # of the second service
    assert [name for name, texts in others().items() if "no value" in texts] == []


@pytest.mark.requires("chromium")
@pytest.mark.parametrize("language", ["en", "zh"])
def test_boards_can_be_looked_at(
    stack: Backends, load: Load, requires: Callable[[str], str], tmp_path: Path, language: str
) -> None:
    """Drawn as pages by their own queries; only what is empty says that it is."""
    variables = {**EVERYTHING, "request": load.request, "trace": load.trace}
    servers = picture.Servers(
        stack.prometheus, stack.victorialogs, stack.jaeger, variables, time.time(), 900.0
    )  # fmt: skip
    for name, board in read("jaeger-victorialogs", language).items():
        page = picture.page(board, servers, language)
        titles = re.findall(r"<h3>([^<]*)</h3>", page)
        assert titles == [html.escape(panel["title"]) for panel in panels(board)]
        english = panels(BOARDS[name])
        empty = [english[n]["title"] for n, part in enumerate(page.split("<section ")[1:]) if 'class="none"' in part]
        assert set(empty) <= EMPTY
        (tmp_path / f"{name}.html").write_text(page, encoding="utf-8")
    picture.shoot(requires("chromium"), tmp_path / "tts-overview.html", tmp_path / "tts-overview.png", 2000)
    header = (tmp_path / "tts-overview.png").read_bytes()[:24]
    assert struct.unpack(">II", header[16:]) == (1600, 2000)


@pytest.mark.parametrize("target", [param for param in TARGETS if param.values[0].source == "prometheus"])
def test_promql_parses(stack: Backends, target: Target) -> None:
    """Also where no data would let the evaluation find a mistake."""
    _get(f"{stack.prometheus}/api/v1/parse_query", {"query": fill(target.expression)})


@pytest.mark.parametrize(
    "variables",
    [
        {"service": "a|b.c-d", "engine": "x|y", "model": "IndexTTS-2|m/n", "gpu": "GPU-1"},
        {"service": "", "engine": "", "model": "", "gpu": ""},
        {"request": "no such request", "trace": "0" * 32, "slower_than": "1e9"},
    ],
    ids=["several", "nothing", "unknown"],
)
def test_a_variable_without_data_is_no_error(stack: Backends, load: Load, variables: dict[str, str]) -> None:
    for param in TARGETS:
        (target,) = param.values
        ask(stack, target, {**EVERYTHING, **variables})


def _promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(build.binaries()["prometheus"] / "promtool"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Every alert by promtool: it fires when it should, is quiet when it should, and quiet where nothing is known."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

import dashboards
from dashboards import objectives
from dashboards.objectives import OBJECTIVES
from dashboards.rules import ALERTS
from otel_tts.stack import build

if TYPE_CHECKING:
    from conftest import Backends

FOLDER = Path(dashboards.__file__).resolve().parent / "alerts"
NAMES = [*(alert.name for alert in ALERTS), *(one.alert for one in OBJECTIVES)]

Series = dict[str, str]
"""Values, one a minute, by series; promtool's notation."""


@dataclass(frozen=True)
class Case:
    """What happens, when it is looked at (minutes), and which alerts fire then: labels in promtool's notation."""

    why: str
    series: Series
    at: int
    fires: tuple[str, ...] = ()
    by: str = ""


def tts(metric: str, values: str, **labels: str) -> Series:
    """A series of a service."""
    matchers = ",".join(f'{key}="{value}"' for key, value in {"service_name": "s", **labels}.items())
    return {f"{metric}{{{matchers}}}": values}


def requests(ok: str, **failed: str) -> Series:
    found = tts("tts_requests_total", ok, tts_outcome="ok")
    for outcome, values in failed.items():
        found |= tts("tts_requests_total", values, tts_outcome=outcome)
    return found


def buckets(metric: str, **labels_and_values: Any) -> Series:
    """A histogram's cumulative buckets: `le` to values; `_sum` is not asked for."""
    edges: dict[str, str] = labels_and_values.pop("edges")
    found: Series = {}
    for edge, values in edges.items():
        found |= tts(f"{metric}_bucket", values, le=edge, **labels_and_values)
    return found | tts(f"{metric}_count", edges["+Inf"], **labels_and_values)


def acoustic(edges: dict[str, str]) -> Series:
    return buckets("tts_stage_duration_seconds", edges=edges, tts_engine_name="e", tts_stage="acoustic_model")


GPU = {"hw_id": "G"}
HEALTHY = requests("0+10x160")
MANY = "0+10x160"

CASES: dict[str, tuple[Case, ...]] = {
    "TTSErrorRatioHigh": (
        Case("a tenth fails from the beginning", requests("0+9x60", error="0+1x60"), 15, ('service_name="s"',)),
        Case(
            "a tenth fails after two good hours",
            requests("0+9x240", rejected="0x120 0+1x120"),
            140,
            ('service_name="s"',),
        ),
        Case("a tenth fails, but for less than five minutes", requests("0+9x240", error="0x120 0+1x120"), 123),
        Case("a tenth fails, as it did an hour before", requests("0+9x240", error="0+1x240"), 200),
        Case("exactly the limit", requests("0+19x60", anomalous="0+1x60"), 30),
        Case("two failures in a quiet hour", requests("5x60", error="_x9 1x4 2x40"), 16),
        Case("all are cancelled", requests("0x60", cancelled="0+9x60"), 30),
    ),
    "TTSAcousticModelSlow": (
        Case(
            "all take four seconds",
            acoustic({"3": "0x30", "5": MANY, "+Inf": MANY}),
            15,
            ('service_name="s",tts_engine_name="e"',),
            "tts_engine_name",
        ),
        Case("for three minutes only", acoustic({"3": "0+10x10 100x20", "5": MANY, "+Inf": MANY}), 13),
        Case("all take three", acoustic({"3": MANY, "5": MANY, "+Inf": MANY}), 15),
    ),
    "TTSLatencyDoubled": (
        Case(
            "from one second to five",
            HEALTHY
            | buckets("tts_request_duration_seconds", edges={"1": "0+10x80 800x80", "5": MANY, "+Inf": MANY}),
            100,
            ('service_name="s"',),
        ),
        Case(
            "as long as before",
            HEALTHY | buckets("tts_request_duration_seconds", edges={"1": "0x160", "5": MANY, "+Inf": MANY}),
            100,
        ),
        Case(
            "too few requests to tell",
            requests("0+1x160")
            | buckets("tts_request_duration_seconds", edges={"1": "0+1x80 80x80", "5": "0+1x160", "+Inf": "0+1x160"}),
            100,
        ),
    ),
    "TTSStageStuck": (
        Case(
            "open for over a minute",
            tts("tts_stage_open_age_seconds", "0+60x10", tts_engine_name="e", tts_stage="vocoder"),
            5,
            ('service_name="s",tts_engine_name="e",tts_stage="vocoder"',),
            "tts_engine_name, tts_stage",
        ),
        Case("long, but no minute", tts("tts_stage_open_age_seconds", "60x10", tts_stage="vocoder"), 5),
        Case("its process is gone", tts("tts_stage_open_age_seconds", "0+60x10 _x20", tts_stage="vocoder"), 14),
    ),
    "TTSQueueGrowing": (
        Case("twenty where one was", tts("tts_requests_active", "1x30 20x30"), 42, ('service_name="s"',)),
        Case("always twenty", tts("tts_requests_active", "20x60"), 42),
        Case("four where one was", tts("tts_requests_active", "1x30 4x30"), 42),
    ),
    "TTSEventLoopBlocked": (
        Case("two seconds", tts("tts_event_loop_lag_seconds", "0x5 2x1 0x20"), 7, ('service_name="s"',)),
        Case("half a second", tts("tts_event_loop_lag_seconds", "0.5x20"), 7),
        Case("long ago", tts("tts_event_loop_lag_seconds", "0x5 2x1 0x40"), 25),
    ),
    "TTSNoRequests": (
        Case("none come any more", requests("0+5x60 300x60"), 80, ('service_name="s"',)),
        Case("the service is gone", requests("0+5x60 _x60"), 80, ('service_name="s"',)),
        Case("they come", requests("0+5x120"), 80),
        Case("a pause of ten minutes", requests("0+5x60 300x60"), 70),
        Case("there never were many", requests("0+1x10 10x110"), 80),
        Case("it is hours ago", requests("0+5x60 300x200"), 200),
    ),
    "TTSAudioInaudible": (
        Case(
            "a tenth is silent",
            requests("0+9x30", anomalous="0+1x30")
            | tts("tts_audio_anomalies_total", "0+1x30", tts_audio_anomaly="silent"),
            15,
            ('service_name="s"',),
        ),
        Case(
            "one in two hundred",
            requests("0+200x30") | tts("tts_audio_anomalies_total", "0+1x30", tts_audio_anomaly="empty"),
            15,
        ),
        Case(
            "a tenth is clipped, which can be heard",
            requests("0+9x30") | tts("tts_audio_anomalies_total", "0+1x30", tts_audio_anomaly="clipped"),
            15,
        ),
        Case("two of two", requests("2x30") | tts("tts_audio_anomalies_total", "2x30", tts_audio_anomaly="silent"), 3),
    ),
    "TTSLimitReached": (
        Case(
            "a tenth",
            requests("0+10x30") | tts("tts_audio_anomalies_total", "0+1x30", tts_audio_anomaly="limit_reached"),
            15,
            ('service_name="s"',),
        ),
        Case(
            "one in two hundred",
            requests("0+200x30") | tts("tts_audio_anomalies_total", "0+1x30", tts_audio_anomaly="limit_reached"),
            15,
        ),
    ),
    "TTSGpuMemoryFloorRising": (
        Case(
            "it rises for an hour and more",
            tts("hw_gpu_memory_limit_bytes", "80000000000x120", **GPU)
            | tts("hw_gpu_memory_usage_bytes", "10000000000+100000000x120", **GPU),
            90,
            ('service_name="s",hw_id="G"',),
            "hw_id",
        ),
        Case(
            "a cache that fills once",
            tts("hw_gpu_memory_limit_bytes", "80000000000x120", **GPU)
            | tts("hw_gpu_memory_usage_bytes", "10000000000+1000000000x20 30000000000x100", **GPU),
            110,
        ),
        Case(
            "peaks that rise above a floor that does not",
            tts("hw_gpu_memory_limit_bytes", "80000000000x120", **GPU)
            | tts("hw_gpu_memory_usage_bytes", " ".join(f"{10**10} {10**10 + n * 10**9}" for n in range(60)), **GPU),
            110,
        ),
    ),
    "TTSProcessMemoryFloorRising": (
        Case(
            "it rises for an hour and more",
            tts("process_memory_usage_bytes", "1000000000+5000000x120", service_instance_id="i"),
            90,
            ('service_name="s",service_instance_id="i"',),
            "service_instance_id",
        ),
        Case("it grew at its start", tts("process_memory_usage_bytes", "100000000+90000000x10 1000000000x120"), 110),
        Case("by little", tts("process_memory_usage_bytes", "1000000000+1000000x120"), 110),
    ),
    "TTSGpuMemoryFull": (
        Case(
            "full",
            tts("hw_gpu_memory_utilization_ratio", "0.97x30", **GPU),
            10,
            ('service_name="s",hw_id="G"',),
            "hw_id",
        ),
        Case("for three minutes", tts("hw_gpu_memory_utilization_ratio", "0.5x5 0.97x30", **GPU), 8),
        Case("nearly", tts("hw_gpu_memory_utilization_ratio", "0.95x30", **GPU), 10),
    ),
    "TTSFallbackToCpu": (
        Case(
            "the first one, a new series",
            tts("tts_device_fallbacks_total", "_x5 1x3", tts_engine_name="e"),
            6,
            ('service_name="s",tts_engine_name="e"',),
            "tts_engine_name",
        ),
        Case("one an hour ago", tts("tts_device_fallbacks_total", "1x80", tts_engine_name="e"), 60),
    ),
    "TTSTelemetryDropped": (
        Case(
            "the first one, a new series",
            tts("otel_tts_dropped_total", "_x5 3x3", reason="queue"),
            6,
            ('service_name="s",reason="queue"',),
            "reason",
        ),
        Case("some an hour ago", tts("otel_tts_dropped_total", "3x80", reason="queue"), 60),
    ),
    "TTSCollectorDown": (
        Case("down", {'up{job="otelcol",instance="c:8888"}': "1x5 0x20"}, 10, ("",)),
        Case("for a minute", {'up{job="otelcol",instance="c:8888"}': "1x5 0x20"}, 6),
        Case("up", {'up{job="otelcol",instance="c:8888"}': "1x20"}, 10),
    ),
    "TTSBackendDown": (
        Case(
            "one of two is down",
            {
                'up{job="stack",server="jaeger",instance="j:1"}': "1x5 0x20",
                'up{job="stack",server="victorialogs",instance="v:1"}': "1x25",
            },
            10,
            ('server="jaeger"',),
            "server",
        ),
        Case("both are up", {'up{job="stack",server="jaeger",instance="j:1"}': "1x20"}, 10),
    ),
    "TTSCollectorQueueFull": (
        Case(
            "nine tenths",
            {
                'otelcol_exporter_queue_size{exporter="x",instance="c:1"}': "90x20",
                'otelcol_exporter_queue_capacity{exporter="x",instance="c:1"}': "100x20",
            },
            10,
            ('exporter="x"',),
            "exporter",
        ),
        Case(
            "half",
            {
                'otelcol_exporter_queue_size{exporter="x",instance="c:1"}': "50x20",
                'otelcol_exporter_queue_capacity{exporter="x",instance="c:1"}': "100x20",
            },
            10,
        ),
    ),
    "TTSWatcherGone": (
        Case(
            "it looked and looks no more",
            tts("tts_watch_heartbeat_seconds", "0+60x20 _x40"),
            30,
            ('service_name="s"',),
        ),
        Case("it looks", tts("tts_watch_heartbeat_seconds", "0+60x60"), 30),
        Case("it is more than a day ago", tts("tts_watch_heartbeat_seconds", "0+60x20 _x1500"), 1480),
    ),
    "TTSArchiveWaits": (
        Case(
            "every run fails",
            tts("tts_archive_waiting_since_seconds", "0x1440 0x1440 0x1440 0x1440"),
            4400,
            ('service_name="s"',),
        ),
        Case(
            "nobody runs it any more",
            tts("tts_archive_waiting_since_seconds", "60 _x6000"),
            4400,
            ('service_name="s"',),
        ),
        Case("one run of three days failed", tts("tts_archive_waiting_since_seconds", "0x1440 86400x4000"), 4400),
        Case("nobody archives", tts("tts_archive_size_bytes", "0x5000"), 4400),
    ),
    "TTSSpeechBudget": (
        Case(
            "three of ten fail, for over an hour",
            requests("0+7x120", error="0+3x120"),
            100,
            ('service_name="s",severity="critical"', 'service_name="s",severity="warning"'),
            "severity",
        ),
        Case("one of a thousand fails", requests("0+999x120", error="0+1x120"), 100),
        Case("three of ten, but ten in an hour", requests("0+0.12x120", error="0+0.05x120"), 100),
    ),
    "TTSFirstSoundBudget": (
        Case(
            "all are late",
            buckets("tts_time_to_first_audio_seconds", edges={"1": "0x120", "+Inf": MANY}),
            100,
            ('service_name="s",severity="critical"', 'service_name="s",severity="warning"'),
            "severity",
        ),
        Case("all are in time", buckets("tts_time_to_first_audio_seconds", edges={"1": MANY, "+Inf": MANY}), 100),
    ),
    "TTSRealTimeBudget": (
        Case(
            "a fifth is slower than speech",
            buckets("tts_real_time_factor", edges={"1": "0+8x120", "+Inf": MANY}),
            100,
            ('service_name="s",severity="critical"', 'service_name="s",severity="warning"'),
            "severity",
        ),
        Case("none is", buckets("tts_real_time_factor", edges={"1": MANY, "+Inf": MANY}), 100),
    ),
}  # fmt: skip
LONGEST = {False: 300, True: 480}
"""Minutes after which nothing is looked at any more; budgets look back further."""


def test_no_alert_is_without_cases() -> None:
    assert list(CASES) == NAMES or CASES.keys() == set(NAMES)
    for name, cases in CASES.items():
        assert any(case.fires for case in cases), name
        assert any(not case.fires for case in cases), name


@pytest.mark.parametrize("name", NAMES)
def test_it_fires_when_it_should(stack: Backends, tmp_path: Path, name: str) -> None:
    """And not where the series that it asks for are none, or have ended long ago."""
    cases = [*CASES[name], Case("nothing was ever sent", {}, 120)]
    if name not in ("TTSWatcherGone", "TTSArchiveWaits"):  # which are about what has ended
        long = LONGEST[name.endswith("Budget")]
        ended = {series: f"{values} _x{long}" for series, values in CASES[name][0].series.items()}
        cases.append(Case("all has ended", ended, long))
    rules, path = tmp_path / "rules.yml", tmp_path / "test.yml"
    rules.write_text(json.dumps({"groups": _rules(name)}), encoding="utf-8")
    test = {"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": [_test(name, case) for case in cases]}
    path.write_text(json.dumps(test), encoding="utf-8")
    result = _promtool("test", "rules", str(path))
    assert result.returncode == 0, result.stdout + result.stderr


def _rules(name: str) -> list[dict[str, Any]]:
    """The groups of an alert with what they record and no other alert: all of them take minutes."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.yml"))]
    groups = [group for text in texts for group in yaml.safe_load(text)["groups"]]
    (own,) = {group["name"] for group in groups for rule in group["rules"] if rule.get("alert") == name}
    objective = own.rpartition("sloth-slo-alerts-")[2] if own.startswith("sloth") else own
    kept = [group for group in groups if group["name"].endswith(objective)]
    return [{**group, "rules": [rule for rule in group["rules"] if rule.get("alert", name) == name]} for group in kept]


def _test(name: str, case: Case) -> dict[str, Any]:
    labels = ", ".join(filter(None, ("alertname", "service_name", case.by)))
    expected = [
        {"labels": "{" + ",".join(filter(None, (f'alertname="{name}"', one))) + "}", "value": 1} for one in case.fires
    ]
    query = f'count by ({labels}) (ALERTS{{alertname="{name}",alertstate="firing"}})'
    return {
        "name": f"{name}: {case.why}",
        "interval": "1m",
        "input_series": [{"series": series, "values": values} for series, values in case.series.items()],
        "promql_expr_test": [{"expr": query, "eval_time": f"{case.at}m", "exp_samples": expected}],
    }


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yml")), ids=lambda path: path.stem)
def test_rules_are_valid(stack: Backends, path: Path) -> None:
    result = _promtool("check", "rules", "--lint=all", "--lint-fatal", str(path))
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_rules_are_loaded_and_evaluated(stack: Backends) -> None:
    groups = httpx.get(f"{stack.prometheus}/api/v1/rules").raise_for_status().json()["data"]["groups"]
    found = {rule["name"]: rule for group in groups for rule in group["rules"]}
    assert set(NAMES) <= found.keys()
    assert [rule["lastError"] for rule in found.values() if rule.get("lastError")] == []


def test_objectives_are_what_sloth_makes_of_them(stack: Backends) -> None:
    assert objectives.FILE.read_text(encoding="utf-8") == objectives.generate()


def _promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(build.binaries()["prometheus"] / "promtool"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The files that Grafana reads at its start, and the alert rules' thresholds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

import dashboards
from otel_tts import names

FOLDER = Path(dashboards.__file__).resolve().parent


def read(path: str) -> Any:
    return yaml.safe_load((FOLDER / path).read_text(encoding="utf-8"))


def datasources() -> dict[str, Any]:
    return {source["uid"]: source for source in read("provisioning/datasources/tts.yaml")["datasources"]}


def test_data_sources_are_those_that_the_dashboards_name() -> None:
    found = datasources()
    assert {uid: source["type"] for uid, source in found.items()} == {
        uid: uid for uid in ("prometheus", "loki", "tempo")
    }
    assert [source["uid"] for source in found.values() if source.get("isDefault")] == ["prometheus"]


def test_only_addresses_come_from_the_environment() -> None:
    """Grafana replaces $NAME with nothing where it is not set: what it should leave alone needs $$."""
    text = (FOLDER / "provisioning/datasources/tts.yaml").read_text(encoding="utf-8")
    settings = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    expanded = re.findall(r"\$(\w+)", settings.replace("$$", ""))
    assert sorted(expanded) == ["LOKI_URL", "PROMETHEUS_URL", "TEMPO_URL"]


def test_links_between_data_sources_lead_somewhere() -> None:
    found = datasources()
    exemplars = found["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    fields = found["loki"]["jsonData"]["derivedFields"]
    tempo = found["tempo"]["jsonData"]
    assert [link["datasourceUid"] for link in exemplars] == ["tempo"]
    assert [(link["datasourceUid"], link["matcherType"], link["matcherRegex"]) for link in fields] == [
        ("tempo", "label", "trace_id")
    ]
    assert tempo["tracesToLogsV2"]["datasourceUid"] == "loki"
    assert tempo["tracesToMetrics"]["datasourceUid"] == "prometheus"


def test_the_provider_reads_where_compose_mounts_the_dashboards() -> None:
    (provider,) = read("provisioning/dashboards/tts.yaml")["providers"]
    compose = yaml.safe_load((FOLDER.parent / "collector" / "compose.yaml").read_text(encoding="utf-8"))
    mounts = compose["services"]["grafana"]["volumes"]
    assert f"../dashboards/generated:{provider['options']['path']}:ro" in mounts
    assert "../dashboards/provisioning:/etc/grafana/provisioning:ro" in mounts


def test_alert_thresholds_on_times_are_edges() -> None:
    alerts = [rule for group in read("alerts/tts.yml")["groups"] for rule in group["rules"] if "alert" in rule]
    thresholds = [
        float(re.search(r"> ([\d.]+)\s*$", rule["expr"])[1])  # type: ignore[index]
        for rule in alerts
        if "histogram_quantile" in rule["expr"]
    ]
    assert thresholds == [3.0]
    assert set(thresholds) <= set(names.DURATION_EDGES)


def test_alerts_say_what_and_why() -> None:
    for group in read("alerts/tts.yml")["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                assert rule["labels"]["severity"] in {"critical", "warning"}
                assert rule["annotations"].keys() == {"summary", "description"}


def test_prometheus_loads_only_rules() -> None:
    """It loads alerts/*.yml and refuses to start on any other file there."""
    for path in (FOLDER / "alerts").glob("*.yml"):
        assert "groups" in yaml.safe_load(path.read_text(encoding="utf-8")), path

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What every generated dashboard keeps to."""

from __future__ import annotations

import json
import re
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from dashboards import build, queries
from dashboards.targets import EVERYTHING, fill, panels, targets
from otel_tts import names

FILES = sorted(build.GENERATED.glob("*.json"))
SOURCES = {"prometheus", "loki", "tempo"}
WITHOUT_UNIT = {"logs"}

POSITION = {
    "type": "object",
    "required": ["h", "w", "x", "y"],
    "properties": {
        "h": {"type": "integer", "minimum": 1},
        "w": {"type": "integer", "minimum": 1, "maximum": 24},
        "x": {"type": "integer", "minimum": 0, "maximum": 23},
        "y": {"type": "integer", "minimum": 0},
    },
}
SOURCE = {
    "type": "object",
    "required": ["type", "uid"],
    "properties": {"type": {"enum": sorted(SOURCES)}, "uid": {"enum": sorted(SOURCES)}},
}
ROW = {
    "type": "object",
    "required": ["id", "type", "title", "gridPos", "collapsed", "panels"],
    "properties": {"type": {"const": "row"}, "collapsed": {"const": False}, "panels": {"maxItems": 0}},
}
PANEL = {
    "type": "object",
    "required": ["id", "type", "title", "description", "datasource", "gridPos", "targets"],
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "type": {"enum": ["stat", "timeseries", "table", "logs", "heatmap", "bargauge", "text"]},
        "title": {"type": "string", "minLength": 1},
        "description": {"type": "string", "minLength": 1},
        "datasource": SOURCE,
        "gridPos": POSITION,
        "targets": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["refId", "datasource"],
                "properties": {"datasource": SOURCE, "refId": {"type": "string", "pattern": "^[A-Z]$"}},
                "oneOf": [{"required": ["expr"]}, {"required": ["query", "queryType"]}],
            },
        },
    },
}
CLASSIC = {
    "type": "object",
    "required": ["uid", "title", "description", "tags", "schemaVersion", "time", "templating", "panels"],
    # Grafana 10 has 38; a later one would not be migrated down.
    "properties": {
        "schemaVersion": {"type": "integer", "minimum": 36, "maximum": 42},
        "uid": {"type": "string", "pattern": "^[a-z0-9-]{1,40}$"},
        "panels": {
            "type": "array",
            "items": {"if": {"properties": {"type": {"const": "row"}}}, "then": ROW, "else": PANEL},
        },
    },
}


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def board(request: pytest.FixtureRequest) -> dict[str, Any]:
    return json.loads(request.param.read_text(encoding="utf-8"))


def test_there_are_dashboards() -> None:
    assert [path.name for path in FILES] == ["tts-overview.json"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="grafana-foundation-sdk 0.0.21 needs Python 3.11")
def test_the_files_are_what_the_builders_make() -> None:
    assert build.compare(build.render()) == []


def test_differences_are_told(tmp_path: Path) -> None:
    (tmp_path / "same.json").write_text("1", encoding="utf-8")
    (tmp_path / "stale.json").write_text("1", encoding="utf-8")
    (tmp_path / "orphan.json").write_text("1", encoding="utf-8")
    assert build.compare({"same.json": "1", "stale.json": "2", "missing.json": "3"}, tmp_path) == [
        "missing.json is missing",
        "orphan.json has no builder",
        "stale.json is not what its builder makes",
    ]
    build.write({"same.json": "1", "stale.json": "2", "missing.json": "3"}, tmp_path)
    assert build.compare({"same.json": "1", "stale.json": "2", "missing.json": "3"}, tmp_path) == []


def test_shape(board: dict[str, Any]) -> None:
    jsonschema.validate(board, CLASSIC)


def test_ids_and_titles_are_unique(board: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in board["panels"]]
    titles = [panel["title"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    assert len(set(titles)) == len(titles)


def test_panels_have_a_unit(board: dict[str, Any]) -> None:
    without = [
        panel["title"]
        for panel in panels(board)
        if panel["type"] not in WITHOUT_UNIT and not panel["fieldConfig"]["defaults"].get("unit")
    ]
    assert without == []


def test_panels_do_not_overlap(board: dict[str, Any]) -> None:
    def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
        across = one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
        down = one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]
        return across and down

    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in board["panels"])
    pairs = combinations(board["panels"], 2)
    assert [(a["title"], b["title"]) for a, b in pairs if overlap(a["gridPos"], b["gridPos"])] == []


def test_only_known_variables(board: dict[str, Any]) -> None:
    defined = {variable["name"] for variable in board["templating"]["list"]}
    assert defined == EVERYTHING.keys()
    for target in targets(board):
        assert "$" not in fill(target.expression)
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            assert variable["allValue"] == EVERYTHING[variable["name"]]
        else:
            assert variable["query"] == EVERYTHING[variable["name"]]


def known_series() -> set[str]:
    """Every series name that Prometheus makes of our metrics, and the Collector's that are used."""
    ours: set[str] = set()
    for metric in names.METRICS:
        name = queries.translate(metric)
        ours |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if metric.kind == "histogram" else {name}
    return ours | queries.COLLECTOR_METRICS


def used_series(promql: str) -> set[str]:
    return set(
        re.findall(r"\b(?:tts|otel_tts|otelcol)_\w+(?=[\s{)\[]|$)", re.sub(r"\{[^}]*\}|by \([^)]*\)", " ", promql))
    )


def test_every_metric_has_a_name_that_we_emit(board: dict[str, Any]) -> None:
    used = {
        name for target in targets(board) if target.source == "prometheus" for name in used_series(target.expression)
    }
    assert used - known_series() == set()
    # That the pattern above does find them.
    assert {"tts_requests_total", "tts_stage_duration_seconds_bucket", "otel_tts_dropped_total"} < used
    assert used >= queries.COLLECTOR_METRICS


def test_labels_are_those_of_the_metric(board: dict[str, Any]) -> None:
    labels = {queries.translate(metric): {key.replace(".", "_") for key in metric.labels} for metric in names.METRICS}
    for target in targets(board):
        for name, matchers in re.findall(r"\b((?:otel_)?tts_\w+)\{([^}]*)\}", target.expression):
            metric = re.sub("_(bucket|sum|count)$", "", name)
            asked = set(re.findall(r"(\w+)(?==~|!=|=)", matchers))
            assert asked <= {"service_name", *labels[metric]}, target


def test_the_first_row_says_how_it_is(board: dict[str, Any]) -> None:
    """Numbers with a colour and a sentence each: that is all a newcomer needs to read."""
    first, second = [n for n, panel in enumerate(board["panels"]) if panel["type"] == "row"][:2]
    row = board["panels"][first + 1 : second]
    assert len(row) >= 6
    for panel in row:
        assert panel["type"] == "stat"
        assert panel["gridPos"]["y"] == 1
        assert panel["fieldConfig"]["defaults"]["noValue"]
        assert all(target["instant"] for target in panel["targets"])
    coloured = [panel for panel in row if len(panel["fieldConfig"]["defaults"]["thresholds"]["steps"]) > 1]
    assert len(coloured) >= len(row) - 1


def test_thresholds_on_quantiles_are_edges(board: dict[str, Any]) -> None:
    """Between edges a quantile is interpolated: a threshold there would be a guess."""
    edges = {f"{queries.translate(metric)}_bucket": metric.edges for metric in names.METRICS if metric.edges}
    checked = 0
    for panel in panels(board):
        used = {name for target in panel["targets"] for name in used_series(target.get("expr", ""))}
        for name in used & edges.keys():
            steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
            for step in steps[1:]:
                assert step["value"] in edges[name], panel["title"]
                checked += 1
    assert checked >= 6


def test_latency_graphs_lead_to_traces(board: dict[str, Any]) -> None:
    for panel in panels(board):
        if panel["type"] == "timeseries" and any("histogram_quantile" in t["expr"] for t in panel["targets"]):
            assert any(target["exemplar"] for target in panel["targets"]), panel["title"]

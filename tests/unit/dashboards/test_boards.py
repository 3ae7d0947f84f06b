# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What every generated board keeps to, and that the four sets of them are one."""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from dashboards import build, foreign, lint
from dashboards.targets import EVERYTHING, fill, panels, read, targets
from otel_tts import names

PAIRS = {"tempo-loki": {"prometheus", "tempo", "loki"}}
PAIRS["jaeger-victorialogs"] = {"prometheus", "jaeger", "victoriametrics-logs-datasource"}
SETS = {(pair, language): read(pair, language) for pair in PAIRS for language in ("en", "zh")}
NAMES = ["tts-audio", "tts-devices", "tts-overview", "tts-request", "tts-stages", "tts-telemetry"]
BOARDS = [
    pytest.param(board, id=f"{pair} {language} {name}")
    for (pair, language), boards in SETS.items()
    for name, board in boards.items()
]
ENGLISH = [pytest.param(board, id=name) for name, board in SETS["tempo-loki", "en"].items()]

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
    "properties": {"type": {"enum": sorted(set.union(*PAIRS.values()))}, "uid": {"pattern": r"^\$\{\w+\}$"}},
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
        "type": {"enum": ["stat", "timeseries", "table", "logs", "traces"]},
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
                "oneOf": [{"required": ["expr"]}, {"required": ["query"]}],
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

needs_sdk = pytest.mark.skipif(sys.version_info < (3, 11), reason="grafana-foundation-sdk 0.0.21 needs Python 3.11")


@needs_sdk
def test_the_files_are_what_is_made_from_their_descriptions() -> None:
    assert build.compare(build.render()) == []


def test_differences_are_told(tmp_path: Path) -> None:
    folder = f"{build.BOARDS}/pair/en"
    made = {f"{folder}/same.json": "1", f"{folder}/stale.json": "2", f"{folder}/missing.json": "3"}
    (tmp_path / folder).mkdir(parents=True)
    for name in ("same", "stale", "orphan"):
        (tmp_path / folder / f"{name}.json").write_text("1", encoding="utf-8")
    assert build.compare(made, tmp_path) == [
        f"{folder}/missing.json is missing",
        f"{folder}/orphan.json has no description",
        f"{folder}/stale.json is not what is made from its description",
    ]
    build.write(made, tmp_path)
    assert build.compare(made, tmp_path) == []


def test_there_are_six_of_each() -> None:
    assert {which: list(boards) for which, boards in SETS.items()} == dict.fromkeys(SETS, NAMES)
    uids = [board["uid"] for boards in SETS.values() for board in boards.values()]
    assert len(set(uids)) == len(uids)
    assert SETS["tempo-loki", "en"]["tts-overview"]["uid"] == "tts-overview"


@pytest.mark.parametrize("board", BOARDS)
def test_shape(board: dict[str, Any]) -> None:
    jsonschema.validate(board, CLASSIC)


@pytest.mark.parametrize("board", BOARDS)
def test_nothing_to_find_fault_with(board: dict[str, Any]) -> None:
    assert lint.lint(board) == []


def _set(panel: dict[str, Any], expression: str) -> None:
    panel["targets"][0]["expr"] = expression


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda board, panel: board.update(editable=True), "can be edited"),
        (lambda board, panel: board.update(description=""), "no description"),
        (lambda board, panel: panel.update(title=""), "no title"),
        (lambda board, panel: panel.update(description=""), "no description"),
        (lambda board, panel: panel["fieldConfig"]["defaults"].pop("unit"), "no unit"),
        (lambda board, panel: panel["fieldConfig"]["defaults"].pop("noValue"), "says nothing"),
        (lambda board, panel: panel.update(datasource={"type": "prometheus", "uid": "prometheus"}), "no variable"),
        (lambda board, panel: board["templating"]["list"][-1].pop("label"), "has no label"),
        (lambda board, panel: _set(panel, "sum("), "does not parse"),
        (lambda board, panel: _set(panel, 'tts_requests_lost{service_name=~"$service"}'), "nobody sends tts_requests"),
        (lambda board, panel: _set(panel, 'up{colour="red"}'), "no label colour"),
        (lambda board, panel: _set(panel, "tts_requests_total"), "does not follow the variable service"),
        (
            lambda board, panel: _set(panel, 'sum by (colour) (tts_requests_total{service_name=~"$service"})'),
            "no series has the label colour",
        ),
        (
            lambda board, panel: _set(panel, 'rate(tts_requests_total{service_name=~"$service"}[5m])'),
            "instead of $__rate_interval",
        ),
        (
            lambda board, panel: _set(
                panel,
                "histogram_quantile(0.9, sum by (le) (rate(tts_request_duration_seconds_bucket"
                '{service_name=~"$service"}[$__rate_interval]))) > 2.5',
            ),
            "2.5 is no edge of tts.request.duration",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_the_lint_finds_it(spoil: Callable[[Any, Any], object], fault: str) -> None:
    board = copy.deepcopy(SETS["tempo-loki", "en"]["tts-overview"])
    spoil(board, next(panel for panel in board["panels"] if panel["type"] == "timeseries"))
    assert any(fault in one for one in lint.lint(board)), lint.lint(board)


def test_a_metric_that_is_renamed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = tuple(metric for metric in names.METRICS if metric is not names.REQUESTS)
    monkeypatch.setattr(names, "METRICS", renamed)
    found = [fault for board in SETS["tempo-loki", "en"].values() for fault in lint.lint(board)]
    assert any("nobody sends tts_requests_total" in fault for fault in found)


@pytest.mark.parametrize("board", BOARDS)
def test_ids_and_titles_are_unique(board: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in board["panels"]]
    titles = [panel["title"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("board", BOARDS)
def test_panels_do_not_overlap(board: dict[str, Any]) -> None:
    def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
        across = one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
        down = one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]
        return across and down

    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in board["panels"])
    pairs = combinations(board["panels"], 2)
    assert [(a["title"], b["title"]) for a, b in pairs if overlap(a["gridPos"], b["gridPos"])] == []


@pytest.mark.parametrize("board", BOARDS)
def test_only_known_variables(board: dict[str, Any]) -> None:
    for target in targets(board):
        assert not re.search(r"\$\w|\$\{", fill(target.expression))
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            assert variable["allValue"] == EVERYTHING[variable["name"]]
        elif variable["type"] == "textbox":
            assert variable["query"] == EVERYTHING[variable["name"]]


@pytest.mark.parametrize("pair", PAIRS)
def test_a_pair_asks_its_own_stores_only(pair: str) -> None:
    asked = {target.source for board in SETS[pair, "en"].values() for target in targets(board)}
    assert asked == PAIRS[pair]


def test_both_languages_ask_the_same() -> None:
    for pair in PAIRS:
        for name, board in SETS[pair, "en"].items():
            other = SETS[pair, "zh"][name]
            asked = [[(one.ref, one.expression, one.kind) for one in targets(each)] for each in (board, other)]
            assert asked[0] == asked[1]
            assert [p["gridPos"] for p in panels(board)] == [p["gridPos"] for p in panels(other)]


def test_no_pair_leaves_a_question_out() -> None:
    for name, board in SETS["tempo-loki", "en"].items():
        other = SETS["jaeger-victorialogs", "en"][name]
        assert [panel["title"] for panel in panels(board)] == [panel["title"] for panel in panels(other)]
        for one, its in zip(targets(board), targets(other), strict=True):
            assert one.source != "prometheus" or one == its


def test_each_speaks_its_language() -> None:
    def said(board: dict[str, Any]) -> list[str]:
        return [panel[what] for panel in panels(board) for what in ("title", "description")]

    chinese = re.compile("[\u4e00-\u9fff]")
    for (_, language), boards in SETS.items():
        for board in boards.values():
            for text in said(board):
                assert bool(chinese.search(text)) == (language == "zh"), text


@pytest.mark.parametrize("name", [name for name in NAMES if name != "tts-request"])
def test_the_first_row_says_how_it_is(name: str) -> None:
    """Numbers with a colour and a sentence each: that is all a newcomer needs to read."""
    board = SETS["tempo-loki", "en"][name]
    first, second = [n for n, panel in enumerate(board["panels"]) if panel["type"] == "row"][:2]
    row = board["panels"][first + 1 : second]
    assert len(row) >= 6
    for panel in row:
        assert panel["type"] == "stat"
        assert panel["gridPos"]["y"] == 1
        assert panel["fieldConfig"]["defaults"]["noValue"]
        assert all(target["instant"] for target in panel["targets"])
    coloured = [panel for panel in row if len(panel["fieldConfig"]["defaults"]["thresholds"]["steps"]) > 1]
    assert len(coloured) >= len(row) - 3


@pytest.mark.parametrize("board", ENGLISH)
def test_thresholds_on_quantiles_are_edges(board: dict[str, Any]) -> None:
    """Between edges a quantile is interpolated: a threshold there would be a guess."""
    for panel in panels(board):
        steps = panel.get("fieldConfig", {}).get("defaults", {}).get("thresholds", {}).get("steps", [])
        for target in (one for one in targets(board) if one.panel == panel["title"] and one.source == "prometheus"):
            for metric in lint.quantiled(lint.promql_parser.parse(fill(target.expression))):
                assert [step["value"] for step in steps[1:] if step["value"] not in metric.edges] == [], panel["title"]


@pytest.mark.parametrize("board", BOARDS)
def test_latency_graphs_lead_to_traces(board: dict[str, Any]) -> None:
    for panel in panels(board):
        if panel["type"] == "timeseries" and any("histogram_quantile" in t["expr"] for t in panel["targets"]):
            assert any(target["exemplar"] for target in panel["targets"]), panel["title"]


@pytest.mark.parametrize("which", SETS, ids=" ".join)
def test_links_lead_to_boards_of_the_same_set(which: tuple[str, str]) -> None:
    uids = {board["uid"] for board in SETS[which].values()}
    for board in SETS[which].values():
        linked = set(re.findall(r"/d/([a-z0-9-]+)", str(board)))
        assert linked <= uids
        assert len({link["url"] for link in board["links"]}) == 5
    to_trace = [board["title"] for board in SETS[which].values() if "?var-trace=${__" in str(board)]
    assert len(to_trace) == 5  # all but the one about the telemetry itself


def test_awaited_names_are_not_there_yet() -> None:
    """When one is, it belongs into names.py only."""
    there = {metric.name for metric in names.METRICS}
    assert [metric.name for metric in foreign.AWAITED if metric.name in there] == []

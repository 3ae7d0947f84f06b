# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What Grafana's dashboard-linter asks of a board, and what we ask beside it: faults, one sentence each.

Theirs: a title, a description and a unit everywhere, data sources by variable, queries that parse, matchers that follow
the board's variables, `$__rate_interval`, nothing that can be edited. Ours: every series and label is one that is sent,
and a threshold on a quantile is an edge of its buckets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import promql_parser
from promql_parser import AggregateExpr, BinaryExpr, Call, MatrixSelector, ParenExpr, VectorSelector

from dashboards import foreign
from dashboards.targets import EVERYTHING, Json, Target, fill, panels, targets
from otel_tts import names
from otel_tts.names import Metric
from otel_tts.readers.promql import label, translate

WITHOUT_UNIT = {"logs", "traces"}
OF_ALL = frozenset({"service_name", "service_instance_id", "le", "job", "instance"})
"""Labels that every series of a service has; `le` those of buckets."""
OF_OTHERS: Mapping[str, frozenset[str]] = {
    "up": frozenset({"job", "server", "instance"}),
    "ALERTS": frozenset({"alertname", "alertstate", "severity", "service_name"}),
    "": frozenset({"otel_metric_overflow", "service_name"}),
    **dict.fromkeys(foreign.COLLECTOR, frozenset({"exporter", "instance", "receiver", "signal"})),
}
"""Labels of series that no service sends; of a selector without a name too."""
UNLIKELY = "241s"
"""A window that nobody would write, so that the variable's is known again."""
MADE = frozenset({"part", "signal"})
"""Labels that queries make by label_replace."""


def known() -> dict[str, Metric | None]:
    """Every series that there is, with the metric of ours or of a framework that it is a part of."""
    found: dict[str, Metric | None] = dict.fromkeys((*foreign.COLLECTOR, *foreign.PROMETHEUS))
    for metric in (*names.METRICS, *foreign.PROCESSES, *foreign.AWAITED):
        parts = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
        found |= {f"{translate(metric)}{part}": metric for part in parts}
    return found


def lint(board: Json) -> list[str]:
    """The faults of a board."""
    found = [*_board(board)]
    sources = {f"${{{one['name']}}}": one["query"] for one in _variables(board) if one["type"] == "datasource"}
    for panel in panels(board):
        found += (f"{panel.get('title') or '?'}: {fault}" for fault in _panel(panel, sources))
    for target in targets(board):
        if target.source == "prometheus":
            found += (f"{target}: {fault}" for fault in promql(target))
    return found


def _board(board: Json) -> Iterator[str]:
    yield from (f"the board has no {what}" for what in ("title", "description", "uid", "tags") if not board.get(what))
    if board.get("editable") is not False:
        yield "the board can be edited, and what is changed is lost at the next start"
    yield from (f"the variable {one['name']} has no label" for one in _variables(board) if not one.get("label"))
    used = str([panel["targets"] for panel in panels(board)])
    for one in _variables(board):
        if one["type"] != "datasource" and one["name"] not in used:
            yield f"the variable {one['name']} is used by no query"


def _panel(panel: Json, sources: Mapping[str, str]) -> Iterator[str]:
    yield from (f"no {what}" for what in ("title", "description") if not panel.get(what))
    defaults = panel.get("fieldConfig", {}).get("defaults", {})
    if panel["type"] not in WITHOUT_UNIT and not defaults.get("unit"):
        yield "no unit"
    if panel["type"] in {"stat", "timeseries"} and not defaults.get("noValue"):
        yield "says nothing where there is nothing"
    for source in (panel["datasource"], *(target["datasource"] for target in panel["targets"])):
        if sources.get(source["uid"]) != source["type"]:
            yield f"the data source {source['uid']} is no variable for {source['type']}"


def promql(target: Target) -> Iterator[str]:
    """The faults of a query in PromQL."""
    try:
        tree = promql_parser.parse(fill(re.sub(r"\$__rate_interval\b", UNLIKELY, target.expression)))
    except ValueError as error:
        yield f"does not parse: {error}"
        return
    yield from faults_of(tree)
    for node in nodes(tree):
        if isinstance(node, Call) and node.func.name in {"rate", "increase", "irate"} and not target.instant:
            window = node.args[0].range if isinstance(node.args[0], MatrixSelector) else None
            if window != promql_parser.parse_duration(UNLIKELY):
                yield f"{node.func.name}() over {window} instead of $__rate_interval"
        if isinstance(node, VectorSelector) and _follows(node) and not _chooses_service(node):
            yield f"{node.name} does not follow the variable service"


def faults_of(tree: Any) -> Iterator[str]:
    """Series, labels and thresholds that are none: for rules as for panels."""
    series = known()
    for node in nodes(tree):
        if isinstance(node, VectorSelector) and ":" not in (node.name or ""):
            if node.name and node.name not in series:
                yield f"nobody sends {node.name}"
                continue
            for one in node.matchers.matchers:
                if one.name not in labels_of(series, node.name or ""):
                    yield f"{node.name} has no label {one.name}"
        if isinstance(node, AggregateExpr) and node.modifier:
            below = [one.name or "" for one in nodes(node.expr) if isinstance(one, VectorSelector)]
            had = MADE.union(*(labels_of(series, name) for name in below if ":" not in name))
            if not any(":" in name for name in below):
                yield from (f"no series has the label {one}" for one in set(node.modifier.labels) - had)
        if isinstance(node, BinaryExpr) and (limit := _limit(node)) is not None:
            yield from (f"{limit:g} is no edge of {one.name}" for one in quantiled(node.lhs) if limit not in one.edges)


def labels_of(series: Mapping[str, Metric | None], name: str) -> frozenset[str]:
    """The labels that a series has."""
    metric = series.get(name)
    if metric is None:
        return OF_OTHERS.get(name, frozenset())
    return OF_ALL | {label(key) for key in metric.labels}


def quantiled(tree: Any) -> list[Metric]:
    """The histograms of which an expression is a quantile itself; a quotient of two has no edges."""
    while isinstance(tree, ParenExpr):
        tree = tree.expr
    if not (isinstance(tree, Call) and tree.func.name == "histogram_quantile"):
        return []
    metrics = (known().get(one.name or "") for one in nodes(tree) if isinstance(one, VectorSelector))
    return [metric for metric in metrics if metric is not None]


def nodes(tree: Any) -> list[Any]:
    """Every expression in an expression, itself first."""
    found: list[Any] = []
    promql_parser.walk(tree, found.append)
    return found


def _limit(node: BinaryExpr) -> float | None:
    number = getattr(node.rhs, "val", None)
    return float(number) if str(node.op) in {">", "<", ">=", "<="} and number is not None else None


def _follows(node: VectorSelector) -> bool:
    """Whether it is of a service, which the board lets choose."""
    return known().get(node.name or "") is not None


def _chooses_service(node: VectorSelector) -> bool:
    chosen = {one.name: one.value for one in node.matchers.matchers}
    return chosen.get("service_name") == EVERYTHING["service"]


def _variables(board: Json) -> list[Json]:
    return board["templating"]["list"]

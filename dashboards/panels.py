# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Panels as this project draws them: a thin layer over the Grafana Foundation SDK."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, logs, loki, prometheus, stat, table, tempo, timeseries
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    DataSourceRef,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    LogsSortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.tempo import SearchTableType

PROMETHEUS = DataSourceRef(type_val="prometheus", uid="prometheus")
LOKI = DataSourceRef(type_val="loki", uid="loki")
TEMPO = DataSourceRef(type_val="tempo", uid="tempo")

Query = tuple[str, str]
"""A legend and an expression."""

Steps = Sequence[tuple[float, str]]
"""From which value on which colour; green below the first."""


def variable(name: str, label: str, query: str, everything: str) -> dashboard.QueryVariable:
    """A choice of label values with "All", which stands for the regular expression `everything`."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(PROMETHEUS)
        .query(query)
        .multi(True)
        .include_all(True)
        .all_value(everything)
        .current(VariableOption(selected=True, text=["All"], value=["$__all"]))
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )


def text_variable(name: str, label: str, default: str) -> dashboard.TextBoxVariable:
    """A field to type a value into."""
    return dashboard.TextBoxVariable(name).label(label).default_value(default)


def light(
    title: str, meaning: str, unit: str, expression: str, steps: Steps = (), absent: str = "no data"
) -> stat.Panel:
    """One number for the present state, coloured by `steps`; `absent` is shown where there is nothing to say."""
    return (
        stat.Panel()
        .title(title)
        .description(meaning)
        .datasource(PROMETHEUS)
        .unit(unit)
        .no_value(absent)
        .thresholds(_thresholds(steps))
        .color_mode(BigValueColorMode.BACKGROUND)
        .graph_mode(BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .height(4)
        .span(3)
        .with_target(prometheus.Dataquery().ref_id("A").datasource(PROMETHEUS).expr(expression).instant())
    )


def graph(
    title: str,
    meaning: str,
    unit: str,
    *queries: Query,
    width: int = 8,
    exemplars: bool = False,
    line_at: Steps = (),
    stacked: bool = False,
    absent: str = "no data",
) -> timeseries.Panel:
    """Lines over time; `exemplars` are dots that lead to a trace; `line_at` draws thresholds.

    `absent` is shown where there is nothing to draw.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(meaning)
        .datasource(PROMETHEUS)
        .unit(unit)
        .no_value(absent)
        .min(0)
        .fill_opacity(30 if stacked else 8)
        .show_points(VisibilityMode.AUTO)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
        .thresholds(_thresholds(line_at))
        .height(8)
        .span(width)
    )
    if line_at:
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    if stacked:
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    for n, (legend, expression) in enumerate(queries):
        query = prometheus.Dataquery().ref_id(_ref(n)).datasource(PROMETHEUS).expr(expression).legend_format(legend)
        # All quantiles of a graph come from the same buckets: once is enough.
        panel.with_target(query.range().exemplar(exemplars and n == len(queries) - 1))
    return panel


def log_lines(title: str, meaning: str, expression: str, width: int = 24, height: int = 8) -> logs.Panel:
    """Log lines, newest first. The data source makes each line's trace_id a link to its trace."""
    return (
        logs.Panel()
        .title(title)
        .description(meaning)
        .datasource(LOKI)
        .show_time(True)
        .wrap_log_message(True)
        .enable_log_details(True)
        .sort_order(LogsSortOrder.DESCENDING)
        .height(height)
        .span(width)
        .with_target(loki.Dataquery().ref_id("A").datasource(LOKI).expr(expression).query_type("range").max_lines(200))
    )


def log_table(title: str, meaning: str, expression: str, columns: Mapping[str, str], count: str) -> table.Panel:
    """One row for each combination of labels of a LogQL count; `columns` names the labels in their order."""
    query = loki.Dataquery().ref_id("A").datasource(LOKI).expr(expression).query_type("instant").legend_format(count)
    return (
        _table(title, meaning, "short", LOKI, sort=count)
        .with_target(query)
        .transformations(
            [
                DataTransformerConfig("labelsToFields", options={"mode": "columns"}),
                DataTransformerConfig("merge", options={}),
                _columns(columns | {"Value": count, "Value #A": count}),
            ]
        )
    )


def metric_table(
    title: str, meaning: str, label: str, label_title: str, *queries: Query, units: Mapping[str, str]
) -> table.Panel:
    """One row for each value of a label and one column for each query, whose legend is its title."""
    panel = _table(title, meaning, "short", PROMETHEUS, sort=queries[0][0])
    names = {label: label_title}
    for n, (legend, expression) in enumerate(queries):
        query = prometheus.Dataquery().ref_id(_ref(n)).datasource(PROMETHEUS).expr(expression)
        panel.with_target(query.instant().format(PromQueryFormat.TABLE))
        names[f"Value #{_ref(n)}"] = legend
    for legend, unit in units.items():
        panel.override_by_name(legend, [DynamicConfigValue("unit", unit)])
    return panel.transformations([DataTransformerConfig("merge", options={}), _columns(names)])


def trace_table(title: str, meaning: str, query: str, width: int = 24) -> table.Panel:
    """Spans that a TraceQL query finds, the slowest first; their ids are links to their traces."""
    search = (
        tempo.Dataquery()
        .ref_id("A")
        .datasource(TEMPO)
        .query_type("traceql")
        .query(query)
        .limit(100)
        .spss(10)
        .table_type(SearchTableType.SPANS)
        .filters([])
    )
    return _table(title, meaning, "short", TEMPO, sort="Duration").with_target(search).span(width)


def _table(title: str, meaning: str, unit: str, source: DataSourceRef, sort: str) -> table.Panel:
    return (
        table.Panel()
        .title(title)
        .description(meaning)
        .datasource(source)
        .unit(unit)
        .show_header(True)
        .sort_by([common.TableSortByFieldState().display_name(sort).desc(True)])
        .height(8)
        .span(12)
    )


def _columns(titles: Mapping[str, str]) -> DataTransformerConfig:
    """Rename columns, keep their order, leave out the time."""
    options: dict[str, Any] = {
        "excludeByName": {"Time": True},
        "indexByName": {name: n for n, name in enumerate(titles)},
        "renameByName": dict(titles),
    }
    return DataTransformerConfig("organize", options=options)


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    levels = [Threshold(value=None, color="green"), *(Threshold(value=value, color=color) for value, color in steps)]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(levels)


def _ref(n: int) -> str:
    return chr(ord("A") + n)

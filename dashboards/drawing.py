# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Boards as Grafana's JSON: one description, drawn for a pair of stores in a language. Over the Foundation SDK."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, logs, loki, prometheus, stat, table, tempo, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
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
    DashboardCursorSync,
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

from dashboards import questions as q
from dashboards.questions import Board, Language, Words
from dashboards.stores import SHOWN, TOOK, Query, Source, Stores, read_as
from otel_tts import names

REQUEST_BOARD = "tts-request"

# What cannot be had elsewhere: the columns of tables of records and spans.
COLUMNS: Mapping[str, Words] = {
    "_time": ("Time", "时间"),
    "request_id": ("Request", "请求"),
    names.ENGINE: ("Engine", "引擎"),
    names.VOICE: ("Voice", "音色"),
    names.OUTCOME: ("Outcome", "结果"),
    names.ERROR_TYPE: ("Error", "错误"),
    names.STAGE: ("Stage", "阶段"),
    TOOK: ("Seconds", "秒"),
    "trace_id": ("Trace", "追踪"),
}
METRICS: Source = "prometheus"
SOURCES: Mapping[Source, tuple[str, str]] = {
    "prometheus": ("prometheus", "Prometheus"),
    "tempo": ("tempo", "Tempo"),
    "loki": ("loki", "Loki"),
    "jaeger": ("jaeger", "Jaeger"),
    "victoriametrics-logs-datasource": ("victorialogs", "VictoriaLogs"),
}
"""The uid and the name of each data source that is provisioned, by its type."""
ROLES: Mapping[str, Words] = {
    "metrics": ("Metrics", "指标源"),
    "traces": ("Traces", "追踪源"),
    "logs": ("Logs", "日志源"),
}
ALL: Words = ("All", "全部")
OPEN_TRACE: Words = ("Open this trace", "打开此追踪")
OPEN_BOARD: Words = ("Look closer", "进一步查看")


class Drawing:
    """Draws boards for one pair of stores in one language."""

    def __init__(self, stores: Stores, language: Language, titles: Mapping[str, Words]) -> None:
        self._stores, self._language, self._titles = stores, language, titles
        # By variables: a Grafana that has its own data sources is asked which of them, and the usual ones are chosen.
        self._chosen = {"metrics": METRICS, "traces": stores.traces, "logs": stores.logs}
        self._sources = {kind: DataSourceRef(type_val=kind, uid=f"${{{name}}}") for name, kind in self._chosen.items()}
        self._prometheus = self._sources[METRICS]
        self._draw: Mapping[type[q.Panel], Callable[[Any], Any]] = {
            q.Light: self._light,
            q.Graph: self._graph,
            q.Table: self._table,
            q.Lines: self._lines,
            q.Counts: self._counts,
            q.Spans: self._spans,
            q.Trace: self._trace,
        }

    def uid(self, board: str) -> str:
        """The uid of a board in this pair and language."""
        return board + self._stores.suffix + ("" if self._language == "en" else f"-{self._language}")

    def board(self, board: Board) -> dashboard.Dashboard:
        """The board as Grafana reads it."""
        drawn = (
            dashboard.Dashboard(self._say(board.title))
            .uid(self.uid(board.uid))
            .description(self._say(board.meaning))
            .tags(["otel-tts", self._stores.name, self._language])
            .timezone("browser")
            .tooltip(DashboardCursorSync.CROSSHAIR)
            .readonly()
            .refresh("30s")
            .time("now-1h", "now")
        )
        for uid, title in self._titles.items():
            if uid != board.uid:
                drawn.link(
                    dashboard.DashboardLink(self._say(title))
                    .type("link")
                    .url(f"/d/{self.uid(uid)}")
                    .keep_time(True)
                    .include_vars(True)
                )
        for name, kind in self._chosen.items():
            if name != "traces" or any(isinstance(panel, (q.Spans, q.Trace)) for panel in board.panels):
                drawn.with_variable(self._source(name, kind))
        for variable in board.variables:
            drawn.with_variable(self._variable(variable))
        for row in board.rows:
            drawn.with_row(dashboard.Row(self._say(row.title)))
            for panel in row.panels:
                drawn.with_panel(self._draw[type(panel)](panel))
        return drawn

    # --- variables -------------------------------------------------------------------------------------------------

    def _source(self, name: str, kind: Source) -> dashboard.DatasourceVariable:
        uid, title = SOURCES[kind]
        return (
            dashboard.DatasourceVariable(name)
            .label(self._say(ROLES[name]))
            .type(kind)
            .current(VariableOption(selected=True, text=title, value=uid))
        )

    def _variable(self, variable: q.Choice | q.Typed) -> Any:
        label = self._say(variable.label)
        if isinstance(variable, q.Typed):
            return dashboard.TextBoxVariable(variable.name).label(label).default_value(variable.default)
        return (
            dashboard.QueryVariable(variable.name)
            .label(label)
            .datasource(self._prometheus)
            .query(f"label_values({variable.series}, {variable.of})")
            .multi(True)
            .include_all(True)
            .all_value(variable.everything)
            .current(VariableOption(selected=True, text=[self._say(ALL)], value=["$__all"]))
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(VariableSort.ALPHABETICAL_ASC)
        )

    # --- panels of metrics -----------------------------------------------------------------------------------------

    def _light(self, light: q.Light) -> stat.Panel:
        panel = (
            self._common(stat.Panel(), light, self._prometheus)
            .unit(light.unit)
            .no_value(self._say(light.absent))
            .thresholds(_thresholds(light.steps))
            .color_mode(BigValueColorMode.BACKGROUND)
            .graph_mode(BigValueGraphMode.NONE)
            .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        )
        return panel.with_target(self._promql(0, light.promql).instant())

    def _graph(self, graph: q.Graph) -> timeseries.Panel:
        panel = (
            self._common(timeseries.Panel(), graph, self._prometheus)
            .unit(graph.unit)
            .no_value(self._say(graph.absent))
            .fill_opacity(30 if graph.stacked else 8)
            .show_points(VisibilityMode.AUTO)
            .legend(
                common.VizLegendOptions()
                .display_mode(LegendDisplayMode.LIST)
                .placement(LegendPlacement.BOTTOM)
                .show_legend(True)
            )
            .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
            .thresholds(_thresholds(graph.line_at))
        )
        if not graph.below_zero:
            panel.min(0)
        if graph.line_at:
            panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
        if graph.stacked:
            panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
        for number, ask in enumerate(graph.asks):
            target = self._promql(number, ask.promql).legend_format(self._say(ask.legend)).range()
            # All quantiles of a graph come from the same buckets: once is enough.
            exemplar = graph.exemplars and "histogram_quantile" in ask.promql
            exemplar = exemplar and not any("histogram_quantile" in one.promql for one in graph.asks[number + 1 :])
            panel.with_target(target.exemplar(exemplar))
        return panel

    def _table(self, wanted: q.Table) -> table.Panel:
        panel = self._any_table(wanted, self._prometheus, sort=self._say(wanted.asks[0].legend))
        titles = {wanted.label: self._say(wanted.label_title)}
        for number, ask in enumerate(wanted.asks):
            panel.with_target(self._promql(number, ask.promql).instant().format(PromQueryFormat.TABLE))
            titles[f"Value #{_ref(number)}"] = self._say(ask.legend)
            if ask.unit:
                panel.override_by_name(self._say(ask.legend), [DynamicConfigValue("unit", ask.unit)])
        return panel.transformations([DataTransformerConfig("merge", options={}), _columns(titles)])

    # --- panels of log records -------------------------------------------------------------------------------------

    def _lines(self, lines: q.Lines) -> logs.Panel:
        query = self._stores.lines(lines.records)
        return (
            self._common(logs.Panel(), lines, self._sources[query.source])
            .show_time(True)
            .wrap_log_message(True)
            .enable_log_details(True)
            .sort_order(LogsSortOrder.DESCENDING)
            .with_target(self._logs(query, most=200))
        )

    def _counts(self, counts: q.Counts) -> table.Panel:
        query, count = self._stores.counts(counts), self._say(counts.count)
        titles = {read_as(one): self._say(words) for one, words in counts.fields.items()}
        return (
            self._any_table(counts, self._sources[query.source], sort=count)
            .with_target(self._logs(query, most=10, legend=count))
            .transformations(
                [
                    DataTransformerConfig("labelsToFields", options={"mode": "columns"}),
                    DataTransformerConfig("merge", options={}),
                    _columns(titles | {"Value": count, "Value #A": count}),
                ]
            )
        )

    # --- panels of traces ------------------------------------------------------------------------------------------

    def _spans(self, spans: q.Spans) -> table.Panel:
        query = self._stores.spans(spans.search)
        if query.source != self._stores.traces:
            return self._records_as_spans(spans, query)
        search = (
            tempo.Dataquery()
            .ref_id("A")
            .datasource(self._sources[query.source])
            .query_type("traceql")
            .query(query.text)
            .limit(100)
            .spss(10)
            .table_type(SearchTableType.SPANS)
            .filters([])
        )
        panel = self._any_table(spans, self._sources[query.source], sort="Duration").with_target(search)
        # The trace's id is in a column that is not shown.
        link = self._trace_link("${__data.fields.traceIdHidden}")
        return panel.override_by_name("spanID", [DynamicConfigValue("links", [link])])

    def _records_as_spans(self, spans: q.Spans, query: Query) -> table.Panel:
        """The store of traces cannot find them: the records of the same requests, each with its trace's id."""
        columns = (*SHOWN, TOOK, "trace_id")
        titles = {"Time" if one == "_time" else one: self._say(COLUMNS[one]) for one in columns}
        sort = titles[TOOK if spans.search.slower else "Time"]
        return (
            self._any_table(spans, self._sources[query.source], sort=sort)
            .with_target(self._logs(query, most=100))
            .transformations(
                [
                    DataTransformerConfig("extractFields", options={"source": "labels", "format": "json"}),
                    DataTransformerConfig("filterFieldsByName", options={"include": {"names": ["Time", *columns[1:]]}}),
                    _columns(titles, exclude=()),
                ]
            )
            .override_by_name(titles["trace_id"], [DynamicConfigValue("links", [self._trace_link()])])
        )

    def _trace(self, trace: q.Trace) -> dashboard.Panel:
        query = self._stores.trace()
        source = self._sources[query.source]
        target = Foreign(source, {"query": query.text} | ({"queryType": query.kind} if query.kind else {}))
        return self._common(dashboard.Panel(), trace, source).type("traces").with_target(target)

    # --- parts -----------------------------------------------------------------------------------------------------

    def _common(self, panel: Any, wanted: q.Panel, source: DataSourceRef) -> Any:
        panel.title(self._say(wanted.title)).description(self._say(wanted.meaning)).datasource(source)
        if wanted.board:
            there = f"/d/{self.uid(wanted.board)}?${{__url_time_range}}&${{__all_variables}}"
            title = f"{self._say(OPEN_BOARD)}: {self._say(self._titles[wanted.board])}"
            panel.links([dashboard.DashboardLink(title).type("link").url(there)])
        return panel.height(wanted.height).span(wanted.width)

    def _any_table(self, wanted: q.Panel, source: DataSourceRef, sort: str) -> table.Panel:
        return (
            self._common(table.Panel(), wanted, source)
            .unit("short")
            .show_header(True)
            .sort_by([common.TableSortByFieldState().display_name(sort).desc(True)])
        )

    def _trace_link(self, trace: str = "${__value.raw}") -> dict[str, Any]:
        there = f"/d/{self.uid(REQUEST_BOARD)}?var-trace={trace}&${{__url_time_range}}"
        return {"title": self._say(OPEN_TRACE), "url": there, "targetBlank": False}

    def _promql(self, number: int, expression: str) -> prometheus.Dataquery:
        return prometheus.Dataquery().ref_id(_ref(number)).datasource(self._prometheus).expr(expression)

    def _logs(self, query: Query, most: int, legend: str = "") -> Any:
        source = self._sources[query.source]
        if query.source == "loki":
            asked = loki.Dataquery().ref_id("A").datasource(source).expr(query.text).query_type(query.kind)
            return asked.legend_format(legend) if legend else asked.max_lines(most)
        more = {"legendFormat": legend} if legend else {"maxLines": most}
        return Foreign(source, {"expr": query.text, "queryType": query.kind, **more})

    def _say(self, words: Words | str) -> str:
        return q.say(words, self._language)


class Foreign(Builder[Dataquery], Dataquery):
    """A query for a data source that the Foundation SDK does not know."""

    def __init__(self, source: DataSourceRef, model: Mapping[str, Any]) -> None:
        self._json = {"refId": "A", "datasource": source, **model}

    def build(self) -> Dataquery:
        return self

    def to_json(self) -> dict[str, Any]:
        return dict(self._json)


def _columns(titles: Mapping[str, str], exclude: tuple[str, ...] = ("Time",)) -> DataTransformerConfig:
    """Rename columns, keep their order, leave some out."""
    options: dict[str, Any] = {
        "excludeByName": dict.fromkeys(exclude, True),
        "indexByName": {name: n for n, name in enumerate(titles)},
        "renameByName": dict(titles),
    }
    return DataTransformerConfig("organize", options=options)


def _thresholds(steps: q.Steps) -> dashboard.ThresholdsConfig:
    levels = [Threshold(value=None, color="green"), *(Threshold(value=value, color=color) for value, color in steps)]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(levels)


def _ref(n: int) -> str:
    return chr(ord("A") + n)

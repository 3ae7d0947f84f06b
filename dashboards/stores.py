# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The two pairs of stores, and how each is asked for log records and traces.

Jaeger's search knows equality only, no order, and one service at a time: what a search of spans is for, VictoriaLogs is
asked there, whose records have the same facts and the trace's id. A trace by its id is Jaeger's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dashboards.questions import Counts, Records, Search
from otel_tts import names
from otel_tts.readers.promql import label

Source = Literal["prometheus", "loki", "tempo", "jaeger", "victoriametrics-logs-datasource"]

TOOK = "took"
"""The field that a line's `duration` is read into."""
SHOWN = ("_time", "request_id", names.ENGINE, names.VOICE, names.OUTCOME, names.ERROR_TYPE, names.STAGE)
"""The columns of records that stand for spans."""


@dataclass(frozen=True)
class Query:
    """A query for one data source; `kind` is the name that the data source gives the way of asking."""

    source: Source
    text: str
    kind: str


class TempoLoki:
    """Tempo for traces, Loki for log records: LogQL and TraceQL."""

    name = "tempo-loki"
    suffix = ""
    traces: Source = "tempo"
    logs: Source = "loki"

    def lines(self, records: Records) -> Query:
        shown = " ".join(f"{one}={{{{.{label(one)}}}}}" for one in records.shown)
        line = f" | line_format `{shown}`" if shown else ""
        return Query(self.logs, self._select(records) + line, "range")

    def counts(self, counts: Counts) -> Query:
        """The ten most frequent combinations of fields over the board's range.

        The fields are read from the line under names of their own, so that lines from files count as well as OTLP
        records, whose metadata has fields of the same names. Not by `logfmt name="field"`: Loki 3.7 leaves such labels
        empty inside `sum by`.
        """
        fields = [*counts.fields, *counts.records.where]
        read = " ".join(f'| regexp " {one}=(?P<{read_as(one)}>[^ ]+)"' for one in dict.fromkeys(fields))
        where = "".join(f' | {read_as(one)}=~"{value}"' for one, value in counts.records.where.items())
        chosen = f"{self._select(Records(counts.records.events))} {read}{where}"
        by = ", ".join(map(read_as, counts.fields))
        return Query(self.logs, f"topk(10, sum by ({by}) (count_over_time({chosen} [$__range])))", "instant")

    def spans(self, search: Search) -> Query:
        """The latest hundred; Tempo cannot ask for "this model or none", so the model is not chosen."""
        if search.request:
            return Query(self.traces, _traceql([f'span.{names.REQUEST_ID}="$request"'], search.shown), "traceql")
        conditions = ['resource.service.name=~"$service"', f'span.{names.ENGINE}=~"$engine"']
        conditions += [f'span.{key}=~"{value}"' for key, value in search.where.items()]
        conditions += [f"span.{key}>{number:g}" for key, number in search.numbers.items()]
        conditions += ["duration>${slower_than}s"] if search.slower else []
        return Query(self.traces, _traceql(conditions, search.shown), "traceql")

    def trace(self) -> Query:
        return Query(self.traces, "$trace", "traceql")

    def _select(self, records: Records) -> str:
        chosen = f'{{service_name=~"$service"}}{_line(records.events, " |~ ")}'
        if records.request:
            return f'{{service_name=~".+"}}{_line(records.events, " |~ ")} | {names.REQUEST_ID}="$request"'
        chosen += f' | {label(names.ENGINE)}=~"$engine"' if records.of_engine else ""
        read = dict.fromkeys((*records.where, *(["duration"] if records.slower else [])))
        chosen += "".join(f' | regexp " {one}=(?P<{read_as(one)}>[^ ]+)"' for one in read)
        chosen += "".join(f' | {read_as(one)}=~"{value}"' for one, value in records.where.items())
        return chosen + (f" | {TOOK} > $slower_than" if records.slower else "")


class JaegerVictoriaLogs:
    """Jaeger for traces by id, VictoriaLogs for log records and for whatever has to be found: LogsQL."""

    name = "jaeger-victorialogs"
    suffix = "-jaeger"
    traces: Source = "jaeger"
    logs: Source = "victoriametrics-logs-datasource"

    def lines(self, records: Records) -> Query:
        shown = " ".join(f"{one}=<{one}>" for one in records.shown)
        line = f' | format "{shown}" as _msg' if shown else ""
        return Query(self.logs, f"{self._select(records)}{line} | sort by (_time desc)", "instant")

    def counts(self, counts: Counts) -> Query:
        """As Loki's; what a line does not say is empty here."""
        fields = dict.fromkeys([*counts.fields, *counts.records.where])
        read = "".join(f' | extract_regexp " {one}=(?P<{read_as(one)}>[^ ]+)"' for one in fields)
        where = "".join(f" | filter {read_as(one)}:~{_whole(value)}" for one, value in counts.records.where.items())
        by = ", ".join(map(read_as, counts.fields))
        chosen = f"{self._select(Records(counts.records.events))}{read}{where}"
        return Query(
            self.logs, f"{chosen} | stats by ({by}) count() requests | sort by (requests desc) limit 10", "stats"
        )

    def spans(self, search: Search) -> Query:
        order = f"{TOOK} desc" if search.slower else "_time desc"
        fields = ", ".join((*(_quoted(one) for one in SHOWN), TOOK, "trace_id"))
        chosen = self._select(search.instead, took=True)
        return Query(self.logs, f"{chosen} | sort by ({order}) limit 100 | fields {fields}", "instant")

    def trace(self) -> Query:
        return Query(self.traces, "$trace", "")

    def _select(self, records: Records, took: bool = False) -> str:
        if records.request:
            chosen = f'{_quoted(names.REQUEST_ID)}:="$request"{_line(records.events, " _msg:~")}'
            return chosen + (f' | extract " duration=<{TOOK}> "' if took else "")
        chosen = f'{{service.name=~"^(${{service:pipe}})$"}}{_line(records.events, " _msg:~")}'
        chosen += f' {names.ENGINE}:~"^(${{engine:pipe}})$"' if records.of_engine else ""
        read = "".join(f' | extract_regexp " {one}=(?P<{read_as(one)}>[^ ]+)"' for one in records.where)
        read += f' | extract " duration=<{TOOK}> "' if took or records.slower else ""
        read += "".join(f" | filter {read_as(one)}:~{_whole(value)}" for one, value in records.where.items())
        return chosen + read + (f" | filter {TOOK}:>$slower_than" if records.slower else "")


Stores = TempoLoki | JaegerVictoriaLogs
PAIRS: tuple[Stores, ...] = (TempoLoki(), JaegerVictoriaLogs())

READ_AS: Mapping[str, str] = {
    "error_type": "failure",
    "stage": "failed_stage",
    "status": "how",
    "engine": "of_engine",
    "gpu_memory_peak": "peak",
    "duration": TOOK,
}


def read_as(field: str) -> str:
    """The name under which a field of a line is read: never that of an attribute beside the line."""
    return READ_AS[field]


def _line(events: tuple[str, ...], operator: str) -> str:
    """The filter for lines of these events; of none: all lines."""
    if not events:
        return ""
    return f'{operator}"{events[0]}"' if len(events) == 1 else f'{operator}"({"|".join(events)})"'


def _whole(value: str) -> str:
    return f'"^({value})$"'


def _quoted(name: str) -> str:
    return f'"{name}"' if not name.replace(".", "").replace("_", "").isalnum() else name


def _traceql(conditions: list[str], shown: tuple[str, ...]) -> str:
    return f"{{ {' && '.join(conditions)} }} | select({', '.join(f'span.{key}' for key in shown)})"

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What an alert is, said once: Prometheus's rule, the message and the runbook's page are made from it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import promql_parser

from dashboards.questions import Records, Words
from otel_tts.names import Metric
from otel_tts.readers.promql import counted, translate

NOW = "5m"
"""Window of what is looked at as the present; the boards' lights use the same."""
HOUR = "1h"


@dataclass(frozen=True)
class Recording:
    """A series that other rules ask for."""

    name: str
    promql: str
    why: str = ""


@dataclass(frozen=True)
class Alert:
    """One alert. `lasts`: so long before it fires; `keeps`: so long after it has ended.

    `summary` and `meaning` may use Prometheus's templates. `look` is the board to look at first and `ask` a query of
    records, `show` one in PromQL; `remedies` are what to do, the likeliest first.
    """

    name: str
    severity: Literal["critical", "warning"]
    promql: str
    summary: Words
    meaning: Words
    look: str
    remedies: tuple[Words, ...]
    lasts: str = "0s"
    keeps: str = ""
    ask: Records | None = None
    show: str = ""

    @property
    def runbook(self) -> str:
        """The page, from the repository's root."""
        return f"docs/runbooks/{self.name}.md"


@dataclass(frozen=True)
class Group:
    """Rules that are evaluated together, in their order."""

    name: str
    rules: tuple[Recording | Alert, ...]

    @property
    def alerts(self) -> Iterator[Alert]:
        return (rule for rule in self.rules if isinstance(rule, Alert))


def series(metric: Metric, *matchers: str, part: str = "") -> str:
    """All series of a metric."""
    return f"{translate(metric)}{part}" + (f"{{{','.join(matchers)}}}" if matchers else "")


def grown(metric: Metric, *matchers: str, by: tuple[str, ...] = (), window: str = NOW, offset: str = "") -> str:
    """By how much a counter grew in a window, summed by the service and more labels; see `promql.counted`."""
    selected = series(metric, *matchers)
    if offset:
        before = f"last_over_time({selected}[{window}] offset {offset})"
        growth = f"(({before} - {selected} offset {_later(window, offset)}) >= 0 or {before})"
    else:
        growth = counted(selected, window)
    return f"sum by ({', '.join(('service_name', *by))}) ({growth})"


def quantile(level: float, metric: Metric, *matchers: str, by: tuple[str, ...] = (), offset: str = "") -> str:
    """A quantile of a histogram over five minutes, by the service and more labels."""
    labels = ", ".join(("service_name", *by, "le"))
    moved = f" offset {offset}" if offset else ""
    return (
        f"histogram_quantile({level:g}, sum by ({labels}) "
        f"(rate({series(metric, *matchers, part='_bucket')}[{NOW}]{moved})))"
    )


def render(groups: tuple[Group, ...], head: str) -> str:
    """The rule file."""
    lines = [*(f"# {line}" if line else "#" for line in head.splitlines()), "groups:"]
    for group in groups:
        lines += [f"  - name: {group.name}", "    interval: 30s", "    rules:"]
        for rule in group.rules:
            lines += _recording(rule) if isinstance(rule, Recording) else _alert(rule)
    return "\n".join(lines) + "\n"


def pretty(promql: str, indent: str = "") -> str:
    """An expression over as many lines as it needs."""
    return textwrap.indent(promql_parser.parse(promql).prettify(), indent)


def _recording(rule: Recording) -> list[str]:
    why = [f"      # {line}" for line in textwrap.wrap(rule.why, 110)]
    return [*why, f"      - record: {rule.name}", "        expr: |2", pretty(rule.promql, "          ")]


def _alert(rule: Alert) -> list[str]:
    texts = {
        "summary": rule.summary[0],
        "summary_zh": rule.summary[1],
        "description": rule.meaning[0],
        "description_zh": rule.meaning[1],
        "board": rule.look,
        "runbook": rule.runbook,
    }
    lasts = [f"        for: {rule.lasts}"] if rule.lasts != "0s" else []
    keeps = [f"        keep_firing_for: {rule.keeps}"] if rule.keeps else []
    return [
        f"      - alert: {rule.name}",
        "        expr: |2",
        pretty(rule.promql, "          "),
        *lasts,
        *keeps,
        f"        labels: {{severity: {rule.severity}}}",
        "        annotations:",
        *(f"          {key}: {_quoted(text)}" for key, text in texts.items()),
    ]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _later(window: str, offset: str) -> str:
    seconds = sum(promql_parser.parse_duration(one).total_seconds() for one in (window, offset))
    return f"{seconds:.0f}s"

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Reading generated dashboards back: every query of every panel, ready to be asked outside of Grafana."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

EVERYTHING: Mapping[str, str] = {"service": ".+", "engine": ".*", "model": ".*", "slower_than": "3s"}
"""What the variables stand for when a dashboard is opened."""

INTERVALS: Mapping[str, str] = {"__rate_interval_ms": "240000", "__rate_interval": "240s", "__range": "3600s"}
"""What Grafana fills in for an hour and the provisioned data source."""


@dataclass(frozen=True)
class Target:
    """One query of a panel; `source` is the type of its data source: prometheus, loki or tempo."""

    panel: str
    ref: str
    source: str
    expression: str
    instant: bool
    exemplars: bool

    def __str__(self) -> str:
        return f"{self.panel} {self.ref}"


def panels(dashboard: Json) -> list[Json]:
    """The panels that show something: all but rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def targets(dashboard: Json) -> Iterator[Target]:
    """Every query of a dashboard."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield Target(
                panel=panel["title"],
                ref=target["refId"],
                source=target["datasource"]["type"],
                expression=target.get("expr") or target["query"],
                instant=bool(target.get("instant")) or target.get("queryType") == "instant",
                exemplars=bool(target.get("exemplar")),
            )


def fill(expression: str, variables: Mapping[str, str] = EVERYTHING) -> str:
    """Replace variables as Grafana does. Raises KeyError for one that nobody defines."""
    values = {**variables, **INTERVALS}
    return re.sub(r"\$\{?(\w+)\}?", lambda found: values[found[1]], expression)

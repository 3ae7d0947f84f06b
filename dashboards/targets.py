# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Reading generated boards back: every query of every panel, ready to be asked outside of Grafana."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]

GENERATED = Path(__file__).resolve().parent / "generated"

EVERYTHING: Mapping[str, str] = {
    "service": ".+", "engine": ".*", "model": ".*", "gpu": ".*", "slower_than": "3", "request": "", "trace": "",
}  # fmt: skip
"""What the variables stand for when a board is opened."""

INTERVALS: Mapping[str, str] = {"__rate_interval_ms": "240000", "__rate_interval": "240s", "__range": "3600s"}
"""What Grafana fills in for an hour and the provisioned data source."""


@dataclass(frozen=True)
class Target:
    """One query of a panel; `source` is the type of its data source, `kind` its way of asking."""

    panel: str
    ref: str
    source: str
    expression: str
    kind: str
    exemplars: bool

    @property
    def instant(self) -> bool:
        """Whether it is asked for now, not for a range."""
        return self.kind == "instant"

    def __str__(self) -> str:
        return f"{self.panel} {self.ref}"


def read(pair: str, language: str = "en") -> dict[str, Json]:
    """The boards of a pair of stores in a language, by file name without its end."""
    files = sorted((GENERATED / pair / language).glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}


def panels(board: Json) -> list[Json]:
    """The panels that show something: all but rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def targets(board: Json) -> Iterator[Target]:
    """Every query of a board."""
    for panel in panels(board):
        for target in panel["targets"]:
            yield Target(
                panel=panel["title"],
                ref=target["refId"],
                source=target["datasource"]["type"],
                expression=target["expr"] if "expr" in target else target["query"],
                kind="instant" if target.get("instant") else target.get("queryType", ""),
                exemplars=bool(target.get("exemplar")),
            )


def fill(expression: str, variables: Mapping[str, str] = EVERYTHING) -> str:
    """Replace variables as Grafana does. Raises KeyError for one that nobody defines."""
    values = {**variables, **INTERVALS}
    return re.sub(r"\$\{?(\w+)(?::\w+)?\}?", lambda found: values[found[1]], expression)

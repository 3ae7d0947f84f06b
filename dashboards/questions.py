# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a board asks, said once: for every pair of stores and in every language its panels are drawn from this.

Metrics are asked in PromQL, which both pairs have. Log records and traces are described here (`Records`, `Search`), and
`dashboards.stores` says it in each store's own language.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")

Words = tuple[str, str]
"""The same in English and in Chinese."""

Steps = Sequence[tuple[float, str]]
"""From which value on which colour; green below the first."""


def say(words: Words | str, language: Language) -> str:
    """The words in a language; plain text (a legend made of labels, a unit) is the same in all."""
    return words if isinstance(words, str) else words[LANGUAGES.index(language)]


@dataclass(frozen=True)
class Ask:
    """One question in PromQL, its legend (or column) and, in tables, its unit."""

    legend: Words | str
    promql: str
    unit: str = ""


@dataclass(frozen=True)
class Records:
    """Log records: lines of these events (none: all) of the chosen services and engines, or of a request (`$request`).

    `where` are fields of the line and a regular expression of their whole value each. `slower`: only what took longer
    than `$slower_than`, the slowest first, else the newest first. `of_engine`: they say which engine they are of.
    `shown`: attributes to show instead of the line.
    """

    events: tuple[str, ...]
    where: Mapping[str, str] = field(default_factory=dict[str, str])
    request: bool = False
    slower: bool = False
    of_engine: bool = True
    shown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Search:
    """Spans: the latest hundred that have all these attributes, each with a regular expression of its whole value.

    `numbers`: attributes that are greater. `slower`: longer than `$slower_than`. `shown` are the attributes to show.
    `instead` is asked for by a store of traces that cannot find them: log records.
    """

    where: Mapping[str, str]
    shown: tuple[str, ...]
    instead: Records
    numbers: Mapping[str, float] = field(default_factory=dict[str, float])
    slower: bool = False
    request: bool = False


@dataclass(frozen=True, kw_only=True)
class Panel:
    """What every panel has. `board` is the uid of the board to go on to; `empty` says why it may show nothing."""

    title: Words
    meaning: Words
    width: int = 8
    height: int = 8
    board: str = ""
    empty: Words = ("", "")


@dataclass(frozen=True, kw_only=True)
class Light(Panel):
    """One number for the present state, coloured by `steps`; `absent` is shown where there is nothing to say."""

    unit: str
    promql: str
    steps: Steps = ()
    absent: Words = ("no data", "无数据")
    width: int = 3
    height: int = 4


@dataclass(frozen=True, kw_only=True)
class Graph(Panel):
    """Lines over time. `exemplars` are dots that lead to a trace; `line_at` draws thresholds.

    `below_zero`: values may be negative; else the axis begins at 0.
    """

    unit: str
    asks: tuple[Ask, ...]
    exemplars: bool = False
    line_at: Steps = ()
    stacked: bool = False
    below_zero: bool = False
    absent: Words = ("no data", "无数据")


@dataclass(frozen=True, kw_only=True)
class Table(Panel):
    """One row for each value of a label and one column for each question."""

    label: str
    label_title: Words
    asks: tuple[Ask, ...]
    width: int = 12


@dataclass(frozen=True, kw_only=True)
class Lines(Panel):
    """Log lines; each leads to its trace."""

    records: Records
    width: int = 24


@dataclass(frozen=True, kw_only=True)
class Counts(Panel):
    """The ten most frequent combinations of fields of log lines; `fields` are their columns' titles."""

    records: Records
    fields: Mapping[str, Words]
    count: Words
    width: int = 12


@dataclass(frozen=True, kw_only=True)
class Spans(Panel):
    """A table of spans; each leads to its trace."""

    search: Search
    width: int = 24


@dataclass(frozen=True, kw_only=True)
class Trace(Panel):
    """The trace `$trace`, as a waterfall."""

    width: int = 24
    height: int = 14


@dataclass(frozen=True)
class Row:
    title: Words
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Choice:
    """A variable whose values are those of a label; `everything` is the regular expression that All stands for."""

    name: str
    label: Words
    series: str
    of: str
    everything: str


@dataclass(frozen=True)
class Typed:
    """A variable to type a value into."""

    name: str
    label: Words
    default: str


@dataclass(frozen=True)
class Board:
    uid: str
    title: Words
    meaning: Words
    variables: tuple[Choice | Typed, ...]
    rows: tuple[Row, ...]

    @property
    def panels(self) -> Iterator[Panel]:
        """All panels in their order."""
        return (panel for row in self.rows for panel in row.panels)

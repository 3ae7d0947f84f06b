# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Many requests as columns of numbers: a million of them, with forty properties each, fit into memory."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from otel_tts import names
from otel_tts.causes import columns
from otel_tts.causes.columns import Value
from otel_tts.causes.law import Law, fit
from otel_tts.causes.words import Words
from otel_tts.names import Outcome
from otel_tts.readers.model import Synthesis

Flags = NDArray[np.bool_]

MOST_COLUMNS: Final = 200
MOST_VALUES: Final = 5000
"""Of a property; one with more is an id of some kind, and is no longer looked at."""

FAILED: Final = frozenset({Outcome.ERROR, Outcome.ANOMALOUS})
"""Of outcomes. One who left, and one who was refused, were not failed."""

CLEAR: Final = 3.0
"""Spreads above its law from which a request is unusual beyond doubt."""

OTHER: Final = "other"
"""Where a request's time is spent in none of its stages."""


class Column:
    """One property: a code a request, 0 where it is absent."""

    def __init__(self) -> None:
        self.codes = array("H")
        self._known: dict[tuple[type, Value], int] = {}
        self.is_id = False

    def put(self, row: int, value: Value) -> None:
        """Note that the request number `row` has `value`."""
        key = (type(value), value)  # True is not 1
        code = self._known.get(key)
        if code is None:
            if len(self._known) >= MOST_VALUES:
                self.is_id, self.codes = True, array("H")
                return
            code = self._known[key] = len(self._known) + 1
        self.codes.frombytes(bytes(2 * (row - len(self.codes))))
        self.codes.append(code)

    def values(self) -> Iterator[tuple[int, Value | None]]:
        """Yield each code and its value, None for absent."""
        yield 0, None
        for (_, value), code in self._known.items():
            yield code, value

    def of_all(self, count: int) -> NDArray[np.uint16]:
        """The codes of `count` requests."""
        codes = np.zeros(count, dtype=np.uint16)
        codes[: len(self.codes)] = self.codes
        return codes


class Period:
    """Requests that are compared with each other. `since` and `until` are when the first and last began.

    `canaries` are how many requests that nobody asked for were among them; they are in no other number. `known` is what
    was found out of them all; with one more it is forgotten.
    """

    def __init__(self, syntheses: Iterable[Synthesis] = ()) -> None:
        self.since, self.until = 2**63, 0
        self.columns: dict[str, Column] = {}
        self._engines: dict[tuple[str, str], int] = {}
        self._engine, self._failed, self._complete = array("I"), array("b"), array("b")
        self._total, self._characters = array("d"), array("d")
        self._stages: dict[str, array[float]] = {}
        self._errors: Counter[str] = Counter()
        self.canaries = 0
        self.known: dict[Any, Any] = {}
        for synthesis in syntheses:
            self.add(synthesis)

    def __len__(self) -> int:
        return len(self._total)

    def add(self, synthesis: Synthesis) -> None:
        """One more; a request that came to no synthesis has nothing to compare, and canaries are only counted."""
        if synthesis.is_canary:
            self.canaries += 1
        if synthesis.is_canary or not synthesis.span_id:
            return
        row = len(self)
        self.known.clear()
        self.since, self.until = min(self.since, synthesis.start), max(self.until, synthesis.start)
        self._engine.append(self._engines.setdefault(_engine(synthesis), len(self._engines)))
        self._failed.append(synthesis.outcome in FAILED)
        if synthesis.error_type:
            self._errors[str(synthesis.error_type)] += 1
        self._complete.append(synthesis.outcome in (Outcome.OK, None))
        self._total.append(columns.total(synthesis))
        self._characters.append(_number(synthesis.attributes.get(names.TEXT_LENGTH)))
        for stage, seconds in synthesis.stages.items():
            self._stage(stage, row).append(seconds)
        for name, value in columns.of(synthesis):
            column = self.columns.get(name)
            if column is None:
                if len(self.columns) >= MOST_COLUMNS:
                    continue
                column = self.columns[name] = Column()
            if not column.is_id and len(column.codes) <= row:  # what the request says goes before
                column.put(row, value)

    def _stage(self, stage: str, row: int) -> array[float]:
        known = self._stages.get(stage)
        if known is None:
            known = self._stages[stage] = array("f")
        known.frombytes(bytes(4 * (row - len(known))))
        return known

    @property
    def failed(self) -> Flags:
        """Which of them failed."""
        return np.array(self._failed, dtype=np.bool_)

    def count(self, name: str, value: Value | None = None) -> int:
        """How many of them have `value`, without one any value."""
        return int(self.having(name, value).sum())

    def count_errors(self, error_type: str) -> int:
        """How many of them ended with this error."""
        return self._errors[error_type]

    def law(self, engine: str, source: str, stage: str | None = None) -> Law | None:
        """What `engine` needs for a voice of `source`, all in all or in `stage`; None where too few are known.

        Failed and abandoned requests took less than they need, and are left out.
        """
        key = (engine, source, stage)
        if key not in self.known:
            self.known[key] = self._fitted(engine, source, stage)
        return self.known[key]

    def _fitted(self, engine: str, source: str, stage: str | None) -> Law | None:
        for chosen, whose in (
            (self._rows(engine, source), _whose(engine, source)),
            (self._rows(engine), _whose(engine)),
        ):
            chosen &= np.array(self._complete, dtype=np.bool_)
            law = fit(self._seconds(stage)[chosen], np.asarray(self._characters)[chosen], whose)
            if law is not None:
                return law
        return None

    def slowness(self) -> NDArray[np.float64]:
        """What to order requests by, the slowest highest; NaN where there is no law for one.

        First by how unusual it is for its kind, as far as that is clear at all; those that clearly are by how many
        times longer they took. By the first alone a kind whose times are all alike would have all the slow ones; by the
        second alone one whose times always differ.
        """
        slowness = np.full(len(self), np.nan)
        total, characters = np.asarray(self._total), np.asarray(self._characters)
        for engine, source in self._engines:
            if (law := self.law(engine, source)) is not None:
                chosen = self._rows(engine, source)
                above = law.above(total[chosen], characters[chosen])
                slowness[chosen] = np.where(above > CLEAR * law.spread, CLEAR + above, above / law.spread)
        return slowness

    def beyond(self, stage: str | None = None) -> NDArray[np.float64]:
        """Seconds above its law of each request (in `stage`), below 0 for a quick one; NaN where there is no law."""
        beyond = np.full(len(self), np.nan)
        seconds, characters = self._seconds(stage), np.asarray(self._characters)
        for engine, source in self._engines:
            if (law := self.law(engine, source, stage)) is not None:
                chosen = self._rows(engine, source)
                beyond[chosen] = seconds[chosen] - law.expected(characters[chosen])
        return beyond

    def having(self, name: str, value: Value | None = None) -> Flags:
        """Which of them have `value`, without one any value."""
        column = self.columns.get(name)
        if column is None:
            return np.zeros(len(self), dtype=np.bool_)
        wanted = [code for code, known in column.values() if code and value in (None, known)]
        return np.isin(column.of_all(len(self)), wanted)

    def stages(self) -> tuple[str, ...]:
        """All stages that any of them has."""
        return tuple(self._stages)

    def kinds(self) -> Iterator[Flags]:
        """Yield which requests are of one engine, of one kind of voice, and of both: each has a law of its own."""
        for engine, source in self._engines:
            yield self._rows(engine, source)
            yield self._rows(engine)
        for source in {source for _, source in self._engines}:
            yield np.isin(np.asarray(self._engine), [code for key, code in self._engines.items() if key[1] == source])

    def _rows(self, engine: str, source: str | None = None) -> Flags:
        """Which of them are of an engine, with a voice of a kind, and have a text of known length."""
        numbers = [code for key, code in self._engines.items() if key[0] == engine and source in (None, key[1])]
        return np.isin(np.asarray(self._engine), numbers) & ~np.isnan(np.asarray(self._characters))

    def _seconds(self, stage: str | None) -> NDArray[np.float64]:
        if stage is None:
            return np.asarray(self._total)
        if stage == OTHER:
            within = sum((self._seconds(one) for one in self._stages if "." not in one), np.zeros(len(self)))
            return np.maximum(np.asarray(self._total) - within, 0.0)
        seconds = np.zeros(len(self))
        if stage in self._stages:
            known = self._stages[stage]
            seconds[: len(known)] = known
        return seconds


def _whose(engine: str, source: str = "") -> Words:
    return Words(f"{engine} with a {source} voice", f"{engine}（{source} 音色）") if source else Words(engine)


def _engine(synthesis: Synthesis) -> tuple[str, str]:
    model = synthesis.engine or synthesis.model or ""
    return str(model), str(synthesis.attributes.get(names.VOICE_SOURCE) or "")


def key_of(synthesis: Synthesis) -> tuple[str, str]:
    """Which law is its: that of its engine, with the kind of its voice."""
    return _engine(synthesis)


def characters_of(synthesis: Synthesis) -> float:
    """The length of its text, NaN where it is not known."""
    return _number(synthesis.attributes.get(names.TEXT_LENGTH))


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else float("nan")

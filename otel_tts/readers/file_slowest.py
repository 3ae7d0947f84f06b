# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Passes over lines of traces in which no span is long enough, by their times alone: without parsing them."""

from __future__ import annotations

from typing import Final

from otel_tts import names
from otel_tts.readers.model import Span
from otel_tts.readers.syntheses import is_synthesis

_START: Final = b'"startTimeUnixNano":"'
_BETWEEN: Final = b'","endTimeUnixNano":"'
_DIGITS: Final = 19
"""Of a time between 2001 and 2286."""

_END: Final = _DIGITS + len(_BETWEEN)


_OURS: Final = f'"{names.OPERATION}"'.encode()


class Longest:
    """Keeps the longest syntheses that it is given, and says which lines may hold a longer one.

    `kept` are their durations in nanoseconds, by trace and span. `more`: some were left out.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._least = limit, -1
        self.kept: dict[tuple[str, str], int] = {}
        self.more = False

    def wants(self, line: bytes) -> bool:
        """Whether a line may hold one of the longest."""
        if self._least < 0:
            return True
        longest = longest_in(line)
        if longest is None or longest > self._least:
            return True
        self.more = self.more or _OURS in line
        return False

    def is_one(self, span: Span) -> bool:
        """Whether a span is a synthesis that may be one of the longest."""
        if not is_synthesis(span):
            return False
        self.more = self.more or span.end - span.start <= self._least
        return span.end - span.start > self._least

    def take(self, span: Span) -> None:
        """Keep it: it is one of the longest so far."""
        key = span.trace_id, span.span_id
        self.kept[key] = max(span.end - span.start, self.kept.get(key, 0))
        if len(self.kept) > self._limit:
            self.more = True
            del self.kept[min(self.kept, key=self.kept.__getitem__)]
        if len(self.kept) == self._limit:
            self._least = min(self.kept.values())


def longest_in(line: bytes) -> int | None:
    """Nanoseconds of the longest span in a line, None where it is not written as exporters write: then it is parsed."""
    _, *spans = line.split(_START)
    longest = None
    for span in spans:
        # A start and an end of 19 digits next to each other; what else has such a start, int() refuses.
        if span[_DIGITS:_END] != _BETWEEN:
            return None
        try:
            took = int(span[_END : _END + _DIGITS]) - int(span[:_DIGITS])
        except ValueError:
            return None
        if longest is None or took > longest:
            longest = took
    return longest

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What is the same for each call of an entry, found out once: after an inference all that a call looks at is cold."""

from __future__ import annotations

import weakref
from typing import Any

from otel_tts import names
from otel_tts.audio.samples.arrays import ENCODINGS, rate_of
from otel_tts.engines.table import Engine, Entry, Reader
from otel_tts.guard import contain
from otel_tts.instrumentation.calls.arguments import positional


class Plan:
    """One entry of a table. `facts` are what is known without a call, `readers` say where the rest stands."""

    __slots__ = ("_known", "claim", "engine", "entry", "facts", "is_plain", "rate", "readers")

    claim: str | None
    """The format of the file that comes in pieces."""
    rate: int | None
    """Hz of samples that do not name their own, where no call says it."""
    is_plain: bool
    """An array that comes out is the samples."""

    def __init__(self, engine: Engine, entry: Entry, version: str | None = None) -> None:
        self.engine, self.entry = engine, entry
        known = {
            names.ENGINE: engine.name,
            names.ENGINE_VERSION: version,
            names.PROVIDER: engine.name,
            names.MODEL: engine.model,
        }
        self.facts: dict[str, Any] = {name: value for name, value in known.items() if value is not None}
        readers = {names.TEXT_LANGUAGE: entry.language, names.VOICE: entry.voice}
        self.readers: tuple[tuple[str, Reader], ...] = tuple(
            (name, reader) for name, reader in readers.items() if reader is not None
        )
        rate, chunk = entry.sample_rate, entry.chunk
        self.rate = (None if isinstance(rate, str) or callable(rate) else rate_of(rate)) or engine.sample_rate
        self.claim = chunk.encoding if chunk is not None and chunk.encoding not in ENCODINGS else None
        self.is_plain = (
            chunk is not None and chunk.samples is None and chunk.select is None and chunk.rate is None
            and not chunk.optional
        )  # fmt: skip
        self._known: tuple[weakref.ref[Any], bool, tuple[str, ...]] | None = None

    def names_of(self, wrapped: Any, args: tuple[Any, ...]) -> tuple[str, ...]:
        """Return the names of the arguments of `wrapped` that are given by position, as `args` are."""
        if parameters := self.entry.parameters:
            return contain("reader", parameters, args) or () if callable(parameters) else parameters
        function = getattr(wrapped, "__func__", wrapped)
        is_bound, known = function is not wrapped, self._known
        if known is not None and known[0]() is function and known[1] is is_bound:
            return known[2]
        found = positional(wrapped)
        try:
            self._known = weakref.ref(function), is_bound, found
        except TypeError:  # compiled: it takes no weak reference
            pass
        return found

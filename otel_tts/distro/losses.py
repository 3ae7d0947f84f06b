# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Nothing is lost silently: what a full queue dropped, what an exporter failed to send, what was left at the end.

Counted in ``otel_tts.dropped`` by reason while the process lives, and said on stderr when it ends.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from otel_tts.distro import sdk_components
from otel_tts.distro.pipeline import Pipeline
from otel_tts.guard import contain

_KINDS: Final = {"traces": "spans", "logs": "log records"}


class Counted:
    """An exporter behind the gate, counting what is on its way and what did not arrive."""

    def __init__(self, exporter: Any, kind: str, owner: Losses) -> None:
        self.exporter, self._kind, self._owner = exporter, kind, owner

    def export(self, batch: Sequence[Any]) -> Any:
        """Export `batch` and count it where the answer is not SUCCESS."""
        count, arrived = len(batch), False
        self._owner.move(self._kind, count)
        try:
            result = self.exporter.export(batch)
            arrived = getattr(result, "name", "") == "SUCCESS"
            return result
        finally:
            self._owner.move(self._kind, -count)
            if not arrived:
                self._owner.lose(self._kind, f"export_failed_{self._kind}".replace(" ", "_"), count)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.exporter, name)


class Losses:
    """Counts for one process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._processors: dict[str, list[Any]] = {kind: [] for kind in _KINDS.values()}
        self._exporters: dict[str, list[Any]] = {kind: [] for kind in (*_KINDS.values(), "metrics")}
        self._on_the_way: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self.reported = False

    def watch(self, kind: str, processor: Any) -> None:
        """Count what `processor` drops and what the exporter behind its gate does not deliver."""
        from otel_tts.emit import sdk_private

        self._processors[kind].append(processor)
        reason = f"queue_full_{kind}".replace(" ", "_")
        sdk_components.count_drops(processor, lambda count: self.lose(kind, reason, count))
        gate: Any = sdk_private.exporter_of(processor)
        if hasattr(gate, "exporter") and not isinstance(gate.exporter, Counted):
            self._watch_waits(kind, gate.exporter)
            gate.exporter = Counted(gate.exporter, kind, self)

    def watch_reader(self, reader: Any) -> None:
        """Count metrics that had to wait and were given up."""
        from otel_tts.emit import sdk_private

        if (exporter := sdk_private.exporter_of(reader)) is not None:
            self._watch_waits("metrics", exporter)

    def _watch_waits(self, kind: str, exporter: Any) -> None:
        def lose(count: int, why: str) -> None:
            self.lose(kind, f"{why}_{kind}".replace(" ", "_"), count)

        if sdk_components.hear_losses(exporter, lose):
            self._exporters[kind].append(exporter)

    def move(self, kind: str, count: int) -> None:
        """Take note of a batch that left the queue (or, negative, that was answered)."""
        with self._lock:
            self._on_the_way[kind] += count

    def lose(self, kind: str, reason: str, count: int) -> None:
        """Count items that are gone."""
        from otel_tts.emit import recorder

        with self._lock:
            self._lost[kind] += count
            if (current := recorder.current()) is not None:
                current.dropped[reason] += count

    def undelivered(self) -> dict[str, int]:
        """Return, for spans and log records, how many did not arrive so far: gone, on the way, or waiting."""
        waiting = {k: sum(map(sdk_components.waiting_in, processors)) for k, processors in self._processors.items()}
        waiting |= {k: waiting.get(k, 0) + sum(map(sdk_components.waiting_for, e)) for k, e in self._exporters.items()}
        counts = {kind: self._lost[kind] + self._on_the_way[kind] + waiting[kind] for kind in waiting}
        return {kind: count for kind, count in counts.items() if count > 0}

    def renew(self) -> None:
        """Begin anew in a forked child."""
        self._lock = threading.RLock()
        self._on_the_way.clear()
        self._lost.clear()
        self.reported = False


_losses = Losses()


def watch(pipeline: Pipeline) -> None:
    """Count the losses of these providers."""
    from otel_tts.emit import sdk_private

    for processor in sdk_private.span_processors(pipeline.traces):
        contain("losses", _losses.watch, "spans", processor)
    for processor in sdk_private.log_processors(pipeline.logs):
        contain("losses", _losses.watch, "log records", processor)
    for reader in sdk_private.metric_readers(pipeline.metrics):
        contain("losses", _losses.watch_reader, reader)


def renew_after_fork() -> None:
    """Forget what the parent had lost: it tells of it itself."""
    _losses.renew()


def forget() -> None:
    """Forget everything (tests)."""
    global _losses
    _losses = Losses()


def report(late: Sequence[str], seconds: float) -> None:
    """Say once, on stderr, what did not arrive. `late` names the signals whose flush was not over after `seconds`."""
    undelivered = _losses.undelivered()
    parts = [f"{count} {kind if count > 1 else kind[:-1]}" for kind, count in undelivered.items()]
    if "metrics" in late and "metrics" not in undelivered:
        parts.append("the last metrics")
    if not parts or _losses.reported:
        return
    _losses.reported = True
    waited = f" within {seconds:.3g} s (OTEL_TTS_SHUTDOWN_TIMEOUT)" if late else ""
    message = f"otel-tts: at the end of process {os.getpid()}, {_enumerate(parts)} had not been delivered{waited}; "
    if (stderr := sys.__stderr__) is not None:
        # Past its buffer and past logging: a signal handler may have interrupted a write to the same stream.
        os.write(stderr.fileno(), (message + "is the collector reachable?\n").encode())


def _enumerate(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"

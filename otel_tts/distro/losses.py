# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Nothing is lost silently: what a full queue dropped, what an exporter failed to send, what was left at the end.

Counted in ``otel_tts.dropped`` by reason while the process lives, said while it lasts (outages.py) and when it ends.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from otel_tts.distro import outages
from otel_tts.distro.outages import Attempt, Outages, attempting
from otel_tts.guard import contain
from otel_tts.otel_private import exporters, providers
from otel_tts.otel_private.pipeline import Pipeline

_KINDS: Final = {"traces": "spans", "metrics": "metrics", "logs": "log records"}


class Watched:
    """An exporter behind the gate: what does not arrive is said, seldom (outages.py)."""

    def __init__(self, exporter: Any, kind: str, owner: Losses) -> None:
        self.exporter, self._kind, self._owner = exporter, kind, owner
        self._place = outages.place_of(exporter)
        exporters.hear_failures(exporter, outages.hear)

    def export(self, batch: Any, **kwargs: Any) -> Any:
        """Export `batch`. An exporter that raises has failed; the SDK would print a stack trace each time."""
        attempt, arrived = Attempt(self._owner.outages, self._place, self._kind), False
        with attempting(attempt):
            try:
                result = self.exporter.export(batch, **kwargs)
                arrived = getattr(result, "name", "") == "SUCCESS"
                return result
            except Exception as error:
                attempt.hear(f"{type(error).__name__}: {error}")
                return None
            finally:
                if arrived and not exporters.waiting_for(self.exporter):
                    self._owner.outages.arrives(self._place, self._kind)
                elif not arrived:
                    self._owner.outages.fails(self._place, self._kind, attempt.reason, self._lose(batch))

    def _lose(self, batch: Any) -> int:
        return 0  # sums and histograms go on: the next export has all of it

    def __getattr__(self, name: str) -> Any:
        return getattr(self.exporter, name)


class Counted(Watched):
    """An exporter of spans or log records, which are counted on their way and where they did not arrive."""

    def export(self, batch: Sequence[Any], **kwargs: Any) -> Any:
        """Export `batch` and count it where the answer is not SUCCESS."""
        self._owner.move(self._kind, len(batch))
        try:
            return super().export(batch, **kwargs)
        finally:
            self._owner.move(self._kind, -len(batch))

    def _lose(self, batch: Sequence[Any]) -> int:
        self._owner.lose(self._kind, f"export_failed_{self._kind}".replace(" ", "_"), len(batch))
        return len(batch)


class Losses:
    """Counts for one process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._processors: dict[str, list[Any]] = {kind: [] for kind in _KINDS.values()}
        self._exporters: dict[str, list[Any]] = {kind: [] for kind in _KINDS.values()}
        self._on_the_way: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self.outages = Outages()
        self.reported = False

    def watch(self, kind: str, processor: Any) -> None:
        """Count what `processor` drops and what the exporter behind its gate does not deliver."""
        from otel_tts.otel_private import providers

        self._processors[kind].append(processor)
        reason = f"queue_full_{kind}".replace(" ", "_")
        providers.count_drops(processor, lambda count: self.lose(kind, reason, count))
        gate: Any = providers.exporter_of(processor)
        if hasattr(gate, "exporter") and not isinstance(gate.exporter, Counted):
            self._hear_of(kind, gate.exporter)
            gate.exporter = Counted(gate.exporter, kind, self)

    def watch_reader(self, reader: Any) -> None:
        """Say where the metrics of `reader` do not arrive."""
        from otel_tts.otel_private import providers

        exporter = providers.exporter_of(reader)
        if exporter is not None and not isinstance(exporter, Watched):
            self._hear_of("metrics", exporter)
            providers.replace_exporter(reader, Watched(exporter, "metrics", self))

    def _hear_of(self, kind: str, exporter: Any) -> None:
        """Count what exporters of ours give up later: files that were removed, batches that waited."""

        def lose(count: int, why: str) -> None:
            self.lose(kind, f"{why}_{kind}".replace(" ", "_"), count)

        if (folder := exporters.folder_of(exporter)) is not None:
            folder.note_removed = self.note
        if exporters.hear_losses(exporter, lose):
            self._exporters[kind].append(exporter)

    def move(self, kind: str, count: int) -> None:
        """Take note of a batch that left the queue (or, negative, that was answered)."""
        with self._lock:
            self._on_the_way[kind] += count

    def lose(self, kind: str, reason: str, count: int) -> None:
        """Count items that are gone before they arrived."""
        with self._lock:
            self._lost[kind] += count
        self.note(reason, count)

    def note(self, reason: str, count: int) -> None:
        """Count under `reason` in otel_tts.dropped."""
        from otel_tts.recording import recorder

        with self._lock:
            if (current := recorder.current()) is not None:
                current.dropped[reason] += count

    def undelivered(self) -> dict[str, int]:
        """Return for each kind how many did not arrive so far: gone, on the way, or waiting."""
        waiting = {k: sum(map(providers.waiting_in, processors)) for k, processors in self._processors.items()}
        waiting = {k: n + sum(map(exporters.waiting_for, self._exporters[k])) for k, n in waiting.items()}
        counts = {kind: self._lost[kind] + self._on_the_way[kind] + waiting[kind] for kind in waiting}
        return {kind: count for kind, count in counts.items() if count > 0}

    def exporters(self, kind: str) -> list[Any]:
        """Return the exporters of ours that send `kind`, each of which may keep what its receiver wants later."""
        return self._exporters[kind]

    def renew(self) -> None:
        """Begin anew in a forked child."""
        self._lock = threading.RLock()
        self._on_the_way.clear()
        self._lost.clear()
        self.outages.renew()
        self.reported = False


_losses = Losses()


def watch(pipeline: Pipeline) -> None:
    """Count the losses of these providers."""
    from otel_tts.otel_private import providers

    for processor in providers.span_processors(pipeline.traces):
        contain("losses", _losses.watch, "spans", processor)
    for processor in providers.log_processors(pipeline.logs):
        contain("losses", _losses.watch, "log records", processor)
    for reader in providers.metric_readers(pipeline.metrics):
        contain("losses", _losses.watch_reader, reader)
    outages.listen()


def anything_waits() -> bool:
    """Whether a receiver has asked to be sent something later."""
    return any(exporters.waiting_for(exporter) for kind in _KINDS.values() for exporter in _losses.exporters(kind))


def settle(signal: str, seconds: float) -> None:
    """Wait for what a receiver wants of `signal` within `seconds`."""
    for exporter in _losses.exporters(_KINDS[signal]):
        exporter.force_flush(seconds * 1000)


def renew() -> None:
    """Forget what the parent had lost: it tells of it itself."""
    _losses.renew()


def forget() -> None:
    """Forget all losses, and stop listening to what exporters say (tests)."""
    global _losses
    _losses = Losses()
    outages.stop_listening()


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
    what = outages.enumerate_words(parts)
    message = f"otel-tts: at the end of process {os.getpid()}, {what} had not been delivered{waited}; "
    guess = "is the collector reachable?" if late else "they came too late, or were lost before"
    message += _losses.outages.last_reason() or guess
    if (stderr := sys.__stderr__) is not None:
        # Past its buffer and past logging: a signal handler may have interrupted a write to the same stream.
        os.write(stderr.fileno(), f"{message}\n".encode())

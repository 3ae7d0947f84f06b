# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A state folder of an earlier version: servers that the stack has no more, and what they left."""

from __future__ import annotations

import signal
from pathlib import Path

from otel_tts.stack import process
from otel_tts.stack.progress import Progress
from otel_tts.stack.servers import BY_NAME

_GONE = ("tempo", "loki")
_STOP_S = 10.0


def running(run: Path) -> list[str]:
    """The names of servers that run although the stack has them no more, from the process files in `run`."""
    return [path.stem for path in _files(run) if process.find(process.load(path)) is not None]


def stop(run: Path, progress: Progress) -> None:
    """End such servers, by force where they take longer than ten seconds."""
    for path in _files(run):
        found = process.end(process.load(path), signal.SIGTERM)
        if found is not None and not process.wait(found, _STOP_S):
            process.end(process.load(path), signal.SIGKILL)
            process.wait(found, _STOP_S)
        if found is not None:
            progress.line(f"Stopped {path.stem}, which an earlier version had started.")
        path.unlink(missing_ok=True)


def leftovers(state: Path) -> list[Path]:
    """Data of servers that the stack has no more, and queues of exporters that the Collector has no more."""
    folders = [state / name for name in _GONE]
    queues = [path for name in _GONE for path in (state / "otelcol" / "queue").glob(f"exporter_*_{name}_*")]
    return [path for path in folders if path.is_dir()] + sorted(queues)


def _files(run: Path) -> list[Path]:
    known = {*BY_NAME, "stack"}
    return sorted(path for path in run.glob("*.json") if path.stem not in known)

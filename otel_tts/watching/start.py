# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Puts a watcher together from its file, and lets it run until it is told to end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from otel_tts.watching import config_file
from otel_tts.watching.audit import Audit
from otel_tts.watching.books import Books
from otel_tts.watching.clock import RealClock
from otel_tts.watching.config import Config
from otel_tts.watching.inside import Sockets
from otel_tts.watching.means import RealMeans
from otel_tts.watching.watcher import Watcher

Tell = Callable[[dict[str, Any]], object]


def read(path: Path) -> tuple[Config, Books]:
    """Return what the file says, and the books of its watcher. Raises WrongUse."""
    config = config_file.read(path.absolute())
    return config, Books(state_folder(config))


def state_folder(config: Config) -> Path:
    """Return where the watcher's state is kept: as systemd says, else below the user's own state folder."""
    if config.state:
        return Path(config.state)
    if given := os.environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        return Path(given) / config.name
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "otel-tts" / "watch" / config.name


def run(path: Path, act: bool, tell: Tell) -> None:
    """Watch until SIGTERM or Ctrl-C. Raises WrongUse, or Trouble where another watcher is at work."""
    config, books = read(path)
    clock = RealClock()
    with ExitStack() as at_the_end:
        books.hold()
        at_the_end.callback(books.release)
        audit = Audit(books.folder / "audit.jsonl")
        watcher = Watcher(config, RealMeans(config), clock, books, audit, act=act, tell=tell)
        if config.heartbeat:
            from otel_tts.watching.heartbeat import Heartbeat  # late: it brings OpenTelemetry's SDK along

            at_the_end.callback(Heartbeat(config.service, lambda: watcher.looked_at).end)
        if config.control and (reason := Sockets(Path(config.control)).why_not()) is not None:
            tell(audit.note(clock.wall(), "blind", why=reason))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, clock.stop)
        watcher.run()

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The watcher's book: a line of JSON for each thing that it saw or did, for this user only."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

_LARGEST: Final = 10_000_000
"""Bytes after which a new file is begun; one old one is kept."""


class Audit:
    """Appends to a file. What cannot be written is counted in `lost`, which the next line that can be tells."""

    def __init__(self, path: Path) -> None:
        self.path, self.lost = path, 0

    def note(self, wall: float, event: str, **facts: Any) -> dict[str, Any]:
        """Write one line, and return what stands in it."""
        stamp = datetime.fromtimestamp(wall, timezone.utc).isoformat(timespec="milliseconds")
        line = {"at": stamp, "event": event, **{key: value for key, value in facts.items() if value not in (None, "")}}
        if self.lost:
            line["lost_before"] = self.lost
        try:
            self._write(json.dumps(line).encode() + b"\n")
            self.lost = 0
        except OSError:
            self.lost += 1
        return line

    def _write(self, line: bytes) -> None:
        with suppress(FileNotFoundError):
            if self.path.stat().st_size + len(line) > _LARGEST:
                self.path.replace(self.path.with_suffix(".1.jsonl"))
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)

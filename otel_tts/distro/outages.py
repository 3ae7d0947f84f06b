# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Where telemetry does not arrive: one line at the first failure with what to do, one a minute, one when it goes on.

Exporters tell why in log records of their own, as do the libraries they stand on; there may be several for each batch.
What is said while a batch is exported is kept here as the reason, is not shown and is not exported itself.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

from otel_tts.commands import suggest
from otel_tts.otel_private import exporters

_logger = logging.getLogger("otel_tts")

_AGAIN_S: Final = 60.0
_LONGEST: Final = 200
"""Characters of a reason."""
_SPEAKERS: Final = ("opentelemetry.exporter", "otel_tts.export", "urllib3", "requests", "grpc")
_OF_EXPORTS: Final = (
    *_SPEAKERS[:2],
    "opentelemetry.sdk._shared_internal",
    "opentelemetry.sdk.metrics._internal.export",
)
_SAID: Final = re.compile(
    r"Transient error (?:StatusCode\.)?(?P<transient>.+?) encountered while.*?(?:Error details: (?P<details>.+))?$"
    r"|.*\bcode: (?P<code>.+?), (?:reason|error details): (?P<reason>.+)$",
    re.DOTALL,
)
_ERRNO: Final = re.compile(r"\[Errno -?\d+\] ([^'\")\]]+)")
_LAST_ERROR: Final = re.compile(r"last error: .*: ([^:]+)$")  # gRPC's, behind all that it tried
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/@\s]+@")


@dataclass(frozen=True)
class Place:
    """Where an exporter sends to: its name for people, what is done there, and what to do when that fails."""

    name: str
    verb: str
    advice: str


def server(name: str) -> Place:
    """A server at the address `name`."""
    return Place(
        _CREDENTIALS.sub("", name),
        "arrive at",
        f"Is the collector running? `{suggest('doctor')}` says what is wrong; OTEL_TTS_FILE_DIR=dir needs no server.",
    )


def directory(name: str) -> Place:
    """A folder that is written to."""
    return Place(name, "get written to", "Make room there, or name another directory in OTEL_TTS_FILE_DIR.")


def place_of(exporter: Any) -> Place:
    """Return where an exporter sends to."""
    if (folder := exporters.folder_of(exporter)) is not None:
        return directory(str(folder.path))
    return server(exporters.address_of(exporter) or type(exporter).__name__)


@dataclass
class _Outage:
    """What fails at a place, since when, and what was lost so far."""

    kinds: dict[str, None] = field(default_factory=dict[str, None])
    lost: Counter[str] = field(default_factory=Counter[str])
    reason: str = ""
    said: bool = False


class Outages:
    """One process's knowledge of what does not arrive."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._open: dict[Place, _Outage] = {}
        self._last_said: dict[Place, float] = {}

    def fails(self, place: Place, kind: str, reason: str, lost: int = 0) -> None:
        """Take note that `kind` has trouble at `place`, and that so many of them were `lost`."""
        with self._lock:
            outage = self._open.setdefault(place, _Outage())
            outage.kinds[kind] = None
            outage.reason = reason or outage.reason
            outage.lost[kind] += lost
            now, last = self._now(), self._last_said.get(place)
            if last is not None and now - last < _AGAIN_S:
                return
            self._last_said[place] = now
            first, outage.said = not outage.said, True
        _logger.warning("%s", _begins(place, outage) if first else _goes_on(place, outage))

    def arrives(self, place: Place, kind: str) -> None:
        """Take note that `kind` arrived at `place`."""
        if place not in self._open:
            return
        with self._lock:
            outage = self._open.get(place)
            if outage is None:
                return
            outage.kinds.pop(kind, None)
            if outage.kinds:
                return
            del self._open[place]
        if outage.said:
            _logger.warning("otel-tts: telemetry does %s %s again; %s", place.verb, place.name, _lost(outage))

    def last_reason(self) -> str:
        """Return where something fails at this moment and why, or an empty text."""
        return "; ".join(f"{place.name}: {outage.reason}" for place, outage in self._open.items() if outage.reason)

    def renew(self) -> None:
        """Begin anew in a forked child."""
        self.__init__(self._now)


@dataclass
class Attempt:
    """A batch on its way."""

    owner: Outages
    place: Place
    kind: str
    reason: str = ""

    def hear(self, said: str) -> None:
        """Take note of what the exporter says of it."""
        if reason := explain(said):
            self.reason = reason
            self.owner.fails(self.place, self.kind, reason)


_attempt: ContextVar[Attempt | None] = ContextVar("otel_tts_attempt", default=None)


@contextmanager
def attempting(attempt: Attempt) -> Generator[None]:
    """While the block runs, what exporters say is heard by `attempt` and by nobody else."""
    token = _attempt.set(attempt)
    try:
        yield
    finally:
        _attempt.reset(token)


def hear(said: str) -> None:
    """Take note of why the batch fails that is on its way in this context."""
    if (attempt := _attempt.get()) is not None:
        attempt.hear(said)


def explain(said: str) -> str:
    """Return the reason in an exporter's words, short; nothing where they say only that it was given up."""
    if "due to timeout, max retries or shutdown" in said or "Shutdown in progress" in said:
        return ""
    if found := _SAID.match(said):
        parts = [found["details"] or found["transient"] or found["reason"] or ""]
        code = found["code"]
        said = " ".join([*([code] if code not in (None, "None") else []), *parts])
    if cause := _ERRNO.search(said) or _LAST_ERROR.search(said):
        said = cause[1]
    return _CREDENTIALS.sub("", " ".join(said.split()))[:_LONGEST].rstrip(".: ")


# --- log records of exporters ----------------------------------------------------------------------------------------


class _Heard(logging.Filter):
    """For the loggers of exporters and their libraries: what they say of a batch goes to its attempt only."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let a record pass that is of no batch, or that somebody who looks for faults asked for."""
        attempt = _attempt.get()
        if attempt is None:
            return True
        if record.levelno < logging.WARNING:
            return record.name.startswith("opentelemetry")
        attempt.hear(record.getMessage())
        return False


class NotExported(logging.Filter):
    """For OpenTelemetry's logging handler: what an export makes anybody say is not exported itself."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let pass what has nothing to do with exporting."""
        return _attempt.get() is None and not record.name.startswith(_OF_EXPORTS)


_heard: Final = _Heard()


def listen() -> None:
    """Hear what exporters and their libraries say from now on. Those imported later are not heard."""
    for logger in _speakers():
        if _heard not in logger.filters:
            logger.addFilter(_heard)


def stop_listening() -> None:
    """No longer hear what exporters and their libraries say (tests)."""
    for logger in _speakers():
        logger.removeFilter(_heard)


def _speakers() -> list[logging.Logger]:
    named = [*logging.root.manager.loggerDict, "otel_tts.export"]
    return [logging.getLogger(name) for name in named if any(f"{name}.".startswith(f"{s}.") for s in _SPEAKERS)]


# --- lines -----------------------------------------------------------------------------------------------------------


def _begins(place: Place, outage: _Outage) -> str:
    what = enumerate_words(list(outage.kinds))
    lost = "What is lost meanwhile is counted (otel_tts.dropped)"
    return f"otel-tts: {what} do not {place.verb} {place.name}{_why(outage)}. {place.advice} {lost}"


def _goes_on(place: Place, outage: _Outage) -> str:
    what = enumerate_words(list(outage.kinds))
    return f"otel-tts: {what} still do not {place.verb} {place.name}{_why(outage)}; {_lost(outage)} so far"


def _why(outage: _Outage) -> str:
    return f" ({outage.reason})" if outage.reason else ""


def _lost(outage: _Outage) -> str:
    parts = [f"{count} {kind if count > 1 else kind[:-1]}" for kind, count in outage.lost.items() if count]
    if not parts:
        return "nothing was lost"
    return f"{enumerate_words(parts)} {'was' if list(outage.lost.values()) == [1] else 'were'} lost"


def enumerate_words(words: list[str]) -> str:
    """Return the words as a sentence lists them: a, b and c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"

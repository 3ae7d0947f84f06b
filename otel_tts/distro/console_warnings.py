# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong stays visible on the console.

OpenTelemetry's logging handler on the root logger makes Python believe that somebody shows warnings: they stop being
printed to stderr, the application's and the SDK's own about failing exports too, and leave over the very exporter that
fails. https://github.com/open-telemetry/opentelemetry-python/issues/2594
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import Final

from otel_tts.distro.outages import NotExported

_SPEAKERS: Final = {
    "opentelemetry": (logging.WARNING, "%(levelname)s %(name)s: %(message)s"),
    "otel_tts": (logging.INFO, "%(levelname)s %(message)s"),  # these say themselves who speaks
}


class Console(logging.Handler):
    """Writes to stderr, as long as nobody else shows the record: with `logging.basicConfig()` it falls silent."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record where it would be seen nowhere else."""
        if not is_shown(record.name):
            self._print(record)

    def _print(self, record: logging.LogRecord) -> None:
        stream = sys.stderr
        try:
            if stream is not None:  # pyright: ignore[reportUnnecessaryComparison]  # pythonw, or closed by a daemon
                stream.write(self.format(record) + "\n")
                stream.flush()
        except (OSError, ValueError):  # closed, or nobody reads
            pass
        except Exception:
            self.handleError(record)


class LastResort(logging.Filter):
    """For OpenTelemetry's handler on the root logger: does what `logging.lastResort` would do without that handler.

    A filter and not a handler of its own: `logging.basicConfig()` does nothing once the root logger has a handler.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Print a warning that nobody shows. Always lets the record pass."""
        resort = logging.lastResort
        if resort is not None and record.levelno >= resort.level and not _is_seen(record.name):
            resort.handle(record)
        return True


def install() -> None:
    """Give the loggers of OpenTelemetry and otel-tts a console. Doing it again does nothing."""
    for name, (level, form) in _SPEAKERS.items():
        logger = logging.getLogger(name)
        if not any(isinstance(handler, Console) for handler in logger.handlers):
            console = Console(level)
            console.setFormatter(logging.Formatter(form))
            logger.addHandler(console)
    own = logging.getLogger("otel_tts")
    if own.level == logging.NOTSET:
        own.setLevel(logging.INFO)


def keep_last_resort() -> None:
    """Let warnings of everybody else appear on stderr again, where OpenTelemetry's handler is the only one.

    And keep what exporters say of a failure away from what they fail to export.
    """
    for handler in logging.getLogger().handlers:
        if is_exporting(handler) and not any(isinstance(f, LastResort) for f in handler.filters):
            handler.addFilter(LastResort())
            handler.addFilter(NotExported())  # after it: what it withholds is still shown


def uninstall() -> None:
    """Take off what `install` and `keep_last_resort` have put on the loggers (tests)."""
    for name in _SPEAKERS:
        logger = logging.getLogger(name)
        for handler in [h for h in logger.handlers if isinstance(h, Console)]:
            logger.removeHandler(handler)
    logging.getLogger("otel_tts").setLevel(logging.NOTSET)
    for handler in logging.getLogger().handlers:
        for wish in [f for f in handler.filters if isinstance(f, (LastResort, NotExported))]:
            handler.removeFilter(wish)


def is_exporting(handler: logging.Handler) -> bool:
    """Say whether `handler` is OpenTelemetry's: it exports records and shows them to nobody here."""
    return type(handler).__name__ == "LoggingHandler" and type(handler).__module__.startswith("opentelemetry.")


def is_shown(logger: str) -> bool:
    """Say whether a record of `logger` reaches any handler but OpenTelemetry's and ours."""
    return any(not is_exporting(h) and not isinstance(h, Console) for h in _handlers(logger))


def _is_seen(logger: str) -> bool:
    return any(not is_exporting(handler) for handler in _handlers(logger))


def _handlers(name: str) -> Iterator[logging.Handler]:
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None

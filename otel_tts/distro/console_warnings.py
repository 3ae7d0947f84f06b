# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What otel-tts and OpenTelemetry have to say is on the console, also where nobody has set logging up."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Iterator
from typing import Any, Final

from otel_tts.guard import contain
from otel_tts.instrumentation.libraries.log_handler import is_exporting
from otel_tts.patches import after_import, replace, undo

_GROUP: Final = "logging.config"

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
    after_import("logging.config", _outlive, _GROUP)


def _outlive(module: Any) -> None:
    """`dictConfig` and `fileConfig` disable every logger that they do not name, unless they are told not to."""
    replace(module.DictConfigurator, "configure", _enabling, _GROUP)
    replace(module, "fileConfig", _enabling, _GROUP)


def _enabling(original: Any) -> Any:
    @functools.wraps(original)
    def configure(*args: Any, **kwargs: Any) -> Any:
        try:
            return original(*args, **kwargs)
        finally:
            contain("logging.config", _enable)

    return configure


def _enable() -> None:
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and name.partition(".")[0] in _SPEAKERS:
            logger.disabled = False


def uninstall() -> None:
    """Take off what `install` has put on the loggers (tests)."""
    undo(_GROUP)
    for name in _SPEAKERS:
        logger = logging.getLogger(name)
        for handler in [h for h in logger.handlers if isinstance(h, Console)]:
            logger.removeHandler(handler)
    logging.getLogger("otel_tts").setLevel(logging.NOTSET)


def is_shown(logger: str) -> bool:
    """Say whether a record of `logger` reaches any handler but OpenTelemetry's and ours."""
    return any(not is_exporting(h) and not isinstance(h, Console) for h in _handlers(logger))


def _handlers(name: str) -> Iterator[logging.Handler]:
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None

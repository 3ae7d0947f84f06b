# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What ``opentelemetry-instrument`` asks of a distribution: defaults, and how each instrumentation is loaded."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from opentelemetry.instrumentation.distro import BaseDistro
from wrapt import register_post_import_hook

from otel_tts import settings
from otel_tts.distro import defaults, green
from otel_tts.distro.outages import NotExported
from otel_tts.guard import contain
from otel_tts.instrumentation.edges import serving
from otel_tts.instrumentation.libraries import log_handler

_logger = logging.getLogger("otel_tts")

# Host metrics are the host agent's business, thirty series of them for each process nobody's. What is not here, as
# process.runtime.*, is there twice.
PROCESS_METRICS: Final[dict[str, list[str] | None]] = {
    "process.cpu.time": ["user", "system"],
    "process.cpu.utilization": ["user", "system"],
    "process.memory.usage": None,
    "process.memory.virtual": None,
    "process.open_file_descriptor.count": None,
    "process.thread.count": None,
    "cpython.gc.collections": None,
}
_CODE_ATTRIBUTES: Final = "OTEL_PYTHON_LOG_CODE_ATTRIBUTES"
_EXCLUDED_METRICS: Final = "OTEL_PYTHON_SYSTEM_METRICS_EXCLUDED_METRICS"


class Distro(BaseDistro):
    """otel-tts. Its configurator is `otel_tts.distro.configurator.Configurator`."""

    def _configure(self, **kwargs: Any) -> None:
        if is_on():
            green.patch_if_told()
            defaults.lend(os.environ)

    def load_instrumentor(self, entry_point: Any, **kwargs: Any) -> None:
        """Load one instrumentation. Its failure is its own: the launcher would leave out all that come after it."""
        if not is_on():
            return
        load = _LOADERS.get(entry_point.name, _load)
        try:
            load(entry_point, kwargs)
        except ImportError:  # the launcher knows what to do with these
            raise
        except Exception as error:
            _logger.warning(
                "otel-tts: the instrumentation %r failed with %s and is left out",
                entry_point.name, type(error).__name__, exc_info=_logger.isEnabledFor(logging.DEBUG),
            )  # fmt: skip


def is_on() -> bool:
    """Say whether anything is to be done: neither OTEL_TTS_ENABLED=false nor OTEL_SDK_DISABLED=true."""
    switched_off = not settings.read().enabled or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return not switched_off and not is_helper()


def is_helper(command_line: Sequence[str] = tuple(sys.orig_argv)) -> bool:
    """Say whether this is Python's own process beside a multiprocessing program: it inherits PYTHONPATH, so the
    launcher's sitecustomize runs in it too, and it would report as one more instance of the service.
    """
    return any("multiprocessing.resource_tracker" in argument for argument in command_line)


def _load(entry_point: Any, kwargs: dict[str, Any]) -> None:
    entry_point.load()().instrument(**kwargs)


def _load_fastapi(entry_point: Any, kwargs: dict[str, Any]) -> None:
    """Wait until somebody imports FastAPI: importing it for a script that never does costs 0.3 s.

    Where the server spans are ours it is left out: who switches it on himself gets its spans in the place of ours.
    """
    if serving.ours:
        return
    register_post_import_hook(lambda _: contain("fastapi", _instrument_fastapi, entry_point, kwargs), "fastapi")


def _instrument_fastapi(entry_point: Any, kwargs: dict[str, Any]) -> None:
    from otel_tts.instrumentation.edges import fastapi as fastapi_options

    _load(entry_point, {**kwargs, **fastapi_options.options()})
    fastapi_options.keep_picklable(sys.modules["opentelemetry.instrumentation.fastapi"])


def _load_logging(entry_point: Any, kwargs: dict[str, Any]) -> None:
    # Of the application's lines only level, logger, file and line leave, so file and line have to be there.
    _load(entry_point, {"log_code_attributes": True, **kwargs} if _CODE_ATTRIBUTES not in os.environ else kwargs)
    for handler in log_handler.step_aside():
        handler.addFilter(NotExported())


def _load_system_metrics(entry_point: Any, kwargs: dict[str, Any]) -> None:
    if os.environ.get(_EXCLUDED_METRICS):  # the user has his own idea of which
        _load(entry_point, kwargs)
    else:
        entry_point.load()(config=PROCESS_METRICS).instrument(**kwargs)


_LOADERS: Final[dict[str, Callable[[Any, dict[str, Any]], None]]] = {
    "fastapi": _load_fastapi,
    "logging": _load_logging,
    "system_metrics": _load_system_metrics,
}

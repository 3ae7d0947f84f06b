# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""otel-tts: an OpenTelemetry distribution for speech synthesis.

A service is started with ``opentelemetry-instrument`` (or ``otel-tts run``) and needs none of this. For code of your
own: `synthesis`, `stage`, `current`, `carried`, `batch`; for an engine of your own a table: `Engine` of `Entry`, `Seam`
and what they hold, which `watch` or an entry point brings into force.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from otel_tts import variables as _variables  # pyright: ignore[reportUnusedImport]  # noqa: F401  # the first import

if TYPE_CHECKING:
    from otel_tts.api import stage, synthesis
    from otel_tts.engines.table import Call, Callback, Chunk, Engine, Entry, Finish, Graph, Keep, Load, Mark, Seam
    from otel_tts.names import Stage
    from otel_tts.recording.batch import batch
    from otel_tts.recording.carried import carried
    from otel_tts.recording.synthesis import current
    from otel_tts.version import __version__


def configure(**options: Any) -> None:
    """Set up OpenTelemetry and the hooks in code, once; see `otel_tts.distro.configure.configure` for the options.

    For a process that is not started with ``opentelemetry-instrument`` or ``otel-tts run``.
    """
    from otel_tts.distro.configure import configure as run

    run(**options)


def watch(engine: Engine) -> None:
    """Hook `engine`'s callables as soon as their modules are imported, or now where they are.

    For a table that no entry point in the group ``otel_tts_engine`` names. Never raises: a table of the wrong form is
    said in the log, and nothing of it is used.
    """
    from otel_tts.instrumentation import tables

    tables.watch(engine)


# Imported when somebody asks for them: a process under the launcher needs few of them before its own first line.
_WHERE = {
    **dict.fromkeys(("stage", "synthesis"), "api"),
    **dict.fromkeys(
        ("Call", "Callback", "Chunk", "Engine", "Entry", "Finish", "Graph", "Keep", "Load", "Mark", "Seam"),
        "engines.table",
    ),
    "Stage": "names",
    "batch": "recording.batch",
    "carried": "recording.carried",
    "current": "recording.synthesis",
    "__version__": "version",
}


def __getattr__(name: str) -> Any:
    if (module := _WHERE.get(name)) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "Call",
    "Callback",
    "Chunk",
    "Engine",
    "Entry",
    "Finish",
    "Graph",
    "Keep",
    "Load",
    "Mark",
    "Seam",
    "Stage",
    "__version__",
    "batch",
    "carried",
    "configure",
    "current",
    "stage",
    "synthesis",
    "watch",
]

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""OTEL_TTS_FILE_DIR: telemetry goes to files there, beside a server where one is named and without one where not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from otel_tts.distro.pipeline import SIGNALS

FILE: Final = "otel_tts_file"
_OTLP: Final = "otlp"
_VARIABLE: Final = "OTEL_TTS_FILE_DIR"


def exporters(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the value of OTEL_TRACES_EXPORTER and its like for this process: as named, and files where asked for.

    A folder that cannot be used takes nothing away from a server.
    """
    to_files = bool(environ.get(_VARIABLE, "").strip())
    values: dict[str, str] = {}
    for signal in SIGNALS:
        given = named(environ, signal)
        wanted = given or ([_OTLP] if not to_files or _has_server(environ, signal) else [])
        if to_files and not {"none", FILE} & set(wanted) and not (wanted and trouble(environ)):
            wanted = [*wanted, FILE]
        if wanted != given:
            values[_exporter(signal)] = ",".join(wanted)
    return values


def trouble(environ: Mapping[str, str]) -> str | None:
    """Return why the folder cannot be used; None where it can, or where there is none."""
    if not (named := environ.get(_VARIABLE, "").strip()):
        return None
    from otel_tts.export import shared_folder

    try:
        shared_folder.Folder(shared_folder.locate(named), most_bytes=1, days=1).prepare()
    except OSError as error:
        return error.strerror or str(error)
    return None


def _has_server(environ: Mapping[str, str], signal: str) -> bool:
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
    return any(environ.get(name, "").strip() for name in endpoints) or any(_OTLP in named(environ, s) for s in SIGNALS)


def named(environ: Mapping[str, str], signal: str) -> list[str]:
    """Return the exporters that OTEL_TRACES_EXPORTER or its like names."""
    return [name.strip() for name in environ.get(_exporter(signal), "").split(",") if name.strip()]


def _exporter(signal: str) -> str:
    return f"OTEL_{signal.upper()}_EXPORTER"

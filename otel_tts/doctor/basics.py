# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What needs no GPU: Python, packages, launcher, settings, destinations, engines, and what the driver tells."""

from __future__ import annotations

import importlib
import importlib.util
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from importlib import metadata
from typing import Any, Final

from otel_tts import settings, variables
from otel_tts.commands import installing, suggest
from otel_tts.doctor.check import FAIL, MEASURED, PASS, SKIP, WARN, Check, attempt

_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"


def examine(environ: Mapping[str, str]) -> Iterator[Check]:
    """Yield the checks that need no GPU."""
    for name, look in _BASICS.items():
        yield from attempt(name, lambda look=look: look(environ))


def _python(environ: Mapping[str, str]) -> Iterator[Check]:
    fits = (3, 10) <= sys.version_info[:2] <= (3, 13)
    yield Check("Python", PASS if fits else FAIL, f"{platform.python_version()}; otel-tts needs 3.10 to 3.13")


def _versions(environ: Mapping[str, str]) -> Iterator[Check]:
    found = {name: _version(name) for name in ("otel-tts", "opentelemetry-sdk", "opentelemetry-instrumentation")}
    missing = [name for name, version in found.items() if version is None]
    shown = ", ".join(f"{name} {version}" for name, version in found.items() if version)
    yield Check("packages", FAIL if missing else PASS, f"not installed: {', '.join(missing)}" if missing else shown)
    optional = {name: _version(name) for name in ("torch", "onnxruntime-gpu", "onnxruntime", "nvidia-ml-py")}
    yield Check("runtimes", MEASURED, ", ".join(f"{name} {version or '–'}" for name, version in optional.items()))


def _distributions(environ: Mapping[str, str]) -> Iterator[Check]:
    names = sorted({entry.name for entry in metadata.entry_points(group="opentelemetry_distro")})
    if "otel_tts" not in names:
        yield Check(
            "launcher", FAIL, f"otel-tts is not registered as a distribution, its files alone are here; {installing()}"
        )
    elif len(names) > 1 and environ.get("OTEL_PYTHON_DISTRO") != "otel_tts":
        others = ", ".join(name for name in names if name != "otel_tts")
        yield Check(
            "launcher",
            WARN,
            f"also installed: {others}; start with `{suggest('run --')}` or set OTEL_PYTHON_DISTRO=otel_tts",
        )
    else:
        yield Check("launcher", PASS, "opentelemetry-instrument will load otel-tts")


def _settings(environ: Mapping[str, str]) -> Iterator[Check]:
    effective = settings.read(environ)
    problems = [*effective.problems, *map(str, variables.problems(environ))]
    for problem in problems:
        yield Check("settings", FAIL, problem)
    if not effective.enabled or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        yield Check("settings", WARN, "telemetry is off: OTEL_TTS_ENABLED=false or OTEL_SDK_DISABLED=true")
    if not problems:
        yield Check("settings", PASS, settings.describe(effective) or "all at their defaults")


def _endpoints(environ: Mapping[str, str]) -> Iterator[Check]:
    from otel_tts.distro import destinations

    if file := environ.get("OTEL_CONFIG_FILE"):
        yield Check("endpoint", SKIP, f"the exporters are set up by {file} (OTEL_CONFIG_FILE)")
        return
    signals: dict[tuple[str, str], list[str]] = {}
    for found in destinations.examine(environ):
        advice = "" if found.works or found.asked_for else f"; name it in {_ENDPOINT}, or set OTEL_TTS_FILE_DIR"
        status = PASS if found.works else FAIL if found.asked_for else WARN
        signals.setdefault((status, found.detail + advice), []).append(found.signal)
    for (status, detail), names in signals.items():
        yield Check("endpoint", status, f"{', '.join(names)}: {detail}")
    if not signals:
        yield Check("endpoint", SKIP, "no signal is exported")


def _engines(environ: Mapping[str, str]) -> Iterator[Check]:
    from otel_tts.engines.check.survey import survey

    every = list(survey())
    for status in every:
        if status.error is not None:
            yield Check("engines", FAIL, f"the table {status.module} is wrong and left out: {status.error}")
    found = [status for status in every if status.installed]
    for status in found:
        if lacking := status.lacking:
            yield Check("engines", WARN, f"{status.name} {status.version or 'from source'} lacks {', '.join(lacking)}")
    whole = ", ".join(f"{status.name} {status.version or ''}".strip() for status in found if not status.lacking)
    if whole or not found:
        yield Check(
            "engines", PASS if whole else WARN, whole or f"none with a table is installed; see `{suggest('engines')}`"
        )


def _providers(environ: Mapping[str, str]) -> Iterator[Check]:
    if importlib.util.find_spec("onnxruntime") is None:
        yield Check("onnxruntime", SKIP, "not installed")
        return
    onnxruntime: Any = importlib.import_module("onnxruntime")
    yield Check("onnxruntime", MEASURED, ", ".join(onnxruntime.get_available_providers()))


def _nvml(environ: Mapping[str, str]) -> Iterator[Check]:
    from otel_tts.device.power.nvml import Nvml, Unavailable
    from otel_tts.device.torch.allocator import visible

    if not settings.read(environ).nvml_interval:
        yield Check("GPU health", SKIP, "OTEL_TTS_NVML_INTERVAL=0: another exporter does it")
        return
    try:
        nvml = Nvml()
    except Unavailable as unavailable:
        how = f"; {installing('gpu')}" if importlib.util.find_spec("pynvml") is None else ""
        yield Check("GPU health", SKIP, f"no power, temperature and memory of a GPU here: {unavailable}{how}")
        return
    try:
        for gpu in nvml.gpus(visible(environ)):
            seen = asdict(nvml.look(gpu))
            known = sorted(key for key, value in seen.items() if value is not None)
            absent = sorted(key for key, value in seen.items() if value is None and key != "parent")
            yield Check(
                "GPU health",
                PASS,
                f"{gpu.id}: {len(known)} facts" + (f"; not told: {', '.join(absent)}" if absent else ""),
            )
    finally:
        nvml.close()


def _fitting(environ: Mapping[str, str]) -> Iterator[Check]:
    from otel_tts.doctor.packages import fitting

    return fitting(environ)


_BASICS: Final[dict[str, Callable[[Mapping[str, str]], Iterator[Check]]]] = {
    "Python": _python,
    "packages": _versions,
    "dependencies": _fitting,
    "launcher": _distributions,
    "settings": _settings,
    "endpoint": _endpoints,
    "engines": _engines,
    "onnxruntime": _providers,
    "GPU health": _nvml,
}


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None

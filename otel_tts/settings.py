# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One table of settings: name, type, default, meaning. Help and docs/settings.md come from it.

Few on purpose: whatever OpenTelemetry has a variable for (endpoint, sampler, service name, …) is set by that variable.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from otel_tts.commands import suggest

MASK: Final = "****"


@dataclass(frozen=True)
class Setting:
    """One environment variable: how it is read, what it is when unset, what it means."""

    variable: str
    field: str
    parse: Callable[[str], Any]
    default: Any
    meaning: str
    kind: str
    secret: bool = False


def _text(value: str) -> str:
    return value


def _choice(*allowed: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value.lower() not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return value.lower()

    return parse


def _boolean(value: str) -> bool:
    if value.lower() in ("1", "true", "yes", "on"):
        return True
    if value.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError("must be true or false")


def _number(low: float, high: float) -> Callable[[str], float]:
    def parse(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            raise ValueError("must be a number") from None
        if not low <= number <= high:
            raise ValueError(f"must be from {low:g} to {high:g}")
        return number

    return parse


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            raise ValueError("must be a whole number") from None
        if not low <= number <= high:
            raise ValueError(f"must be from {low} to {high}")
        return number

    return parse


def _currency(value: str) -> str:
    if len(value) != 3 or not value.isascii() or not value.isalpha():
        raise ValueError("must be three letters, as in EUR")
    return value.upper()


def _names(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _voice_names(value: str) -> tuple[str, ...]:
    """Names are never taken for a hash, a path or a field of a log line."""
    given = [(hashed.strip(), name.strip()) for hashed, _, name in (part.partition("=") for part in _names(value))]
    for hashed, name in given:
        if not _is_hash(hashed) or not _is_chosen_name(name) or _is_hash(name) or not name.isprintable():
            raise ValueError(
                f"must be hash=name,… with hashes as `{suggest('voice FILE')}` tells them and names of up to 64 "
                f"characters without = / \\, which {f'{hashed}={name}'[:100]!r} is not"
            )
    if len(dict(given)) < len(given) or len(given) > _MAX_VOICE_NAMES:
        raise ValueError(f"must have one name for each hash, and at most {_MAX_VOICE_NAMES}")
    return tuple(f"{hashed}={name}" for hashed, name in given)


_MAX_VOICE_NAMES: Final = 500
_is_hash: Final = re.compile(r"v-[0-9a-f]{16}").fullmatch
_is_chosen_name: Final = re.compile(r"[^=/\\]{1,64}").fullmatch


SETTINGS: Final = (
    Setting("OTEL_TTS_ENABLED", "enabled", _boolean, True, "false switches everything of ours off", "boolean"),
    Setting(
        "OTEL_TTS_CLOCK",
        "clock",
        _choice("auto", "host", "sync", "events"),
        "auto",
        "which clock times the stages: host; sync synchronises the stage's stream; events uses CUDA events",
        "auto | host | sync | events",
    ),
    Setting(
        "OTEL_TTS_MEMORY_EVENTS",
        "memory_events",
        _choice("span", "logs", "both", "none"),
        "span",
        "where gpu.memory goes: span events, log records, both or nowhere",
        "span | logs | both | none",
    ),
    Setting(
        "OTEL_TTS_MAX_STAGE_SPANS",
        "max_stage_spans",
        _integer(1, 10_000),
        64,
        "stage spans a request may have; more fold into one span per stage",
        "whole number",
    ),
    Setting(
        "OTEL_TTS_STUCK_AFTER",
        "stuck_after",
        _number(0.1, 86_400),
        60.0,
        "seconds after which an open request is reported as stuck",
        "seconds",
    ),
    Setting(
        "OTEL_TTS_VOICES",
        "voices",
        _names,
        (),
        "names of presets that may be exported as they are; other voices are hashed",
        "comma list",
    ),
    Setting(
        "OTEL_TTS_VOICE_NAMES",
        "voice_names",
        _voice_names,
        (),
        "names of your choice for reference recordings; `otel-tts voice FILE` tells a recording's hash",
        "comma list of hash=name",
    ),
    Setting(
        "OTEL_TTS_HASH_KEY",
        "hash_key",
        _text,
        "",
        "key of the hash for voices and speakers; unset: random for each process",
        "text",
        secret=True,
    ),
    Setting(
        "OTEL_TTS_ALLOW_ATTRIBUTES",
        "allow_attributes",
        _names,
        (),
        "further attribute names (or prefixes ending in *) that may leave",
        "comma list",
    ),
    Setting(
        "OTEL_TTS_EXPORT_APP_LOGS",
        "export_app_logs",
        _choice("metadata", "body", "none"),
        "metadata",
        "of the application's own log lines: level, logger, file and line; the formatted body too; or nothing",
        "metadata | body | none",
    ),
    Setting(
        "OTEL_TTS_LOG_FORMAT",
        "log_format",
        _choice("logfmt", "json", "none"),
        "logfmt",
        "how REQ_… and STAGE_TIME lines are written to stderr",
        "logfmt | json | none",
    ),
    Setting(
        "OTEL_TTS_MAX_LABEL_VALUES",
        "max_label_values",
        _integer(1, 2_000),
        50,
        "different values a metric label may have before the rest become 'other'",
        "whole number",
    ),
    Setting(
        "OTEL_TTS_QUEUE_SIZE",
        "queue_size",
        _integer(16, 1_000_000),
        2048,
        "finished requests that may wait to be turned into telemetry; beyond it they are dropped and counted",
        "whole number",
    ),
    Setting(
        "OTEL_TTS_SHUTDOWN_TIMEOUT",
        "shutdown_timeout",
        _number(0, 300),
        3.0,
        "seconds in all for the last flush when the process ends",
        "seconds",
    ),
    Setting(
        "OTEL_TTS_FILE_DIR",
        "file_dir",
        _text,
        "",
        "directory for telemetry as OTLP JSON lines, with a server or without: switches the otel_tts_file exporters on",
        "path",
    ),
    Setting(
        "OTEL_TTS_FILE_BYTES",
        "file_bytes",
        _integer(1_000_000, 2**60),
        2**30,
        "bytes that the files of all processes in that directory may take; the oldest are removed",
        "bytes",
    ),
    Setting(
        "OTEL_TTS_FILE_DAYS",
        "file_days",
        _number(0.01, 36_500),
        7.0,
        "days after which files in that directory are removed",
        "days",
    ),
    Setting(
        "OTEL_TTS_GRADIO_PROGRESS",
        "gradio_progress",
        _boolean,
        False,
        "true shows the request's id in the progress text of a Gradio page",
        "boolean",
    ),
    Setting("OTEL_TTS_SILENCE_DBFS", "silence_dbfs", _number(-120, 0), -40.0, "silence is below this level", "dBFS"),
    Setting(
        "OTEL_TTS_CLIP_RATIO",
        "clip_ratio",
        _number(0, 1),
        0.001,
        "share of clipped samples that is an anomaly",
        "ratio",
    ),
    Setting(
        "OTEL_TTS_CLICKS_PER_SECOND",
        "clicks_per_second",
        _number(0, 1e6),
        3.0,
        "clicks a second that are an anomaly",
        "1/s",
    ),
    Setting("OTEL_TTS_DC_OFFSET", "dc_offset", _number(0, 1), 0.01, "mean of the samples that is an anomaly", "ratio"),
    Setting(
        "OTEL_TTS_UNDERRUN",
        "underrun",
        _number(0, 60),
        0.1,
        "seconds of deficit at which a stream is not continuous",
        "seconds",
    ),
    Setting(
        "OTEL_TTS_NVML_INTERVAL",
        "nvml_interval",
        _number(0, 3600),
        1.0,
        "seconds between two looks at the GPU's power, memory and temperature; 0: none, another exporter does it",
        "seconds",
    ),
    Setting(
        "OTEL_TTS_GPU_PRICE",
        "gpu_price",
        _number(0, 1e6),
        0.0,
        "price of an hour of one GPU, for tts.cost; 0: no cost is told",
        "number",
    ),
    Setting("OTEL_TTS_CURRENCY", "currency", _currency, "USD", "currency of that price, as ISO 4217", "three letters"),
)


@dataclass(frozen=True)
class Settings:
    """Effective values of the table above. `problems` says in plain words which variables were not understood."""

    enabled: bool = True
    clock: str = "auto"
    memory_events: str = "span"
    max_stage_spans: int = 64
    stuck_after: float = 60.0
    voices: tuple[str, ...] = ()
    voice_names: tuple[str, ...] = ()
    hash_key: str = ""
    allow_attributes: tuple[str, ...] = ()
    export_app_logs: str = "metadata"
    log_format: str = "logfmt"
    max_label_values: int = 50
    queue_size: int = 2048
    shutdown_timeout: float = 3.0
    file_dir: str = ""
    file_bytes: int = 2**30
    file_days: float = 7.0
    gradio_progress: bool = False
    silence_dbfs: float = -40.0
    clip_ratio: float = 0.001
    clicks_per_second: float = 3.0
    dc_offset: float = 0.01
    underrun: float = 0.1
    nvml_interval: float = 1.0
    gpu_price: float = 0.0
    currency: str = "USD"
    problems: tuple[str, ...] = field(default=(), compare=False)


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """Read all settings from `environ` (default: the process's). Never raises: a bad value keeps its default."""
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    problems: list[str] = []
    for setting in SETTINGS:
        raw = environ.get(setting.variable, "").strip()
        if not raw:
            continue
        try:
            values[setting.field] = setting.parse(raw)
        except ValueError as error:
            shown = MASK if setting.secret else repr(raw[:80])
            problems.append(f"{setting.variable}={shown} {error}; using the default {setting.default!r}")
    if values.get("voice_names") and not values.get("hash_key"):
        problems.append(
            "OTEL_TTS_VOICE_NAMES has no effect without OTEL_TTS_HASH_KEY: hashes then change with every process"
        )
    problems += (
        f"{name} is not a setting of otel-tts; see `{suggest('settings')}`"
        for name in sorted(environ)
        if name.startswith("OTEL_TTS_") and name not in _KNOWN
    )
    return Settings(**values, problems=tuple(problems))


def describe(settings: Settings) -> str:
    """One line with the settings that differ from their defaults, secrets masked."""
    changed = (
        f"{s.variable}={MASK if s.secret else _shown(getattr(settings, s.field))}"
        for s in SETTINGS
        if getattr(settings, s.field) != s.default
    )
    return " ".join(changed)


def _shown(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


_KNOWN: Final = frozenset(s.variable for s in SETTINGS) | {"OTEL_TTS_CACHE_DIR"}

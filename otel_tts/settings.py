# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The settings: one table of variable, type, default and meaning. Help and docs/settings.md come from it.

Few on purpose: whatever OpenTelemetry has a variable for (endpoint, sampler, service name, …) is set by that variable.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, TypeVar

from otel_tts.audio.thresholds import DEFAULTS as AUDIO
from otel_tts.audio.thresholds import Thresholds
from otel_tts.commands import suggest
from otel_tts.settings_parsers import (
    BOOLEAN,
    CURRENCY,
    NAMES,
    VOICE_NAMES,
    Parser,
    choice,
    integer,
    number,
    text,
)  # fmt: skip

MASK: Final = "****"

T = TypeVar("T")


@dataclass(frozen=True)
class Setting:
    """One row of the table: the environment variable `variable` sets the attribute `field` of `Settings`.

    `parse` reads the variable's text or raises ValueError, `kind` says in a word or two what may be written. A `secret`
    is masked wherever settings are shown.
    """

    variable: str
    field: str
    parse: Callable[[str], Any]
    default: Any
    meaning: str
    kind: str
    secret: bool = False


def _setting(variable: str, parser: Parser[T], default: T, meaning: str, secret: bool = False) -> T:
    """Make a field of `Settings` that carries what `Setting` says of it."""
    said = {"variable": variable, "parse": parser.parse, "kind": parser.kind, "meaning": meaning, "secret": secret}
    return field(default=default, metadata=said)


@dataclass(frozen=True)
class Settings:
    """The table and, in an instance, its effective values. `problems` says in plain words what was not understood."""

    enabled: bool = _setting("OTEL_TTS_ENABLED", BOOLEAN, True, "false switches everything of ours off")
    clock: str = _setting(
        "OTEL_TTS_CLOCK",
        choice("auto", "host", "sync", "events"),
        "auto",
        "which clock times the stages: host; sync synchronises the stage's stream; events uses CUDA events",
    )
    memory_events: str = _setting(
        "OTEL_TTS_MEMORY_EVENTS",
        choice("span", "logs", "both", "none"),
        "span",
        "where gpu.memory goes: span events, log records, both or nowhere",
    )
    max_stage_spans: int = _setting(
        "OTEL_TTS_MAX_STAGE_SPANS",
        integer(1, 10_000),
        64,
        "stage spans a request may have; more fold into one span per stage",
    )
    stuck_after: float = _setting(
        "OTEL_TTS_STUCK_AFTER",
        number(0.1, 86_400, "seconds"),
        60.0,
        "seconds after which an open request is reported as stuck",
    )
    voices: tuple[str, ...] = _setting(
        "OTEL_TTS_VOICES", NAMES, (), "names of presets that may be exported as they are; other voices are hashed"
    )
    voice_names: tuple[str, ...] = _setting(
        "OTEL_TTS_VOICE_NAMES",
        VOICE_NAMES,
        (),
        "names of your choice for reference recordings; `otel-tts voice FILE` tells a recording's hash",
    )
    hash_key: str = _setting(
        "OTEL_TTS_HASH_KEY",
        text(),
        "",
        "key of the hash for voices and speakers; unset: random for each process",
        secret=True,
    )
    allow_attributes: tuple[str, ...] = _setting(
        "OTEL_TTS_ALLOW_ATTRIBUTES", NAMES, (), "further attribute names (or prefixes ending in *) that may leave"
    )
    export_app_logs: str = _setting(
        "OTEL_TTS_EXPORT_APP_LOGS",
        choice("metadata", "body", "none"),
        "metadata",
        "of the application's own log lines: level, logger, file and line; the formatted body too; or nothing",
    )
    log_format: str = _setting(
        "OTEL_TTS_LOG_FORMAT",
        choice("logfmt", "json", "none"),
        "logfmt",
        "how REQ_… and STAGE_TIME lines are written to stderr",
    )
    max_label_values: int = _setting(
        "OTEL_TTS_MAX_LABEL_VALUES",
        integer(1, 2_000),
        50,
        "different values a metric label may have before the rest become 'other'",
    )
    keep: float = _setting(
        "OTEL_TTS_KEEP",
        number(0, 1, "ratio"),
        1.0,
        "share of the traces that are exported where nothing failed, was slow, late or wrong; those always are",
    )
    keep_slow: float = _setting(
        "OTEL_TTS_KEEP_SLOW", number(0, 86_400, "seconds"), 3.0, "a span that took longer makes its trace one of those"
    )
    keep_late: float = _setting(
        "OTEL_TTS_KEEP_LATE", number(0, 86_400, "seconds"), 1.0, "so does a first sound that came later"
    )
    queue_size: int = _setting(
        "OTEL_TTS_QUEUE_SIZE",
        integer(16, 1_000_000),
        2048,
        "finished requests that may wait to be turned into telemetry; beyond it they are dropped and counted",
    )
    server_span: str = _setting(
        "OTEL_TTS_SERVER_SPAN",
        choice("own", "contrib"),
        "own",
        "who makes a web request's server span: otel-tts after the answer, or OpenTelemetry's instrumentations",
    )
    shutdown_timeout: float = _setting(
        "OTEL_TTS_SHUTDOWN_TIMEOUT",
        number(0, 300, "seconds"),
        3.0,
        "seconds in all for the last flush when the process ends",
    )
    export_bytes: int = _setting(
        "OTEL_TTS_EXPORT_BYTES",
        integer(0, 2**40, "bytes"),
        16_000_000,
        "bytes of each signal that may wait where a receiver asks (Retry-After) for it later; 0: none",
    )
    file_dir: str = _setting(
        "OTEL_TTS_FILE_DIR",
        text("path"),
        "",
        "directory for telemetry as OTLP JSON lines, with a server or without: switches the otel_tts_file exporters on",
    )
    file_bytes: int = _setting(
        "OTEL_TTS_FILE_BYTES",
        integer(1_000_000, 2**60, "bytes"),
        2**30,
        "bytes that the files of all processes in that directory may take; the oldest are removed",
    )
    file_days: float = _setting(
        "OTEL_TTS_FILE_DAYS", number(0.01, 36_500, "days"), 7.0, "days after which files in that directory are removed"
    )
    scrape_dir: str = _setting(
        "OTEL_TTS_SCRAPE_DIR",
        text("path"),
        "",
        "with OTEL_METRICS_EXPORTER=prometheus: each process has a port of its own and writes it there, for file_sd",
    )
    gradio_progress: bool = _setting(
        "OTEL_TTS_GRADIO_PROGRESS", BOOLEAN, False, "true shows the request's id in the progress text of a Gradio page"
    )
    control: str = _setting(
        "OTEL_TTS_CONTROL",
        text("path"),
        "",
        "folder of your own (0700) for each process's control socket, for `otel-tts watch` and `status`; unset: none",
    )
    trust_caller: bool = _setting(
        "OTEL_TTS_TRUST_CALLER",
        BOOLEAN,
        True,
        "false for callers from outside: their trace is linked, not joined, it decides no sampling, and their id is "
        "not taken over",
    )
    trust_proxy: bool = _setting(
        "OTEL_TTS_TRUST_PROXY",
        BOOLEAN,
        False,
        "true believes the X-Request-Start of a proxy of yours: requests begin then, where the kernel does not say",
    )
    silence_dbfs: float = _setting(
        "OTEL_TTS_SILENCE_DBFS", number(-120, 0, "dBFS"), AUDIO.silence_dbfs, "silence is below this level"
    )
    clip_ratio: float = _setting(
        "OTEL_TTS_CLIP_RATIO", number(0, 1, "ratio"), AUDIO.clip_ratio, "share of clipped samples that is an anomaly"
    )
    clicks_per_second: float = _setting(
        "OTEL_TTS_CLICKS_PER_SECOND",
        number(0, 1e6, "1/s"),
        AUDIO.clicks_per_second,
        "clicks a second that are an anomaly",
    )
    dc_offset: float = _setting(
        "OTEL_TTS_DC_OFFSET", number(0, 1, "ratio"), AUDIO.dc_offset, "mean of the samples that is an anomaly"
    )
    underrun: float = _setting(
        "OTEL_TTS_UNDERRUN",
        number(0, 60, "seconds"),
        AUDIO.underrun,
        "seconds of deficit at which a stream is not continuous",
    )
    nvml_interval: float = _setting(
        "OTEL_TTS_NVML_INTERVAL",
        number(0, 3600, "seconds"),
        1.0,
        "seconds between two looks at the GPU's power, memory and temperature; 0: none, another exporter does it",
    )
    gpu_price: float = _setting(
        "OTEL_TTS_GPU_PRICE", number(0, 1e6), 0.0, "price of an hour of one GPU, for tts.cost; 0: no cost is told"
    )
    currency: str = _setting("OTEL_TTS_CURRENCY", CURRENCY, "USD", "currency of that price, as ISO 4217")
    problems: tuple[str, ...] = field(default=(), compare=False)

    @property
    def thresholds(self) -> Thresholds:
        """Where audio starts to be silent, clipped, and so on, as these settings have it."""
        return Thresholds(
            silence_dbfs=self.silence_dbfs,
            clip_ratio=self.clip_ratio,
            clicks_per_second=self.clicks_per_second,
            dc_offset=self.dc_offset,
            underrun=self.underrun,
        )


SETTINGS: Final = tuple(Setting(field=f.name, default=f.default, **f.metadata) for f in fields(Settings) if f.metadata)
"""The rows of the table, in its order."""


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

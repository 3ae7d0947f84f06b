# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The engines' tables: one file each, and those that other packages bring (entry-point group ``otel_tts_engine``)."""

from __future__ import annotations

from importlib import metadata

from otel_tts.engine import Engine
from otel_tts.guard import contain
from otel_tts.instrumentation.engines import hibari, piper

ENGINES: tuple[Engine, ...] = (hibari.ENGINE, piper.ENGINE)
"""The tables that come with otel-tts."""


def all_engines() -> tuple[Engine, ...]:
    """Return our tables and those of installed packages; one that cannot be loaded is noted and left out."""
    brought = (contain(f"engine {point.name}", point.load) for point in metadata.entry_points(group="otel_tts_engine"))
    return (*ENGINES, *(engine for engine in brought if isinstance(engine, Engine)))

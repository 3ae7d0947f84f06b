# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The engines' tables: one file each, and those that other packages bring (entry-point group ``otel_tts_engine``)."""

from __future__ import annotations

import logging
from importlib import metadata

from otel_tts.engine import Engine
from otel_tts.guard import contain
from otel_tts.instrumentation.engines import (
    cosyvoice,
    gpt_sovits,
    hibari,
    indextts,
    kokoro,
    kokoro_onnx,
    piper,
    pocket_tts,
    sherpa_onnx,
    transformers,
)

_logger = logging.getLogger("otel_tts")

ENGINES: tuple[Engine, ...] = (
    cosyvoice.ENGINE,
    gpt_sovits.ENGINE,
    hibari.ENGINE,
    *indextts.ENGINES,
    kokoro.ENGINE,
    *kokoro_onnx.ENGINES,
    piper.ENGINE,
    pocket_tts.ENGINE,
    sherpa_onnx.ENGINE,
    transformers.ENGINE,
)
"""The tables that come with otel-tts."""


def all_engines() -> tuple[Engine, ...]:
    """Return our tables and those of installed packages; one that cannot be loaded is noted and left out."""
    points = contain("engines", metadata.entry_points, group="otel_tts_engine") or ()
    brought = (_load(point) for point in points)
    return (*ENGINES, *(engine for engine in brought if engine is not None))


def _load(point: metadata.EntryPoint) -> Engine | None:
    found: object = contain(f"engine {point.name}", point.load)
    if found is None or isinstance(found, Engine):
        return found
    _logger.warning(
        "otel-tts: the entry point %s = %s is no otel_tts.Engine and is left out; let it name one",
        point.name, point.value,
    )  # fmt: skip
    return None

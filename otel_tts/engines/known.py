# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The engines' tables: one file each, and those that other packages bring (entry-point group ``otel_tts_engine``)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import metadata
from typing import Any

from otel_tts.commands import suggest
from otel_tts.engines import (
    chatterbox,
    coqui,
    cosyvoice,
    edge_tts,
    f5_tts,
    faster_qwen3_tts,
    fish_speech,
    gpt_sovits,
    hibari,
    indextts,
    kokoro,
    kokoro_onnx,
    neutts,
    omnivoice,
    piper,
    pocket_tts,
    qwen_tts,
    realtimetts,
    sglang_omni,
    sherpa_onnx,
    supertonic,
    transformers,
    vllm_omni,
    voxcpm,
)
from otel_tts.engines.form import GROUP, Wrong, load
from otel_tts.engines.table import Engine
from otel_tts.guard import contain

_logger = logging.getLogger("otel_tts")

ENGINES: tuple[Engine, ...] = (
    chatterbox.ENGINE,
    coqui.ENGINE,
    cosyvoice.ENGINE,
    edge_tts.ENGINE,
    f5_tts.ENGINE,
    faster_qwen3_tts.ENGINE,
    fish_speech.ENGINE,
    gpt_sovits.ENGINE,
    hibari.ENGINE,
    *indextts.ENGINES,
    kokoro.ENGINE,
    *kokoro_onnx.ENGINES,
    neutts.ENGINE,
    omnivoice.ENGINE,
    piper.ENGINE,
    pocket_tts.ENGINE,
    qwen_tts.ENGINE,
    realtimetts.ENGINE,
    sglang_omni.ENGINE,
    sherpa_onnx.ENGINE,
    supertonic.ENGINE,
    transformers.ENGINE,
    vllm_omni.ENGINE,
    voxcpm.ENGINE,
)
"""The tables that come with otel-tts."""


def all_engines(entry_points: Callable[..., Any] | None = None) -> tuple[Engine, ...]:
    """Return our tables and those of installed packages; one that cannot be used is named and left out.

    `entry_points` is another's who has scanned the packages already, and else importlib's.
    """
    found = known(entry_points)
    for wrong in found:
        if isinstance(wrong, Wrong):
            _logger.warning(
                "otel-tts: the engine table %s%s is left out: %s; `%s` shows this too",
                wrong.table, f" of {wrong.distribution}" if wrong.distribution else "", wrong.error, suggest("engines"),
            )  # fmt: skip
    return tuple(engine for engine in found if isinstance(engine, Engine))


def known(entry_points: Callable[..., Any] | None = None) -> tuple[Engine | Wrong, ...]:
    """Return our tables, and what installed packages bring: tables, and what is wrong with those that are none."""
    scan: Callable[..., Any] = entry_points or metadata.entry_points
    points = contain("engines", scan, group=GROUP) or ()
    return (*ENGINES, *(found for point in points if (found := contain(f"engine {point.name}", load, point))))

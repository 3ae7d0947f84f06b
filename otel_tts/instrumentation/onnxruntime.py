# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A run of onnxruntime inside a synthesis is a stage, unless a table's seam around it already says so.

This gives engines without a table of their own their model's time. The session's path is private and not read.
"""

from __future__ import annotations

from typing import Any, Final

from otel_tts.guard import contain
from otel_tts.instrumentation.hooks import wrap_after_import
from otel_tts.instrumentation.stages import run_stage
from otel_tts.names import Stage
from otel_tts.synthesis import Synthesis, current

_MODULE: Final = "onnxruntime.capi.onnxruntime_inference_collection"
_RUNS: Final = ("Session.run", "Session.run_with_ort_values", "Session.run_with_iobinding")


def watch_onnxruntime() -> None:
    """Wrap the ways of running a session after onnxruntime's import."""
    for target in _RUNS:
        wrap_after_import(_MODULE, target, _run)


def _run(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    synthesis = contain("onnxruntime", current)
    if synthesis is None or synthesis.open_stages:
        return wrapped(*args, **kwargs)
    return run_stage(_stage_of(synthesis), wrapped, args, kwargs, synthesis=synthesis)


def _stage_of(synthesis: Synthesis) -> str:
    return synthesis.engine.onnx if synthesis.engine is not None else Stage.MODEL

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A run of onnxruntime inside a synthesis is a stage, unless a table's seam around it already says so.

This gives engines without a table of their own their model's time. The session's path is private and not read.
"""

from __future__ import annotations

from typing import Any, Final

from otel_tts import names
from otel_tts.gpu.fallback import sessions
from otel_tts.guard import contain
from otel_tts.instrumentation.hooks import wrap_after_import
from otel_tts.instrumentation.stages import run_stage
from otel_tts.names import Stage
from otel_tts.synthesis import Synthesis, current

_MODULE: Final = "onnxruntime.capi.onnxruntime_inference_collection"
_RUNS: Final = ("Session.run", "Session.run_with_ort_values", "Session.run_with_iobinding")

PROVIDER_WAITS: Final = "provider_waits"
"""gpu.timing.status of a run on a device: the host's times are true, since the provider synchronises at its end."""


def watch_onnxruntime() -> None:
    """Wrap the ways of running a session after onnxruntime's import."""
    wrap_after_import(_MODULE, "InferenceSession.__init__", _make)
    for target in _RUNS:
        wrap_after_import(_MODULE, target, _run)


def _make(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A session falls back to the CPU without an error when its device's libraries are missing: note what it wants."""
    result = wrapped(*args, **kwargs)
    wanted = kwargs.get("providers", args[2] if len(args) > 2 else None)
    contain("onnxruntime", sessions.ask, instance, wanted)
    return result


def _run(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    synthesis = contain("onnxruntime", current)
    if synthesis is None:
        return wrapped(*args, **kwargs)
    if contain("onnxruntime", sessions.fell_back, instance):
        synthesis.attrs[names.DEVICE_FALLBACK] = True
    waits = contain("onnxruntime", _waits_for_a_device, instance)
    if synthesis.open_stages:
        if waits:
            synthesis.open_stages[-1].attrs.setdefault(names.TIMING_STATUS, PROVIDER_WAITS)
        return wrapped(*args, **kwargs)
    said = {names.TIMING_STATUS: PROVIDER_WAITS} if waits else None
    stage = _stage_of(synthesis)
    return run_stage(stage, wrapped, args, kwargs, synthesis=synthesis, attributes=said, device="cpu")


def _waits_for_a_device(session: Any) -> bool:
    """Whether a run of `session` copies its results from a device, and so ends only when that is done."""
    return any(provider != "CPUExecutionProvider" for provider in session.get_providers()[:1])


def _stage_of(synthesis: Synthesis) -> str:
    return synthesis.engine.onnx if synthesis.engine is not None else Stage.MODEL

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A run of onnxruntime inside a synthesis is a stage, unless a table's seam around it already says so.

This gives engines without a table of their own their model's time, inside an own block or where a request is answered
with audio. Of an engine with several graphs the table names them: a session is known by the name of the file that it
was made of, which is compared and never leaves.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any, Final

from otel_tts import names
from otel_tts.device.fallback import sessions
from otel_tts.engines.kept import keep, kept
from otel_tts.guard import contain
from otel_tts.instrumentation.calls.seam import run_stage
from otel_tts.instrumentation.wrapping import wrap_after_import
from otel_tts.otel_private.context import SPAN_KEY, current_context
from otel_tts.record import StageRecord
from otel_tts.recording import pieces
from otel_tts.recording.stage import StageSpan
from otel_tts.recording.synthesis import Synthesis, current

_MODULE: Final = "onnxruntime.capi.onnxruntime_inference_collection"
_RUNS: Final = ("Session.run", "Session.run_with_ort_values", "Session.run_with_iobinding")

PROVIDER_WAITS: Final = "provider_waits"
"""gpu.timing.status of a run on a device: the host's times are true, since the provider synchronises at its end."""
NOT_AWAITED: Final = "not_awaited"
"""gpu.timing.status of a run on a device whose own options told the provider not to wait: the times are the call's."""
_NO_WAITING: Final = "disable_synchronize_execution_providers"


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
    model = kwargs.get("path_or_bytes", args[0] if args else None)
    if isinstance(model, (str, PurePath)):
        contain("onnxruntime", keep, instance, PurePath(model).stem)
    return result


def _run(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    synthesis = contain("onnxruntime", current)
    if synthesis is None:
        return _run_apart(wrapped, args, kwargs)
    status = contain("onnxruntime", _look_at, instance, synthesis, args, kwargs)
    if contain("onnxruntime", _is_in_a_stage, synthesis, status):
        return wrapped(*args, **kwargs)
    said = {names.TIMING_STATUS: status} if status is not None else None
    stage, fold = contain("onnxruntime", _stage_of, synthesis, instance) or (names.Stage.MODEL, False)
    return run_stage(stage, wrapped, args, kwargs, synthesis=synthesis, fold=fold, attributes=said, device="cpu")


def _run_apart(wrapped: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    began = contain("onnxruntime", pieces.begin)
    try:
        return wrapped(*args, **kwargs)
    finally:
        if began is not None:
            contain("onnxruntime", pieces.note, names.Stage.MODEL, began)


def _look_at(session: Any, synthesis: Synthesis, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """Take note of what `session` runs on; return the status of a run of it on a device."""
    if sessions.fell_back(session):
        synthesis.attrs[names.DEVICE_FALLBACK] = True
    device = sessions.device(session)
    if device is None or device == "cpu":
        return None
    synthesis.attrs.setdefault(names.DEVICE, device)
    return NOT_AWAITED if any(map(_does_not_wait, (*args, *kwargs.values()))) else PROVIDER_WAITS


def _does_not_wait(argument: Any) -> bool:
    """Whether `argument` is the run's options, and they leave out the provider's synchronisation."""
    read = getattr(argument, "get_run_config_entry", None)
    if read is None:
        return False
    try:
        return read(_NO_WAITING) == "1"
    except Exception:  # the entry is not set: its type differs between versions
        return False


def _is_in_a_stage(synthesis: Synthesis, status: str | None) -> bool:
    """Whether a stage is around the run. It has the run's status, unless the device's clock knows better."""
    span: Any = current_context().get(SPAN_KEY)
    stage: StageRecord
    if isinstance(span, StageSpan):
        stage = span
    elif opened := synthesis.stages.open[-1:]:
        stage = opened[0]
    else:
        return False
    if status is not None and stage.timing is None:
        stage.attrs.setdefault(names.TIMING_STATUS, status)
    return True


def _stage_of(synthesis: Synthesis, session: Any) -> tuple[str, bool]:
    """Return the stage that a run of `session` is, and whether it is folded."""
    engine = synthesis.engine
    if engine is None:
        return names.Stage.MODEL, False
    if not engine.graphs:
        return engine.onnx, False
    name = kept(session)
    return next(((graph.stage, graph.fold) for graph in engine.graphs if graph.name == name), (engine.onnx, False))

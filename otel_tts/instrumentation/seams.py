# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A call of a seam whose table says more than the stage's name: facts, segments, streams, attempts, a queue's job."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from otel_tts import names
from otel_tts.engines.table import Call, Seam
from otel_tts.guard import contain
from otel_tts.instrumentation import workers
from otel_tts.instrumentation.reading import call_of, fact, read
from otel_tts.instrumentation.stages import run_stage
from otel_tts.otel_private.context import SPAN_KEY, current_context, enter_context, leave_context
from otel_tts.stage import Where
from otel_tts.synthesis import Synthesis, current


def says_more(seam: Seam) -> bool:
    """Whether the arguments of each call have to be looked at."""
    return bool(seam.facts or seam.segments or seam.streams or seam.last or seam.attempts or seam.job)


def run_seam(seam: Seam, wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call `wrapped` as the stage that `seam` says; outside of a synthesis, just call it."""
    job = contain("job", workers.take, seam.job) if seam.job is not None else None
    token = contain("job", enter_context, job) if job is not None else None
    try:
        plan = contain("stage", _plan, seam, wrapped, instance, args, kwargs)
        if plan is None:
            return wrapped(*args, **kwargs)
        return run_stage(seam.stage, wrapped, args, kwargs, fold=seam.fold, context=job, **plan)
    finally:
        if job is not None and token is not None:
            contain("job", leave_context, job, token)


def _plan(
    seam: Seam, wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any] | None:
    """Return what `run_stage` is to be told; None outside of a synthesis."""
    synthesis = current()
    if synthesis is None:
        return None
    call = call_of(wrapped, instance, args, kwargs)
    if seam.attempts:
        _count_attempt(synthesis, seam.stage)
    segments = _segments(seam, call)
    return {
        "synthesis": synthesis,
        "attributes": _attributes(seam, call, segments),
        "device": _where(seam, call),
        "segments": segments,
        "last": partial(seam.last, call) if seam.last is not None else None,
    }


def _attributes(seam: Seam, call: Call, segments: int) -> dict[str, Any]:
    found = {name: fact(reader, call) for name, reader in seam.facts.items()}
    if segments > 1:
        found[names.STAGE_SEGMENTS] = segments
    return {name: value for name, value in found.items() if value is not None}


def _segments(seam: Seam, call: Call) -> int:
    found = read(seam.segments, call)
    return found if isinstance(found, int) and found > 0 else 1


def _where(seam: Seam, call: Call) -> Where:
    streams = read(seam.streams, call)
    if streams is None:
        return seam.device
    return tuple(cast("tuple[Any, ...]", streams)) if isinstance(streams, (list, tuple)) else (streams,)


def _count_attempt(synthesis: Synthesis, stage: str) -> None:
    """Of what is called again inside the same span, all but the first are retries."""
    parent: Any = current_context().get(SPAN_KEY)
    what = (parent.get_span_context().span_id if parent is not None else None, stage)
    if synthesis.tried is None:
        synthesis.tried = set()
    if what in synthesis.tried:
        synthesis.attrs[names.RETRIES] = synthesis.attrs.get(names.RETRIES, 0) + 1
    synthesis.tried.add(what)

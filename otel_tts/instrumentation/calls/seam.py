# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A call of a seam: a stage of the current synthesis. Its result, exceptions and kind stay what they are."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final, cast

from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otel_tts import names
from otel_tts.engines.table import Call, Seam
from otel_tts.guard import contain, note_fault
from otel_tts.instrumentation.callables import ASYNC_GENERATOR, COROUTINE, GENERATOR, PLAIN, kind_of
from otel_tts.instrumentation.calls.arguments import call_of, fact, positional, read
from otel_tts.instrumentation.calls.ending import Ending
from otel_tts.otel_private.context import SPAN_KEY, current_context, enter_context, leave_context
from otel_tts.recording.stage import StageSpan, Where
from otel_tts.recording.streaming import EACH, LAST, NOBODY, Listener, Take, iterate, iterate_async
from otel_tts.recording.synthesis import Synthesis, current

_PROPAGATOR: Final = TraceContextTextMapPropagator()


def run_stage(
    name: str,
    call: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    synthesis: Synthesis | None = None,
    fold: bool = False,
    attributes: Mapping[str, Any] | None = None,
    device: Where = None,
    segments: int = 1,
    last: Callable[[Any], Any] | None = None,
    context: Context | None = None,
    ending: Ending | None = None,
) -> Any:
    """Call `call` as a stage of `synthesis` (default: the current one); outside of any, just call it.

    `device` ``"cpu"``: it does nothing on a device, or has waited for it when it returns; else the streams it runs on.
    `segments`: how many it makes at once. `last` says of a generator's item whether the stage ends with it, `context`
    where a generator begins if that is not where its first step is taken, `ending` why a generation ended.
    """
    kind = kind_of(call)
    stage = None
    try:  # not by `contain`: after a model's run each function more costs as much as its work
        owner = current() if synthesis is None else synthesis
        if owner is not None:
            stage = StageSpan(owner, name, dict(attributes) if attributes else None, fold, device)
            stage.count = segments
            if kind == PLAIN:
                stage.__enter__()
    except Exception as fault:
        note_fault("stage", fault)
        stage = None
    if stage is None:
        return call(*args, **kwargs)
    if kind in (GENERATOR, ASYNC_GENERATOR):
        run, source = contain("stage", _StageRun, stage, last, context, ending), call(*args, **kwargs)
        if run is None:
            return source
        return iterate(source, run) if kind == GENERATOR else iterate_async(source, run)
    if kind == COROUTINE:
        return _await(stage, call(*args, **kwargs), ending)
    try:
        result = call(*args, **kwargs)
    except BaseException as error:
        if ending is not None:
            contain("reader", ending.broken, stage, None, 0)
        contain("stage", stage.__exit__, type(error), error, None)
        raise
    if ending is not None:
        contain("reader", ending.note, stage, result, 1)
    try:
        stage.__exit__(None, None, None)
    except Exception as fault:
        note_fault("stage", fault)
    return result


async def _await(stage: StageSpan, coroutine: Coroutine[Any, Any, Any], ending: Ending | None) -> Any:
    if contain("stage", stage.__enter__) is None:
        return await coroutine
    try:
        result = await coroutine
    except BaseException as error:
        if ending is not None:
            contain("reader", ending.broken, stage, None, 0)
        contain("stage", stage.__exit__, type(error), error, None)
        raise
    if ending is not None:
        contain("reader", ending.note, stage, result, 1)
    contain("stage", stage.__exit__, None, None, None)
    return result


class _StageRun:
    """A generator as a stage: from its first step to its end, current only while it runs.

    It begins in `context` where that is not the context of its first step, and ends with an item of which `last` says
    so.
    """

    place: str = "stage"
    resume: Callable[[], object] | None = None
    pause: Callable[[], object] | None = None
    late: None = None

    def __init__(
        self, stage: StageSpan, last: Callable[[Any], Any] | None, context: Context | None, ending: Ending | None
    ) -> None:
        self._stage, self._last, self._context, self._ending = stage, last, context, ending
        self.listener: Listener = NOBODY if last is None and ending is None else EACH
        self._items, self._newest = 0, None

    def begin(self) -> Context:
        stage = self._stage
        if self._context is None:
            stage.open()
        else:
            token = enter_context(self._context)
            try:
                stage.open()
            finally:
                leave_context(self._context, token)
        if stage.timing is not None:
            self.resume, self.pause = stage.resume, stage.pause
        return stage.inside

    def item(self, item: Any, at: int) -> Take | None:
        if self._ending is not None:
            self._items += 1
            self._newest = item
        return LAST if self._last is not None and contain("stage", self._last, item) else None

    def ended(self) -> None:
        pass

    def end(self, error: BaseException | None, busy: int) -> None:
        stage = self._stage
        if stage.t1 is None:
            newest, self._newest = self._newest, None  # not kept for as long as the caller keeps the generator
            if self._ending is not None:
                told = self._ending.note if error is None else self._ending.broken
                contain("reader", told, stage, newest, self._items)
            stage.attrs[names.STAGE_HOST_DURATION] = busy / 1e9
            stage.close(error)


def says_more(seam: Seam) -> bool:
    """Whether the arguments of each call have to be looked at."""
    return bool(
        seam.facts or seam.segments or seam.streams or seam.last or seam.attempts or seam.job or seam.finish
        or seam.headers
    )  # fmt: skip


def run_seam(seam: Seam, wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call `wrapped` as the stage that `seam` says; outside of a synthesis, just call it."""
    plan = contain("stage", _plan, seam, wrapped, instance, args, kwargs)
    if plan is None:
        return wrapped(*args, **kwargs)
    if seam.headers is not None:
        kwargs = contain("stage", _with_headers, seam.headers, wrapped, args, kwargs) or kwargs
    return run_stage(seam.stage, wrapped, args, kwargs, fold=seam.fold, **plan)


def _with_headers(argument: str, wrapped: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
    """Return the arguments with the current span's W3C headers; None where the call takes none, or has its own."""
    takes = positional(wrapped)
    if argument not in takes or argument in takes[: len(args)] or kwargs.get(argument) is not None:
        return None
    headers: dict[str, str] = {}
    _PROPAGATOR.inject(headers, current_context())
    return {**kwargs, argument: headers} if headers else None


def _plan(
    seam: Seam, wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any] | None:
    """Return what `run_stage` is to be told; None outside of a synthesis."""
    synthesis = current()
    if synthesis is None:
        return None
    call = call_of(wrapped, instance, args, kwargs)
    if seam.before is not None:
        call = call._replace(before=read(seam.before, call))
    attempt = _count_attempt(synthesis, seam.stage) if seam.attempts else None
    segments = _segments(seam, call)
    return {
        "synthesis": synthesis,
        "attributes": _attributes(seam, call, segments),
        "device": _where(seam, call),
        "segments": segments,
        "last": partial(seam.last, call) if seam.last is not None else None,
        "context": current_context() if seam.job is not None else None,
        "ending": Ending(synthesis, seam.finish, call, attempt) if seam.finish is not None else None,
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


def _count_attempt(synthesis: Synthesis, stage: str) -> object:
    """Of what is called again inside the same span, all but the first are retries. Return what was tried."""
    parent: Any = current_context().get(SPAN_KEY)
    what = (parent.get_span_context().span_id if parent is not None else None, stage)
    if synthesis.tried is None:
        synthesis.tried = set()
    if what in synthesis.tried:
        synthesis.attrs[names.RETRIES] = synthesis.attrs.get(names.RETRIES, 0) + 1
    synthesis.tried.add(what)
    return what

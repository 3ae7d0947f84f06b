# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A call of an engine's entry, and how it runs: it opens a synthesis or joins the open one, and is inside of it."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Coroutine
from types import AsyncGeneratorType, CoroutineType, GeneratorType, TracebackType
from typing import Any, Final

from opentelemetry.context import Context

from otel_tts import names
from otel_tts.engines.table import Call
from otel_tts.guard import contain
from otel_tts.instrumentation.callables import ASYNC_GENERATOR, COROUTINE, GENERATOR, PLAIN, kind_of
from otel_tts.instrumentation.calls import mark
from otel_tts.instrumentation.calls.arguments import bind
from otel_tts.instrumentation.calls.delivery import Delivery
from otel_tts.instrumentation.calls.facts import add_up, facts_of, learn
from otel_tts.instrumentation.calls.on_loop import is_on_loop, note_blocked
from otel_tts.instrumentation.calls.plan import Plan
from otel_tts.otel_private.context import current_context, enter_context, leave_context
from otel_tts.record import now
from otel_tts.recording import abandoned
from otel_tts.recording.recorder import current as current_recorder
from otel_tts.recording.streaming import Everything, Listener, Take, iterate, iterate_async
from otel_tts.recording.synthesis import Synthesis, current, enter_entry, entries_around

_STREAMS: Final = (GENERATOR, ASYNC_GENERATOR)
_AWAITED: Final = (COROUTINE, ASYNC_GENERATOR)


def call_entry(
    plan: Plan, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call `wrapped` as one synthesis of the plan's engine; its result, exceptions and kind stay what they are."""
    if current_recorder() is None:
        return wrapped(*args, **kwargs)
    kind = kind_of(wrapped)
    call = contain("entry", _EntryCall, plan, kind, wrapped, instance, args, kwargs)
    if call is None:
        return wrapped(*args, **kwargs)
    if kind == PLAIN:
        return _run(call, wrapped, args, kwargs)
    if kind == GENERATOR:
        return iterate(wrapped(*args, **kwargs), call)
    if kind == ASYNC_GENERATOR:
        return iterate_async(wrapped(*args, **kwargs), call)
    return _await(wrapped(*args, **kwargs), call.begin, call)


def _run(call: _EntryCall, wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a plain function. What it returns to iterate or to await (IndexTTS's ``stream_return``) goes on inside."""
    context = contain("entry", call.begin)
    if context is None:
        return wrapped(*args, **kwargs)
    if call.plan.entry.callback is not None:
        args, kwargs = contain("entry", call.tap) or (args, kwargs)
    with _Inside(call, context) as inside:
        return inside.hand_over(wrapped(*args, **kwargs))


async def _await(coroutine: Coroutine[Any, Any, Any], begin: Callable[[], Context | None], call: _EntryCall) -> Any:
    context = contain("entry", begin)
    if context is None:
        return await coroutine
    with _Inside(call, context) as inside:
        return inside.hand_over(await coroutine)


class _Inside:
    """The part of a call that runs inside its synthesis.

    No local of a frame may hold the error: with its traceback that is a cycle, which keeps the engine's frames and
    their tensors until the collector comes by.
    """

    __slots__ = ("_call", "_context", "_entered", "_goes_on")

    def __init__(self, call: _EntryCall, context: Context) -> None:
        self._call, self._context = call, context
        self._goes_on = False

    def __enter__(self) -> _Inside:
        self._entered = contain("entry", _enter, self._context)
        return self

    def hand_over(self, result: Any) -> Any:
        """Note the result and return it; a generator or coroutine is returned as one that goes on inside."""
        rest = contain("entry", _rest_of, result, self._call)
        if rest is not None:
            self._goes_on = True
            self._call.blocks, self._call.continued = False, not isinstance(rest, CoroutineType)
            return rest
        contain("entry", self._call.delivery.returned, result)
        return result

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        busy = contain("entry", _exit, self._context, self._entered) or 0
        if self._goes_on:
            contain("entry", self._call.add, busy)
        else:
            contain("entry", self._call.end, error, busy)


_Entered = tuple[Any, int]
"""What makes the outer context current again, and when the inner one became so."""


def _enter(context: Context) -> _Entered:
    return enter_context(context), now()


def _exit(context: Context, entered: _Entered | None) -> int:
    if entered is None:
        return 0
    token, began = entered
    leave_context(context, token)
    return now() - began


_GO_ON: Final[Any] = (GeneratorType, AsyncGeneratorType, CoroutineType)


def _rest_of(result: Any, call: _EntryCall) -> Any:
    """Return what goes on inside the call's synthesis in place of a generator or coroutine, or of an answer that has
    one for its body; None for anything else."""
    body = call.plan.entry.body
    source: Any = result if body is None else getattr(result, body, None)
    if not isinstance(source, _GO_ON):
        return None
    goes_on = _Continued(call)
    rest: Any
    if inspect.isgenerator(source):
        rest = iterate(source, goes_on)
    elif inspect.isasyncgen(source):
        rest = iterate_async(source, goes_on)
    else:
        rest = _await(source, goes_on.begin, call)
    weakref.finalize(rest, goes_on.dropped).atexit = False
    if body is None:
        return rest
    setattr(result, body, rest)
    return result


class _EntryCall:
    """One call: knows its table, and makes the synthesis or joins it. A generator's is the `Run` of its stream."""

    resume: None = None
    pause: None = None

    synthesis: Synthesis
    own: bool
    """The synthesis began with this call and ends with it."""
    delivery: Delivery
    blocks: bool = False
    """It runs on an event loop's thread, which waits for it."""
    continued: bool = False
    """Its result goes on as a stream."""
    unheard: tuple[int, int] = (0, 0)
    """ns of work after the synthesis's end, and when the last of it ended (perf_counter_ns)."""

    def __init__(
        self,
        plan: Plan,
        kind: str,
        wrapped: Callable[..., Any],
        instance: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self.plan, self._kind = plan, kind
        self._wrapped, self._instance, self._args, self._kwargs = wrapped, instance, args, kwargs
        self._context = current_context()
        self.place = "stream" if kind in _STREAMS else "entry"

    def begin(self) -> Context | None:
        """Join the open synthesis, or start one that belongs where the call was made; return the context to run in."""
        recorder = current_recorder()
        if recorder is None:
            return None
        plan, args, kwargs = self.plan, self._args, self._kwargs
        call = Call(self._instance, bind(plan.names_of(self._wrapped, args), args, kwargs))
        outer, around, entry = current(), entries_around(), plan.entry
        if entry.outermost and around:
            return None
        if entry.when is not None and not contain("reader", entry.when, call):
            return None
        self.own = own = outer is None
        self.synthesis = synthesis = Synthesis(recorder, self._facts(call), plan.engine) if outer is None else outer
        self.delivery = delivery = Delivery(plan, call, synthesis, own, around)
        self.listener: Listener = Everything(synthesis) if delivery.hears_each else synthesis
        self.item, self.ended = delivery.item, delivery.ended
        self.blocks = delivery.delivers and self._kind not in _AWAITED and is_on_loop()
        if outer is None:
            synthesis.mute = entry.chunk is None
            synthesis.start(self._context)
        else:
            self._join(outer, call)
        return self.enter()

    def enter(self) -> Context | None:
        """Return the context of the code inside, which is one entry deeper."""
        return contain(self.place, enter_entry, self.synthesis, self.own) or self.synthesis.inside

    def _join(self, outer: Synthesis, call: Call) -> None:
        """An own ``with otel_tts.synthesis()`` learns the engine; an outer entry of a table knows it already."""
        if self.delivery.delivers:
            add_up(outer, self.plan.entry, call)
        if outer.engine is None:
            learn(outer, self.plan.engine, self._facts(call))

    def _facts(self, call: Call) -> dict[str, Any]:
        return facts_of(self.plan, call, self._kind in _STREAMS)

    def tap(self) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Return the arguments with the caller's callback heard; None where he gave none."""
        given = self.plan.names_of(self._wrapped, self._args)
        return self.delivery.tap(given, self._args, self._kwargs, self._context)

    def add(self, busy: int) -> None:
        """Note `busy` ns inside the engine; a part of another entry is counted there."""
        if self.own:
            self.synthesis.busy += busy
        if self.blocks:
            contain("entry", note_blocked, self.synthesis, busy)

    def late(self, began: int, at: int) -> None:
        """A stream's step from `began` to `at` ended after the synthesis had."""
        if (end := self.synthesis.t1) is not None:
            self.unheard = self.unheard[0] + at - max(began, end), at

    def end(self, error: BaseException | None, busy: int) -> None:
        """End what is the call's own. An exception that leaves it into another entry may be swallowed there."""
        self.add(busy)
        if error is not None:
            contain("entry", self.delivery.left, error)
        if self.own:
            self.own = False
            if self.synthesis.t1 is not None:
                self._report_unheard()
            self.synthesis.finish(error)
        elif error is not None and self.synthesis.t1 is None:
            mark.stop(self.synthesis, error)
            if not isinstance(error, GeneratorExit):
                self.synthesis.swallow(error)

    def _report_unheard(self) -> None:
        if self._kind not in _STREAMS and not self.continued:
            self.late(0, now())
        abandoned.report(self.synthesis, *self.unheard)


class _Continued:
    """A generator or coroutine returned by a plain entry: the same synthesis goes on while it runs."""

    place: str = "stream"
    resume: None = None
    pause: None = None

    def __init__(self, call: _EntryCall) -> None:
        self._call, self.listener = call, call.listener
        self.ended, self.end, self.late = call.ended, call.end, call.late
        self._begun = False

    def begin(self) -> Context | None:
        self._begun = True
        return self._call.enter()

    def item(self, item: Any, at: int) -> Take | None:
        self._call.synthesis.set_attribute(names.STREAM, True)
        return self._call.item(item, at)

    def dropped(self) -> None:
        """Nobody holds it any more; one that never ran could not end its synthesis."""
        if self._call.own and not self._begun:
            contain("entry", self._call.synthesis.finish, GeneratorExit())

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Carries the trace across threads and executors, which do not take the caller's context along by themselves.

Only OpenTelemetry's context and the request are carried; the application's own context variables are its own.
asyncio tasks, ``asyncio.to_thread`` and anyio keep the context without help.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

import wrapt
from opentelemetry import trace

from otel_tts import request
from otel_tts.emit.span_private import current_context, enter_context, leave_context
from otel_tts.guard import contain, note_fault

_LIBRARIES: Final = ("opentelemetry.", "otel_tts.", "concurrent.futures.", "asyncio.", "anyio.")
"""Threads of these outlive the request that happened to start them; each piece of their work brings its own context."""

_originals: Final[list[tuple[Any, str, Any]]] = []


def carried(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return `call` bound to the current trace and request; `call` itself where there is none.

    For hand-overs that no hook can see: ``queue.put(otel_tts.carried(job))``.
    """
    context, web = current_context(), request.current.get()
    if web is None and not trace.get_current_span(context).get_span_context().is_valid:
        return call

    def run(*args: Any, **kwargs: Any) -> Any:
        token, previous = enter_context(context), request.current.set(web)
        try:
            return call(*args, **kwargs)
        finally:
            request.current.reset(previous)
            leave_context(context, token)

    return run


def install() -> None:
    """Wrap ``Thread.start`` and ``ThreadPoolExecutor.submit`` (``loop.run_in_executor`` submits through it)."""
    if _originals:
        return
    import concurrent.futures.thread as pools

    _wrap(threading.Thread, "start", _start)
    _wrap(pools.ThreadPoolExecutor, "submit", _submit)


def uninstall() -> None:
    """Put the originals back."""
    while _originals:
        owner, name, original = _originals.pop()
        setattr(owner, name, original)


def _wrap(owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
    original: Any = owner.__dict__[name]
    _originals.append((owner, name, original))
    wrapt.wrap_function_wrapper(owner, name, wrapper)


def _start(wrapped: Any, thread: threading.Thread, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        if not _is_library(thread):
            _carry_run(thread)
    except Exception as error:
        note_fault("carrier", error)
    return wrapped(*args, **kwargs)


def _carry_run(thread: threading.Thread) -> None:
    """Replace ``run`` on this one thread, so that subclasses with a ``run`` of their own are carried too."""
    original = thread.run
    run = carried(original)
    if run is original:
        return

    def once() -> None:
        vars(thread).pop("run", None)  # no cycle, and a look at the thread shows its own method
        run()

    thread.run = once  # pyright: ignore[reportAttributeAccessIssue]


def _is_library(thread: threading.Thread) -> bool:
    target = getattr(thread, "_target", None)
    module = getattr(target, "__module__", None) or type(thread).__module__
    return f"{module}.".startswith(_LIBRARIES)


def _submit(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not args:
        return wrapped(*args, **kwargs)
    call = contain("carrier", carried, args[0]) or args[0]
    return wrapped(call, *args[1:], **kwargs)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Gradio's queue: each job belongs to the request that handed it in, not to the one that started the queue.

Gradio starts the tasks of its queue inside a request of its own (``GET /gradio_api/startup-events``), whose context
they keep for ever: every job of the process would end up in that one trace. Here a job takes its caller's context with
it, from the making of its ``Event`` to ``Queue.process_events``, which works on one event, or on several where the
page's function takes batches. A function that is not queued (``/run/…``, ``queue=False``) runs in its own request;
there is nothing to do for it. Gradio is never imported from here.
"""

from __future__ import annotations

import asyncio
import copy
import re
import sys
from collections.abc import Iterable
from contextvars import ContextVar, Token
from typing import Any, Final
from weakref import WeakKeyDictionary

from otel_tts.guard import contain
from otel_tts.instrumentation.edges import asgi_scope
from otel_tts.instrumentation.edges.asgi_scope import Scope
from otel_tts.instrumentation.libraries.queued_job import Batch, Job, refuse
from otel_tts.instrumentation.wrapping import wrap_after_import
from otel_tts.otel_private.context import enter_context, leave_context
from otel_tts.recording import request
from otel_tts.recording.delivered import note_file
from otel_tts.recording.recorder import current as current_recorder

_QUEUEING: Final = "gradio.queueing"
_JOB: Final = "_otel_tts_job"
"""Attribute of a Gradio event."""

_current: Final[ContextVar[Job | Batch | None]] = ContextVar("otel_tts_gradio", default=None)
"""The job that the code works on, in the queue's own task and in what that calls."""


def watch_gradio() -> None:
    """Hook the queue after Gradio's import, and let the requests of a page that are no jobs leave nothing."""
    for target, wrapper in (
        ("Event.__init__", _note_caller),
        ("Queue.process_events", _process),
        ("Queue.push", _push),
        ("Queue.clean_events", _watch_removals),
        ("Queue.set_progress", _show_id),
    ):
        wrap_after_import(_QUEUEING, target, wrapper)
    wrap_after_import("gradio.route_utils", "call_process_api", _watch_failures)
    wrap_after_import(_QUEUEING, "Queue.remove_from_queue", _watch_removals, optional=True)  # since Gradio 6
    asgi_scope.look_at = look_at


def unwatch_gradio() -> None:
    """Let requests of pages be as before. The queue's hooks go with all others, see `patches.undo`."""
    asgi_scope.look_at = None


# --- the way of a job ------------------------------------------------------------------------------------------------


def _note_caller(wrapped: Any, event: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    wrapped(*args, **kwargs)
    contain("gradio", _make_job, event)


def _make_job(event: Any) -> None:
    name = event.fn.api_name
    setattr(event, _JOB, Job(event.fn, name if isinstance(name, str) else None, event._id))


async def _process(wrapped: Any, queue: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    events = kwargs.get("events", args[0] if args else ())
    work = contain("gradio", _pick_up, events)
    if work is None:
        return await wrapped(*args, **kwargs)
    web = contain("gradio", work.begin)
    inside, token = work.context, enter_context(work.context)
    outer, previous = request.current.set(web), _current.set(work)
    try:
        return await wrapped(*args, **kwargs)
    except asyncio.CancelledError:
        contain("gradio", work.cancel)
        raise
    finally:
        contain("gradio", _reset, _current, previous)
        contain("gradio", _reset, request.current, outer)
        leave_context(inside, token)
        contain("gradio", _let_go, work, events)


def _reset(variable: ContextVar[Any], token: Token[Any]) -> None:
    try:
        variable.reset(token)
    except ValueError:  # closed from another context, as a coroutine is whose loop has ended
        pass


def _pick_up(events: Iterable[Any]) -> Job | Batch | None:
    jobs = [job for event in events if event.alive and (job := getattr(event, _JOB, None)) is not None]
    return jobs[0] if len(jobs) == 1 else Batch(jobs) if jobs else None


def _let_go(work: Job | Batch, events: Iterable[Any]) -> None:
    for event in events:
        job = _take_from(event)
        if job is not None and not event.alive:
            job.cancelled = True
            job.end()
    work.end()


def _take_from(event: Any) -> Job | None:
    """Gradio may keep an event for ever, and a job keeps its caller's context."""
    return event.__dict__.pop(_JOB, None)


async def _watch_failures(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The queue turns what a page's function raises into a message to the page."""
    work = _current.get()
    try:
        result = await wrapped(*args, **kwargs)
    except Exception as error:
        if work is not None:
            contain("gradio", work.fail, error)
        raise
    if work is not None:
        contain("gradio", work.answer)
    contain("gradio", _note_delivered, result)
    return result


def _note_delivered(result: Any) -> None:
    """Let the audio be looked at as the page will fetch it: Gradio encodes samples, and copies files."""
    web = request.current.get()
    if web is None or web.synthesis is None:
        return
    for part in result.get("data") or ():
        file = _get(part, "value") or part
        if not _get(file, "is_stream"):
            note_file(web, _get(file, "path"), returned=True)


def _get(part: Any, key: str) -> Any:
    return part.get(key) if isinstance(part, dict) else None  # pyright: ignore[reportUnknownVariableType]


# --- jobs that end otherwise -----------------------------------------------------------------------------------------


async def _push(wrapped: Any, queue: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    answer = await wrapped(*args, **kwargs)
    contain("gradio", _note_refusal, queue, kwargs.get("body", args[0] if args else None), answer)
    return answer


def _note_refusal(queue: Any, body: Any, answer: Any) -> None:
    if answer[-1] == "queue_full":
        refuse(sys.modules["gradio.route_utils"].get_fn(queue.blocks, None, body))


async def _watch_removals(wrapped: Any, queue: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A page was closed, or its user has given a job up: waiting jobs are removed, running ones marked."""
    waiting = contain("gradio", _waiting, queue) or []
    try:
        return await wrapped(*args, **kwargs)
    finally:
        contain("gradio", _cancel_missing, queue, waiting)


def _waiting(queue: Any) -> list[Any]:
    return [event for line in queue.event_queue_per_concurrency_id.values() for event in line.queue]


def _cancel_missing(queue: Any, before: list[Any]) -> None:
    """An event that has left the line without being worked on, or is worked on for nobody, is cancelled."""
    running = [event for events in queue.active_jobs if events is not None for event in events]
    present = {id(event) for event in (*_waiting(queue), *running)}
    for event in before:
        if id(event) not in present and (job := _take_from(event)) is not None:
            job.cancel()
            job.end()
    given_up: list[Job | None] = [event.__dict__.get(_JOB) for event in running if not event.alive]
    for job in given_up:
        if job is not None:
            job.cancel()


# --- what the user sees ----------------------------------------------------------------------------------------------


def _show_id(wrapped: Any, queue: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Put the request's id into the progress that the page shows, where that is wanted."""
    return wrapped(*(contain("gradio", _with_id, *args) or args), **kwargs)


def _with_id(event_id: Any = None, bars: Any = None, *more: Any) -> tuple[Any, ...] | None:
    recorder, web = current_recorder(), request.current.get()
    if recorder is None or web is None or not recorder.settings.gradio_progress or not bars:
        return None
    last = copy.copy(bars[-1])
    last.desc = f"{last.desc} · {web.id}" if last.desc else web.id
    return event_id, [*bars[:-1], last], *more


# --- what makes no noise ---------------------------------------------------------------------------------------------

_QUIET: Final = re.compile(
    r"/gradio_api/(?!(queue/join|call/|run/|api/)).*"
    r"|/gradio_api/call/[^/]+/.+"  # the stream of a job's results; a job itself is POST /gradio_api/call/NAME
    r"|/(assets|static|svelte|_app|custom_component|monitoring|pwa_icon|login_check|file=?)(/.*)?|/file=.*"
    r"|/(config|theme\.css|favicon\.ico|robots\.txt|manifest\.json|login|logout)?/?"
).fullmatch
_JOBS_V2: Final = re.compile(r"/gradio_api/call/v2/[^/]+/?").fullmatch

_mounts: Final[WeakKeyDictionary[Any, tuple[int, tuple[tuple[str, Any], ...]]]] = WeakKeyDictionary()
"""Of an app that is no page: how many routes it had when looked at, and where in it pages are mounted."""


def look_at(app: Any, scope: Scope) -> None:
    """Mark a request that is a page's own housekeeping: its files, uploads, heartbeat, event stream, …"""
    if scope["type"] == "lifespan":
        return
    path = str(scope["path"]).removeprefix(str(scope.get("root_path") or ""))
    if _is_page(app):
        _mark(app, scope, path)
        return
    for prefix, page in _pages_in(app):
        if path == prefix or path.startswith(f"{prefix}/"):
            scope[asgi_scope.MOUNTED] = True
            _mark(page, scope, path[len(prefix) :] or "/")
            return


def _mark(page: Any, scope: Scope, path: str) -> None:
    if _is_quiet(page, scope, path):
        scope[asgi_scope.QUIET] = True
        scope["fastapi.telemetry"] = None  # FastAPI's own stands down where somebody has set it


def _is_quiet(page: Any, scope: Scope, path: str) -> bool:
    if scope["type"] == "http" and scope["method"] == "POST" and _JOBS_V2(path):
        return False
    return _QUIET(path) is not None or path.strip("/") in _names_of_pages(page)


def _names_of_pages(page: Any) -> set[str]:
    blocks = getattr(page, "blocks", None)
    return {str(entry[0]) for entry in getattr(blocks, "pages", ())}


def _is_page(app: Any) -> bool:
    return any(cls.__module__ == "gradio.routes" and cls.__name__ == "App" for cls in type(app).__mro__)


def _pages_in(app: Any) -> tuple[tuple[str, Any], ...]:
    routes: list[Any] = getattr(getattr(app, "router", None), "routes", [])
    if not routes:  # another framework's: it may not even be one that can be referred to weakly
        return ()
    known = _mounts.get(app)
    if known is None or known[0] != len(routes):
        found = tuple(
            (str(route.path).rstrip("/"), route.app) for route in routes if _is_page(getattr(route, "app", None))
        )
        known = _mounts[app] = (len(routes), found)
    return known[1]

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Carries the trace across threads, executors and processes, which do not take the caller's context along themselves.

Only OpenTelemetry's context and the request are carried; the application's own context variables are its own.
asyncio tasks, ``asyncio.to_thread`` and anyio keep the context without help. Into another process go the ids of the
span and the request, as text: what the child says joins the trace below the caller's span.
"""

from __future__ import annotations

import sys
import threading
from typing import Any, Final

from otel_tts.guard import contain, note_fault
from otel_tts.patches import after_import, undo, wrap
from otel_tts.recording import carried as parcel
from otel_tts.recording.carried import carried

_LIBRARIES: Final = ("opentelemetry.", "otel_tts.", "concurrent.futures.", "multiprocessing.", "asyncio.", "anyio.")
"""Threads and processes of these outlive the request that happened to start them; each piece of their work brings its
own context."""

_GROUP: Final = "carrier"


def install() -> None:
    """Wrap ``Thread.start`` and ``ThreadPoolExecutor.submit`` (``loop.run_in_executor`` submits through it), and their
    like for processes where the application uses any."""
    import concurrent.futures.thread as pools

    wrap(threading.Thread, "start", _start, _GROUP)
    wrap(pools.ThreadPoolExecutor, "submit", _submit, _GROUP)
    for module, watch in _PROCESSES.items():
        after_import(module, watch, _GROUP)


def uninstall() -> None:
    """Put the originals back."""
    undo(_GROUP)


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


# --- processes --------------------------------------------------------------------------------------------------------


def _watch_process(module: Any) -> None:
    wrap(module.BaseProcess, "start", _start_process, _GROUP)
    wrap(module.BaseProcess, "_bootstrap", _begin_process, _GROUP)


def _watch_executor(module: Any) -> None:
    wrap(module.ProcessPoolExecutor, "submit", _submit_to_process, _GROUP)


def _watch_pool(module: Any) -> None:
    for name in ("apply_async", "_map_async", "imap", "imap_unordered"):
        wrap(module.Pool, name, _submit_to_pool, _GROUP)


_PROCESSES: Final = {
    "multiprocessing.process": _watch_process,
    "concurrent.futures.process": _watch_executor,
    "multiprocessing.pool": _watch_pool,
}

_PARCEL: Final = "otel_tts"
"""Key in a process object's configuration, which goes to the child however it is started."""


def _start_process(wrapped: Any, process: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    contain("carrier", _pack_into, process)
    return wrapped(*args, **kwargs)


def _pack_into(process: Any) -> None:
    target = getattr(process, "_target", None)
    module = getattr(target, "__module__", None) or type(process).__module__
    process._config.pop(_PARCEL, None)  # its own parent's, which children inherit
    if not f"{module}.".startswith(_LIBRARIES) and (packed := parcel.pack()) is not None:
        process._config[_PARCEL] = packed


def _begin_process(wrapped: Any, process: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """In the child. A forked one has the context of whoever forked it, whose spans are another process's."""
    opened = contain("carrier", _unpack_from, process)
    if opened is not None:
        contain("carrier", opened.enter)
    return wrapped(*args, **kwargs)


def _unpack_from(process: Any) -> parcel.Opened:
    return parcel.Opened(process._config.pop(_PARCEL, None))


def _submit_to_process(wrapped: Any, pool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not args:
        return wrapped(*args, **kwargs)
    call = contain("carrier", parcel.addressed, args[0]) or args[0]
    return wrapped(call, *args[1:], **kwargs)


def _submit_to_pool(wrapped: Any, pool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not args:
        return wrapped(*args, **kwargs)
    threads = isinstance(pool, sys.modules["multiprocessing.pool"].ThreadPool)
    address = carried if threads else parcel.addressed
    call = contain("carrier", address, args[0]) or args[0]
    return wrapped(call, *args[1:], **kwargs)

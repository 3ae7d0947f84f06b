# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Reads engines' tables and wraps the callables that they name, after their module's import, whatever its order.

A wrapper notes times and plain values; all of its own work is contained, the wrapped call is never. Callables are
wrapped on their class or module, so instances that exist already are covered too.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from otel_tts.engines import form
from otel_tts.engines.table import Call, Engine, Entry, Load, Seam, installed_version
from otel_tts.guard import contain
from otel_tts.instrumentation.calls import job
from otel_tts.instrumentation.calls import lock as locks
from otel_tts.instrumentation.calls import mark as progress
from otel_tts.instrumentation.calls.arguments import bind, positional
from otel_tts.instrumentation.calls.entry import call_entry
from otel_tts.instrumentation.calls.keep import keeping
from otel_tts.instrumentation.calls.load import call_load
from otel_tts.instrumentation.calls.plan import Plan
from otel_tts.instrumentation.calls.seam import run_seam, run_stage, says_more
from otel_tts.instrumentation.wrapping import HOOKS, say_missing, wrap_after_import
from otel_tts.patches import after_import

_logger = logging.getLogger("otel_tts")


def watch(engine: Engine) -> None:
    """Wrap `engine`'s callables as soon as their modules are imported, or now where they are.

    Never raises: a table of the wrong form is said in the log, and nothing of it is used.
    """
    if (trouble := contain("engine table", form.problem, engine)) is not None:
        _logger.warning(
            "otel-tts: the engine table %s is left out: %s (%s)",
            getattr(engine, "name", ""), trouble, contain("engine table", form.caller),
        )  # fmt: skip
    else:
        watch_known(engine)


def watch_known(engine: Engine) -> None:
    """`watch` for a table that has been held against the form, or is one of ours."""
    if engine.only_with:
        watched: list[Engine] = []
        after_import(engine.module, partial(_watch_marked, engine, watched), HOOKS)
    else:
        contain(f"engine {engine.name}", _watch, engine)


def _watch_marked(engine: Engine, watched: list[Engine], module: Any) -> None:
    if not watched and _has(module, engine.only_with):
        watched.append(engine)
        _watch(engine)


def _watch(engine: Engine) -> None:
    version = installed_version(engine.distribution)
    for entry in engine.entries:
        _place(engine, entry.module, entry.target, _entry_wrapper(engine, entry, version), entry.optional)
    keeps = {(keep.module, keep.target): keep for keep in engine.keeps}
    for seam in engine.seams:
        wrapper = _seam_wrapper(seam)
        if progress.has_clock(engine):
            wrapper = progress.around(seam, wrapper)
        if seam.job is not None:
            wrapper = job.in_context(seam.job, wrapper)
        if (keep := keeps.pop((seam.module, seam.target), None)) is not None:
            wrapper = keeping(keep, wrapper)
        _place(engine, seam.module, seam.target, wrapper, seam.optional)
        if seam.job is not None:
            for name in spellings(engine, seam.module):
                after_import(name, partial(_watch_job, seam.job), HOOKS)
    for mark in engine.marks:
        _place(engine, mark.module, mark.target, progress.mark(mark))
    for keep in keeps.values():
        _place(engine, keep.module, keep.target, keeping(keep), keep.optional)
    for lock in engine.locks:
        module, name = split_target(lock)
        for spelling in spellings(engine, module):
            after_import(spelling, partial(_watch_lock, name, engine.name), HOOKS)
    for load in engine.load:
        _place(engine, *split_target(target_of(load)), _load_wrapper(engine, version, load))


def _watch_job(which: str, module: Any) -> None:
    job.place(module, which)


def _watch_lock(name: str, engine: str, module: Any) -> None:
    if _has(module, name):
        locks.place(module, name, engine)
    else:
        say_missing(module.__name__, name)


def _place(
    engine: Engine, module: str | None, target: str, wrapper: Callable[..., Any], optional: bool = False
) -> None:
    for name in spellings(engine, module):
        wrap_after_import(name, target, wrapper, optional)


def spellings(engine: Engine, module: str | None) -> tuple[str, ...]:
    """Return the names under which `module` (None: the engine's own) may be imported."""
    name = module or engine.module
    return (name, *(f"{prefix}.{name}" for prefix in engine.prefixes))


def split_target(target: str) -> tuple[str | None, str]:
    """Return module and dotted name of ``"module:name"``; None where no module is named."""
    module, _, name = target.rpartition(":")
    return module or None, name


def target_of(load: str | Load) -> str:
    """Return where what loads a model stands."""
    return load.target if isinstance(load, Load) else load


# --- the three kinds of wrapper -------------------------------------------------------------------------


def _entry_wrapper(engine: Engine, entry: Entry, version: str | None) -> Callable[..., Any]:
    return partial(call_entry, Plan(engine, entry, version))


def _seam_wrapper(seam: Seam) -> Callable[..., Any]:
    name, fold, device = seam.stage, seam.fold, seam.device
    if says_more(seam):
        return partial(run_seam, seam)

    def wrapper(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return run_stage(name, wrapped, args, kwargs, fold=fold, device=device)

    return wrapper


def _load_wrapper(engine: Engine, version: str | None, load: str | Load) -> Callable[..., Any]:
    more = load if isinstance(load, Load) else Load(load)

    def wrapper(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        call = contain("load", _call_of, more, wrapped, instance, args, kwargs)
        if call is not None and more.unless is not None and contain("load", more.unless, call):
            return wrapped(*args, **kwargs)
        result = call_load(engine, version, wrapped, args, kwargs)
        if call is not None and more.note is not None:
            contain("load", more.note, call)
        return result

    return wrapper


def _call_of(load: Load, wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    return Call(instance, bind(load.parameters or positional(wrapped), args, kwargs))


def _has(module: Any, target: str) -> bool:
    found = module
    try:
        for part in target.split("."):
            found = inspect.getattr_static(found, part)
    except AttributeError:
        return False
    return True

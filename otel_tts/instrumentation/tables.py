# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Reads engines' tables and wraps the callables that they name, after their module's import, whatever its order.

A wrapper notes times and plain values; all of its own work is contained, the wrapped call is never. Callables are
wrapped on their class or module, so instances that exist already are covered too.
"""

from __future__ import annotations

import inspect
import logging
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, Final

import wrapt

from otel_tts.commands import suggest
from otel_tts.engines import form
from otel_tts.engines.table import Call, Engine, Entry, Load, Seam, installed_version
from otel_tts.guard import contain
from otel_tts.instrumentation.callables import hook
from otel_tts.instrumentation.calls import job
from otel_tts.instrumentation.calls import lock as locks
from otel_tts.instrumentation.calls import mark as progress
from otel_tts.instrumentation.calls.arguments import bind, positional
from otel_tts.instrumentation.calls.entry import call_entry
from otel_tts.instrumentation.calls.load import call_load
from otel_tts.instrumentation.calls.seam import run_seam, run_stage, says_more
from otel_tts.instrumentation.imports import after_each_import

_logger = logging.getLogger("otel_tts")


@dataclass(frozen=True)
class EngineStatus:
    """What is known of one engine on this machine. `missing` lists callables of its table that were not found."""

    name: str
    distribution: str
    version: str | None
    missing: tuple[str, ...]


@dataclass(frozen=True)
class _Wrapped:
    """What stands where, for `unwrap_all`. `own` is False where the parent inherited the original.

    Weakly: a module that is dropped from sys.modules goes, with what it holds.
    """

    parent: weakref.ref[Any]
    attribute: str
    hook: weakref.ref[Any]
    own: bool


_wrapped: Final[list[_Wrapped]] = []

_round = 0
"""Counts `unwrap_all`: a module that is imported only afterwards is left alone."""


def watch(engine: Engine) -> None:
    """Wrap `engine`'s callables as soon as their modules are imported, or now where they are.

    Never raises: a table of the wrong form is said in the log, and nothing of it is used.
    """
    if (trouble := contain("engine table", form.problem, engine)) is not None:
        _logger.warning(
            "otel-tts: the engine table %s is left out: %s (%s)",
            getattr(engine, "name", ""), trouble, contain("engine table", form.caller),
        )  # fmt: skip
    elif engine.only_with:
        watched: list[Engine] = []
        _when_loaded(engine.module, partial(_watch_marked, engine, watched))
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
    for seam in engine.seams:
        wrapper = _seam_wrapper(seam)
        if progress.has_clock(engine):
            wrapper = progress.around(seam, wrapper)
        if seam.job is not None:
            wrapper = job.in_context(seam.job, wrapper)
        _place(engine, seam.module, seam.target, wrapper, seam.optional)
        if seam.job is not None:
            for name in spellings(engine, seam.module):
                _when_loaded(name, partial(_watch_job, seam.job))
    for mark in engine.marks:
        _place(engine, mark.module, mark.target, progress.mark(mark))
    for lock in engine.locks:
        module, name = split_target(lock)
        for spelling in spellings(engine, module):
            _when_loaded(spelling, partial(_watch_lock, name, engine.name))
    for load in engine.load:
        _place(engine, *split_target(target_of(load)), _load_wrapper(engine, version, load))


def _watch_job(which: str, module: Any) -> None:
    job.place(module, which)


def _watch_lock(name: str, engine: str, module: Any) -> None:
    if _has(module, name):
        locks.place(module, name, engine)
    else:
        _say_missing(module.__name__, name)


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


def wrap_after_import(module: str, target: str, wrapper: Callable[..., Any], optional: bool = False) -> None:
    """Wrap `module`.`target` with the wrapt function `wrapper` after the module's import.

    `optional`: not every version has it, so that its absence is no news.
    """
    _register(module, lambda loaded, again: _wrap(loaded, target, wrapper, optional, again))


def _when_loaded(module: str, call: Callable[[Any], Any]) -> None:
    _register(module, lambda loaded, _: call(loaded))


def _register(module: str, call: Callable[[Any, bool], Any]) -> None:
    """Call `call` with the module after each import, which it cannot break, unless the hooks are off by then."""
    registered_in = _round

    def run(loaded: Any, again: bool) -> bool:
        if registered_in == _round:
            contain("hook", call, loaded, again)
        return registered_in == _round

    after_each_import(module, run)


def _wrap(module: Any, target: str, wrapper: Callable[..., Any], optional: bool, again: bool) -> None:
    try:
        found: tuple[Any, str, Any] = wrapt.resolve_path(module, target)
    except AttributeError:
        if not optional and not again:
            _say_missing(module.__name__, target)
        return
    parent, attribute, original = found
    if _is_hooked(parent, attribute, again):
        return
    if not _can_be_hooked(original):
        _logger.warning(
            "otel-tts: %s.%s is %s, not a function or method; nothing of it is traced (see `%s`)",
            module.__name__, target, "a class" if isinstance(original, type) else f"of type {type(original).__name__}",
            suggest("engines"),
        )  # fmt: skip
        return
    own = attribute in vars(parent)
    placed = hook(parent, attribute, wrapper)
    _wrapped[:] = [wrapped for wrapped in _wrapped if wrapped.hook() is not None]
    _wrapped.append(_Wrapped(weakref.ref(parent), attribute, weakref.ref(placed), own))


def _is_hooked(parent: Any, attribute: str, again: bool) -> bool:
    """Whether a hook of ours stands there, or something that somebody has put over it since.

    A hook that has another name is one too: a module has two spellings, a package re-exports a function. What a module
    that is loaded `again` has put over it is new, and has no hook.
    """
    placed: Any = parent.__dict__.get(attribute)
    if placed is not None and any(wrapped.hook() is placed for wrapped in _wrapped):
        return True
    return not again and any(w.parent() is parent and w.attribute == attribute for w in _wrapped)


def _can_be_hooked(found: Any) -> bool:
    """A hook in the place of a number or a class would be met by code that asks for its type, or pickles it."""
    return isinstance(found, classmethod) or (callable(found) and not isinstance(found, type))


def _say_missing(module: str, target: str) -> None:
    _logger.warning(
        "otel-tts: %s has no %s in this version; requests are traced without that part (see `%s`)",
        module, target, suggest("engines"),
    )  # fmt: skip


def unwrap_all() -> None:
    """Put every original back (tests, uninstrument). Instances keep nothing of ours.

    Where somebody has patched over our hook since, it is his now: putting the original back would undo his patch.
    """
    global _round
    _round += 1
    job.remove_all()
    locks.remove_all()
    for wrapped in list(_wrapped):
        parent: Any = wrapped.parent()
        placed: Any = wrapped.hook()
        if parent is None or placed is None:
            _wrapped.remove(wrapped)
        elif vars(parent).get(wrapped.attribute) is placed:
            if wrapped.own:
                setattr(parent, wrapped.attribute, placed.__wrapped__)
            else:
                delattr(parent, wrapped.attribute)
            _wrapped.remove(wrapped)


# --- the three kinds of wrapper -------------------------------------------------------------------------


def _entry_wrapper(engine: Engine, entry: Entry, version: str | None) -> Callable[..., Any]:
    def wrapper(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return call_entry(engine, entry, version, wrapped, instance, args, kwargs)

    return wrapper


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


# --- what is there --------------------------------------------------------------------------------------


def inspect_engine(engine: Engine) -> EngineStatus:
    """Say whether `engine` is installed and which callables of its table its version lacks. Imports its modules."""
    version = installed_version(engine.distribution)
    if version is None and (engine.distribution or not any(map(_is_importable, spellings(engine, None)))):
        return EngineStatus(engine.name, engine.distribution, None, ())
    targets = [(entry.module, entry.target) for entry in engine.entries if not entry.optional]
    targets += [(seam.module, seam.target) for seam in engine.seams if not seam.optional]
    targets += [(mark.module, mark.target) for mark in engine.marks]
    targets += [split_target(target_of(load)) for load in engine.load]
    missing = tuple(
        f"{module or engine.module}.{target}"
        for module, target in targets
        if not any(_exists(name, target) for name in spellings(engine, module))
    )
    return EngineStatus(engine.name, engine.distribution, version, missing)


def _exists(module: str, target: str) -> bool:
    return _is_importable(module) and _has(import_module(module), target)


def _is_importable(module: str) -> bool:
    try:
        import_module(module)
    except ImportError:
        return False
    return True


def _has(module: Any, target: str) -> bool:
    found = module
    try:
        for part in target.split("."):
            found = inspect.getattr_static(found, part)
    except AttributeError:
        return False
    return True

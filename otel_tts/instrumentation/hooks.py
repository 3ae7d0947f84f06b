# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Reads engines' tables and wraps the callables that they name, after their module's import, whatever its order.

A wrapper notes times and plain values; all of its own work is contained, the wrapped call is never. Callables are
wrapped on their class or module, so instances that exist already are covered too.
"""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module, metadata
from typing import Any, Final

import wrapt

from otel_tts.emit import recorder
from otel_tts.engine import Engine, Entry, Seam
from otel_tts.guard import contain, note_fault
from otel_tts.instrumentation.entries import call_entry
from otel_tts.instrumentation.proxies import hook
from otel_tts.instrumentation.stages import run_stage
from otel_tts.record import now

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
    """What stands where, for `unwrap_all`. `own` is False where the parent inherited the original."""

    parent: Any
    attribute: str
    original: Any
    hook: Any
    own: bool


_wrapped: Final[dict[tuple[str, str], _Wrapped]] = {}
"""By module and dotted name."""

_round = 0
"""Counts `unwrap_all`: a module that is imported only afterwards is left alone."""


def watch(engine: Engine) -> None:
    """Wrap `engine`'s callables as soon as their modules are imported, or now where they are."""
    version = installed_version(engine.distribution)
    for entry in engine.entries:
        _when_imported(entry.module or engine.module, entry.target, _entry_wrapper(engine, entry, version))
    for seam in engine.seams:
        _when_imported(seam.module or engine.module, seam.target, _seam_wrapper(seam))
    for target in engine.load:
        _when_imported(engine.module, target, _load_wrapper(engine))


def wrap_after_import(module: str, target: str, wrapper: Callable[..., Any]) -> None:
    """Wrap `module`.`target` with the wrapt function `wrapper` after the module's import."""
    _when_imported(module, target, wrapper)


def _when_imported(module: str, target: str, wrapper: Callable[..., Any]) -> None:
    registered_in = _round

    def patch(_: Any) -> None:
        if registered_in == _round:
            contain("hook", _wrap, module, target, wrapper)

    wrapt.register_post_import_hook(patch, module)


def _wrap(module: str, target: str, wrapper: Callable[..., Any]) -> None:
    if (module, target) in _wrapped:
        return
    try:
        parent, attribute, original = wrapt.resolve_path(sys.modules[module], target)
    except AttributeError:
        _logger.warning(
            "otel-tts: %s has no %s in this version; requests are traced without that part (see `otel-tts engines`)",
            module, target,
        )  # fmt: skip
        return
    own = attribute in vars(parent)
    placed = hook(parent, attribute, wrapper)
    _wrapped[module, target] = _Wrapped(parent, attribute, original, placed, own)


def unwrap_all() -> None:
    """Put every original back (tests, uninstrument). Instances keep nothing of ours.

    Where somebody has patched over our hook since, it is his now: putting the original back would undo his patch.
    """
    global _round
    _round += 1
    for key, wrapped in list(_wrapped.items()):
        if vars(wrapped.parent).get(wrapped.attribute) is not wrapped.hook:
            continue
        if wrapped.own:
            setattr(wrapped.parent, wrapped.attribute, wrapped.original)
        else:
            delattr(wrapped.parent, wrapped.attribute)
        del _wrapped[key]


# --- the three kinds of wrapper -------------------------------------------------------------------------


def _entry_wrapper(engine: Engine, entry: Entry, version: str | None) -> Callable[..., Any]:
    def wrapper(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return call_entry(engine, entry, version, wrapped, instance, args, kwargs)

    return wrapper


def _seam_wrapper(seam: Seam) -> Callable[..., Any]:
    name, fold, device = seam.stage, seam.fold, seam.device

    def wrapper(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return run_stage(name, wrapped, args, kwargs, fold=fold, device=device)

    return wrapper


def _load_wrapper(engine: Engine) -> Callable[..., Any]:
    def wrapper(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        began = now()
        result = wrapped(*args, **kwargs)
        try:
            kit = recorder.current()
            if kit is not None:
                kit.instruments.record_load(engine.name, engine.model, (now() - began) / 1e9)
        except Exception as error:
            note_fault("load", error)
        return result

    return wrapper


# --- what is there --------------------------------------------------------------------------------------


def installed_version(distribution: str) -> str | None:
    """Return the installed version of `distribution`, or None; a source checkout has no distribution: ``""``."""
    try:
        return metadata.version(distribution) if distribution else None
    except metadata.PackageNotFoundError:
        return None


def inspect_engine(engine: Engine) -> EngineStatus:
    """Say whether `engine` is installed and which callables of its table its version lacks. Imports its modules."""
    version = installed_version(engine.distribution)
    if version is None:
        return EngineStatus(engine.name, engine.distribution, None, ())
    targets = [(entry.module or engine.module, entry.target) for entry in engine.entries]
    targets += [(seam.module or engine.module, seam.target) for seam in engine.seams]
    targets += [(engine.module, target) for target in engine.load]
    missing = tuple(f"{module}.{target}" for module, target in targets if not _exists(module, target))
    return EngineStatus(engine.name, engine.distribution, version, missing)


def _exists(module: str, target: str) -> bool:
    try:
        found: Any = import_module(module)
        for part in target.split("."):
            found = inspect.getattr_static(found, part)
    except (ImportError, AttributeError):
        return False
    return True

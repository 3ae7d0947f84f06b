# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Knows what of ours stands where: the one register of patches in code that is not ours, undone by group.

What is put in the place of something keeps it as `__wrapped__`, as functools.wraps and wrapt's proxies do, so that the
register keeps nothing alive: a module that is dropped from sys.modules goes, with what it holds.

What somebody has put over a patch of ours since is his, and stays: undoing ours would undo his. Ours is inside of it
then, and is not put there a second time.

A group's name is the place under which faults in its calls after an import are noted.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import wrapt

from otel_tts.guard import contain


@dataclass(frozen=True, eq=False)
class _Patch:
    """`own` is False where the owner inherited what stood there, or had nothing."""

    group: str
    owner: weakref.ref[Any]
    name: str
    placed: weakref.ref[Any]
    own: bool

    def is_at(self, owner: Any, name: str) -> bool:
        return self.name == name and self.owner() is owner and self.placed() is not None

    def stands(self) -> bool:
        """Whether it is what is found at its place: nothing has been put over it."""
        owner: Any = self.owner()
        placed: Any = self.placed()
        return owner is not None and placed is not None and vars(owner).get(self.name) is placed


_patches: Final[list[_Patch]] = []
_undone: Final[Counter[str]] = Counter()
"""How often each group was undone: what waits for an import since before leaves the module alone."""


# --- where ------------------------------------------------------------------------------------------------------------


def replace(owner: Any, name: str, make: Callable[[Any], Any], group: str) -> None:
    """Put what `make` makes of `owner`.`name` in its place, unless a patch of ours is there already.

    `make` gets what is written there, a staticmethod or a classmethod as such, and keeps it as `__wrapped__`. Raises
    AttributeError where there is none.
    """
    if not is_patched(owner, name):
        put(owner, name, make(found(owner, name)), group)


def wrap(owner: Any, name: str, wrapper: Callable[..., Any], group: str) -> None:
    """`replace` with a proxy that calls the wrapt function `wrapper`."""
    replace(owner, name, lambda original: wrapt.FunctionWrapper(original, wrapper), group)


def put(owner: Any, name: str, new: Any, group: str) -> None:
    """Put `new`, which has what it stands for as `__wrapped__`, at `owner`.`name`."""
    _forget(lambda patch: patch.owner() is None or patch.placed() is None)
    _patches.append(_Patch(group, weakref.ref(owner), name, weakref.ref(new), name in vars(owner)))
    setattr(owner, name, new)


def replace_in(module: Any, rows: Iterable[tuple[str, str, Callable[[Any], Any]]], group: str) -> None:
    """`replace` for each row: a class, its method, and `make`. A class that `module` has not is another module's."""
    for owner, name, make in rows:
        if (cls := getattr(module, owner, None)) is not None:
            replace(cls, name, make, group)


def found(owner: Any, name: str) -> Any:
    """Return what is at `owner`.`name`, as it is written there or in a base class."""
    return wrapt.resolve_path(owner, name)[2]


def is_patched(owner: Any, name: str) -> bool:
    """Say whether a patch of ours is at `owner`.`name`, there or inside of what somebody has put over it since.

    One of another name counts: a module has two spellings, a package re-exports a function.
    """
    stands: Any = owner.__dict__.get(name)
    return any(
        patch.is_at(owner, name) or (stands is not None and patch.placed() is stands) for patch in _patches.copy()
    )


def original(owner: Any, name: str) -> Any:
    """Return what a caller of `owner`.`name` reached before our patch there, or what he reaches where there is none."""
    for patch in _patches.copy():
        placed: Any = patch.placed()
        if placed is not None and patch.is_at(owner, name):
            return placed.__wrapped__
    return getattr(owner, name)


def undo(group: str) -> None:
    """Put back what the patches of `group` stand for, the last one first, and call nothing more after an import."""
    _undone[group] += 1
    for patch in reversed(_patches.copy()):
        if patch.group == group:
            contain(group, _take_off, patch)


def _take_off(patch: _Patch) -> None:
    if not patch.stands():
        return
    owner: Any = patch.owner()
    placed: Any = patch.placed()
    if patch.own:
        setattr(owner, patch.name, placed.__wrapped__)
    else:
        delattr(owner, patch.name)
    _forget(lambda one: one is patch)


def _forget(which: Callable[[_Patch], bool]) -> None:
    for patch in _patches.copy():
        if which(patch):
            with suppress(ValueError):  # another thread has forgotten it
                _patches.remove(patch)


# --- when -------------------------------------------------------------------------------------------------------------


def after_import(module: str, call: Callable[[Any], object], group: str) -> None:
    """Call `call` with the module after its import, now where it is imported, and after each later one.

    Hot reload is one, or an engine that was dropped from sys.modules. Until `group` is undone; it can break no import.
    """
    since, again = _undone[group], False

    def look(loaded: Any) -> None:
        if _undone[group] != since:
            return
        if again:  # its code has run once more, so that what was put over a patch in its dictionary has gone
            _forget(lambda patch: patch.owner() is loaded and not patch.stands())
        contain(group, call, loaded)
        _await_the_next(module, run)

    def run(loaded: Any) -> None:
        nonlocal again
        contain("import", look, loaded)
        again = True

    wrapt.register_post_import_hook(run, module)


def patch_after_import(modules: Iterable[str], patcher: str, group: str) -> None:
    """Call the function `patch` of `patcher`, a module of ours that is imported then: see `after_import`."""
    for module in modules:
        after_import(module, lambda loaded: import_module(patcher).patch(loaded), group)


def _await_the_next(module: str, run: Callable[[Any], None]) -> None:
    """wrapt forgets a hook once it has run; it is put back where wrapt's finder looks: the one private name that is
    used of it, pinned by tests/unit/test_patches.py."""
    waiting: Any = getattr(import_module("wrapt.importer"), "_post_import_hooks", None)
    if waiting is not None:
        waiting.setdefault(module, []).append(run)

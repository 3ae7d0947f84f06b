# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The register of patches: what stands where, what others have put over it, what is undone and what goes."""

from __future__ import annotations

import functools
import gc
import importlib
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import wrapt

from otel_tts import guard, patches
from tests.unit.support.engine_fixtures import module

__all__ = ["module"]

SOURCE = """
    class Base:
        def below(self):
            return "below"

    class Voice(Base):
        def speak(self):
            return "voice"

        @staticmethod
        def load():
            return "loaded"

    def vocode():
        return "sound"
"""


@pytest.fixture
def made(module: Callable[[str], str]) -> Any:
    return importlib.import_module(module(SOURCE))


@pytest.fixture(autouse=True)
def undone() -> Iterator[None]:
    yield
    for group in ("one", "other"):
        patches.undo(group)


def loud(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def louder(*args: Any) -> Any:
        return f"{call(*args)}!"

    return louder


def as_proxy(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    return f"{wrapped(*args, **kwargs)}!"


def test_a_group_is_undone_and_the_other_stands(made: Any) -> None:
    before, of_class = made.vocode, dict(vars(made.Voice))
    patches.replace(made, "vocode", loud, "one")
    patches.wrap(made.Voice, "speak", as_proxy, "other")
    patches.wrap(made.Voice, "load", as_proxy, "other")
    assert (made.vocode(), made.Voice().speak(), made.Voice.load()) == ("sound!", "voice!", "loaded!")
    patches.undo("one")
    assert made.vocode is before
    assert made.Voice().speak() == "voice!"
    patches.undo("other")
    assert dict(vars(made.Voice)) == of_class
    patches.undo("other")
    assert dict(vars(made.Voice)) == of_class and not guard.faults


def test_what_was_inherited_is_inherited_again(made: Any) -> None:
    patches.replace(made.Voice, "below", loud, "one")
    assert (made.Voice().below(), made.Base().below()) == ("below!", "below")
    patches.undo("one")
    assert "below" not in vars(made.Voice) and made.Voice().below() == "below"


def test_what_is_not_there_is_not_replaced(made: Any) -> None:
    with pytest.raises(AttributeError):
        patches.replace(made, "gone", loud, "one")
    assert not hasattr(made, "gone") and not patches.is_patched(made, "gone")


def test_it_is_put_there_once_whatever_its_name(made: Any) -> None:
    patches.replace(made, "vocode", loud, "one")
    made.again = made.vocode
    for name in ("vocode", "again"):
        assert patches.is_patched(made, name)
        patches.replace(made, name, loud, "other")
        assert getattr(made, name)() == "sound!"
    assert not patches.is_patched(made, "Voice")


def test_what_somebody_put_over_it_stays_with_ours_inside(made: Any) -> None:
    patches.replace(made, "vocode", loud, "one")
    made.vocode = theirs = loud(made.vocode)
    assert patches.is_patched(made, "vocode")
    assert patches.original(made, "vocode")() == "sound"
    patches.undo("one")
    assert made.vocode is theirs
    patches.replace(made, "vocode", loud, "one")
    assert made.vocode is theirs and theirs() == "sound!!"
    made.vocode = theirs.__wrapped__
    patches.undo("one")
    assert made.vocode() == "sound", "they took theirs off, and ours went with the next undo"


def test_what_somebody_put_in_its_place_is_all_that_is_there(made: Any) -> None:
    patches.replace(made, "vocode", loud, "one")
    made.vocode = lambda: "theirs"
    gc.collect()
    assert not patches.is_patched(made, "vocode") and patches.original(made, "vocode") is made.vocode
    patches.undo("one")
    assert made.vocode() == "theirs"


def test_the_original_of_what_has_no_patch_is_itself(made: Any) -> None:
    assert patches.original(made, "vocode") is made.vocode


def test_one_that_cannot_be_taken_off_keeps_no_other(made: Any) -> None:
    class Stubborn(type):
        def __setattr__(cls, name: str, value: Any) -> None:
            if hasattr(value, "__wrapped__") or not settled:
                return super().__setattr__(name, value)
            raise TypeError

    settled: list[bool] = []

    class Odd(metaclass=Stubborn):
        def speak(self) -> str:
            return "odd"

    before = made.vocode
    patches.replace(made, "vocode", loud, "one")
    patches.replace(Odd, "speak", loud, "one")
    settled.append(True)
    patches.undo("one")
    assert made.vocode is before and Odd().speak() == "odd!" and guard.faults == {"one": 1}
    settled.clear()
    patches.undo("one")
    assert Odd().speak() == "odd"


def test_a_module_that_is_dropped_goes_with_its_patches(module: Callable[[str], str]) -> None:
    made = importlib.import_module(module(SOURCE))
    patches.replace(made, "vocode", loud, "one")
    patches.wrap(made.Voice, "speak", as_proxy, "one")
    del sys.modules[made.__name__]
    gone = weakref.ref(made.Voice)
    del made
    gc.collect()
    assert gone() is None


# --- after an import --------------------------------------------------------------------------------------------------


def reload(name: str) -> Any:
    return importlib.reload(sys.modules[name])


def drop(name: str) -> Any:
    del sys.modules[name]
    return importlib.import_module(name)


@pytest.mark.parametrize("before", [True, False])
def test_each_import_is_told_until_the_group_is_undone(module: Callable[[str], str], before: bool) -> None:
    """Pins what is relied on of wrapt's private parts."""
    name, calls = module("x = 1"), []
    if before:
        patches.after_import(name, calls.append, "one")
    importlib.import_module(name)
    if not before:
        patches.after_import(name, calls.append, "one")
    loaded = [sys.modules[name], *(again(name) for again in (reload, drop, reload))]
    assert calls == loaded
    patches.undo("other")
    reload(name)
    assert len(calls) == 5
    patches.undo("one")
    reload(name)
    assert len(calls) == 5
    assert isinstance(wrapt.importer._post_import_hooks, dict)


def test_a_call_that_fails_breaks_no_import_and_is_made_again(module: Callable[[str], str]) -> None:
    name = module("x = 1")

    def broken(loaded: Any) -> None:
        raise LookupError

    patches.after_import(name, broken, "one")
    assert importlib.import_module(name).x == reload(name).x == 1
    assert guard.faults == {"one": 2}


@pytest.mark.parametrize("again", [reload, drop])
def test_a_module_that_is_loaded_again_is_patched_again(made: Any, again: Callable[[str], Any]) -> None:
    patches.after_import(made.__name__, lambda loaded: patches.replace(loaded, "vocode", loud, "one"), "one")
    kept = made.vocode
    made.vocode = loud(made.vocode)  # theirs, over ours: goes where the module's code runs again
    loaded = again(made.__name__)
    assert loaded.vocode() == kept() == "sound!"
    patches.undo("one")
    assert loaded.vocode() == "sound"

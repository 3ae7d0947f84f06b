# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The variables of a context outlive the collection that replaced them, where Python may be reading them still."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Iterator
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from otel_tts.otel_private import context
from otel_tts.reentry import Keeper

VARIABLE: ContextVar[object] = ContextVar("variable", default=None)


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    keeper = Keeper()
    gc.collect()
    gc.callbacks.append(keeper.note)
    yield keeper
    gc.callbacks.remove(keeper.note)


def variables() -> Any:
    return gc.get_referents(copy_context())[-1]


class Cycle:
    """What only a collection closes; then it calls `last`."""

    def __init__(self, last: Callable[[], object]) -> None:
        self._last, self._me = last, self

    def __del__(self) -> None:
        self._last()


def test_what_a_collection_replaced_is_kept(keeper: Keeper) -> None:
    VARIABLE.set("before")
    before = weakref.ref(variables())
    Cycle(lambda: VARIABLE.reset(VARIABLE.set("within")))
    gc.collect()
    assert VARIABLE.get() == "before"
    assert variables() is not before(), "else this test shows nothing"
    assert before() is not None
    assert [kept is before() for kept in keeper.kept] == [True]


def test_a_collection_that_changes_nothing_keeps_nothing(keeper: Keeper) -> None:
    VARIABLE.set("before")
    Cycle(lambda: copy_context().run(VARIABLE.set, "elsewhere"))
    gc.collect()
    assert not keeper.kept


def test_no_more_is_kept_than_one_change_may_need(keeper: Keeper) -> None:
    for _ in range(20):
        Cycle(lambda: VARIABLE.set(object()))
        gc.collect()
    assert len(keeper.kept) == 2


def test_it_watches_where_python_needs_it() -> None:
    assert (context.keeper.note in gc.callbacks) == (sys.version_info < (3, 12))

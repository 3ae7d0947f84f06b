# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Engines that their users have changed, before us and after us, and engines that two requests use at once."""

from __future__ import annotations

import functools
import importlib
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import MethodType
from typing import Any

import pytest

from otel_tts.engines.table import Engine, Entry, Seam
from otel_tts.instrumentation.tables import watch
from otel_tts.instrumentation.wrapping import HOOKS
from otel_tts.patches import undo

SOURCE = """
    import threading

    class Engine:
        def __init__(self):
            self.steps = []

        def frontend(self, text):
            return text.upper()

        def say(self, text):
            return self.vocoder(self.frontend(text)).encode()

        def vocoder(self, text):
            return text[::-1]

        def stream(self, text):
            for word in text.split():
                yield self.say(word)

    class Shared:
        "Keeps the text of a request on itself, as several engines do."

        def __init__(self):
            self.meeting = threading.Barrier(2, timeout=20)

        def say(self, text):
            self.text = text
            self.meeting.wait()
            return self.vocoder()

        def vocoder(self):
            self.meeting.wait()
            return self.text.encode()
"""
TEXT = "one two"


@pytest.fixture
def name(module: Callable[[str], str]) -> str:
    return module(SOURCE)


def table(name: str) -> Engine:
    return Engine(
        "made", name, "",
        entries=(Entry("Engine.say"), Entry("Engine.stream"), Entry("Shared.say")),
        seams=(Seam("Engine.frontend", "text_frontend"), Seam("Engine.vocoder", "vocoder"),
               Seam("Shared.vocoder", "vocoder")),
    )  # fmt: skip


def loud(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def louder(*args: Any) -> Any:
        return call(*args) + "!"

    return louder


def patch_class(made: Any) -> Any:
    made.Engine.vocoder = loud(made.Engine.vocoder)
    return made.Engine()


def patch_instance(made: Any) -> Any:
    engine = made.Engine()
    engine.vocoder = loud(engine.vocoder)
    return engine


def replace_on_instance(made: Any) -> Any:
    engine = made.Engine()
    engine.vocoder = MethodType(lambda self, text: text[::-1] + "!", engine)
    return engine


def subclass(made: Any) -> Any:
    class Louder(made.Engine):
        def vocoder(self, text: str) -> str:
            return super().vocoder(text) + "!"

    return Louder()


def subclass_without_super(made: Any) -> Any:
    class Other(made.Engine):
        def vocoder(self, text: str) -> str:
            return text[::-1] + "!"

    return Other()


CHANGES = {
    # change, and whether our stage of the vocoder is still reached: where it was replaced on the way, there is none
    patch_class: True, patch_instance: True, replace_on_instance: False, subclass: True, subclass_without_super: False,
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_what_the_user_changed_stays_changed(world, name, change, first) -> None:
    made = importlib.import_module(name)
    engine = change(made)
    expected = [engine.say(TEXT), list(engine.stream(TEXT))]
    made = again(name)
    if first == "ours":
        watch(table(name))
    engine = change(made)
    if first == "theirs":
        watch(table(name))
    seen = world()
    assert [engine.say(TEXT), list(engine.stream(TEXT))] == expected
    spans = seen.drain().names()
    assert spans.count("text_to_speech") == 2
    reached = CHANGES[change] and not (change is patch_instance and first == "theirs")
    assert spans.count("tts.vocoder") == (3 if reached else 0)
    assert spans.count("tts.text_frontend") == 3


def again(name: str) -> Any:
    """The module as it is when it is imported first."""
    del sys.modules[name]
    return importlib.import_module(name)


@pytest.mark.parametrize("change", [patch_class, patch_instance, subclass])
def test_what_the_user_changed_stays_when_we_leave(world, name, change) -> None:
    watch(table(name))
    engine = change(importlib.import_module(name))
    seen = world()
    before = engine.say(TEXT)
    undo(HOOKS)
    assert engine.say(TEXT) == before
    assert seen.drain().names().count("text_to_speech") == 1


def test_an_entry_that_the_user_replaced_is_theirs(world, name) -> None:
    watch(table(name))
    made = importlib.import_module(name)
    made.Engine.say = lambda self, text: b"theirs"
    seen = world()
    assert made.Engine().say(TEXT) == b"theirs"
    assert list(made.Engine().stream(TEXT)) == [b"theirs", b"theirs"]
    assert seen.drain().names() == ["text_to_speech"]
    undo(HOOKS)
    assert made.Engine().say(TEXT) == b"theirs"


def test_two_requests_at_once_on_an_engine_with_shared_state(world, name) -> None:
    """The engine mixes up their texts, with us as without us; their spans are not mixed up."""
    watch(table(name))
    engine = importlib.import_module(name).Shared()
    seen = world()
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(engine.say, ["first", "second"]))
    assert said[0] == said[1]
    spans = seen.drain().spans
    roots = {span.context.span_id: span for span in spans if "tts.outcome" in span.attributes}
    stages = [span for span in spans if "tts.stage" in span.attributes]
    assert sorted(root.attributes["tts.text.length"] for root in roots.values()) == [5, 6]
    assert {stage.parent.span_id for stage in stages} == set(roots)
    assert all(stage.context.trace_id == roots[stage.parent.span_id].context.trace_id for stage in stages)


def test_two_streams_stepped_in_turn_in_one_thread(world, name) -> None:
    watch(table(name))
    engine = importlib.import_module(name).Engine()
    seen = world()
    one, other = engine.stream("a b c"), engine.stream("d e")
    assert [next(one), next(other), next(one), next(other), *one, *other] == [b"A", b"D", b"B", b"E", b"C"]
    spans = seen.drain().spans
    roots = {span.context.span_id: span for span in spans if "tts.outcome" in span.attributes}
    assert sorted(root.attributes["tts.text.length"] for root in roots.values()) == [3, 5]
    for root in roots.values():
        mine = [span for span in spans if span.parent is not None and span.parent.span_id == root.context.span_id]
        assert len(mine) == root.attributes["tts.text.length"] // 2 * 2 + 2


def test_a_stream_stepped_by_another_thread_each_time(world, name) -> None:
    watch(table(name))
    engine = importlib.import_module(name).Engine()
    seen, got = world(), []
    stream = engine.stream("a b c")
    for _ in range(3):
        thread = threading.Thread(target=lambda: got.append(next(stream)))
        thread.start()
        thread.join()
    assert list(stream) == [] and got == [b"A", b"B", b"C"]
    (root,) = [span for span in seen.drain().spans if "tts.outcome" in span.attributes]
    assert root.attributes["tts.outcome"] == "ok"
    assert {span.parent.span_id for span in seen.spans if span is not root} == {root.context.span_id}

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Streaming by callback: what an engine calls with each piece is heard, and stays the caller's."""

from __future__ import annotations

import importlib
import time
from typing import Any

import numpy as np
import pytest
from opentelemetry import trace

import otel_tts
from otel_tts import guard
from otel_tts.engines.table import Callback, Chunk, Engine, Entry
from otel_tts.instrumentation.calls.delivery import Delivery
from otel_tts.instrumentation.tables import watch

TONE = (0.5 * np.sin(np.pi * np.arange(12000) / 60)).astype(np.float32)  # half a second at 24 kHz


class Whole:
    """What the engine returns: everything once more."""

    def __init__(self, pieces: list[np.ndarray]) -> None:
        self.samples = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)


def speak(text: str, pause: float = 0.0, callback: Any = None) -> Whole:
    """Quarters of a tone; the callback gets each of them with the progress, and says 0 to stop."""
    made = []
    for number, piece in enumerate(np.split(TONE, 4), 1):
        made.append(piece)
        if callback is not None and callback(piece, number / 4) == 0:
            break
    return Whole(made)


def stops(answer: Any, samples: Any, progress: float) -> bool:
    return answer == 0 and progress < 1


def goes_on(samples: Any, progress: float) -> int:
    return 1


@pytest.fixture
def hooked(module):
    """The engine in a module of its own, hooked."""

    def make(**entry: Any) -> Any:
        made = importlib.import_module(module(""))
        made.speak = entry.pop("function", speak)
        table = {"chunk": Chunk("samples"), "callback": Callback("callback", stops=stops), **entry}
        watch(Engine("made", made.__name__, "", (Entry("speak", **table),), sample_rate=24000))
        return made.speak

    return make


@pytest.mark.parametrize(
    "call",
    [
        lambda speak: speak("hello", 0.0, goes_on),
        lambda speak: speak("hello", callback=goes_on),
        lambda speak: speak(text="hello", callback=goes_on),
    ],
)
def test_each_piece_is_a_chunk_and_counts_once(world, hooked, call) -> None:
    seen = world()
    assert call(hooked()).samples.tobytes() == TONE.tobytes()
    (span,) = seen.drain().spans
    assert span.attributes["tts.stream"] is True and span.attributes["tts.stream.chunks"] == 4
    assert span.attributes["tts.audio.duration"] == 0.5 and span.attributes["tts.outcome"] == "ok"
    assert guard.faults == {}


@pytest.mark.parametrize("call", [lambda speak: speak("hello"), lambda speak: speak("hello", 0.0, None)])
def test_without_a_callback_the_result_is_heard(world, hooked, call) -> None:
    seen = world()
    call(hooked())
    (span,) = seen.drain().spans
    assert "tts.stream" not in span.attributes and "tts.stream.chunks" not in span.attributes
    assert span.attributes["tts.audio.duration"] == 0.5 and span.attributes["tts.outcome"] == "ok"


@pytest.mark.parametrize(("last", "outcome", "seconds"), [(0.25, "cancelled", 0.125), (1.0, "ok", 0.5)])
def test_a_callback_that_wants_no_more_has_cancelled_unless_all_was_made(world, hooked, last, outcome, seconds) -> None:
    seen = world()
    hooked()("hello", callback=lambda samples, progress: int(progress < last))
    (span,) = seen.drain().spans
    assert span.attributes["tts.outcome"] == outcome and span.attributes["tts.audio.duration"] == seconds


def test_an_exception_of_the_callback_comes_through_and_is_no_refusal(world, hooked) -> None:
    seen, mistake = world(), KeyError("mine")

    def broken(samples: Any, progress: float) -> int:
        raise mistake

    with pytest.raises(KeyError) as caught:
        hooked()("hello", callback=broken)
    assert caught.value is mistake
    (span,) = seen.drain().spans
    assert span.attributes["tts.outcome"] == "error" and span.attributes["error.type"] == "KeyError"


def test_the_callback_runs_in_the_callers_context_and_its_time_is_the_callers(world, hooked) -> None:
    seen, spans = world(), []

    def slow(samples: Any, progress: float) -> int:
        spans.append(trace.get_current_span())
        time.sleep(0.05)
        return 1

    hooked()("hello", callback=slow)
    assert not any(span.get_span_context().is_valid for span in spans)
    (span,) = seen.drain().spans
    inside = span.attributes["tts.real_time_factor"] * span.attributes["tts.audio.duration"]
    assert inside < (span.end_time - span.start_time) / 1e9 - 0.2


def test_an_engine_called_in_the_callback_is_a_synthesis_of_its_own(world, hooked) -> None:
    seen = world()
    engine = hooked()
    engine("hello", callback=lambda samples, progress: len(engine("other").samples))
    spans = seen.drain().spans
    assert len({span.context.trace_id for span in spans}) == len(spans) == 5


def test_inside_an_own_block_the_pieces_are_the_blocks(world, hooked) -> None:
    seen = world()
    with otel_tts.synthesis("mine"):
        hooked()("hello", callback=goes_on)
    (span,) = seen.drain().spans
    assert span.attributes["tts.stream.chunks"] == 4 and span.attributes["tts.audio.duration"] == 0.5


class Compiled:
    """A callable without a signature, whose overloads differ in their second argument."""

    __signature__ = "none"

    def __call__(self, *args: Any) -> Whole:
        return speak(args[0], callback=args[-1] if callable(args[-1]) else None)


def overloads(given: tuple[Any, ...]) -> tuple[str, ...]:
    return ("text", "callback") if callable(given[1]) else ("text", "speed", "callback")


@pytest.mark.parametrize("given", [(goes_on,), (1.0, goes_on)])
def test_names_of_what_is_given_by_position_where_there_is_no_signature(world, hooked, given) -> None:
    seen = world()
    assert hooked(function=Compiled(), parameters=overloads)("hello", *given).samples.tobytes() == TONE.tobytes()
    (span,) = seen.drain().spans
    assert span.attributes["tts.text.length"] == 5 and span.attributes["tts.stream.chunks"] == 4


def test_a_table_that_raises_costs_its_facts_only(world, hooked) -> None:
    seen = world()

    def nonsense(*args: Any) -> Any:
        raise LookupError

    callback = Callback("callback", Chunk(samples=nonsense), stops=nonsense)
    assert hooked(parameters=nonsense, callback=callback)("hello", callback=goes_on).samples.size == 12000
    assert hooked(parameters=nonsense)("hello", 0.0, goes_on).samples.size == 12000
    first, second = seen.drain().spans
    assert first.attributes["tts.outcome"] != "error" and second.attributes["tts.outcome"] == "ok"
    assert "tts.stream" in first.attributes and "tts.stream" not in second.attributes


@pytest.mark.parametrize("part", ["tap", "_piece", "_tapped", "returned"])
def test_a_fault_of_ours_reaches_neither_the_engine_nor_the_callback(world, hooked, monkeypatch, part) -> None:
    world()
    heard = []

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ours")

    monkeypatch.setattr(Delivery, part, broken)
    samples = hooked()("hello", callback=lambda samples, progress: heard.append(progress) or 1).samples
    assert samples.tobytes() == TONE.tobytes() and heard == [0.25, 0.5, 0.75, 1.0]

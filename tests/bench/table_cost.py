# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a line of a table costs when its callable is called: ``python -m tests.bench.table_cost ROUNDS``, as JSON.

Each callable is there twice, hooked and bare; what the bare one takes is taken off. No device, no samples that anybody
looks at: those have parts of their own. Rounds of all ways take turns, and the middle of each counts.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import TracerProvider

import otel_tts
from otel_tts.engines.table import Call, Engine, Entry, Finish, Seam
from otel_tts.instrumentation.tables import watch
from tests.bench.inside import Kept
from tests.bench.plain_names import names
from tests.bench.stage_cost import SpanQueue

CALLS, REQUESTS = 20, 40
MODULE = "bench_engine"
SOURCE = """
class Voice:
    device = "cpu"

    def speak(self, text, voice="anna", language="en"):
        return None

    def part(self, text, voice="anna"):
        return None

    def plain(self, text, limit=100):
        return text
"""
INSIDE = ("plain", "folded", "facts", "finish", "part")
"""Methods that are called in the midst of a request; ``speak`` is one, ``idle`` is called outside of any."""


def _finish(call: Call, result: Any, items: int) -> Finish:
    return Finish(len(result), call.arguments.get("limit", 100))


def _length(call: Call) -> int:
    return len(call.arguments["text"])


def _table(module: str) -> Engine:
    facts = {names.STAGE_SEGMENTS: _length}
    return Engine(
        name="bench",
        module=module,
        distribution="",
        entries=(
            Entry("Voice.speak", voice="voice", language="language", device="self.device", chunk=None),
            Entry("Voice.part", voice="voice", chunk=None),
        ),
        seams=(
            Seam("Voice.plain", "plain"),
            Seam("Voice.idle", "idle"),
            Seam("Voice.folded", "folded", fold=True),
            Seam("Voice.facts", "facts", facts=facts),
            Seam("Voice.finish", "finish", finish=_finish),
        ),
    )


def _voice(name: str) -> Any:
    module: Any = ModuleType(name)
    sys.modules[name] = module
    exec(SOURCE, module.__dict__)
    for method in ("folded", "idle", "facts", "finish"):  # a function each, as tables find them
        code = module.Voice.plain
        copy = type(code)(code.__code__, code.__globals__, method, code.__defaults__)
        setattr(module.Voice, method, copy)
    return module.Voice()


def measure(rounds: int) -> dict[str, Any]:
    """Return µs a call for each kind of line, more than the bare callable takes."""
    provider, queue = TracerProvider(shutdown_on_exit=False), SpanQueue()
    provider.add_span_processor(queue)
    chosen = {"clock": "host", "queue_size": 100_000, "max_stage_spans": 1000}
    kept = Kept(provider, NoOpMeterProvider(), LoggerProvider(shutdown_on_exit=False), **chosen)
    kept.install()
    bare, hooked = _voice("bare_engine"), _voice(MODULE)
    watch(_table(MODULE))
    found: dict[str, list[float]] = {way: [] for way in ("speak", "idle", *INSIDE)}
    for number in range(rounds + 2):
        for way, times in found.items():
            ask = _alone if way in ("speak", "idle") else _in_requests
            took = [ask(getattr(voice, way)) for voice in (bare, hooked)]
            kept.drain()
            queue.spans.clear()
            if number > 1:
                times.append(took[1] - took[0])
    return {"us": {way: statistics.median(times) for way, times in found.items()}}


def _alone(call: Callable[..., object]) -> float:
    began = time.thread_time_ns()
    for _ in range(REQUESTS * CALLS):
        call("Hello there, how are you?", "anna")
    return (time.thread_time_ns() - began) / REQUESTS / CALLS / 1e3


def _in_requests(call: Callable[..., object]) -> float:
    took = 0
    for _ in range(REQUESTS):
        with otel_tts.synthesis("bench"):
            began = time.thread_time_ns()
            for _ in range(CALLS):
                call("Hello there, how are you?")
            took += time.thread_time_ns() - began
    return took / REQUESTS / CALLS / 1e3


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))), flush=True)

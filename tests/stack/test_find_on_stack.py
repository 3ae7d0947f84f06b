# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts find` asks the real Jaeger and VictoriaLogs, as many traces as there may be in them.

OTEL_TTS_FIND_TRACES=100000 is the size of `make soak`, which alone holds its time against curl's.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx

from otel_tts import names
from otel_tts.readers.filters import Filter
from otel_tts.readers.victorialogs import VictoriaLogs
from tests.store_contracts.sent import Request, S, logs, record, traces
from tests.support.measured import in_turns

if TYPE_CHECKING:
    from conftest import Backends

TRACES = int(os.environ.get("OTEL_TTS_FIND_TRACES", "600"))
FULL = TRACES >= 50_000
COMMAND = [sys.executable, "-m", "otel_tts.cli.main"]


def send(stack: Backends, eventually: Callable[..., Any]) -> Request:
    """Send requests of the last hours; return one of the middle, which is slow."""
    chance = random.Random(1)
    start, slow, last = time.time_ns() - 3 * 3600 * S, None, None
    with httpx.Client(timeout=120) as client:
        for number in range(0, TRACES, 100):
            made: list[Request] = []
            for at in range(number, number + 100):
                characters = chance.randrange(10, 400)
                seconds = (0.3 + 0.012 * characters) * chance.lognormvariate(0, 0.15)
                stages = {"acoustic_model": 0.7 * seconds, "vocoder": 0.2 * seconds}
                if at == TRACES // 2:
                    seconds, stages["vocoder"] = seconds + 30, stages["vocoder"] + 30
                facts = {names.TEXT_LENGTH: characters, names.VOICE_SOURCE: "preset"}
                made.append(Request(start, f"stacked-{TRACES}-{at}", seconds, stages=stages, **facts))
                start += round(2.5 * 3600 * S / TRACES)
                slow = made[-1] if at == TRACES // 2 else slow
            said = [record(one.start, "REQ_START", f"REQ_START request_id={one.id}", one.trace, one.synthesis["spanId"],
                           request_id=one.id) for one in made]  # fmt: skip
            spans = [span for one in made for span in one.spans]
            for signal, document in (("traces", traces("finding", spans)), ("logs", logs("finding", said))):
                eventually(lambda signal=signal, document=document: client.post(
                    f"{stack.otlp_http}/v1/{signal}", json=document).status_code == 200)  # fmt: skip
            last = made[-1]
    assert slow is not None and last is not None
    for one in (slow, last):
        eventually(lambda one=one: stack.trace(one.trace), 600.0 if FULL else 60.0)
    lines = VictoriaLogs(stack.victorialogs)
    eventually(lambda: lines.find(Filter(request_id=slow.id)).items)
    return slow


def test_from_an_id_to_the_stage_at_fault(stack: Backends, eventually: Callable[..., Any]) -> None:
    slow = send(stack, eventually)
    stores = ["--traces", f"jaeger+{stack.jaeger}", "--logs", f"victorialogs+{stack.victorialogs}"]
    find = [*COMMAND, "find", slow.id, *stores]
    told = subprocess.run([*find, "--json"], check=True, capture_output=True, text=True)
    found = json.loads(told.stdout)
    (one,) = found["requests"]
    assert (one["request_id"], one["trace_id"], found["gaps"]) == (slow.id, slow.trace, [])
    assert [line["body"] for line in one["lines"]] == [f"REQ_START request_id={slow.id}"]
    assert found["compared_with"]["requests"] >= 30
    first = one["why"]["causes"][0]
    assert first["key"] == "stage" and first["title"].startswith("vocoder")

    slowest = subprocess.run([*COMMAND, "find", "--slowest", "1", *stores], check=True, capture_output=True, text=True)
    assert slow.id in slowest.stdout

    by_curl = ["curl", "-sf", f"{stack.jaeger}/api/v3/traces/{slow.trace}"]
    curl, version, whole = in_turns(by_curl, [*COMMAND, "--version"], find)
    print(f"{TRACES} traces: curl {curl:.2f} s, --version {version:.2f} s, find {whole:.2f} s")
    assert not FULL or whole <= curl + 1.0

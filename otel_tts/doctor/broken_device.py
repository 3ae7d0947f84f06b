# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of a device in trouble: a graph that is captured while another thread works, and an error that stays.

What may leave a process without a device, or with a capture that does not end, has a process of its own:
``python -m otel_tts.doctor.broken_device NAME``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from otel_tts import names
from otel_tts.doctor.check import FAIL, MEASURED, PASS, Check

if TYPE_CHECKING:
    from otel_tts.doctor.bench import Bench

MODES: Final = ("thread_local", "global")
"""Error modes of a capture; in the second one, torch's default, a query of another thread is expected to spoil it."""
_PATIENCE_S: Final = 120
"""Seconds for a process that imports torch, initialises CUDA and breaks it."""


# --- captures -------------------------------------------------------------------------------------------


def captures(bench: Bench) -> Iterator[Check]:
    """While a graph is being captured: stages inside it, and what other threads ask meanwhile, in both error modes."""
    for mode in MODES:
        name = f"capture, {mode}"
        made, spans = bench.recorder("events")
        bench.request(made)
        bench.finish(made)
        before = len(spans.get_finished_spans())
        try:
            _during_capture(bench, made, mode)
        except RuntimeError as error:
            yield Check(name, FAIL, f"the capture was spoilt: {str(error).splitlines()[0]}")
            continue
        bench.finish(made)
        told = [
            span.attributes.get(names.TIMING_STATUS)
            for span in spans.get_finished_spans()[before:]
            if span.name.startswith(names.STAGE_PREFIX)
        ]
        whole = len(told) == 2 and told.count("captured") == 1
        yield Check(
            name,
            PASS if whole else FAIL,
            f"the graph is whole and replays; a stage before it and one in it say {told}",
        )
    yield from apart("queries", "bare queries", lambda told: Check("bare queries", MEASURED, "; ".join(told)))


def _during_capture(bench: Bench, recorder: Any, mode: str) -> None:
    """One request waits for the device when the capture begins, one runs inside; another thread looks at both."""
    from otel_tts.recording.synthesis import Synthesis

    with Synthesis(recorder, {}) as synthesis, synthesis.stage("model"):
        bench.launch()
    with bench.capture(mode):
        with Synthesis(recorder, {}) as synthesis, synthesis.stage("model"):
            bench.launch()
        bench.elsewhere(recorder.taker.drain)


def bare_queries(bench: Bench) -> list[str]:
    """Say what queries do that another thread makes without asking our guard. One that spoils a capture is the last:
    what comes after it in this process proves nothing."""
    told: list[str] = []
    for mode in MODES:
        for adopted in (True, False):
            outcome = asked_bare(bench, mode, adopted)
            own = "after exchanging its own mode" if adopted else "as it is"
            told.append(f"{mode}, another thread {own}: {outcome}")
            if outcome == SPOILT:
                return told
    return told


SPOILT: Final = "spoils the capture"


def asked_bare(bench: Bench, mode: str, adopted: bool) -> str:
    """Query a passed event from another thread during a capture; `adopted` exchanges that thread's mode first."""
    backend = bench.backend
    event = backend.new_event()
    backend.record(event, backend.current_stream())
    bench.wait()

    def query() -> None:
        if adopted:
            backend.adopt_thread()
        backend.query(event)

    refused = False
    try:
        with bench.capture(mode):
            bench.launch()
            try:
                bench.elsewhere(query)
            except RuntimeError:
                refused = True
    except RuntimeError:
        return SPOILT
    return "refused, the capture is whole" if refused else "answered"


# --- errors that stay -----------------------------------------------------------------------------------


def sticky(bench: Bench) -> Iterator[Check]:
    """Break the device in another process and see what its requests still tell."""
    del bench
    return apart("sticky", "sticky error", judge_sticky)


def apart(part: str, name: str, judge: Callable[[Any], Check]) -> Iterator[Check]:
    """Run `part` in a process of its own and judge the document that it prints."""
    command = [sys.executable, "-m", "otel_tts.doctor.broken_device", part]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        yield Check(name, FAIL, f"its process did not end in {_PATIENCE_S} s")
        return
    try:
        told = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        said = done.stderr.strip().splitlines()
        yield Check(name, FAIL, f"its process ended with {done.returncode}: {said[-1] if said else 'it said nothing'}")
        return
    yield judge(told)


def after_breaking(bench: Bench) -> dict[str, Any]:
    """Make requests before, while and after the device breaks; return who raised what, and which spans came out."""
    from otel_tts.recording.synthesis import Synthesis

    made, spans = bench.recorder("events", "span")
    bench.request(made)
    bench.finish(made)
    before = len(spans.get_finished_spans())
    raised = ours = ""
    try:
        with Synthesis(made, {}) as synthesis, synthesis.stage("model"):
            bench.break_device()
    except RuntimeError as error:
        raised = type(error).__name__
    try:
        with Synthesis(made, {}) as synthesis:
            with synthesis.stage("text_frontend", device="cpu"):
                pass
            with synthesis.stage("model"):
                pass
        bench.finish(made)
    except Exception as error:
        ours = type(error).__name__
    found = list(spans.get_finished_spans()[before:])
    stages = [span for span in found if span.name == f"{names.STAGE_PREFIX}model"]
    return {
        "raised": raised,
        "ours": ours,
        "spans": len(found),
        "statuses": [span.attributes.get(names.TIMING_STATUS) for span in stages],
    }


_SPANS: Final = 5
"""Two syntheses, and three stages in them."""


def judge_sticky(told: dict[str, Any]) -> Check:
    wrong: list[str] = []
    if not told["raised"]:
        wrong.append("the device did not break, nothing was checked")
    if told["ours"]:
        wrong.append(f"a request without any work for the device raised {told['ours']}")
    if told["spans"] != _SPANS:
        wrong.append(f"{told['spans']} of {_SPANS} spans came out")
    if None in told["statuses"] or len(told["statuses"]) != 2:
        wrong.append("a stage does not say that its times are not the device's")
    seen = f"the application met {told['raised'] or 'nothing'}; the stages say {told['statuses']}"
    return Check("sticky error", FAIL if wrong else PASS, "; ".join([*wrong, seen]))


_PARTS: Final[dict[str, Callable[[Any], Any]]] = {"queries": bare_queries, "sticky": after_breaking}


def main(part: str) -> None:
    """Print what happens on this machine's device, and leave without tidying up what is broken."""
    from otel_tts.doctor.bench import Bench

    print(json.dumps(_PARTS[part](Bench())), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])

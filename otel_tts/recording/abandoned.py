# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Work for nobody: what an engine does after its listener has left.

Where the synthesis is still open its own record says it. One that ended when the listener left (a stream that nobody
will step again) may have left already when its engine comes to an end: then it is a span of its own below it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan

from otel_tts import names
from otel_tts.otel_private.context import SPAN_KEY

if TYPE_CHECKING:
    from otel_tts.recording.synthesis import Synthesis

LEAST_NS: Final = 5_000_000
"""Less than this passes between any listener's end and what is done about it."""

_TOLD: Final = (names.REQUEST_ID, names.REQUEST_OFFERED, names.ENGINE, names.MODEL, names.CANARY)


def report(synthesis: Synthesis, worked_ns: int, until: int) -> None:
    """Its engine has worked for `worked_ns` in all after the cancelled `synthesis` had ended, at last at `until`."""
    attrs = synthesis.attrs
    if worked_ns < LEAST_NS or synthesis.t1 is None or attrs.get(names.OUTCOME) != names.Outcome.CANCELLED:
        return
    recorder = synthesis.recorder
    told = {**{name: attrs[name] for name in _TOLD if name in attrs}, names.ABANDONED: worked_ns / 1e9}
    outside = Context({SPAN_KEY: NonRecordingSpan(synthesis.identity)})
    span = recorder.span(names.SPAN_ABANDONED, outside, synthesis.t1, synthesis.epoch_offset_ns, told)
    span.t1 = until
    recorder.hold_late(span)  # behind the stages of that work, which wait too


def seconds_of(synthesis: Synthesis) -> float | None:
    """Return the seconds that a finished synthesis went on after its listener had left; None for a heard one."""
    web = synthesis.request
    if web is None or not web.left or synthesis.t1 is None:
        return None
    left = web.gone if web.gone is not None else web.ended
    worked = 0 if left is None else synthesis.t1 - max(left, synthesis.t0)
    return worked / 1e9 if worked >= LEAST_NS else None

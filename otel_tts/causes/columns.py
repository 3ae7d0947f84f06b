# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Which properties of a request may be a cause, and what each request has of them.

Everything that is said of a request and its process may be, also names that are not known here; not what is told of its
result (audio, outcome, cost), what is its own (ids), or how long its text is: that is in the law already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from otel_tts import names
from otel_tts.names import Stage
from otel_tts.readers.model import Synthesis

Value = str | bool | int
"""Of a property; a list is its parts, joined."""

QUEUED: Final = "waited in a queue"
DEVICE: Final = "device"
LONGEST: Final = 200
"""Characters of a value; more is no name of anything."""

_WAITED_S: Final = 0.05
_WAITED_SHARE: Final = 0.1
"""Of the whole time: a wait that is shorter is none to speak of."""

_NO_CAUSES: Final = frozenset(
    {
        names.REQUEST_ID, names.REQUEST_OFFERED, names.OPERATION_NAME, names.OUTPUT_TYPE, names.TEXT_LENGTH,
        names.SEGMENT_COUNT, names.OUTCOME, names.ERROR_TYPE, names.COST, names.COST_CURRENCY, names.REAL_TIME_FACTOR,
        names.TIME_TO_FIRST_AUDIO, names.TIME_TO_FIRST_BYTE, names.COLD_START, names.MEMORY_OOM, names.HW_ID,
    }
)  # fmt: skip
_NO_CAUSES_BELOW: Final = ("tts.audio.", "tts.stream.", "gpu.memory.", "telemetry.", "process.command", "http.")


def of(synthesis: Synthesis) -> Iterator[tuple[str, Value]]:
    """Yield the name and value of each property that this request has."""
    yield from _told(synthesis.resource)
    yield from _told(synthesis.attributes)
    # A cold start has a kind where the writer knew it; without one it is one of its own.
    if synthesis.attributes.get(names.COLD_START) and not synthesis.attributes.get(names.COLD_START_KIND):
        yield names.COLD_START_KIND, "cold"
    if synthesis.devices:
        yield DEVICE, ", ".join(map(str, synthesis.devices))
    if is_wait(waited(synthesis), total(synthesis)):
        yield QUEUED, True


def _told(attributes: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    for name, value in attributes.items():
        if name in _NO_CAUSES or name.startswith(_NO_CAUSES_BELOW):
            continue
        if isinstance(value, list):
            value = ", ".join(map(str, value))  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        if isinstance(value, (str, bool, int)) and len(str(value)) <= LONGEST:  # a number with a point is measured
            yield name, value


def total(synthesis: Synthesis) -> float:
    """Seconds that the caller waited for it: in a queue before it began, and until its end."""
    return synthesis.waited + synthesis.seconds


def waited(synthesis: Synthesis) -> float:
    """Seconds in queues, before it and within it (an engine's lock)."""
    return synthesis.stages.get(Stage.QUEUE, 0.0)


def is_wait(seconds: float, of_seconds: float) -> bool:
    """Whether a wait is one to speak of."""
    return seconds >= _WAITED_S and seconds >= _WAITED_SHARE * of_seconds

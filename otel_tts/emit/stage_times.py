# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Where the time of a request went, in numbers that add up: what its STAGE_TIME line says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from otel_tts import names
from otel_tts.recording.synthesis import Synthesis

WHOLE: Final = ("total", "other")
"""What is no stage's time."""

_RESERVED: Final = frozenset((*WHOLE, names.REQUEST_ID, names.REQUEST_OFFERED))


def stage_times(synthesis: Synthesis) -> dict[str, float]:
    """Return the seconds in each stage, the parts of a stage behind it (``acoustic_model.gpt``), and the whole.

    ``total`` is the synthesis; ``other`` is what is left of it without the stages: absent where stages ran at the same
    time, and where a device's clock has counted more than the host's. An own stage of one of the line's words is
    ``stage.total``.
    """
    sums, parts = synthesis.stages.sums, synthesis.stages.parts
    inner: Counter[str] = Counter()
    for (_, name), spent in parts.items():
        inner[name] += spent
    outer = {name: spent - inner[name] for name, spent in sums.items() if name not in inner or spent > inner[name]}
    ways = {f"{_way(parts, around)}.{name}": spent / 1e9 for (around, name), spent in parts.items()}
    shown: dict[str, float] = {}
    for name, spent in outer.items():
        shown[f"stage.{name}" if name in _RESERVED else name] = spent / 1e9
        if ways:
            shown |= {way: seconds for way, seconds in ways.items() if way.startswith(f"{name}.")}
    shown |= {way: seconds for way, seconds in ways.items() if way not in shown}  # their stage has not ended yet
    total = (synthesis.t1 or synthesis.t0) - synthesis.t0
    shown["total"] = total / 1e9
    if not synthesis.stages.overlapping and (other := total - sum(outer.values())) >= 0:
        shown["other"] = other / 1e9
    return shown


def _way(parts: Iterable[tuple[str, str]], name: str) -> str:
    """Return the names of the stages around and including `name`, joined by dots."""
    way = [name]
    while (around := next((outer for outer, inner in parts if inner == way[0] and outer not in way), None)) is not None:
        way.insert(0, around)
    return ".".join(way)

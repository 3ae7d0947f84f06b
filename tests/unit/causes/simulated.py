# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""An hour of a synthesis service with one staged cause, of nine, or with none: 500 requests of differing lengths.

Durations are log-normal around what the service needs for a text of that length. Twelve properties are drawn at random;
the cause slows the requests that have one value of one of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from otel_tts import names
from otel_tts.causes.columns import DEVICE, QUEUED
from otel_tts.names import ColdStart, Stage
from otel_tts.readers.model import Span, Synthesis

S = 10**9
START: Final = 1_796_000_000 * S

VOICES: Final = ("alba", "berta", "carol", "dora", "emil", "fritz", "gerd", "hans")
REPLICAS: Final = tuple(f"tts-{letter}" for letter in "abcdef")


@dataclass(frozen=True)
class Cause:
    """What is staged: the property and value that are to be named, and what it does to a request that has them."""

    name: str
    value: Any
    slowed: Callable[[float], float]


CAUSES: Final = {
    "voice": Cause(names.VOICE, "carol", lambda usual: 1.8 * usual),
    "gpu": Cause(DEVICE, "GPU-5", lambda usual: 1.8 * usual),
    "replica": Cause("host.name", "tts-c", lambda usual: 1.6 * usual),
    "cache miss": Cause(names.REFERENCE_CACHE_HIT, False, lambda usual: usual + 1.5),
    "cold start": Cause(names.COLD_START_KIND, ColdStart.FIRST_REQUEST, lambda usual: usual + 6.0),
    "fallback": Cause(names.DEVICE_FALLBACK, True, lambda usual: 6.0 * usual),
    "queue": Cause(QUEUED, True, lambda usual: usual + 3.0),
    "version": Cause("service.version", "1.4.0", lambda usual: 1.5 * usual),
    "language": Cause(names.TEXT_LANGUAGE, "ja", lambda usual: 1.6 * usual),
}
"""The rarest is the cold start: one request of a hundred."""


def hour(seed: int, cause: str | None, count: int = 500) -> Iterator[Synthesis]:
    """The requests of an hour. The same seed makes the same ones, whatever the cause does to them."""
    chance = random.Random(seed)
    start = START
    for number in range(count):
        start += round(chance.expovariate(count / 3600) * S)
        yield _request(chance, number, start, CAUSES.get(cause or ""))


def _request(chance: random.Random, number: int, start: int, cause: Cause | None) -> Synthesis:
    characters = min(1200, max(2, round(chance.lognormvariate(4.4, 0.9))))
    source = "reference" if chance.random() < 0.4 else "preset"
    # A reference needs more, and not always the same: nothing is wrong with that.
    more, spread = (1.3, 0.25) if source == "reference" else (1.0, 0.15)
    seconds = more * (0.3 + 0.012 * characters) * chance.lognormvariate(0, spread)
    replica = chance.randrange(len(REPLICAS))
    gpu = f"GPU-{2 * replica + chance.randrange(2)}"
    attributes: dict[str, Any] = {
        names.OPERATION_NAME: names.OPERATION, names.ENGINE: "indextts", names.OUTCOME: "ok",
        names.TEXT_LENGTH: characters, names.REQUEST_ID: f"r-{number}", names.VOICE_SOURCE: source,
        names.VOICE: chance.choice(VOICES), names.TEXT_LANGUAGE: chance.choices(("zh", "en", "ja"), (5, 3, 2))[0],
        names.STREAM: chance.random() < 0.5, names.MODEL: chance.choice(("IndexTTS-2", "IndexTTS-1.5")),
        names.EMOTION_MODE: chance.choice(("speaker", "vector", "text")),
    }  # fmt: skip
    missed = chance.random() < 0.25
    if source == "reference":
        attributes[names.REFERENCE_CACHE_HIT] = not missed
    if chance.random() < 0.01:
        attributes |= {names.COLD_START: True, names.COLD_START_KIND: [ColdStart.FIRST_REQUEST]}
    if chance.random() < 0.03:
        attributes[names.DEVICE_FALLBACK] = True
    queued = chance.random() < 0.06
    resource = {
        "service.name": "speech", "host.name": REPLICAS[replica],
        "service.version": chance.choices(("1.3.9", "1.4.0"), (7, 3))[0],
    }  # fmt: skip
    facts = {**attributes, **resource, DEVICE: gpu, QUEUED: queued}
    facts[names.COLD_START_KIND] = (attributes.get(names.COLD_START_KIND) or [None])[0]
    slow = cause is not None and facts.get(cause.name) == cause.value
    whole = cause.slowed(seconds) if slow and cause is not None else seconds
    waited = 0.0
    if queued:  # most often shortly, and no longer in all than others take
        waited = whole - seconds if slow and cause is not None and cause.name == QUEUED else 0.12 * whole
    seconds = whole - waited
    end = start + round(seconds * S)
    stages = {Stage.ACOUSTIC_MODEL: 0.7 * seconds, Stage.VOCODER: 0.2 * seconds}
    if waited:
        stages[Stage.QUEUE] = waited
    span = Span("", "", "", "", "internal", start, end, attributes, (), "unset", "", names.SCOPE, resource)
    return Synthesis(f"{number:032x}", f"{number:016x}", start, end, attributes, resource, stages, (gpu,), span, waited)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The engine's tables, as a package of its own would bring them."""

from __future__ import annotations

from otel_tts import Chunk, Engine, Entry, Seam, Stage

SAMPLES = Chunk(rate=16000)
FACTS = {"voice": "voice", "language": "language", "model": "self.path", "sample_rate": 16000}

SPEAKER = Engine(
    name="speaker",
    module="speaker",
    distribution="speaker",
    presets=frozenset({"amy"}),
    sample_rate=16000,
    channels=1,
    seconds_per_character=(0.01, 0.6),
    load=("Voice.__init__",),
    locks=("lock",),
    entries=(
        Entry("Voice.speak", chunk=SAMPLES, **FACTS),
        Entry("Voice.stream", kinds=("generator",), chunk=SAMPLES, **FACTS),
        Entry("Voice.save", chunk=None, model="self.path", file="path"),
    ),
    seams=(
        Seam("phonemize", Stage.TEXT_FRONTEND, device="cpu"),
        Seam("think", Stage.ACOUSTIC_MODEL),
        Seam("attend", "attention", fold=True),
        Seam("sing", Stage.VOCODER),
    ),
)

READER = Engine(
    name="reader",
    module="speaker",
    distribution="speaker",
    entries=(Entry("Reader.read", chunk=SAMPLES),),
)

DESK = Engine(
    name="desk",
    module="speaker",
    distribution="speaker",
    entries=(Entry("Desk.ask", chunk=SAMPLES),),
    seams=(Seam("generate", Stage.MODEL, job="Request.text"),),
)

LINES = Engine(
    name="lines",
    module="speaker",
    distribution="speaker",
    entries=(Entry("speak_in_lines", chunk=SAMPLES),),
    seams=(
        Seam("tokenize", Stage.TEXT_FRONTEND, then=Stage.ACOUSTIC_MODEL),
        Seam("decode", "decoder", within=Stage.ACOUSTIC_MODEL, attempts=True),
        Seam("render", Stage.VOCODER, facts={"tts.segment.count": "length"}),
    ),
)

CHOIR = Engine(
    name="choir",
    module="speaker",
    distribution="speaker",
    entries=(
        Entry("Choir.sing", kinds=("generator",), chunk=SAMPLES),
        Entry("Choir.sing_async", kinds=("async generator",), chunk=SAMPLES),
        Entry("Choir.hum", kinds=("coroutine",), chunk=SAMPLES),
    ),
    seams=(
        Seam("compose", Stage.ACOUSTIC_MODEL),
        Seam("compose_async", Stage.ACOUSTIC_MODEL),
        Seam("tune", Stage.MODEL),
    ),
)

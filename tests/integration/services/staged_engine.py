# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A service in which one cause is staged: some hundred requests of differing lengths, spoken in milliseconds.

It knows nothing of telemetry but the calls that any code of one's own makes. STAGED says what is wrong, NUMBER how many
requests there are, SEED which.
"""

import os
import random
import time

import numpy as np

import otel_tts

STAGED = os.environ["STAGED"]
chance = random.Random(int(os.environ["SEED"]))
SAMPLES = np.sin(np.arange(2400) / 9).astype(np.float32) * 0.4


def speak(number: int) -> None:
    characters = min(600, max(10, round(chance.lognormvariate(4.2, 0.6))))
    voice, language = chance.choice(("alba", "berta", "carol", "dora")), chance.choice(("zh", "en", "ja"))
    source = "reference" if chance.random() < 0.5 else "preset"
    hit, fallback = chance.random() < 0.75, chance.random() < 0.05
    usual = 0.002 + characters * 5e-5
    slow = {
        "voice": voice == "carol", "language": language == "ja", "cache miss": source == "reference" and not hit,
        "fallback": fallback, "replica": os.environ.get("REPLICA") == "b", "version": os.environ.get("REPLICA") == "b",
        "queue": chance.random() < 0.08, "none": False,
    }  # fmt: skip
    with otel_tts.synthesis(
        "own-model", engine="own", text="x" * characters, voice=voice, language=language, request_id=f"r-{number}"
    ) as made:
        made.set(voice_source=source)
        if source == "reference":
            made.set(reference_cache_hit=hit)
        if fallback:
            made.set_attribute("tts.device.fallback", True)
        if slow[STAGED]:
            stage = {"queue": "queue", "cache miss": "reference_encode"}.get(STAGED, "vocoder")
            with made.stage(stage):
                time.sleep(0.1)  # far more than a busy machine oversleeps, most often
        if number == 0:
            time.sleep(0.3)  # as for something that is loaded
        with made.stage("acoustic_model"):
            time.sleep(usual * 0.7)
        with made.stage("vocoder"):
            time.sleep(usual * 0.3)
        made.audio(SAMPLES, sample_rate=24_000)


for one in range(int(os.environ["NUMBER"])):
    speak(one)

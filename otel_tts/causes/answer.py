# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A cause, as it is told: what it is, what shows it, how many requests it touches, what to do, how to see it helped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from otel_tts import names
from otel_tts.causes import answer_zh
from otel_tts.causes.words import Words


@dataclass(frozen=True)
class Cause:
    """`key` is one of `ADVICE`, for machines; the texts are `Words`, in both languages.

    `seconds` is the time it cost this request, None where not measured.
    `touches` of `of` requests of the period have it; None where that was not looked at.
    """

    key: str
    title: str
    evidence: str
    remedy: str
    check: str
    seconds: float | None = None
    touches: int | None = None
    of: int | None = None


def cause(
    key: str, evidence: Words, title: Words | None = None, seconds: float | None = None, touches: int | None = None,
    of: int | None = None,
) -> Cause:  # fmt: skip
    """A cause with what is known of its kind."""
    known, remedy, check = map(Words, ADVICE[key], answer_zh.ADVICE[key])
    return Cause(key, title or known, evidence, remedy, check, seconds, touches, of)


def by_property(name: str) -> tuple[Words, Words]:
    """What to do about a property that slow requests share, and how to see that it helped."""
    if name not in BY_PROPERTY:
        remedy, check = map(Words, ADVICE["shared"][1:], answer_zh.ADVICE["shared"][1:])
    else:
        remedy, check = map(Words, BY_PROPERTY[name], answer_zh.BY_PROPERTY[name])
    return remedy, check


ADVICE: Final[dict[str, tuple[str, str, str]]] = {
    "out_of_memory": (
        "no device memory was left",
        "admit fewer requests at once, cut long texts into segments, or take a smaller model; where reserved memory is "
        "far above allocated, set PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True",
        "no tts.stage with gpu.memory.oom for a day, and gpu.memory.peak stays under the device's memory",
    ),
    "error": (
        "an exception ended it",
        "look at the lines below for where it was raised; its type and stage are what to search for in the service",
        "otel-tts find --failed finds none of this type after the change",
    ),
    "rejected": (
        "it was refused before any work",
        "raise the limit that refused it (queue length, text length, concurrency), or add a replica",
        'tts.requests{tts.outcome="rejected"} falls',
    ),
    "client_left": (
        "the client left before the end",
        "compare its time limit with what the service takes; stop the engine when the client has gone",
        'tts.requests{tts.outcome="cancelled"} falls',
    ),
    "bad_audio": (
        "the audio itself is wrong",
        "listen to the same text with another voice and another reference; silence and NaN most often come from a "
        "reference that is empty, too short or of another rate, or from half precision",
        "otel-tts find --anomaly finds none of this kind after the change",
    ),
    "too_long": (
        "the audio is longer than its text",
        "the model did not stop, or ran into its limit of steps: set a lower limit for the text's length, another seed "
        "or a repetition penalty",
        "tts.audio.anomalies with too_long falls",
    ),
    "limit": (
        "the generation was cut at its limit of steps",
        "listen to its end: where words are missing, cut the text into shorter segments or raise the limit; if there "
        "is babble or silence the model did not stop: another seed, a repetition penalty, a cleaner reference",
        'tts.generations{tts.finish_reason="length"} falls',
    ),
    "fallback": (
        "it ran on the CPU instead of the device",
        "find what took the device memory (gpu.memory.reserved, other processes), restart the service, and keep a "
        "reserve of memory free",
        "tts.device.fallbacks stays where it is, and tts.real_time_factor is what it was",
    ),
    "cold_start": (
        "a cold start",
        "speak a sentence when the service starts, before it is given requests (readiness), and keep replicas running",
        "no request after the warm-up has tts.cold_start",
    ),
    "queue": (
        "it waited in a queue",
        "raise concurrency where the device has room, else add a replica",
        "the 95th percentile of tts.queue.duration falls",
    ),
    "lock": (
        "it waited for the engine's lock",
        "one request at a time passes the engine: run more processes of it, or batch",
        "tts.queue inside text_to_speech gets short",
    ),
    "cache_miss": (
        "the reference was encoded anew",
        "keep encodings of references that come again (a larger cache, or one that processes share), and send a voice "
        "to the replica that knows it",
        "tts.reference.cache_hit is true for more requests",
    ),
    "blocked": (
        "it was not begun at once, and in no queue that is known",
        "a blocked event loop, a full thread pool or a busy process: call the engine in a thread, never on the loop",
        "the time between the server span's start and the synthesis is under 50 ms",
    ),
    "device_busy": (
        "the device was busy with other work",
        "see what else ran then (tts.requests.active, other processes on the GPU): fewer at once, or a device more",
        "gpu.queue_delay gets short",
    ),
    "allocator": (
        "the allocator ran out and gave its cache back",
        "admit fewer requests at once, or set PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True",
        "gpu.memory.num_alloc_retries is on no span any more",
    ),
    "retries": (
        "the engine threw its result away and tried again",
        "look at what makes it do so: most often a text or a reference that the model cannot follow",
        "tts.retries is on no span any more",
    ),
    "stage": (
        "one stage took longer than this text needs",
        "see what the slow ones share, below, and what else ran on the machine at that time",
        "otel-tts find --since 1h names this stage no longer",
    ),
    "shared": (
        "what the slow ones share",
        "look at what is different there",
        "otel-tts find --since 1h names it no longer",
    ),
    "network": (
        "nothing is wrong on the server: the audio was made and sent in the time it takes",
        "look at what lies between the service and the listener: the network, a proxy that buffers, the player",
        "the client hears it within tts.time_to_first_audio and its own round trip",
    ),
}
"""By kind: what it is, what to do, how to see that it helped."""

BY_PROPERTY: Final[dict[str, tuple[str, str]]] = {
    names.VOICE: (
        "compare its reference with the others (length, rate, noise), and speak the same text with another voice",
        "the voice takes what others take",
    ),
    names.VOICE_SOURCE: ("keep encoded references", "tts.reference.cache_hit is true for more requests"),
    names.REFERENCE_CACHE_HIT: ADVICE["cache_miss"][1:],
    names.COLD_START_KIND: ADVICE["cold_start"][1:],
    names.DEVICE_FALLBACK: ADVICE["fallback"][1:],
    names.TEXT_LANGUAGE: (
        "see which stage is slow for it: the text frontend (dictionaries, a model that is loaded for it) or the model",
        "the language takes what others take",
    ),
    names.ENGINE_VERSION: ("go back to the version before, and compare the two", "no version is named any more"),
    names.MODEL: ("compare the models' stages", "no model is named any more"),
    "service.version": ("go back to the version before, and compare the two", "no version is named any more"),
    "device": (
        "look at that device: temperature, throttling, memory errors, who else uses it; move its work elsewhere",
        "the device's requests take what others' take",
    ),
    "host.name": (
        "look at that machine: load, memory, clocks, what else runs there; take it out of service meanwhile",
        "its requests take what others' take",
    ),
    "k8s.pod.name": (
        "look at that pod and its node: load, memory, what else runs there; take it out of service meanwhile",
        "its requests take what others' take",
    ),
    "waited in a queue": ADVICE["queue"][1:],
}
"""What to do about a property that slow requests share, and how to see that it helped."""

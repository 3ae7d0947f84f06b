# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a scene is, and what several of them do."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from opentelemetry import _logs, trace

import otel_tts
from tests.same.fixed import tick

SECRET = "Was niemand wissen darf."
"""Text and names that must not be in any file."""


@dataclass(frozen=True)
class Scene:
    name: str
    play: Callable[[], object]
    settings: dict[str, str]
    """Environment variables of its process."""

    @property
    def meaning(self) -> str:
        return " ".join((self.play.__doc__ or "").split())


SCENES: dict[str, Scene] = {}


def scene(**settings: str) -> Callable[[Callable[[], object]], Callable[[], object]]:
    def add(play: Callable[[], object]) -> Callable[[], object]:
        SCENES[play.__name__] = Scene(play.__name__, play, settings)
        return play

    return add


def flush() -> None:
    """Let all that has ended leave before the clock goes on, and a start be told before more is known of its request:
    when that happens is a matter of threads otherwise.
    """
    providers: tuple[Any, ...] = trace.get_tracer_provider(), _logs.get_logger_provider()
    assert all(provider.force_flush() for provider in providers)


def voice() -> Any:
    """The engine of the tables, loaded."""
    import speaker

    loaded = speaker.Voice("amy.onnx")
    flush()
    return loaded


def speak(request_id: str, loudness: float = 1.0) -> None:
    from speaker import tone

    with otel_tts.synthesis(
        "own-model", engine="own", text=SECRET, voice="amy", language="de", request_id=request_id
    ) as s:
        tick(0.01)
        with otel_tts.stage("text_frontend", device="cpu"):
            tick(0.004)
        logging.getLogger("service").warning("about to say %s", SECRET)
        with otel_tts.stage("acoustic_model", kept=1, withheld=SECRET):
            tick(0.05)
            with otel_tts.stage("attention"):
                tick(0.02)
        with otel_tts.stage("vocoder"):
            tick(0.03)
        s.audio(loudness * tone(1.2), 16000)
        s.set(segments=1)

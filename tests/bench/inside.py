# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the bench needs of otel-tts's insides, wherever this build or an earlier one keeps it.

All else goes through the public API, so that one bench measures both. What moves gets its new place before the old one.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import TracerProvider


def module(*places: str) -> ModuleType:
    """Return the first of the modules that this build has. Raises ImportError when it has none."""
    for place in places:
        try:
            return import_module(place)
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("otel_tts"):
                raise
    raise ImportError(f"this build of otel-tts has none of {', '.join(places)}: add its place in {__name__}")


def find(*places: str) -> Any:
    """Return the first of `places`, each "module:name", whose module this build has. Raises ImportError when none."""
    names = dict(place.split(":") for place in places)
    found = module(*names)
    return getattr(found, names[found.__name__])


def is_cut_in_two() -> bool:
    """Whether this build has a recorder for the request's path and an emitter that takes its records."""
    return find_spec("otel_tts.recording") is not None


class Kept:
    """otel-tts recording into the caller's providers. It has no thread: `drain` turns what waits into telemetry."""

    def __init__(self, tracers: TracerProvider, meters: Any, loggers: LoggerProvider, **settings: Any) -> None:
        chosen = find("otel_tts.settings:Settings")(log_format="none", **settings)
        if is_cut_in_two():
            self._recorder = find("otel_tts.recording.recorder:Recorder")(tracers, chosen)
            emitter = find("otel_tts.emit.emitter:Emitter")
            self._emitter = emitter(self._recorder, tracers, meters, loggers, interval=None)
        else:
            whole = find("otel_tts.emit.recorder:Recorder")
            self._recorder = self._emitter = whole(tracers, meters, loggers, chosen, interval=None)
        events = find("otel_tts.device.clocks.events:Events", "otel_tts.timing.events:Events")
        if isinstance(self._recorder.clock, events):  # else the first torch of the process would serve all
            finder = find("otel_tts.device.torch.backend:Finder", "otel_tts.timing.backend:Finder")
            self._recorder.clock = events(finder())

    def install(self) -> None:
        """Make it the one that the public API records with."""
        find("otel_tts.emit.emitter:install", "otel_tts.emit.recorder:install")(self._emitter)

    def drain(self) -> None:
        """Turn everything that waits into telemetry, on this thread and without pauses."""
        self._emitter.drain(breathe=False)


def open_the_gate() -> None:
    """Let the privacy gate and its canary do nothing; to be called before otel-tts is configured."""
    gate, canary = (
        module("otel_tts.privacy.gate", "otel_tts.emit.gate"),
        module("otel_tts.privacy.canary", "otel_tts.emit.canary"),
    )
    gate.install = lambda *_: []
    gate.ungated = lambda *_: []  # else nothing would be exported
    canary.check = lambda *_, **__: None


def cleaner(voices: tuple[str, ...]) -> Any:
    """What the gate judges telemetry with."""
    policy = find("otel_tts.privacy.policy:Policy", "otel_tts.emit.privacy:Policy")
    return find("otel_tts.privacy.cleaner:Cleaner", "otel_tts.emit.gate:Cleaner")(policy(voices=voices))


def web_edge() -> Any:
    """The module that puts the edge into web applications (`instrument`) and takes it out (`uninstrument`)."""
    return module(
        "otel_tts.instrumentation.edges.every",
        "otel_tts.instrumentation.edges.asgi",
        "otel_tts.instrumentation.libraries.web",
        "otel_tts.instrumentation.asgi",
    )


def make_server_spans(wanted: bool) -> None:
    """Let the edge make server spans or not; builds from before they did never do."""
    try:
        module("otel_tts.instrumentation.edges.serving").ours = wanted
    except ImportError:
        pass


def sound(sample_rate: int) -> Any:
    """What keeps a synthesis's samples (`add`) and measures them (`facts`)."""
    return find("otel_tts.audio.samples.sound:Sound", "otel_tts.audio.deferred:Recording")(sample_rate)

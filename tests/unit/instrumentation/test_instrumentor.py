# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What is patched in a process with the libraries installed, found without asking us, and that all of it goes again."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SCRIPT = """
import concurrent.futures.process, concurrent.futures.thread, json, multiprocessing.pool, multiprocessing.process
import subprocess, sys, threading, wave
from types import ModuleType

import fastapi, hibari, loguru, onnxruntime, piper, pydub, soundfile, starlette
import opentelemetry.instrumentation.asgi, opentelemetry.instrumentation.logging.handler

from otel_tts.device.torch import graphs
from otel_tts.instrumentation.instrumentor import SpeechInstrumentor
from otel_tts.instrumentation.edges import every
from otel_tts.instrumentation.libraries import logging as log_lines, loguru as sinks

class CUDAGraph:
    def capture_begin(self): ...
    def capture_end(self): ...

sys.modules["torch.cuda.graphs"] = ModuleType("torch.cuda.graphs")
sys.modules["torch.cuda.graphs"].CUDAGraph = CUDAGraph

OWN_STATE = ("otel_tts.", "opentelemetry.instrumentation.instrumentor", "opentelemetry.instrumentation._semconv",
             "wrapt.", "__main__.")

def attributes():
    "Every attribute of every module and of the classes in them."
    found = {}
    for module in list(sys.modules.values()):
        for owner in (module, *vars(module).values()) if isinstance(module, ModuleType) else ():
            if isinstance(owner, (ModuleType, type)):
                name = f"{owner.__module__}.{owner.__qualname__}" if isinstance(owner, type) else owner.__name__
                if not f"{name}.".startswith(OWN_STATE) or owner is CUDAGraph:
                    found[name] = (owner, dict(vars(owner)))
    return found

def changes(before, after):
    return sorted(
        f"{name}.{key}" for name, (owner, had) in before.items() if name in after and after[name][0] is owner
        for key in {*had, *after[name][1]} if had.get(key, ...) is not after[name][1].get(key, ...)
    )

before = attributes()
SpeechInstrumentor().instrument(skip_dep_check=True)
hooked = attributes()
every.instrument(), log_lines.instrument(), sinks.instrument(), graphs.watch_torch()
edged = attributes()
SpeechInstrumentor().uninstrument()
unhooked = attributes()
every.uninstrument(), log_lines.uninstrument(), sinks.uninstrument(), graphs.unwatch_torch()
after = attributes()
SpeechInstrumentor().instrument(skip_dep_check=True)
again = attributes()
SpeechInstrumentor().uninstrument()
print(json.dumps({
    "hooks": changes(before, hooked), "edges": changes(hooked, edged), "unhooked": changes(edged, unhooked),
    "left": changes(before, after), "again": changes(before, again), "left again": changes(before, attributes()),
}))
"""
LIBRARIES = {
    "concurrent.futures.process.ProcessPoolExecutor": {"submit"},
    "concurrent.futures.thread.ThreadPoolExecutor": {"submit"},
    "multiprocessing.pool.Pool": {"_map_async", "apply_async", "imap", "imap_unordered"},
    "multiprocessing.process.BaseProcess": {"_bootstrap", "start"},
    "onnxruntime.capi.onnxruntime_inference_collection.InferenceSession": {"__init__"},
    "onnxruntime.capi.onnxruntime_inference_collection.Session": {"run", "run_with_iobinding", "run_with_ort_values"},
    "pydub.audio_segment.AudioSegment": {"export"},
    "soundfile": {"write"},
    "soundfile.SoundFile": {"close", "write"},
    "starlette.responses.FileResponse": {"__call__"},
    "subprocess": {"run"},
    "threading.Thread": {"start"},
    "wave.Wave_write": {"close", "writeframes", "writeframesraw"},
}
EDGES = {
    "__main__.CUDAGraph": {"capture_begin", "capture_end"},
    "fastapi.applications.FastAPI": {"__call__"},
    "logging.Logger": {"makeRecord"},
    "loguru._logger.Logger": {"add", "remove"},
    "opentelemetry.instrumentation.asgi.OpenTelemetryMiddleware": {"__call__"},
    "opentelemetry.instrumentation.logging.handler.LoggingHandler": {"emit", "flush"},
    "starlette.applications.Starlette": {"__call__"},
}


@pytest.fixture(scope="module")
def told() -> dict[str, list[str]]:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def by_owner(changed: list[str]) -> dict[str, set[str]]:
    owners: dict[str, set[str]] = {}
    for name in changed:
        owner, _, attribute = name.rpartition(".")
        owners.setdefault(owner, set()).add(attribute)
    return owners


def test_hooks_stand_in_engines_and_libraries(told: dict[str, list[str]]) -> None:
    hooks = by_owner(told["hooks"])
    engines = {owner for owner in hooks if owner.startswith(("hibari", "piper"))}
    assert {"hibari.tts.Hibari", "piper.voice.PiperVoice"} <= engines
    assert {owner: names for owner, names in hooks.items() if owner not in engines} == LIBRARIES


def test_what_the_configuration_puts_at_the_edges_is_all_that_uninstrument_leaves(told: dict[str, list[str]]) -> None:
    assert by_owner(told["edges"]) == EDGES
    assert told["unhooked"] == told["hooks"]


def test_nothing_is_left(told: dict[str, list[str]]) -> None:
    assert told["left"] == told["left again"] == []
    assert told["again"] == told["hooks"]

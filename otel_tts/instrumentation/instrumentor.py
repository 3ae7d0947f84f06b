# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The entry point through which the launcher switches the hooks on."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from opentelemetry.util._importlib_metadata import entry_points  # pyright: ignore[reportUnknownVariableType]

from otel_tts.engines.known import all_engines
from otel_tts.guard import contain
from otel_tts.instrumentation.edges import every
from otel_tts.instrumentation.libraries import threads
from otel_tts.instrumentation.libraries.encoders import watch_postprocess
from otel_tts.instrumentation.libraries.gradio import unwatch_gradio, watch_gradio
from otel_tts.instrumentation.libraries.onnxruntime import watch_onnxruntime
from otel_tts.instrumentation.libraries.pipecat import watch_pipecat
from otel_tts.instrumentation.libraries.torch_compile import watch_compiling
from otel_tts.instrumentation.tables import watch_known
from otel_tts.instrumentation.wrapping import HOOKS
from otel_tts.patches import undo


class SpeechInstrumentor(BaseInstrumentor):
    """Hooks every engine that has a table, onnxruntime, audio encoders, and the hand-over of context to threads."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: engines run from source checkouts without metadata, so their import is what counts."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        for engine in all_engines(entry_points):  # pyright: ignore[reportUnknownArgumentType]
            contain(f"engine {engine.name}", watch_known, engine)
        contain("onnxruntime", watch_onnxruntime)
        contain("postprocess", watch_postprocess)
        contain("compile", watch_compiling)
        contain("gradio", watch_gradio)
        contain("pipecat", watch_pipecat)
        every.instrument_tasks()
        contain("carrier", threads.install)

    def _uninstrument(self, **kwargs: Any) -> None:
        undo(HOOKS)
        unwatch_gradio()
        threads.uninstall()

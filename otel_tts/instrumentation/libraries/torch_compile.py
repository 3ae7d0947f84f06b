# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""torch compiling inside a request makes it a cold start: seconds that the next one will not need.

TorchDynamo tells its listeners when it begins, in the thread that runs into code to be compiled. It is asked there,
outside of all that is compiled. `torch._dynamo.reset` forgets its listeners, so the announcement itself is hooked.
"""

from __future__ import annotations

from typing import Any

from otel_tts import names
from otel_tts.guard import contain
from otel_tts.instrumentation.wrapping import wrap_after_import
from otel_tts.recording.synthesis import current


def watch_compiling() -> None:
    """Hook TorchDynamo's announcement after its import."""
    wrap_after_import("torch._dynamo.callback", "CompilationCallbackHandler.run_start_callbacks", _compile)


def _compile(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    contain("compile", _mark)
    return wrapped(*args, **kwargs)


def _mark() -> None:
    synthesis = current()
    if synthesis is not None:
        synthesis.mark_cold(names.ColdStart.COMPILE)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The current context by its own variable: two calls of attach and detach are most of a stage's cost.

tests/unit/otel_private/test_context.py pins what stands behind it upstream; where it is gone the public calls do.
"""

from __future__ import annotations

from typing import Any, Final

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context, attach, detach, get_current, set_value
from opentelemetry.trace.propagation import _SPAN_KEY

from otel_tts.reentry import Keeper

SPAN_KEY: Final = _SPAN_KEY
"""Key of the current span in a Context: setting it directly costs a third of ``set_span_in_context``."""

keeper: Final = Keeper()
keeper.begin()  # what follows may be called while Python's collector closes a generator

_suppressed: Final = set_value(_SUPPRESS_INSTRUMENTATION_KEY, True, Context())


def suppressed_context() -> Context:
    """Return the context in which instrumentations stay silent: telemetry about making telemetry is noise."""
    return _suppressed


def _current_context_variable() -> Any:
    """Return the ContextVar in which OpenTelemetry keeps the current context, or None for another runtime context."""
    from opentelemetry.context import _RUNTIME_CONTEXT
    from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext

    if type(_RUNTIME_CONTEXT) is not ContextVarsRuntimeContext:
        return None
    return getattr(_RUNTIME_CONTEXT, "_current_context", None)


_variable: Final = _current_context_variable()

if _variable is not None:
    # Two calls of attach and detach for each chunk and stage are most of its cost; the variable itself is a third.
    current_context = _variable.get
    enter_context = _variable.set
    restore_context = _variable.reset
    """For a step that cannot have changed threads or contexts since `enter_context`."""

    def leave_context(inside: Context, token: Any) -> None:
        """Make the outer context current again, unless somebody else's is current by now.

        A ``with`` around a ``yield`` may be left in another context than it was entered in; detaching there is an
        error that OpenTelemetry logs for each request.
        """
        if current_context() is inside:
            try:
                _variable.reset(token)
            except ValueError:  # a copy of the context in which it was entered
                pass
else:
    current_context = get_current
    enter_context = attach
    restore_context = detach

    def leave_context(inside: Context, token: Any) -> None:
        """Make the outer context current again, unless somebody else's is current by now."""
        if get_current() is inside:
            detach(token)

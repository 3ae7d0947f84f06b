# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""No propagator is not the same as a broken one.

OTEL_PROPAGATORS=none, or a configuration file without `propagator:`, leaves a composite of nothing. Its extract()
returns the context it was given, None, and the web instrumentations then fail inside every request, with status 500.
"""

from __future__ import annotations

from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.propagators import textmap


class NoPropagation(textmap.TextMapPropagator):
    """Carries nothing, and says so with a Context."""

    def extract(
        self,
        carrier: textmap.CarrierT,
        context: Context | None = None,
        getter: textmap.Getter[textmap.CarrierT] = textmap.default_getter,  # pyright: ignore[reportArgumentType]
    ) -> Context:
        """Return `context`, or an empty one."""
        return Context() if context is None else context

    def inject(
        self,
        carrier: textmap.CarrierT,
        context: Context | None = None,
        setter: textmap.Setter[textmap.CarrierT] = textmap.default_setter,  # pyright: ignore[reportArgumentType]
    ) -> None:
        """Leave `carrier` as it is."""

    @property
    def fields(self) -> set[str]:
        """Return nothing: no header is read or written."""
        return set()


def mend() -> bool:
    """Replace a global propagator that would make requests fail. True when there was one."""
    found: object = propagate.extract(dict[str, str]())
    if isinstance(found, Context):  # pyright: ignore[reportUnnecessaryIsInstance]
        return False
    propagate.set_global_textmap(NoPropagation())
    return True

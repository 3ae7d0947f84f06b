# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Text out of foreign files, fit for a terminal: nothing in it moves the cursor, colours, or turns the line round."""

from __future__ import annotations

from typing import Any, Final

INSTEAD: Final = "�"


def printable(value: Any, longest: int = 500) -> str:
    """`value` on one line, with whatever a terminal would act on replaced, and no longer than `longest` characters."""
    text = str(value)
    shown = text[:longest] + ("…" if len(text) > longest else "")
    if shown.isprintable():
        return shown
    return "".join(one if one.isprintable() else " " if one in "\n\t" else INSTEAD for one in shown)


def readable(value: Any) -> Any:
    """The same for all text inside plain values, keys too; what JSON cannot hold (NaN) becomes its name."""
    if isinstance(value, dict):
        return {printable(key): readable(one) for key, one in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, (list, tuple)):
        return [readable(one) for one in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return str(value)
    return printable(value, 10_000) if isinstance(value, str) else value

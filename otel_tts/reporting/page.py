# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A report as one page for a browser that needs nothing else: no script, nothing from anywhere."""

from __future__ import annotations

from importlib.resources import files

from otel_tts.reporting.sheet import Sheet


def of(sheet: Sheet) -> str:
    """The page's text. Whatever stands in telemetry is text in it, never markup. Raises ImportError without jinja2."""
    from jinja2 import Environment, StrictUndefined

    text = files("otel_tts.reporting").joinpath("page.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(text).render(sheet=sheet)

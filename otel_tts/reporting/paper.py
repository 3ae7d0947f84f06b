# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A report as a PDF, set by Typst in a font that comes with the extra: the same on every machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path

from otel_tts.reporting.sheet import Sheet

_FONT_PACKAGE = "justmytype_intl_cjk"
_FONT_FOLDER = "fonts/ofl/notosanssc"


def of(sheet: Sheet, until: int) -> bytes:
    """The PDF. The same sheet makes the same bytes; `until` (Unix nanoseconds) is the date that is noted in it.

    Raises ImportError without the extra.
    """
    import typst

    source = files("otel_tts.reporting").joinpath("paper.typ").read_bytes()
    fonts = typst.Fonts(include_system_fonts=False, font_paths=[str(font_folder())])
    made = typst.compile(
        source,
        format="pdf",
        font_paths=fonts,
        sys_inputs={"sheet": json.dumps(asdict(sheet), ensure_ascii=False)},
        timestamp=until // 10**9,
    )
    assert isinstance(made, bytes)
    return made


def font_folder() -> Path:
    """The folder of Noto Sans SC (OFL), which has Latin letters too. Raises ImportError where it is not installed."""
    return Path(str(files(_FONT_PACKAGE).joinpath(_FONT_FOLDER)))

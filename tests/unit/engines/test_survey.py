# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Whether an engine is here, and what of its table it lacks."""

from __future__ import annotations

from typing import Any

from otel_tts.engines.check.packages import Installed
from otel_tts.engines.check.survey import look
from otel_tts.engines.table import Engine, Entry, Seam, installed_version

SOURCE = """
    class Voice:
        def speak(self, text):
            return vocode(text)

    def vocode(text):
        return text
"""


def table(name: str, seams: tuple[Seam, ...] = (), **changes: Any) -> Engine:
    return Engine("made", name, "", (Entry("Voice.speak"),), seams, **changes)


def test_what_a_version_lacks(module) -> None:
    name = module(SOURCE)
    seams = (Seam("vocode", "vocoder"), Seam("Voice.vocode", "vocoder"), Seam("older", "vocoder", optional=True))
    status = look(Engine("made", name, "pytest", (Entry("Voice.speak"),), seams), Installed())
    assert status.missing == (f"{name}.Voice.vocode",)
    assert status.version == installed_version("pytest") is not None


def test_an_engine_that_is_not_installed_lacks_nothing() -> None:
    engine = Engine("made", "no_such_module", "no-such-distribution", (Entry("Voice.speak"),))
    status = look(engine, Installed())
    assert (status.installed, status.version, status.lacking) == (False, None, ())
    assert installed_version("") is None


def test_a_source_checkout_without_a_distribution_is_looked_at(module) -> None:
    name, seams = module(SOURCE), (Seam("vocode", "vocoder"), Seam("no_such_function", "vocoder"))
    assert look(table(name, seams), Installed()).missing == (f"{name}.no_such_function",)
    assert look(table("no_such_module", seams), Installed()).missing == ()


def test_a_module_that_is_gone_is_missing(module) -> None:
    name = module(SOURCE)
    status = look(table(name, (Seam("f", "vocoder", module=f"{name}.gone"),)), Installed())
    assert status.missing == (f"{name}.gone.f",)

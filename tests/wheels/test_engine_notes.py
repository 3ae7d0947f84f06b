# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What docs/engines.md says of what ran is so: the tests are there, and so are the versions that they ran with."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import wheel_cache
from holding import normal

from otel_tts.engines.check.names import find
from otel_tts.engines.check.packages import Packages
from otel_tts.engines.known import ENGINES
from otel_tts.engines.table import Engine

ROOT = Path(__file__).resolve().parents[2]
PAGE: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "engines_page.py"))
NOTES: dict[str, Any] = PAGE["NOTES"]
PUBLISHED = [engine for engine in ENGINES if normal(engine.distribution) in wheel_cache.pins()]


def test_every_note_is_of_a_table() -> None:
    assert set(NOTES) <= {engine.distribution or engine.module for engine in ENGINES}


@pytest.mark.parametrize("key", NOTES)
def test_what_is_said_to_have_run_has_its_test_and_its_version(key: str) -> None:
    note = NOTES[key]
    for test in filter(None, (note.real, note.stand_in)):
        assert (ROOT / test).is_file(), test
    if note.real:
        assert PAGE["ran"](key, note.real) != [], f"{key} is in no lock of an environment that runs {note.real}"


@pytest.mark.parametrize("engine", PUBLISHED, ids=lambda engine: engine.distribution)
def test_an_engine_that_streams_says_so(engine: Engine, packages: Packages) -> None:
    kinds = {find(packages, entry.module or engine.module, entry.target).kind for entry in engine.entries}
    streams = PAGE["note"](engine).streams
    assert ("async generator" in kinds) == streams.startswith("async generator")
    if "generator" in kinds and "async generator" not in kinds:
        assert streams.startswith("generator")

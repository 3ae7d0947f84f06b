# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Edges are imported when what they patch is, and not before."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from otel_tts.instrumentation.edges import every, frameworks

_LOOK = """
import sys
BEFORE
from otel_tts.instrumentation.edges import every
every.instrument(), every.instrument_tasks()
AFTER
names = {*every.WEB, *every.TASKS} - {"answer_audio"}  # which others use
print(*sorted(name for name in names if f"otel_tts.instrumentation.edges.{name}" in sys.modules))
"""


def edges_with(before: str = "", after: str = "") -> list[str]:
    """Return the edges that a new process has imported."""
    code = _LOOK.replace("BEFORE", before).replace("AFTER", after)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_process_that_serves_nothing_has_none() -> None:
    assert edges_with() == []


@pytest.mark.parametrize("moment", ["before", "after"])
def test_it_comes_with_what_it_patches_or_at_once(moment: str) -> None:
    assert edges_with(**{moment: "import http.server"}) == ["http_server"]
    assert edges_with(**{moment: "import flask"}) == ["frameworks", "http_server", "wsgi"]  # with werkzeug's server


@pytest.mark.parametrize("edge", [*every.WEB, *every.TASKS])
def test_each_can_be_brought(edge: str) -> None:
    assert callable(import_module(f"otel_tts.instrumentation.edges.{edge}").patch)


def test_all_that_is_known_of_frameworks_is_waited_for() -> None:
    known = {module for module, *_ in (*frameworks._ROUTES, *frameworks._HANDLERS)}
    signals = {module for module in every.WEB["frameworks"] if module.endswith(".signals")}
    assert known | signals == set(every.WEB["frameworks"])

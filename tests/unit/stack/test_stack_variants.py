# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""STACK_COLLECTOR names files that are laid over otelcol.yaml, in that order."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_tts.stack import places, variants
from otel_tts.trouble import WrongUse


def test_none_are_asked_for() -> None:
    assert variants.options({}) == []
    assert variants.options({"STACK_COLLECTOR": " , "}) == []


def test_they_are_laid_over_in_the_order_in_which_they_are_named() -> None:
    found = [
        Path(option.removeprefix("--config=")) for option in variants.options({"STACK_COLLECTOR": "files, sampling"})
    ]
    assert [file.stem for file in found] == ["files", "sampling"]
    assert all(file.is_file() and file.is_relative_to(places.configurations()) for file in found)


@pytest.mark.parametrize("asked", ["tails", "sampling,tails", "../otelcol"])
def test_an_unknown_one_is_named(asked: str) -> None:
    with pytest.raises(WrongUse, match="agent, files, from-kafka, gateway, sampling, to-kafka") as raised:
        variants.options({"STACK_COLLECTOR": asked})
    assert "STACK_COLLECTOR=" in str(raised.value)

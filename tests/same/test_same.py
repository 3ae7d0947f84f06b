# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The same telemetry as the files say: of each scene all spans, metric points, log records and lines on stderr.

Where a change is wanted, ``python -m tests.same --write`` renews the files; git then shows what has changed.
"""

from __future__ import annotations

import json

import pytest

from tests.same import files


@pytest.fixture(scope="module")
def played() -> dict[str, str]:
    return files.play()


@pytest.mark.parametrize("name", files.SCENES)
def test_it_says_the_same(name: str, played: dict[str, str]) -> None:
    if difference := files.difference(name, played[name]):
        pytest.fail(f"{difference}\nIf this is wanted: python -m tests.same --write {name}", pytrace=False)


def test_each_file_has_a_scene() -> None:
    assert {path.stem for path in files.path("").parent.iterdir()} == set(files.SCENES)


@pytest.mark.parametrize("name", files.SCENES)
def test_what_was_said_is_in_no_file(name: str) -> None:
    told = json.loads(files.read(name))
    theirs = [line for line in told["stderr"] if "trace_id" in line]
    for secret in ("niemand", "somebody", "Hello", "In a child"):
        assert secret not in json.dumps([told["processes"], theirs])

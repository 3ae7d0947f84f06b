# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Places in the code have no values, no paths, and the form that the gate lets pass."""

from __future__ import annotations

import asyncio
import re
import sys
import threading

import pytest

from otel_tts.privacy import allowed
from otel_tts.recording.loops.code import place_of, place_of_thread

is_place = re.compile(allowed.PLACE_FORM).fullmatch


def test_the_innermost_function_and_the_coroutine_around_it() -> None:
    async def answers() -> object:
        return computes("secretotter")

    def computes(text: str) -> object:
        return place_of(sys._getframe())

    place = asyncio.run(answers())
    assert place is not None
    code, coroutine = place  # type: ignore[misc]
    assert re.fullmatch(r"[\w/]*test_code_places\.py:.*computes:\d+", code)
    assert re.fullmatch(r"[\w/]*test_code_places\.py:.*answers:\d+", coroutine)
    assert is_place(code) and is_place(coroutine)
    assert "secretotter" not in f"{place}"


@pytest.mark.parametrize(
    ("name", "file", "function"),
    [
        ("__main__", "/home/me/secret voice.py", "f"),
        ("shop.speech", "/srv/tenant-7/shop/speech.py", "say"),
        ("shop", "/srv/shop/__init__.py", "say"),
        ("模块", "/x/模块.py", "说"),
        ("a" * 300, "/x/y.py", "b" * 300),
        (None, "<string>", "f"),
    ],
)
def test_whatever_a_module_is_called_it_passes_the_gate(name: str | None, file: str, function: str) -> None:
    code = compile(f"import sys\ndef {function}():\n    return sys._getframe()\nframe = {function}()", file, "exec")
    inside: dict[str, object] = {"__name__": name}
    exec(code, inside)
    place = place_of(inside["frame"])  # type: ignore[arg-type]
    assert place is not None and is_place(place.code), place
    assert "/home" not in place.code and "tenant" not in place.code and " " not in place.code


def test_another_thread_and_one_that_has_ended() -> None:
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait)
    thread.start()
    known = thread.ident or 0
    place = place_of_thread(known)
    assert place is not None and place.code.startswith("threading.py:")
    go_on.set()
    thread.join()
    assert place_of_thread(known) is None

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from otel_tts import guard

SPOKEN = "the text that was to be spoken"


def fail(error: BaseException) -> None:
    raise error


def test_the_result_of_a_call_that_works_comes_back() -> None:
    assert guard.contain("sum", sum, [1, 2], start=3) == 6
    assert not guard.faults


def test_an_error_is_counted_and_goes_no_further() -> None:
    assert guard.contain("somewhere", fail, ValueError(SPOKEN)) is None
    assert guard.faults == {"somewhere": 1}


def test_only_the_first_error_of_a_place_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "otel_tts"):
        for place in ("here", "here", "there"):
            guard.contain(place, fail, ValueError(SPOKEN))
    assert [record.getMessage().split(" at ")[0] for record in caplog.records] == [
        "otel-tts: contained ValueError in here",
        "otel-tts: contained ValueError in there",
    ]
    assert guard.faults == {"here": 2, "there": 1}


def test_the_log_line_names_class_and_line_but_never_the_message(caplog: pytest.LogCaptureFixture) -> None:
    guard.contain("here", fail, ValueError(SPOKEN))
    (record,) = caplog.records
    assert f"at test_guard.py:{fail.__code__.co_firstlineno + 1};" in record.getMessage()
    assert SPOKEN not in record.getMessage()
    assert record.exc_info is None


def test_an_error_without_a_traceback_is_noted_too(caplog: pytest.LogCaptureFixture) -> None:
    guard.note_fault("here", ValueError(SPOKEN))
    assert "contained ValueError in here at ?;" in caplog.text


def test_what_fails_while_the_interpreter_ends_is_no_trouble_of_anybodys() -> None:
    """A stream that a script leaves open is closed then, when nothing can be imported any more."""
    program = """
from otel_tts.guard import note_fault
def stream(note_fault=note_fault):
    try:
        yield
    finally:
        note_fault("late", ImportError())
left = stream()
next(left)
note_fault("early", ImportError())
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "contained ImportError in early" in ended.stderr
    assert "late" not in ended.stderr


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), GeneratorExit()], ids=repr)
def test_what_asks_the_process_to_end_passes_through(error: BaseException) -> None:
    with pytest.raises(type(error)):
        guard.contain("here", fail, error)
    assert not guard.faults


def test_the_number_of_places_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    for number in range(1000):
        guard.contain(f"place {number}", fail, ValueError(SPOKEN))
    assert len(guard.faults) <= 101
    assert len(caplog.records) <= 101
    assert guard.faults.total() == 1000
    assert guard.faults["other"] == 900

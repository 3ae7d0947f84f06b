# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from otel_tts import guard, names
from otel_tts.emit.disk import Disk


def test_an_answer_is_passed_on_and_a_failure_is_none() -> None:
    disk = Disk()
    assert disk.ask(int, "7") == 7
    assert disk.ask(int, "seven") is None
    assert guard.faults.pop("patience") == 1
    assert disk.ask(int, "8") == 8


def test_while_one_call_hangs_the_others_are_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    disk, released, asked = Disk(seconds=0.05), threading.Event(), []
    assert disk.ask(released.wait) is None
    assert disk.ask(asked.append, 1) is None
    assert asked == []
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    released.set()
    deadline = time.monotonic() + 30
    while disk.ask(int, "7") != 7:  # as soon as the disk answers, it is asked again
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_without_a_thread_to_be_had_it_asks_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert Disk().ask(int, "7") == 7


def test_a_reference_on_a_disk_that_hangs_costs_its_facts_only(
    world: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    monkeypatch.setattr("otel_tts.emit.facts.read_reference", lambda path: released.wait())
    here = world()
    here.emitter.voices.disk = Disk(seconds=0.05)
    with here.synthesis(**{names.VOICE: "/mnt/gone/ann.wav", names.VOICE_SOURCE: "reference"}):
        pass
    (root,) = [span for span in here.drain().spans if span.name.startswith("text_to_speech")]
    released.set()
    assert root.attributes[names.VOICE].startswith("v-")
    assert names.REFERENCE_SIZE not in root.attributes


def test_a_reference_is_asked_for_by_its_path_and_once(
    world: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("otel_tts.emit.facts.read_reference", asked.append)
    here = world()
    with here.synthesis(**{names.VOICE: "/mnt/gone/ann.wav", names.VOICE_SOURCE: "reference"}):
        here.drain()  # its REQ_START
    here.drain()
    assert asked == ["/mnt/gone/ann.wav"]

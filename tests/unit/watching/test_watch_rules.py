# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What holds an action back: limits, the breaker, clocks that are set, a full disk, the watcher's own troubles."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from otel_tts.trouble import Trouble, WrongUse
from otel_tts.watching import books as module
from otel_tts.watching import signals
from otel_tts.watching.asking import Answer
from otel_tts.watching.books import Books
from otel_tts.watching.commands import Ran
from otel_tts.watching.config import Action, Canary, Limits, Page
from otel_tts.watching.inside import Inside
from otel_tts.watching.means import Spoken
from tests.unit.support.simulated_service import DAY, HOUR, Service, SimulatedClock, watched


class Hopeless(Service):
    """It hangs from the beginning, and a restart does not help."""

    def speak(self, canary: Canary) -> Spoken:
        return self.took(60.0, "no answer within 60 s")

    def inside(self) -> Inside:
        return Inside(1, stage="vocoder", still=(self.age_s,), quiet_s=self.age_s, heard=0, memory=0.3)


class Refusing(Hopeless):
    """Its restart fails."""

    def run(self, action: Action) -> Ran:
        self.actions.append("failed")
        return Ran(1, 0.1)


def test_after_three_actions_the_breaker_is_open_until_a_person_resets_it(tmp_path: Path) -> None:
    one = watched(tmp_path, Hopeless).watch(DAY)
    assert one.service.actions == ["restart"] * 3
    (line,) = one.events("breaker")
    assert line["why"] == "3 actions in 21600 s did not help: hang"
    again = watched(tmp_path, Hopeless, clock=one.clock).watch(DAY)
    assert again.service.actions == []
    assert again.audit[0]["breaker"] == line["why"]
    assert [held["why"] for held in again.events("held")] == ["the breaker is open"]
    assert Books(tmp_path).reset() == line["why"]
    again.watch(600)
    assert again.events("reset") and again.service.actions == ["restart"]


def test_without_a_breaker_the_rate_is_the_limit(tmp_path: Path) -> None:
    one = watched(tmp_path, Hopeless, limits=Limits(2, 3600.0)).watch(HOUR)
    assert one.service.actions == ["restart"] * 2


def test_a_restart_that_fails_counts_and_is_tried_again(tmp_path: Path) -> None:
    one = watched(tmp_path, Refusing).watch(DAY)
    assert one.service.actions == ["failed"] * 3
    assert [line["status"] for line in one.events("did")] == [1, 1, 1]
    assert len(one.events("breaker")) == 1


def test_actions_before_a_restart_of_the_watcher_count(tmp_path: Path) -> None:
    clock, actions = SimulatedClock(), []
    for _ in range(5):
        one = watched(tmp_path, Hopeless, clock=clock).watch(900)
        actions += one.service.actions
    assert actions == ["restart"] * 3


@pytest.mark.parametrize("seconds", [-10 * DAY, -HOUR])
def test_a_clock_that_is_set_back_loosens_no_limit(tmp_path: Path, seconds: float) -> None:
    clock, actions = SimulatedClock(), []
    for _ in range(5):
        one = watched(tmp_path, Hopeless, clock=clock).watch(900)
        clock.set_wall(seconds)
        actions += one.watch(100).service.actions
    assert actions == ["restart"] * 3


def test_a_clock_that_is_set_back_while_it_watches_changes_nothing(tmp_path: Path) -> None:
    one = watched(tmp_path, Hopeless)
    for _ in range(24):
        one.watch(HOUR).clock.set_wall(-HOUR)
    assert one.service.actions == ["restart"] * 3


def test_the_start_period_goes_on_after_a_restart_of_the_watcher(tmp_path: Path) -> None:
    one = watched(tmp_path, Hopeless, start_period_s=5000.0, for_s=10.0)
    while not one.service.actions:
        one.watch(10)
    again = watched(tmp_path, Hopeless, clock=one.clock, start_period_s=5000.0, for_s=10.0).watch(4000)
    assert again.service.actions == [] and again.events("signal") == []
    assert again.watch(2000).service.actions == ["restart"]


def test_a_service_that_somebody_else_starts_has_its_start_period(tmp_path: Path) -> None:
    class Restarting(Hopeless):
        def inside(self) -> Inside:
            if self.age_s > 1000:
                self.began = self.clock.now()
            still = (400.0 + self.age_s,)
            return Inside(1, frozenset({f"7-{self.began}"}), stage="vocoder", still=still, memory=0.3)

    one = watched(tmp_path, Restarting, start_period_s=900.0).watch(DAY)
    assert len(one.events("started")) > 50
    assert one.service.actions == ["restart"]  # before it was seen to start
    assert watched(tmp_path / "b", Restarting).watch(DAY).service.actions == ["restart"] * 3


def test_who_cannot_write_down_that_he_acts_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    one = watched(tmp_path, Hopeless)
    monkeypatch.setattr(module.os, "fsync", no_room)
    one.watch(HOUR)
    assert one.service.actions == []
    assert [line["why"] for line in one.events("held")] == ["the watcher's state cannot be written"]
    monkeypatch.undo()
    assert one.watch(100).service.actions == ["restart"]


def test_an_audit_that_cannot_be_written_is_counted(tmp_path: Path) -> None:
    one = watched(tmp_path, Hopeless)
    (tmp_path / "audit.jsonl").unlink()
    (tmp_path / "audit.jsonl").mkdir()
    one.watch(400)
    lost = len(one.audit) - 1
    (tmp_path / "audit.jsonl").rmdir()
    one.watch(HOUR)
    first = json.loads((tmp_path / "audit.jsonl").read_text().splitlines()[0])
    assert lost > 0 and first["lost_before"] == lost


def test_state_that_cannot_be_read_is_an_open_breaker(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"actions": ["yesterday"]}')
    one = watched(tmp_path, Hopeless).watch(HOUR)
    assert one.service.actions == []
    Books(tmp_path).reset()
    assert one.watch(HOUR).service.actions != []


def test_a_watcher_that_was_not_run_judges_nothing_by_it(tmp_path: Path) -> None:
    one = watched(tmp_path, Hopeless)
    for _ in range(20):
        one.clock.sleep(200)  # swapped out, or stopped
        one.watcher.look()
    assert one.service.actions == []
    assert len(one.events("late")) == 19


def test_who_is_told_to_end_begins_nothing_more(tmp_path: Path) -> None:
    class Ending(Hopeless):
        def speak(self, canary: Canary) -> Spoken:
            if one.events("cause"):
                one.clock.stop()
            return super().speak(canary)

    one = watched(tmp_path, Ending)
    one.watch(HOUR)
    assert one.events("cause") and one.service.actions == []


def test_an_error_of_a_probe_does_not_end_the_watcher(tmp_path: Path) -> None:
    class Raising(Hopeless):
        def page(self, page: Page) -> Answer:
            if self.age_s > 300:
                one.clock.stop()
            if self.age_s < 100:
                raise RuntimeError("purple otter")
            return super().page(page)

    one = watched(tmp_path, Raising)
    one.watcher.run()
    assert one.events("fault") and one.events("signal") and one.audit[-1]["event"] == "ends"
    assert "otter" not in json.dumps(one.audit)


def test_signals_have_to_last_and_one_good_look_begins_anew(tmp_path: Path) -> None:
    class Flickering(Hopeless):
        def inside(self) -> Inside:
            bad = super().inside()
            return bad if self.clock.now() % 200 > 70 else Inside(1, memory=0.3)

    assert watched(tmp_path, Flickering).watch(DAY).service.actions == []


def test_what_gets_well_just_before_the_action_is_left_alone(tmp_path: Path) -> None:
    class Recovering(Hopeless):
        def speak(self, canary: Canary) -> Spoken:
            return self.took(0.5) if one.events("cause") else self.took(60.0, "no answer")

    one = watched(tmp_path, Recovering)
    one.watch(HOUR)
    assert one.service.actions == []
    assert one.events("cause")


def test_no_cause_is_named_by_one_signal_nor_by_the_page_and_the_canary() -> None:
    for name in signals.SIGNALS:
        assert signals.name_cause(frozenset({name})) is None
    assert signals.name_cause(frozenset({signals.PAGE, signals.CANARY, signals.SLOW})) is None


def test_there_is_one_watcher_for_a_state(tmp_path: Path) -> None:
    first, second = Books(tmp_path), Books(tmp_path)
    first.hold()
    with pytest.raises(Trouble, match=rf"process {os.getpid()}\b"):
        second.hold()
    first.release()
    second.hold()
    second.release()


def test_the_lock_of_a_watcher_that_was_killed_is_free(tmp_path: Path) -> None:
    code = "import os, sys; from pathlib import Path; from otel_tts.watching.books import Books; "
    code += "Books(Path(sys.argv[1])).hold(); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], timeout=60, check=False)
    Books(tmp_path).hold()


def test_state_that_others_may_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    with pytest.raises(WrongUse, match="chmod 700"):
        Books(tmp_path / "state")


def test_what_is_written_is_for_this_user_only(tmp_path: Path) -> None:
    watched(tmp_path, Hopeless).watch(DAY)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"audit.jsonl": 0o600, "state.json": 0o600, "breaker.json": 0o600}


def test_the_audit_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otel_tts.watching.audit._LARGEST", 800)
    watched(tmp_path, Hopeless).watch(DAY)
    sizes = {path.name: path.stat().st_size for path in tmp_path.glob("audit*")}
    assert sizes.keys() == {"audit.jsonl", "audit.1.jsonl"} and max(sizes.values()) <= 800

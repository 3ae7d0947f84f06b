# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""24 hours of services in simulated time: those that work are left alone, of those that do not each is healed once."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_tts.watching.asking import Answer
from otel_tts.watching.commands import Ran
from otel_tts.watching.config import Action, Canary, Page
from otel_tts.watching.inside import Inside
from otel_tts.watching.means import Spoken
from tests.unit.support.simulated_service import DAY, HOUR, Service, watched

NO_ANSWER = Answer(5.0, None, reason="no answer within 5 s")


# --- those that are left alone ---------------------------------------------------------------------------------------


class Busy(Service):
    """Full to the brim: it always speaks, its page and its canary wait for hours in a row, its GPU is all taken."""

    def page(self, page: Page) -> Answer:
        return NO_ANSWER if self.is_rush() or self.chance.random() < 0.1 else super().page(page)

    def is_rush(self) -> bool:
        return self.clock.now() % (6 * HOUR) < 2 * HOUR

    def speak(self, canary: Canary) -> Spoken:
        if self.chance.random() < 0.2:
            return self.took(0.1, refused=True)
        if self.is_rush():
            return self.took(60.0, "no answer within 60 s")
        return self.took(self.chance.uniform(0.5, 50))

    def inside(self) -> Inside:
        self.heard += self.chance.randint(1, 5)
        still = tuple(self.chance.uniform(0, 8) for _ in range(self.chance.randint(1, 4)))
        return Inside(1, still=still, quiet_s=max(still), moved_s=self.chance.uniform(0, 9), heard=self.heard,
                      memory=self.chance.uniform(0.5, 0.95), gpus={"GPU-0": 0.97})  # fmt: skip


class Blocked(Service):
    """Its event loop is blocked for ten minutes of each half hour, by its own code or by an engine's call in it."""

    def is_blocked(self) -> bool:
        return self.clock.now() % (HOUR / 2) < 600

    def page(self, page: Page) -> Answer:
        return NO_ANSWER if self.is_blocked() else super().page(page)

    def speak(self, canary: Canary) -> Spoken:
        return self.took(60.0, "no answer within 60 s") if self.is_blocked() else super().speak(canary)

    def inside(self) -> Inside:
        in_a_call = self.is_blocked() and self.clock.now() % HOUR < HOUR / 2
        still = (3.0,) if in_a_call else ()
        return Inside(1, still=still, quiet_s=300.0 if still else 0.0, moved_s=2.0 if still else None,
                      heard=self.heard, memory=0.4, gpus={"GPU-0": 0.6})  # fmt: skip


class Slow(Service):
    """On a CPU: one request takes fifty minutes in one stage, and nobody else gets his turn meanwhile."""

    def speak(self, canary: Canary) -> Spoken:
        return self.took(60.0, "no answer within 60 s")

    def inside(self) -> Inside:
        self.heard = int(self.age_s // 3000)
        return Inside(1, still=(self.chance.uniform(0, 20),), quiet_s=self.age_s % 3000, moved_s=9.0,
                      heard=self.heard, memory=0.4, gpus={})  # fmt: skip


class SlowAndStill(Slow):
    """As before, and with others that wait for their turn for longer than a stage may be still."""

    def inside(self) -> Inside:
        one = super().inside()
        return Inside(1, still=(*one.still, self.age_s % 3000), quiet_s=one.quiet_s, moved_s=one.moved_s,
                      heard=one.heard, memory=0.4)  # fmt: skip


class Frozen(Service):
    """A module in C holds the interpreter for ten minutes at a time: no thread of it answers, and it computes."""

    def page(self, page: Page) -> Answer:
        return NO_ANSWER if self.is_held() else super().page(page)

    def is_held(self) -> bool:
        return self.clock.now() % (HOUR / 2) < 600

    def inside(self) -> Inside:
        return Inside(mute=(17,)) if self.is_held() else super().inside()


class Unseen(Service):
    """A service without telemetry whose front is dead: nobody knows whether it works."""

    def page(self, page: Page) -> Answer:
        return NO_ANSWER

    def speak(self, canary: Canary) -> Spoken:
        return self.took(60.0, "no answer within 60 s")

    def inside(self) -> None:
        return None


class Stopped(Unseen):
    """Somebody has stopped it: it has taken its socket away."""

    def inside(self) -> Inside:
        return Inside()


class Growing(Service):
    """It grows, and is far from full."""

    def inside(self) -> Inside:
        return Inside(
            1, heard=self.heard, memory=0.2 + self.age_s / DAY / 3, gpus={"GPU-0": 0.3 + self.age_s / DAY / 3}
        )


LEFT_ALONE = (Service, Busy, Blocked, Slow, SlowAndStill, Frozen, Unseen, Stopped, Growing)


@pytest.mark.parametrize("kind", LEFT_ALONE)
def test_a_service_that_works_is_left_alone_for_a_day(tmp_path: Path, kind: type[Service]) -> None:
    one = watched(tmp_path, kind).watch(DAY)
    assert one.service.actions == []
    assert one.events("does", "did", "breaker", "late") == []


# --- those that are healed -------------------------------------------------------------------------------------------


class Hung(Service):
    """After two hours a stage hangs. New requests come in and hang too, the first of their process to do so."""

    HANGS_S = 2 * HOUR
    hung = True

    def hangs(self) -> bool:
        return self.hung and self.age_s > self.HANGS_S

    def speak(self, canary: Canary) -> Spoken:
        return self.took(60.0, "no answer within 60 s") if self.hangs() else super().speak(canary)

    def inside(self) -> Inside:
        if not self.hangs():
            return super().inside()
        since = self.age_s - self.HANGS_S
        still = (*[since - at for at in range(0, int(since) + 1, 7)][:16], 0.0, 3.0)
        return Inside(
            1, stage="acoustic_model", still=still, quiet_s=since, moved_s=since, heard=self.heard, memory=0.3
        )

    def run(self, action: Action) -> Ran:
        self.hung = False
        return super().run(action)


class Leaking(Service):
    """Its memory is full after twenty hours; somebody always speaks, with a moment between two of them."""

    def inside(self) -> Inside:
        still = (2.0,) if self.chance.random() < 0.9 else ()
        self.speaks = bool(still)
        self.heard += 1
        return Inside(1, still=still, quiet_s=2.0, moved_s=3.0, heard=self.heard,
                      memory=0.4 + 0.55 * self.age_s / (20 * HOUR) + self.chance.uniform(0, 0.05))  # fmt: skip

    def run(self, action: Action) -> Ran:
        assert not self.speaks, "a stage made progress"
        return super().run(action)


class Full(Service):
    """After an hour its device is full, and requests fail for want of memory; an emptied cache helps."""

    full = True
    helps = "empty_cache"

    def is_full(self) -> bool:
        return self.full and self.clock.now() > 1000 + HOUR

    def speak(self, canary: Canary) -> Spoken:
        return self.took(0.2, "status 500") if self.is_full() else super().speak(canary)

    def inside(self) -> Inside:
        return Inside(1, heard=self.heard, memory=0.3, gpus={"GPU-0": 0.98 if self.is_full() else 0.6, "GPU-1": 0.1})

    def empty_cache(self) -> Ran:
        self.full = self.full and self.helps != "empty_cache"
        return super().empty_cache()

    def run(self, action: Action) -> Ran:
        self.full = self.full and self.helps != action.command[0]
        return super().run(action)


class FullUntilRestart(Full):
    helps = "restart"


class FullUntilReset(Full):
    helps = "reset"


class Fallen(FullUntilRestart):
    """Its engine has fallen back to the CPU: it speaks, ten times slower."""

    def speak(self, canary: Canary) -> Spoken:
        return self.took(5.0 if self.is_full() else 0.5)

    def inside(self) -> Inside:
        return Inside(1, heard=self.heard, fallbacks=40 if self.is_full() else 0, memory=0.3, gpus={"GPU-0": 0.6})


class Dead(Service):
    """After an hour it is killed."""

    dead = True

    def is_dead(self) -> bool:
        return self.dead and self.age_s > HOUR

    def page(self, page: Page) -> Answer:
        return Answer(0.0, None, reason="nobody listens there") if self.is_dead() else super().page(page)

    def speak(self, canary: Canary) -> Spoken:
        return self.took(0.0, "nobody listens there") if self.is_dead() else super().speak(canary)

    def inside(self) -> Inside | None:
        return Inside(gone=1) if self.is_dead() else super().inside()

    def run(self, action: Action) -> Ran:
        self.dead = False
        return super().run(action)


class DeadWithoutTelemetry(Dead):
    """The same, known by the file of its process's number only."""

    def inside(self) -> None:
        return None

    def is_alive(self) -> bool:
        return not self.is_dead()


class Deadlocked(Dead):
    """After an hour its interpreter stands still for good: it takes questions, and uses no CPU."""

    def page(self, page: Page) -> Answer:
        return NO_ANSWER if self.is_dead() else Service.page(self, page)

    def speak(self, canary: Canary) -> Spoken:
        return self.took(60.0, "no answer within 60 s") if self.is_dead() else Service.speak(self, canary)

    def inside(self) -> Inside | None:
        return Inside(mute=(17,)) if self.is_dead() else Service.inside(self)

    def cpu_s(self, pid: int) -> float:
        return 100.0


HEALED = (
    (Hung, "hang", ["restart"]),
    (Leaking, "leak", ["restart"]),
    (Full, "gpu_full", ["empty_cache"]),
    (FullUntilRestart, "gpu_full", ["empty_cache", "restart"]),
    (FullUntilReset, "gpu_full", ["empty_cache", "restart", "reset"]),
    (Fallen, "fallback", ["empty_cache", "restart"]),
    (Dead, "death", ["restart"]),
    (DeadWithoutTelemetry, "death", ["restart"]),
    (Deadlocked, "freeze", ["restart"]),
)


@pytest.mark.parametrize(("kind", "cause", "actions"), HEALED)
def test_a_service_that_does_not_gets_the_right_action_once(tmp_path: Path, kind, cause, actions) -> None:
    one = watched(tmp_path, kind, gpu_reset=Action(("reset",))).watch(DAY)
    assert one.service.actions == actions
    assert [line["cause"] for line in one.events("cause")] == [cause]
    assert [line["cause"] for line in one.events("well")] == [cause]
    assert one.events("breaker") == []


@pytest.mark.thorough
@pytest.mark.parametrize(("kind", "cause", "actions"), HEALED)
def test_without_act_it_is_said_once_what_would_be_done(tmp_path: Path, kind, cause, actions) -> None:
    one = watched(tmp_path, kind, act=False).watch(DAY)
    assert one.service.actions == []
    steps = ["empty_cache", "restart"] if "empty_cache" in actions else ["restart"]
    assert [line["step"] for line in one.events("would")] == steps
    assert not (tmp_path / "state.json").exists() and not (tmp_path / "breaker.json").exists()


def test_a_reset_of_the_gpu_that_is_not_named_is_never_done(tmp_path: Path) -> None:
    one = watched(tmp_path, FullUntilReset).watch(DAY)
    assert "reset" not in one.service.actions
    assert one.service.actions == ["empty_cache", "restart", "restart"]  # then the breaker is open
    assert len(one.events("breaker")) == 1


def test_a_hang_is_healed_within_a_quarter_of_an_hour(tmp_path: Path) -> None:
    one = watched(tmp_path, Hung)
    one.watch(Hung.HANGS_S + 2 * 300 + 180)
    assert one.service.actions == ["restart"]

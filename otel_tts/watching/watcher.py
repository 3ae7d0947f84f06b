# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The rules: two signals that last name a cause, and a cause has steps against it, each given time to help.

Nothing is done while an open stage makes progress, while the watcher itself was not run, in the time after a start, or
with an open breaker. Without `act` it is only said what would be done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from otel_tts.watching import signals
from otel_tts.watching.audit import Audit
from otel_tts.watching.books import Books
from otel_tts.watching.clock import Clock
from otel_tts.watching.commands import Ran
from otel_tts.watching.config import Action, Config
from otel_tts.watching.inside import Inside
from otel_tts.watching.means import Means
from otel_tts.watching.probes import Probes
from otel_tts.watching.signals import Cause, Said

_LATE: Final = 5.0
_LEAST_LATE_S: Final = 30.0
"""A look that comes so many times later than it was to is the watcher's own trouble: a machine that was suspended."""
_ASK_EVERY_S: Final = 1.0
_PROGRESS_LOOKS: Final = 3.0
"""Looks for which a stage that was seen to move counts as one that makes progress."""

Tell = Callable[[dict[str, Any]], object]


@dataclass
class Illness:
    """A cause that was found, until it is over: the next step, and until when the last one is given to help."""

    cause: Cause
    step: int = 0
    wait_until: float = 0.0
    well_since: float | None = None
    told: set[str] = field(default_factory=set[str])
    """What is said once in it."""


class Watcher:
    """Watches one service. `tell` hears every line of the audit."""

    def __init__(
        self, config: Config, means: Means, clock: Clock, books: Books, audit: Audit, *, act: bool = False,
        tell: Tell = lambda line: None,
    ) -> None:  # fmt: skip
        self._config, self._means, self._clock = config, means, clock
        self._books, self._audit, self._act, self._tell = books, audit, act, tell
        self._probes = Probes(config, means, clock)
        self._since: dict[str, float] = {}
        self._illness: Illness | None = None
        self._heard: tuple[int, float | None] = (0, None)
        """Requests that had ended with audio, and when there was one more."""
        self._processes: frozenset[str] = frozenset()
        self._looked: float | None = None
        self._actions: list[float] = []
        self.looked_at: float = 0.0
        """Unix time of the last look."""

    def run(self) -> None:
        """Look again and again, until the clock says that it is over."""
        self.begin()
        while not self._clock.sleep(self._config.every_s):
            try:
                self.look()
            except Exception as error:  # without a look there is no heartbeat, which an alert waits for
                self._note("fault", why=type(error).__name__)
        self._note("ends")

    def begin(self) -> None:
        """Take over what was left, and give the service time where it was started just now."""
        wall, now = self._clock.wall(), self._clock.now()
        self._books.read(wall)
        self._actions = [now - (wall - at) for at in self._books.actions]
        left_s = min(max(0.0, self._books.quiet_until - wall), self._config.start_period_s)
        self._quiet_until = now + left_s
        self._note("begins", act=self._act, breaker=self._books.why_open())

    # --- one look ---------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Ask every probe, and do what is due."""
        waited = self._clock.now() - self._looked if self._looked is not None else 0.0
        self._look(waited)
        self._looked = self._clock.now()

    def _look(self, waited: float) -> None:
        found = self._probes.look()
        now = self._clock.now()
        self.looked_at = self._clock.wall()
        if self._books.was_reset():
            self._actions = []
            self._note("reset")
        if waited > max(_LEAST_LATE_S, _LATE * self._config.every_s):  # what it did not see it does not judge
            self._since.clear()
            self._note("late", seconds=round(waited, 1))
        self._note_start(self._probes.inside, now)
        if now < self._quiet_until:
            self._since.clear()
            return
        self._makes_progress(self._probes.inside)  # so that it knows when one was heard
        self._take(found, now)
        self._judge(now)

    def _note_start(self, inside: Inside | None, now: float) -> None:
        """Give a service time that somebody else has started anew: none of its processes is one of those before."""
        names = inside.names if inside is not None else frozenset[str]()
        if names and self._processes and not names & self._processes:
            self._note("started")
            self._quiet_until = max(self._quiet_until, now + self._config.start_period_s)
            self._probes.forget()
        self._processes = names or self._processes

    def _take(self, found: dict[str, Said], now: float) -> None:
        """Note since when each signal is bad; one that is not known is not."""
        bad = {name: said for name, said in found.items() if said.bad}
        for name in [name for name in self._since if name not in bad]:
            del self._since[name]
            self._note("signal_ends", signal=name)
        for name, said in bad.items():
            if name not in self._since:
                self._since[name] = now
                self._note("signal", signal=name, why=said.why)

    def _judge(self, now: float) -> None:
        cause = self._cause(now)
        if cause is None:
            self._get_well(now)
            return
        if self._illness is None or self._illness.cause.name != cause.name:
            self._illness = Illness(cause)
            self._note("cause", cause=cause.name, signals=sorted(self._since))
        illness = self._illness
        illness.well_since = None
        if now < illness.wait_until or self._is_held(illness) or not self._find_moment(illness):
            return
        self._take(self._probes.look(anew=True), self._clock.now())  # it may have got well by itself
        if self._clock.sleep(0):  # told to end meanwhile
            return
        if self._cause(self._clock.now()) == cause and not self._makes_progress(self._probes.inside):
            self._step(illness, self._clock.now())

    def _cause(self, now: float) -> Cause | None:
        lasting = (name for name, since in self._since.items() if now - since >= self._config.for_s)
        return signals.name_cause(frozenset(lasting))

    def _get_well(self, now: float) -> None:
        """An illness is over when no signal has been bad for twice the time that it takes to be ill."""
        illness = self._illness
        if illness is None:
            return
        if self._since:
            illness.well_since = None
        elif illness.well_since is None:
            illness.well_since = now
        elif now - illness.well_since >= 2 * self._config.for_s:
            self._note("well", cause=illness.cause.name)
            self._illness = None

    # --- when nothing is done ---------------------------------------------------------------------------------------

    def _is_held(self, illness: Illness) -> bool:
        if self._books.why_open():
            self._say_once(illness, "held", "the breaker is open")
            return True
        return False

    def _find_moment(self, illness: Illness) -> bool:
        """Wait, no longer than until the next look, for a moment in which no open stage makes progress."""
        if not self._makes_progress(self._probes.inside):
            return True
        self._say_once(illness, "held", "a stage makes progress")
        until = self._clock.now() + self._config.every_s
        while self._clock.now() < until and not self._clock.sleep(_ASK_EVERY_S):
            if not self._makes_progress(self._means.inside()):
                return True
        return False

    def _makes_progress(self, inside: Inside | None) -> bool:
        """Whether an open stage moves, or may: in a service that speaks, one that has just begun gets the benefit."""
        if inside is None:
            return False
        now = self._clock.now()
        if inside.heard != self._heard[0]:
            self._heard = (inside.heard, now)
        if all(still >= self._config.stages.stuck_after_s for still in inside.still):
            return False
        speaks = self._heard[1] is not None and now - self._heard[1] < self._config.for_s
        moves = inside.moved_s is not None and inside.moved_s <= _PROGRESS_LOOKS * self._config.every_s
        return speaks or (moves and inside.quiet_s < self._config.stages.limit_s)

    # --- steps ------------------------------------------------------------------------------------------------------

    def _step(self, illness: Illness, now: float) -> None:
        """Take the next step there is; the last one again where all were taken."""
        steps = [step for step in illness.cause.steps if step == signals.EMPTY_CACHE or self._action(step) is not None]
        if not steps:
            self._say_once(illness, "nothing_to_do", "no restart is named")
            return
        step = steps[min(illness.step, len(steps) - 1)]
        if not self._act:
            self._say_once(illness, "would", step, step=step)
            illness.step += 1
            illness.wait_until = now + self._config.settle_s
            return
        if self._is_too_much(illness, now) or not self._write_down(illness, now, step):
            return
        illness.step += 1
        self._note("does", cause=illness.cause.name, step=step)
        ran = self._do(step)
        self._note(
            "did", cause=illness.cause.name, step=step, well=ran.well, status=ran.status, why=ran.reason,
            seconds=round(ran.seconds, 3),
        )  # fmt: skip
        self._after(illness, step, ran)

    def _say_once(self, illness: Illness, event: str, what: str, **facts: Any) -> None:
        if what not in illness.told:
            illness.told.add(what)
            self._note(event, cause=illness.cause.name, why="" if facts else what, **facts)

    def _action(self, step: str) -> Action | None:
        return {signals.RESTART: self._config.restart, signals.GPU_RESET: self._config.gpu_reset}.get(step)

    def _is_too_much(self, illness: Illness, now: float) -> bool:
        limits = self._config.limits
        self._actions = [at for at in self._actions if now - at < limits.within_s]
        if len(self._actions) < limits.actions:
            return False
        why = f"{len(self._actions)} actions in {limits.within_s:.0f} s did not help: {illness.cause.name}"
        self._books.open_breaker(self._clock.wall(), why)
        self._note("breaker", cause=illness.cause.name, why=why)
        return True

    def _write_down(self, illness: Illness, now: float, step: str) -> bool:
        """Who cannot write down that he acts does not: after the next start nobody would know how often he did."""
        wall = self._clock.wall()
        self._actions.append(now)
        self._books.actions = [wall - (now - at) for at in self._actions]
        if step != signals.EMPTY_CACHE:
            self._books.quiet_until = wall + self._config.start_period_s
        if self._books.write():
            return True
        self._actions.pop()
        self._say_once(illness, "held", "the watcher's state cannot be written")
        return False

    def _do(self, step: str) -> Ran:
        action = self._action(step)
        return self._means.empty_cache() if action is None else self._means.run(action)

    def _after(self, illness: Illness, step: str, ran: Ran) -> None:
        now = self._clock.now()
        if step == signals.EMPTY_CACHE:
            illness.wait_until = now + self._config.settle_s
        elif ran.well:
            self._quiet_until = illness.wait_until = now + self._config.start_period_s
            self._since.clear()
            self._processes = frozenset()
            self._probes.forget()
        else:  # it may have done half of its work
            illness.wait_until = now + self._config.for_s

    def _note(self, event: str, **facts: Any) -> None:
        self._tell(self._audit.note(self._clock.wall(), event, **facts))

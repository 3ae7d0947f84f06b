# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The relay: groups of alerts come in, are kept, told with what was found about them, and brought to each place."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from otel_tts import names
from otel_tts.relaying import message as messages
from otel_tts.relaying.alerts import Group
from otel_tts.relaying.counts import Counts, Values
from otel_tts.relaying.delivery import Courier, Pace
from otel_tts.relaying.evidence import Witness
from otel_tts.relaying.place import Place
from otel_tts.relaying.spool import Message, Spool

_END_S = 20.0


class Relay:
    """Takes groups and brings them to `places`.

    `link` is an address with `{trace_id}` in it, or empty; `say` tells the operator what goes wrong, without keys.
    """

    def __init__(
        self, places: Sequence[Place], spool: Spool, witness: Witness, language: str, link: str,
        say: Callable[[str], None], pace: Pace | None = None,
    ) -> None:  # fmt: skip
        self.counts = Counts()
        self._spool, self._witness, self._language, self._link = spool, witness, language, link
        self._writing = threading.Lock()
        known = frozenset(place.name for place in places)
        spool.drop_finished(known)
        self._couriers = {
            one.name: Courier(one, known, spool, self.counts, self._write, say, pace or Pace()) for one in places
        }
        if spool.unreadable:
            say(f"{spool.unreadable} messages in the folder cannot be read; they were renamed to *.unreadable")

    def start(self) -> None:
        """Begin to bring messages, those that were left first."""
        for courier in self._couriers.values():
            courier.start()

    def end(self) -> None:
        """Stop; what is not delivered stays on disk."""
        for courier in self._couriers.values():
            courier.end(_END_S / len(self._couriers))
        self._spool.close()

    def take(self, groups: Sequence[Group]) -> None:
        """Keep groups; from then on they are delivered some time. Raises Full."""
        for group in groups:
            if self._spool.take(group):
                self.counts.add(names.RELAY_GROUPS)
        for courier in self._couriers.values():
            courier.wake()

    def page(self) -> str:
        """The figures for Prometheus."""
        return self.counts.page(((names.RELAY_WAITING, self._waiting), (names.RELAY_WAITING_AGE, self._ages)))

    def _waiting(self) -> Values:
        return {(name,): len(courier.waiting()) for name, courier in self._couriers.items()}

    def _ages(self) -> Values:
        now = time.time_ns()
        oldest = {name: next(iter(courier.waiting()), None) for name, courier in self._couriers.items()}
        return {(name,): 0.0 if one is None else max(0, now - one.received) / 1e9 for name, one in oldest.items()}

    def _write(self, message: Message) -> Message:
        """Give a message its words, once for all places."""
        with self._writing:
            message = self._spool.get(message.id)
            if message.text is not None:
                return message
            group = message.group
            evidence = self._witness.ask(group) if group.firing else None
            text = messages.compose(group, evidence, self._language, self._link)
            return self._spool.write(message.id, messages.title(group, self._language), text)

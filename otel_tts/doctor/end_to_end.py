# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Does telemetry arrive? A canary is sent and looked for in each store; then how much its service tells of requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from otel_tts.commands import suggest
from otel_tts.doctor import canary, coverage
from otel_tts.doctor.arrival import Arrival
from otel_tts.doctor.canary import Canary
from otel_tts.doctor.check import FAIL, PASS, SKIP, WARN, Check
from otel_tts.doctor.coverage import Coverage
from otel_tts.readers.choice import NoStore, Places, choose_logs, choose_metrics, choose_traces
from otel_tts.readers.filters import Filter
from otel_tts.readers.stores import TraceStore
from otel_tts.readers.syntheses import of_trace
from otel_tts.trouble import Trouble, WrongUse

SINCE_NS: Final = 24 * 3600 * 10**9
REQUESTS: Final = 200
"""Requests of a service that are judged by: its newest, of a day."""


@dataclass(frozen=True)
class Asked:
    """What the canary is: by a process of ours where `url` is None, else by the service there.

    `within_s` is how long it is waited for. `service` is whose requests are judged besides.
    """

    url: str | None
    body: str | None
    service: str | None
    within_s: float


class EndToEnd:
    """Sends one canary and looks for it. `coverage` is known after `checks` was read to its end."""

    def __init__(self, asked: Asked, places: Places, environ: Mapping[str, str]) -> None:
        self._asked, self._places, self._environ = asked, places, environ
        self.coverage: Coverage | None = None

    def checks(self) -> Iterator[Check]:
        """Everything that is found. Raises WrongUse, ValueError for an URL that is none."""
        stores: dict[str, Any] = {}
        for signal, choose in _CHOICES.items():
            try:
                stores[signal] = choose(self._places).store
            except NoStore as error:
                yield Check(signal, SKIP, str(error))
        try:
            sent = self._send()
        except WrongUse:
            raise
        except Trouble as trouble:
            yield Check("canary", FAIL, str(trouble), f"see its log; `{suggest('doctor')}` looks at this environment")
            return
        yield Check("canary", PASS, f"{sent.request_id} was spoken, in trace {sent.trace_id}")
        arrival = Arrival(sent, *map(stores.get, _CHOICES))
        yield from arrival.wait(self._asked.within_s)
        yield from self._context(sent, arrival)
        yield from self._judged(sent, arrival, stores.get("traces"))

    def _send(self) -> Canary:
        asked = self._asked
        if asked.url is None:
            return canary.speak(self._environ)
        return replace(canary.ask(asked.url, asked.body), service=asked.service)

    def _context(self, sent: Canary, arrival: Arrival) -> Iterator[Check]:
        """Whether the canary is in the trace of who asked."""
        if not arrival.spans:
            return
        if all(span.trace_id == sent.trace_id for span in arrival.spans):
            yield Check("trace of the caller", PASS, "the canary is in the trace of who asked for it")
        else:
            found = arrival.spans[0].trace_id
            fix = "see OTEL_PROPAGATORS, and whether a proxy drops the header traceparent"
            yield Check("trace of the caller", WARN, f"the canary is in a trace of its own, {found}", fix)

    def _judged(self, sent: Canary, arrival: Arrival, traces: TraceStore | None) -> Iterator[Check]:
        """How much is known of the service's newest requests, else of the canary."""
        found = tuple(of_trace(arrival.spans))
        service = self._asked.service or next((one.service for one in found), None)
        if sent.is_own and self._asked.service is None:
            yield Check(
                "coverage", SKIP, "no service's requests were judged: name one by --service, or ask it by --ask"
            )
            return
        if traces is not None and service is not None:
            since = max(0, time.time_ns() - SINCE_NS)
            answer = traces.find(Filter(since=since, service=service, limit=REQUESTS))
            found = tuple(answer) or found
        self.coverage = coverage.of(found)
        yield from coverage.checks(self.coverage)


_CHOICES: Final[dict[str, Callable[[Places], Any]]] = {
    "traces": choose_traces, "logs": choose_logs, "metrics": choose_metrics,
}  # fmt: skip

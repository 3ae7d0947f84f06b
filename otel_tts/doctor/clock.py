# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of the device's clock: how tightly it can be known, how it drifts, and whether every claimed bound holds.

An event on an idle stream is asked for and seen passed some µs apart: where it lies is known that well, whatever the
clock of otel-tts says. So each one is placed first and looked at then.
"""

from __future__ import annotations

import statistics
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from otel_tts import names
from otel_tts.doctor.check import FAIL, PASS, SKIP, Check

if TYPE_CHECKING:
    from otel_tts.doctor.bench import Bench

_GROUPS: Final = 13
_IN_A_GROUP: Final = 20
_PAUSE_S: Final = 1.0
"""Seconds between groups: the reference is renewed three times, and a drift of 1 ppm is 12 µs in the end."""
_POLL_NS: Final = 1_000_000
"""ns after which an event on an idle stream is given up: something else is using the device."""
_THREADS: Final = 4
_REQUESTS: Final = 10


@dataclass
class Sandwiches:
    """What a run of them showed, in ns; `rate` of the drift in parts of one, positive where the device's clock is fast,
    and how far off that can be."""

    widths: list[float] = field(default_factory=list[float])
    claims: list[float] = field(default_factory=list[float])
    outside: int = 0
    broken: bool = False
    renewals: int = 0
    seconds: float = 0.0
    rate: float | None = None
    error: float = 0.0


def clock(bench: Bench) -> Iterator[Check]:
    """Yield how well the clock is known, whether its claims held, and how it drifts against the host's."""
    from otel_tts.device.clocks.device_clock import DRIFT

    seen = sandwich(bench)
    if len(seen.widths) < _GROUPS:
        yield Check("clock", SKIP, f"{len(seen.widths)} events were passed at once: something else uses the device")
        return
    yield Check(
        "clock",
        FAIL if seen.outside or seen.broken else PASS,
        (
            f"{seen.outside} of {len(seen.claims)} claims did not hold"
            f"{', two observations contradict each other' if seen.broken else ''}; "
            f"events seen within {min(seen.widths) / 1e3:.1f} µs, median {statistics.median(seen.widths) / 1e3:.1f}; "
            f"claimed {statistics.median(seen.claims or [0]) / 1e3:.1f} µs; {seen.renewals} new references"
        ),
    )
    if seen.rate is not None:
        ppm, error = seen.rate * 1e6, seen.error * 1e6
        fits = abs(seen.rate) - seen.error <= DRIFT
        allowed = f"{DRIFT * 1e6:.0f} ppm are allowed before it is known"
        yield Check("drift", PASS if fits else FAIL, f"{ppm:.2f} ± {error:.2f} ppm in {seen.seconds:.0f} s; {allowed}")


def sandwich(bench: Bench) -> Sandwiches:
    """Place events of an idle stream with a clock of their own, and look where they were."""
    from otel_tts.device.clocks.device_clock import RESOLUTION_NS, DeviceClocks, spacing
    from otel_tts.device.clocks.event_pool import EventPool

    backend, now, seen = bench.backend, bench.now, Sandwiches()
    pool = EventPool(backend)
    clocks, stream = DeviceClocks(backend, pool, now), backend.current_stream()
    device = backend.device_of(stream)
    bench.wait()
    first = backend.new_event()
    backend.record(first, stream)
    known = clocks.epoch(device, stream, now()).clock
    bench.wait()
    best: list[tuple[float, float, float]] = []
    """Of each group the narrowest: half its width, theta, and the device's own time."""
    for group in range(_GROUPS):
        if group:
            bench.sleep(_PAUSE_S)
        narrow: list[tuple[float, float, float]] = []
        for _ in range(_IN_A_GROUP):
            epoch, event, asked = known.epoch, pool.take(device), now()
            backend.record(event, stream)
            while not (passed := backend.query(event)) and now() - asked < _POLL_NS:
                pass
            done = now()
            if not passed:
                pool.give_back(device, event)
                continue
            at, error, _ = epoch.read(event)
            if group:
                _judge(seen, known.place(at, error, 0, 1 << 62), asked, done)
            ms = backend.elapsed_ms(first, event)
            narrow.append(
                ((done - asked) / 2 + max(RESOLUTION_NS, spacing(ms)), (asked + done) / 2 - ms * 1e6, ms * 1e6)
            )
            seen.widths.append(done - asked)
            if not known.calibrate(epoch, event, asked, done):
                pool.give_back(device, event)
        best += [min(narrow)] if narrow else []
    seen.broken, seen.renewals = known.broken, known.renewals
    _drift(seen, best)
    return seen


def _judge(seen: Sandwiches, claim: tuple[float, float], asked: int, done: int) -> None:
    """A claim does not hold where the event cannot have been in it at all."""
    host, bound = claim
    seen.claims.append(bound)
    seen.outside += host + bound < asked or host - bound > done


def _drift(seen: Sandwiches, best: list[tuple[float, float, float]]) -> None:
    if len(best) < 2:
        return
    (one, earlier, since), (other, later, until) = best[0], best[-1]
    if until > since:
        seen.seconds = (until - since) / 1e9
        seen.rate, seen.error = (earlier - later) / (until - since), (one + other) / (until - since)


def concurrent(bench: Bench) -> Iterator[Check]:
    """Requests of four threads at once, each on a stream of its own: nothing is added, times stay in their request."""
    counts: dict[str, int] = {}
    stages: list[Any] = []
    for mode in ("host", "events"):
        made, spans = bench.recorder(mode)
        bench.request(made)
        with bench.counting() as seen:
            in_threads(bench, made)
        counts[mode] = seen.total()
        bench.finish(made)
        stages = list(spans.get_finished_spans())
        made.taker.close()
    added = counts["events"] - counts["host"]
    on_device, astray = placed(stages)
    whole = on_device == 2 * (_THREADS * _REQUESTS + 1)
    yield Check(
        "concurrent requests",
        PASS if not added and not astray and whole else FAIL,
        (
            f"{added} synchronisations added in {_THREADS * _REQUESTS} requests of {_THREADS} threads; {on_device} "
            f"stages on the device's clock, {astray} of them reach out of their request by more than they claim"
        ),
    )


def in_threads(bench: Bench, recorder: Any) -> None:
    """Let every thread make its requests; an error in one is raised here."""
    errors: list[Exception] = []

    def serve() -> None:
        try:
            with bench.own_stream():
                for _ in range(_REQUESTS):
                    bench.request(recorder)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=serve) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def placed(spans: list[Any]) -> tuple[int, int]:
    """Return how many stages have device times, and how many of them reach out of their parent further than claimed."""
    by_id = {span.context.span_id: span for span in spans}
    on_device = astray = 0
    for span in spans:
        claim = span.attributes.get(names.GPU_CLOCK_UNCERTAINTY)
        parent = None if span.parent is None else by_id.get(span.parent.span_id)
        if claim is not None and parent is not None:
            on_device += 1
            slack = claim * 1e9 + 1
            astray += span.start_time < parent.start_time - slack or span.end_time > parent.end_time + slack
    return on_device, astray

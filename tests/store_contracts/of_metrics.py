# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What every `MetricStore` does."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any, Protocol

import pytest

from otel_tts import names
from otel_tts.readers.growth import Counted, Presence
from otel_tts.readers.stores import MetricStore, Question
from tests.store_contracts.of_traces import ODD
from tests.store_contracts.sent import MS, S, counted, histogram, metrics


class Metrics(Protocol):
    """A store, and how something comes into it. `send` returns when all of it can be found."""

    store: MetricStore
    service: str
    send: Callable[..., None]


class MetricContract:
    """Needs a fixture `to`, fresh for each test: a `Metrics`, in which nothing else has its service's name.

    Prometheus takes no points that are much older than its newest: what is sent is of the last minutes.
    """

    def values(
        self, to: Metrics, metric: names.Metric, show: Any, at: int | None = None, **more: Any
    ) -> dict[Any, float]:
        """The answer at one time: values by the labels that are kept apart."""
        labels = {"service.name": to.service, **more.pop("labels", {})}
        answer = to.store.query(Question(metric, show, labels, **more), at)
        assert answer.complete, answer.gaps
        return {tuple(one.labels.values()): one.values[-1][1] for one in answer}

    def test_what_was_counted(self, to: Metrics) -> None:
        now = time.time_ns()
        for at, ok, failed in ((now - 120 * S, 3, None), (now - 60 * S, 10, 1), (now - 2 * S, 12, 4)):
            made = [counted(names.REQUESTS, at, now - 400 * S, ok, **{names.OUTCOME: "ok", names.ENGINE: "kokoro"})]
            if failed is not None:
                made.append(
                    counted(
                        names.REQUESTS, at, now - 90 * S, failed, **{names.OUTCOME: "error", names.ENGINE: "kokoro"}
                    )
                )
            to.send(metrics(to.service, made))
        by = (names.OUTCOME,)
        assert self.values(to, names.REQUESTS, "increase", now, by=by) == {("ok",): 12, ("error",): 4}
        assert self.values(to, names.REQUESTS, "increase", now, by=by, window=90.0) == {("ok",): 9, ("error",): 4}
        assert self.values(to, names.REQUESTS, "increase", now - 30 * S, by=by) == {("ok",): 10, ("error",): 1}
        assert self.values(to, names.REQUESTS, "increase", now) == {(): 16}
        assert self.values(to, names.REQUESTS, "increase", now, labels={names.OUTCOME: "error"}) == {(): 4}
        assert self.values(to, names.REQUESTS, "rate", now, window=90.0) == {(): pytest.approx(13 / 90)}
        assert self.values(to, names.REQUESTS, "increase", now, labels={names.OUTCOME: "rejected"}) == {}
        assert self.values(to, names.DROPPED, "increase", now) == {}

    def test_processes_are_added_and_may_begin_anew(self, to: Metrics) -> None:
        now = time.time_ns()
        for at, first, second in ((now - 120 * S, 100, 5), (now - 2 * S, 3, 7)):  # the first was started again
            for instance, value in (("1", first), ("2", second)):
                start = at - S if instance == "1" else now - 500 * S
                to.send(metrics(to.service, [counted(names.REQUESTS, at, start, value)], instance))
        assert self.values(to, names.REQUESTS, "increase", now, window=90.0) == {(): 3 + 2}

    def test_what_is_now(self, to: Metrics) -> None:
        now = time.time_ns()
        for at, age in ((now - 60 * S, 7.0), (now - 2 * S, 2.5)):
            to.send(metrics(to.service, [counted(names.OPEN_AGE, at, at, age, **{names.STAGE: "vocoder"})]))
        assert self.values(to, names.OPEN_AGE, "value", by=(names.STAGE,)) == {("vocoder",): 2.5}
        assert self.values(to, names.OPEN_AGE, "value", now - 30 * S) == {(): 7.0}
        assert self.values(to, names.OPEN_AGE, "value", now - 3600 * S) == {}

    def test_what_was_measured(self, to: Metrics) -> None:
        now = time.time_ns()
        values = [0.4] * 90 + [4.0] * 10
        made = [histogram(names.REQUEST_DURATION, now - 2 * S, now - 60 * S, values, **{names.ENGINE: "kokoro"})]
        to.send(metrics(to.service, made))
        by = (names.ENGINE,)
        assert self.values(to, names.REQUEST_DURATION, "increase", by=by) == {("kokoro",): 100}
        assert self.values(to, names.REQUEST_DURATION, "mean", by=by) == {("kokoro",): pytest.approx(0.76)}
        # Between the edges that a measurement lies between: 0.25 to 0.5, and 3 to 5.
        assert self.values(to, names.REQUEST_DURATION, "quantile", share=0.45) == {(): pytest.approx(0.375)}
        assert self.values(to, names.REQUEST_DURATION, "quantile", share=0.95) == {(): pytest.approx(4.0)}
        assert self.values(to, names.FIRST_AUDIO, "quantile") == {}

    def test_what_is_beyond_the_last_edge_is_at_it(self, to: Metrics) -> None:
        now = time.time_ns()
        to.send(metrics(to.service, [histogram(names.REQUEST_DURATION, now - 2 * S, now - 60 * S, [100.0] * 3)]))
        assert self.values(to, names.REQUEST_DURATION, "quantile") == {(): 60.0}

    def test_a_range_has_a_value_for_each_step(self, to: Metrics) -> None:
        now = time.time_ns()
        begin = now - 120 * S
        for number_of_it, at in enumerate(range(begin, now - S, 30 * S)):
            to.send(metrics(to.service, [counted(names.REQUESTS, at, begin, 5.0 * (number_of_it + 1))]))
        question = Question(names.REQUESTS, "increase", {"service.name": to.service}, window=30.0)
        first = begin - begin % MS + 15 * S
        answer = to.store.range(question, first, first + 90 * S, 30.0)
        assert answer.complete
        (series,) = answer
        assert series.labels == {}
        assert series.values == tuple((first + step * 30 * S, 5.0) for step in range(4))
        nothing = to.store.range(question, now - 7200 * S, now - 7000 * S, 30.0)
        assert nothing.complete and nothing.items == ()
        with pytest.raises(ValueError, match="more than 200000"):
            to.store.range(question, 0, now, 1.0)

    def test_growth_is_exact_through_restarts(self, to: Metrics) -> None:
        now = time.time_ns() // S * S
        times, mine = (now - 180 * S, now - 120 * S, now - 60 * S, now), (("service.name", to.service),)
        # A process that was there before, began anew and counted past what it had; a voice that is new; a canary.
        for at, old, new in ((190, 10, None), (130, 14, None), (110, 17, None), (100, 2, 4), (70, 19, 4), (10, 21, 9)):
            start = now - (105 if at <= 100 else 500) * S
            made = [counted(names.REQUESTS, now - at * S, start, old, **{names.OUTCOME: "ok"})]
            if new is not None:
                more = {names.OUTCOME: "ok", names.VOICE: "anna"}
                made += [counted(names.REQUESTS, now - at * S, now - 105 * S, new, **more)]
                made += [counted(names.REQUESTS, now - at * S, now - 105 * S, 1000 + at, **more, canary=True)]
            to.send(metrics(to.service, made))
        asked = Counted(names.REQUESTS, (names.VOICE,), labels=mine, but=(("canary", "true"),))
        counts = to.store.counts([asked], [Presence(names.REQUESTS, labels=mine)], times)
        assert counts.gaps == ()
        (grown,) = counts.grown
        found = {tuple(one.labels.items()): one.values for one in grown.items}
        assert found == {(): (4.0, 3.0 + 19.0, 2.0), ((names.VOICE, "anna"),): (None, 4.0, 5.0)}
        assert (grown.total, grown.restarts, grown.left_out) == (37.0, 1, 0.0)
        assert 0 in counts.seen[0][()]

    def test_what_was_counted_before_the_first_record_is_left_out_and_told(self, to: Metrics) -> None:
        now = time.time_ns() // S * S
        times, mine = (now - 120 * S, now - 60 * S, now), (("service.name", to.service),)
        for at, value in ((100, 700), (70, 705), (10, 711)):
            to.send(metrics(to.service, [counted(names.REQUESTS, now - at * S, now - 90000 * S, value)]))
        (grown,) = to.store.counts(
            [Counted(names.REQUESTS, labels=mine)], [Presence(names.REQUESTS, (), mine)], times
        ).grown
        assert ([one.values for one in grown.items], grown.left_out) == ([(5.0, 6.0)], 700.0)

    def test_parts_of_a_histogram_grow(self, to: Metrics) -> None:
        now = time.time_ns() // S * S
        times, mine = (now - 120 * S, now - 60 * S, now), (("service.name", to.service),)
        to.send(metrics(to.service, [histogram(names.REQUEST_DURATION, now - 130 * S, now - 500 * S, [1.0])]))
        to.send(metrics(to.service, [histogram(names.REQUEST_DURATION, now - 10 * S, now - 500 * S, [1.0, 2.0, 2.5])]))
        parts = ("count", "sum", 2.0)
        asked = [Counted(names.REQUEST_DURATION, part=part, labels=mine) for part in parts]
        counts = to.store.counts(asked, [], times)
        assert counts.gaps == () and [one.total for one in counts.grown] == [2.0, 4.5, 1.0]
        assert to.store.counts([Counted(names.FIRST_AUDIO, part="count", labels=mine)], [], times).grown[0].items == ()
        with pytest.raises(ValueError, match="has no edge at"):
            Counted(names.REQUEST_DURATION, part=2.1)

    def test_measurements_lead_to_their_traces(self, to: Metrics) -> None:
        now, trace = time.time_ns(), secrets.token_hex(16)
        made = [histogram(names.REQUEST_DURATION, now - 2 * S, now - 60 * S, [0.4, 4.0], trace)]
        to.send(metrics(to.service, made))
        answer = to.store.exemplars(names.REQUEST_DURATION, now - 60 * S, now, {"service.name": to.service})
        assert answer.complete
        assert [(one.value, one.trace_id) for one in answer] == [(4.0, trace)]
        assert to.store.exemplars(names.REQUEST_DURATION, now - 60 * S, now, {"service.name": "nobody"}).items == ()
        mine = {"service.name": to.service}
        assert to.store.exemplars(names.REQUEST_DURATION, now - 60 * S, now - 30 * S, mine).items == ()

    def test_a_value_means_only_itself(self, to: Metrics) -> None:
        now = time.time_ns()
        made = [counted(names.REQUESTS, now - 2 * S, now - 60 * S, at + 1.0, **{names.VOICE: voice})
                for at, voice in enumerate(ODD)]  # fmt: skip
        points = [point for one in made for point in one["sum"]["dataPoints"]]
        made[0]["sum"]["dataPoints"] = points
        to.send(metrics(to.service, [made[0]]))
        for at, voice in enumerate(ODD):
            assert self.values(to, names.REQUESTS, "increase", labels={names.VOICE: voice}) == {(): at + 1.0}, voice
            assert self.values(to, names.REQUESTS, "increase", labels={names.ENGINE: voice}) == {}
            assert self.values(to, names.REQUESTS, "increase", by=(f"x{voice}",)) == {(): sum(range(len(ODD) + 1))}

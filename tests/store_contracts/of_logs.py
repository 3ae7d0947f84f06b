# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What every `LogStore` does."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import pytest

from otel_tts import names
from otel_tts.readers.filters import Filter, seconds_of
from otel_tts.readers.model import Gap
from otel_tts.readers.stores import LogStore
from tests.store_contracts.of_traces import ODD
from tests.store_contracts.sent import MS, S, logs, record


class Logs(Protocol):
    """A store, and how something comes into it. `send` returns when all of it can be found."""

    store: LogStore
    service: str
    send: Callable[..., None]


def ended(time: int, request: str, trace: str = "", duration: float = 1.5, **attributes: Any) -> dict[str, Any]:
    """A REQ_SUCCESS, or by its outcome a REQ_FAIL, as it is written."""
    event = names.REQ_FAIL if attributes.get(names.OUTCOME, "ok") != "ok" else names.REQ_SUCCESS
    said = {names.REQUEST_ID: request, names.ENGINE: "kokoro", names.VOICE: "alba", names.OUTCOME: "ok", **attributes}
    text = f"{event} request_id={request} engine=kokoro duration={duration:.4g} status={said[names.OUTCOME]}"
    severity = "INFO" if event == names.REQ_SUCCESS else "ERROR"
    return record(time, event, text, trace, "00000000000000aa" if trace else "", severity, **said)


class LogContract:
    """Needs a fixture `to`, fresh for each test: a `Logs`, in which nothing else has its service's name."""

    def found(self, to: Logs, **wanted: Any) -> list[str]:
        answer = to.store.find(Filter(service=to.service, **wanted))
        assert answer.complete, answer.gaps
        return [line.attributes[names.REQUEST_ID] for line in answer]

    def test_a_record_comes_back_as_it_was_sent(self, to: Logs) -> None:
        at, trace = time.time_ns() - 60 * S + 123, secrets.token_hex(16)
        to.send(logs(to.service, [ended(at, "r1", trace, **{names.TEXT_LENGTH: 42, names.REAL_TIME_FACTOR: 0.5})]))

        (line,) = to.store.find(Filter(service=to.service))

        assert (line.time, line.severity, line.event_name) == (at, "INFO", names.REQ_SUCCESS)
        assert line.body == "REQ_SUCCESS request_id=r1 engine=kokoro duration=1.5 status=ok"
        assert (line.trace_id, line.span_id) == (trace, "00000000000000aa")
        wanted = {
            names.REQUEST_ID: "r1", names.ENGINE: "kokoro", names.VOICE: "alba", names.OUTCOME: "ok",
            names.TEXT_LENGTH: 42, names.REAL_TIME_FACTOR: 0.5,
        }  # fmt: skip
        assert line.attributes == wanted
        assert type(line.attributes[names.TEXT_LENGTH]) is int
        assert (line.resource["service.name"], line.resource["host.name"]) == (to.service, "h")
        assert line.scope == names.SCOPE
        assert seconds_of(line) == {"duration": 1.5}

    def test_each_filter_finds_what_meets_it(self, to: Logs) -> None:
        now, trace = time.time_ns() - 60 * S, secrets.token_hex(16)
        to.send(
            logs(
                to.service,
                [
                    ended(now, "plain"),
                    ended(now + S, "failed", trace, **{names.OUTCOME: "error", names.STAGE: "vocoder"}),
                    ended(now + 2 * S, "odd", **{names.OUTCOME: "anomalous", names.ERROR_TYPE: "silent,clipped"}),
                    ended(now + 3 * S, "slow", duration=9.0, **{names.ENGINE: "piper", names.VOICE: "berta"}),
                    record(
                        now + 4 * S, names.STAGE_TIME, "STAGE_TIME request_id=slow acoustic_model=3 vocoder=5",
                        **{names.REQUEST_ID: "slow"},
                    ),
                    record(now + 5 * S, "", "a line of somebody else's"),
                ],
            )
        )  # fmt: skip
        answer = to.store.find(Filter(service=to.service))
        assert answer.complete and [one.body.split()[0] for one in answer] == [
            "a", names.STAGE_TIME, names.REQ_SUCCESS, names.REQ_FAIL, names.REQ_FAIL, names.REQ_SUCCESS,
        ]  # fmt: skip
        assert self.found(to, request_id="plain") == ["plain"]
        assert self.found(to, request_id="slow", event=names.REQ_SUCCESS) == ["slow"]
        assert self.found(to, trace_id=trace) == ["failed"]
        assert self.found(to, outcome="error") == ["failed"]
        assert self.found(to, event=names.REQ_FAIL) == ["odd", "failed"]
        assert self.found(to, anomaly="clipped") == ["odd"]
        assert self.found(to, anomaly="clip") == []
        assert self.found(to, engine="piper", voice="berta") == ["slow"]
        assert self.found(to, least_seconds=2.0) == ["slow"]
        assert self.found(to, stage="vocoder") == ["slow", "failed"]
        assert self.found(to, stage="vocoder", least_seconds=4.5) == ["slow"]
        assert self.found(to, since=now + S, until=now + 3 * S) == ["odd", "failed"]
        assert self.found(to, request_id="plai") == []
        assert to.store.find(Filter(service=f"{to.service}-2")).items == ()

    def test_times_at_the_bounds(self, to: Logs) -> None:
        at = time.time_ns() - 60 * S
        to.send(logs(to.service, [ended(at, "one")]))
        assert self.found(to, since=at, until=at + 1) == ["one"]
        assert self.found(to, since=at + 1) == []
        assert self.found(to, until=at) == []
        ever = to.store.find(Filter(service=to.service, since=0, until=2**63 - 1))
        assert len(ever) == 1 and {gap.why for gap in ever.gaps} <= {"retention"}  # a store may say what it keeps

    def test_the_newest_up_to_the_limit(self, to: Logs) -> None:
        now = time.time_ns() - 60 * S
        to.send(logs(to.service, [ended(now + number * MS, f"r{number}") for number in range(50)]))
        answer = to.store.find(Filter(service=to.service, limit=2))
        assert [one.attributes[names.REQUEST_ID] for one in answer] == ["r49", "r48"]
        assert [gap.why for gap in answer.gaps] == ["limit"]
        assert len(self.found(to, limit=50)) == 50
        nothing = to.store.find(Filter(service=to.service, limit=0))
        assert nothing.items == () and [gap.why for gap in nothing.gaps] == ["limit"]

    def test_more_than_a_store_says_at_once(self, to: Logs) -> None:
        now = time.time_ns() - 60 * S
        to.send(logs(to.service, [ended(now + number, f"r{number}") for number in range(2500)]))
        assert self.found(to, limit=2500) == [f"r{number}" for number in reversed(range(2500))]

    def test_many_records_of_one_nanosecond(self, to: Logs) -> None:
        now = time.time_ns() - 60 * S
        to.send(logs(to.service, [ended(now, f"r{number}") for number in range(300)]))
        assert sorted(self.found(to, limit=1000)) == sorted(f"r{number}" for number in range(300))

    def test_a_value_means_only_itself(self, to: Logs) -> None:
        now = time.time_ns() - 60 * S
        lines = [ended(now + number * MS, f"r{number}", **{names.VOICE: voice}) for number, voice in enumerate(ODD)]
        to.send(logs(to.service, [*lines, ended(now - S, "other")]))
        for number, voice in enumerate(ODD):
            assert self.found(to, voice=voice) == [f"r{number}"], voice
            assert self.found(to, request_id=voice) == []
            assert self.found(to, event=voice) == []
            assert self.found(to, stage=voice) == []
            assert to.store.find(Filter(service=voice)).items == ()

    def test_new_records_are_followed(self, to: Logs) -> None:
        now = time.time_ns()
        to.send(logs(to.service, [ended(now - 60 * S, "before")]))
        gaps: list[Gap] = []
        follow = to.store.follow(Filter(service=to.service, outcome="error"), gaps.append, patience=30)
        later = threading.Thread(target=self._write, args=(to,))
        later.start()
        try:
            found = [line.attributes[names.REQUEST_ID] for line in itertools.islice(follow, 3)]
        finally:
            later.join()
        assert sorted(found) == ["f0", "f1", "f2"]
        assert gaps == []

    def _write(self, to: Logs) -> None:
        time.sleep(1.0)  # the first look has been taken
        for number in range(3):
            at = time.time_ns()
            to.send(logs(to.service, [ended(at, f"f{number}", **{names.OUTCOME: "error"}), ended(at, "well")]))

    def test_following_from_before_has_what_is_there(self, to: Logs) -> None:
        now = time.time_ns() - 60 * S
        to.send(logs(to.service, [ended(now, "first"), ended(now + S, "second")]))
        follow = to.store.follow(Filter(service=to.service, since=now + 1), pytest.fail, patience=0.5)
        assert [line.attributes[names.REQUEST_ID] for line in follow] == ["second"]

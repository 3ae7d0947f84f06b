# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""How much of what could be known of a service's requests is known: a score, and for each thing that lacks its fix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from otel_tts import names
from otel_tts.commands import suggest
from otel_tts.doctor.check import MEASURED, PASS, WARN, Check
from otel_tts.names import Outcome, Stage
from otel_tts.readers.model import Synthesis

ENOUGH: Final = 0.95
"""A share of requests that know something from which on nothing has to be done."""

_IN_STAGES: Final = 0.8
"""A synthesis is known stage by stage where its stages are so much of its time."""


@dataclass(frozen=True)
class Fact:
    """Something that a request may tell. `of` says which requests could, `has` which do; `weight` in the score."""

    name: str
    weight: int
    has: Callable[[Synthesis], bool]
    fix: str
    of: Callable[[Synthesis], bool] = lambda one: True


def _in_stages(one: Synthesis) -> bool:
    own = sum(seconds for stage, seconds in one.stages.items() if stage != Stage.QUEUE)
    return own >= _IN_STAGES * one.seconds


def _told(*attributes: str) -> Callable[[Synthesis], bool]:
    return lambda one: all(one.attributes.get(name) is not None for name in attributes)


def _delivered(one: Synthesis) -> bool:
    return one.outcome in (Outcome.OK, Outcome.ANOMALOUS)


def _is_within_a_request(one: Synthesis) -> bool:
    return one.root.kind == "server" or bool(one.root.parent_id)


def _from_a_caller(one: Synthesis) -> bool:
    return bool(one.root.parent_id)


_TABLE: Final = "docs/engine-tables.md"
FACTS: Final = (
    Fact(
        "stages",
        30,
        _in_stages,
        f"see `{suggest('engines')}` for seams that are missing; an engine without a table needs one, or blocks of "
        f"otel_tts.stage() in its code: {_TABLE}",
    ),
    Fact(
        "text length",
        15,
        _told(names.TEXT_LENGTH),
        f"name what is spoken: text= of the table's entry, text_argument= of otel_tts.synthesis ({_TABLE})",
    ),
    Fact(
        "audio facts",
        20,
        _told(names.AUDIO_DURATION, names.AUDIO_SAMPLE_RATE),
        "hand the samples over with their rate: sample_rate= of the table or decorator, or audio() in a block",
        _delivered,
    ),
    Fact("voice", 5, _told(names.VOICE), f"name the argument of the voice: voice= of the table's entry ({_TABLE})"),
    Fact("model", 5, _told(names.ENGINE, names.MODEL), f"name engine and model in the table ({_TABLE})"),
    Fact("request id", 10, lambda one: bool(one.request_id), f"start the service with `{suggest('run --')}`"),
    Fact(
        "request around it",
        5,
        _is_within_a_request,
        "requests that reach the engine without a web framework that is known are traces of their own: hand a context "
        "on where a queue or another process lies between",
    ),
    Fact(
        "context in",
        10,
        _from_a_caller,
        "callers send no traceparent: instrument them, or see whether a proxy drops the header",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Coverage:
    """Shares of requests that know a fact, None where no request could; the score is from 0 to 100."""

    requests: int
    shares: tuple[tuple[Fact, float | None], ...]

    @property
    def score(self) -> int | None:
        """The shares' mean by weight; None without requests."""
        known = [(fact.weight, share) for fact, share in self.shares if share is not None]
        whole = sum(weight for weight, _ in known)
        return round(100 * sum(weight * share for weight, share in known) / whole) if whole else None


def of(syntheses: Iterable[Synthesis]) -> Coverage:
    """The coverage of some requests; those that were refused before anything ran tell nothing."""
    every = [one for one in syntheses if one.outcome != Outcome.REJECTED]
    return Coverage(len(every), tuple((fact, _share(fact, every)) for fact in FACTS))


def _share(fact: Fact, every: Sequence[Synthesis]) -> float | None:
    could = [one for one in every if fact.of(one)]
    return sum(map(fact.has, could)) / len(could) if could else None


def checks(coverage: Coverage) -> Iterator[Check]:
    """The score, and a check for each fact."""
    if coverage.score is None:
        yield Check(
            "coverage", WARN, "there are no requests to judge by", "send some, or name the service by --service"
        )
        return
    yield Check("coverage", MEASURED, f"{coverage.score} of 100; requests: {coverage.requests}")
    for fact, share in coverage.shares:
        if share is None:
            continue
        said = f"known of {100 * share:.0f}% of the requests"
        yield Check(fact.name, PASS, said) if share >= ENOUGH else Check(fact.name, WARN, said, fact.fix)


def plain(coverage: Coverage) -> dict[str, Any]:
    """The coverage for JSON."""
    shares = {fact.name: share for fact, share in coverage.shares}
    return {"score": coverage.score, "requests": coverage.requests, "shares": shares}

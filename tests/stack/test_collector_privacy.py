# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The Collector's second line, at what leaves it: wherever a text can stand, by itself and beside everything else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from leaving import Leaving, attributes, collector, logs, metrics, read, span, traces

from otel_tts import names
from otel_tts.privacy import allowed
from otel_tts.stack import places

CANARY = "ZEBRACANARY7741 walks home"

SAID: dict[str, Any] = {
    "url__query": f"text={CANARY}",
    "url__full": f"https://tts.example/speak?text={CANARY}",
    "http__target": f"/speak?text={CANARY}",
    "gen_ai__input__messages": CANARY,
    "gen_ai__prompt__0__content": CANARY,
    "tts__text": CANARY,
    "shop__tts__Text": CANARY,
    "prompt": [CANARY, CANARY],
    "input": {"of": {"any": CANARY}},
    "http__request__header__cookie": CANARY,
    "body": {"text": CANARY, "inner": {"phonemes": CANARY}},
    "llm": {"messages": [{"role": "user", "content": CANARY}]},
    "completed": {"gen_ai.completion.0.content": CANARY},
    "instructed": {"calls": [{"gen_ai.system_instructions": CANARY}]},
    "asked": {"http.request.header.cookie": CANARY},
    "answered": {"http.response.body.raw": [CANARY]},
    "started": {"process.command_line": CANARY},
}
KEPT = {"kept": "kept", "tts__text__length": 26}
EVENT = {"name": "gen_ai.prompt", "timeUnixNano": "1", "attributes": attributes(**SAID, **KEPT)}


@pytest.fixture(scope="module")
def leaving(stack: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Leaving]:
    with collector(tmp_path_factory.mktemp("leaving")) as found:
        yield found


def assert_clean(sent: Any, left: Any) -> None:
    """The canary was sent and has not left; what stood beside it has."""
    assert CANARY in json.dumps(sent)
    assert CANARY not in json.dumps(left)
    assert json.dumps(left).count('"kept"') == json.dumps(sent).count('"kept"')


@pytest.mark.parametrize("events", [[], [EVENT], [EVENT, EVENT]], ids=["without events", "with one", "with two"])
def test_spans(leaving: Leaving, events: list[Any]) -> None:
    sent = traces(span(attributes=attributes(**SAID, **KEPT), events=events))
    left = leaving.send("traces", sent)
    assert_clean(sent, left)
    shown = read(left["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"])
    assert shown["url.full"] == "https://tts.example/speak"
    assert shown["tts.text.length"] == "26"


@pytest.mark.parametrize("events", [[], [EVENT]], ids=["without events", "with one"])
def test_resources_and_scopes_of_spans(leaving: Leaving, events: list[Any]) -> None:
    resource = attributes(**SAID, **KEPT, process__command_line=f"say {CANARY}", process__command_args=[CANARY])
    sent = traces(span(events=events), resource=resource, scope={"name": "s", "attributes": attributes(**SAID)})
    assert_clean(sent, leaving.send("traces", sent))


@pytest.mark.parametrize(
    "body",
    [
        {"stringValue": "REQ_START"},
        {"kvlistValue": {"values": attributes(**SAID)}},
        {"arrayValue": {"values": [{"kvlistValue": {"values": attributes(text=CANARY)}}]}},
    ],
    ids=["text", "map", "array"],
)
def test_log_records(leaving: Leaving, body: Any) -> None:
    record = {"body": body, "attributes": attributes(**SAID, **KEPT)}
    sent = logs(record, resource=attributes(**SAID), scope={"name": "s", "attributes": attributes(text=CANARY)})
    assert_clean(sent, leaving.send("logs", sent))


def test_points_and_their_exemplars(leaving: Leaving) -> None:
    exemplar = {"asDouble": 1.0, "timeUnixNano": "2", "filteredAttributes": attributes(**SAID, **KEPT)}
    point = {"asDouble": 1.0, "timeUnixNano": "2", "attributes": attributes(**SAID, **KEPT)}
    sent = metrics({**point, "exemplars": [exemplar]}, resource=attributes(**SAID))
    assert_clean(sent, leaving.send("metrics", sent))


def test_mail_addresses_and_numbers_are_masked(leaving: Leaving) -> None:
    left = leaving.send("logs", logs({"body": {"stringValue": "from someone@example.com about 13912345678"}}))
    assert left["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["body"] == {"stringValue": "from **** about ****"}


def test_no_name_of_ours_is_among_those_that_hold_text() -> None:
    processors = yaml.safe_load((places.configurations() / "otelcol.yaml").read_text(encoding="utf-8"))["processors"]
    (pattern,), exempt = (processors["redaction"][key] for key in ("blocked_key_patterns", "ignored_keys"))
    assert re.search(pattern, "tts.text")
    ours = set(allowed.ATTRIBUTES) | set(allowed.RESOURCE) | {label for one in names.METRICS for label in one.labels}
    assert {name for name in ours if re.search(pattern, str(name))} <= set(exempt)
    # One pattern for all, the exemplars' own among them.
    assert pattern in json.dumps(processors["transform/no_text"]).replace("\\\\", "\\").replace('\\"', '"')

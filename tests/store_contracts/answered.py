# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One request as Tempo and Loki answer with it: in `answers/`, written after their documentation or recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from otel_tts import names
from tests.store_contracts.documented import Reply
from tests.store_contracts.sent import S, logs, pairs, record, span, traces

SERVICE, REQUEST, TRACE, SPAN = "recorded", "recorded-1", "00b8efff798038103d269b633813fc60", "eee19b7ec3c1b174"
FOLDER = Path(__file__).parent / "answers"


def kept(store: str) -> dict[str, Any]:
    """The answers of a store by path, with where they are from."""
    return json.loads((FOLDER / f"{store}.json").read_text(encoding="utf-8"))


def replies(store: str) -> Any:
    """What answers a question by its path."""
    answers = kept(store)

    def answer(path: str, query: dict[str, str]) -> Reply:
        return (200, answers[path]) if path in answers else (404, "")

    return answer


def keep(store: str, origin: str, answers: dict[str, Any]) -> None:
    """Replace the answers of a store by recorded ones."""
    text = json.dumps({"origin": origin, **answers}, indent=1, ensure_ascii=False)
    (FOLDER / f"{store}.json").write_text(text + "\n", encoding="utf-8")


def the_trace(start: int) -> dict[str, Any]:
    """What was sent to get the answer of Tempo."""
    said = {
        names.OPERATION_NAME: names.OPERATION, names.REQUEST_ID: REQUEST, names.OUTCOME: "anomalous",
        names.TEXT_LENGTH: 42, names.REAL_TIME_FACTOR: 0.5, names.AUDIO_ANOMALY: ["silent", "clicks"],
    }  # fmt: skip
    synthesis = span(TRACE, "text_to_speech m1", start, start + 2 * S, attributes=said)
    synthesis |= {"spanId": SPAN, "status": {"code": 2, "message": "silent"}}
    stage = span(TRACE, "tts.vocoder", start, start + S * 3 // 2, SPAN, attributes={names.STAGE: "vocoder"})
    document = traces(SERVICE, [synthesis, {**stage, "spanId": "00f067aa0ba902b7"}])
    document["resourceSpans"][0]["resource"]["attributes"] = pairs({"service.name": SERVICE})
    return document


def the_record(at: int) -> dict[str, Any]:
    """What was sent to get the answer of Loki."""
    said = {
        names.REQUEST_ID: REQUEST, names.OUTCOME: "anomalous", names.ERROR_TYPE: "silent,clicks",
        names.TEXT_LENGTH: 42,
    }  # fmt: skip
    text = f"REQ_FAIL request_id={REQUEST} duration=2 status=anomalous"
    document = logs(SERVICE, [record(at, names.REQ_FAIL, text, TRACE, SPAN, "ERROR", **said)])
    document["resourceLogs"][0]["resource"]["attributes"] = pairs({"service.name": SERVICE})
    return document

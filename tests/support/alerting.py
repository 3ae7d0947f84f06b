# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What Alertmanager's web hook sends, and records of failed requests that say what they must not."""

from __future__ import annotations

import json
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from otel_tts import names
from tests.store_contracts.sent import Request, S, logs, record, traces

CANARY = "ZEBRACANARY7741 walks home."


def alert(name: str = "TTSErrorRatioHigh", status: str = "firing", **annotations: str) -> dict[str, Any]:
    now = datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")
    return {
        "status": status,
        "labels": {"alertname": name, "severity": "critical", "service_name": "tts"},
        "annotations": {"summary": "7 % fail", "summary_zh": "失败率 7 %", "runbook": "docs/r.md", **annotations},
        "startsAt": now,
        "endsAt": now if status == "resolved" else "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": "0",
    }


def payload(*alerts: dict[str, Any], service: str = "tts", **other: Any) -> bytes:
    """A group's web hook, version 4."""
    document = {
        "version": "4", "groupKey": "{}", "truncatedAlerts": 0, "status": "firing", "receiver": "relay",
        "groupLabels": {"service_name": service}, "commonLabels": {"service_name": service} if service else {},
        "commonAnnotations": {}, "externalURL": "", "alerts": list(alerts), **other,
    }  # fmt: skip
    return json.dumps(document).encode()


def failures(count: int = 12, service: str = "tts") -> tuple[dict[str, Any], dict[str, Any]]:
    """Spans and records of `count` requests that failed just now, one after another; the last is the slowest.

    Each record has text in it that the gate would have kept back: a sender without otel-tts wrote it.
    """
    made, said = [], []
    start = time.time_ns() - 60 * S
    for number in range(count):
        seconds = 1.0 + number
        one = Request(
            start + number * S, f"failed-{number}", seconds, stages={"acoustic_model": 0.7 * seconds, "vocoder": 0.2},
            **{names.OUTCOME: "error", names.ERROR_TYPE: "RuntimeError"},
        )  # fmt: skip
        made.append(one)
        said.append(
            record(
                one.start, names.REQ_FAIL, f"REQ_FAIL request_id={one.id} duration={seconds} text={CANARY}", one.trace,
                one.synthesis["spanId"], "ERROR",
                **{**one.attributes, names.ERROR_TYPE: "RuntimeError", names.VOICE: CANARY, "tts.text": CANARY},
            )
        )  # fmt: skip
    return traces(service, [span for one in made for span in one.spans]), logs(service, said)


def write(folder: Path, spans: dict[str, Any], records: dict[str, Any]) -> None:
    """Both as files of a folder."""
    (folder / "traces.jsonl").write_text(json.dumps(spans) + "\n", encoding="utf-8")
    (folder / "logs.jsonl").write_text(json.dumps(records) + "\n", encoding="utf-8")

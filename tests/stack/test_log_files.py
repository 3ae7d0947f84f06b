# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""variants/files.yaml: a service's lines from files become the records that the same lines are over OTLP."""

from __future__ import annotations

import base64
import datetime
import json
import operator
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promtail
import pytest
from leaving import Json, Leaving, collector, read

from otel_tts.emit import logs as lines
from otel_tts.stack import places

SERVICE = """
import logging, sys, time
import numpy, otel_tts

otel_tts.configure(service_name="lines", stuck_after=0.1)
tone = numpy.sin(numpy.arange(16000) / 10) * 0.3

def speak(engine, text, broken=False, level=1.0):
    with otel_tts.synthesis("IndexTTS-2", engine=engine, text=text, voice="anna") as synthesis:
        with otel_tts.stage("text_frontend"):
            pass
        with otel_tts.stage("vocoder"):
            if broken:
                raise RuntimeError
        synthesis.audio(tone * level, 16000)
        synthesis.set(size=32044, format="wav", emotion="vector")

speak("indextts", "purpleotter one")
speak("indextts", "purpleotter two", level=0.0)
try:
    speak("other", "purpleotter three", broken=True)
except RuntimeError:
    pass
with otel_tts.synthesis("m", engine="slow"):
    time.sleep(1.5)
logging.getLogger("service").warning("purpleotter is what was asked for")
print("purpleotter REQ_START request_id=forged", file=sys.stderr)
"""
EVENTS = {"REQ_START": 4, "REQ_SUCCESS": 2, "REQ_FAIL": 2, "STAGE_TIME": 3, "REQ_STUCK": 1}


@dataclass
class Spoken:
    """What a service wrote, in both forms, each with the records that it sent."""

    lines: dict[str, list[str]]
    records: dict[str, list[Json]]


@pytest.fixture(scope="module")
def spoken(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Spoken:
    """The lines and the records of one run each: the file, whose service is known, is read by nobody here."""
    found = Spoken({}, {})
    with collector(tmp_path_factory.mktemp("otlp")) as over_otlp:
        for form in ("logfmt", "json"):
            environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
            environment |= {
                "OTEL_EXPORTER_OTLP_ENDPOINT": over_otlp.stack.url("otlp_http"),
                "OTEL_TTS_LOG_FORMAT": form,
                "OTEL_TTS_VOICES": "anna",
            }
            done = subprocess.run(
                [sys.executable, "-c", SERVICE],
                env=environment,
                capture_output=True,
                text=True,
                timeout=120,
                check=True,
            )
            found.lines[form] = done.stderr.splitlines()
            found.records[form] = wait_for(over_otlp, len(found.records) + 1)[-sum(EVENTS.values()) :]
    return found


def wait_for(leaving: Leaving, runs: int) -> list[Json]:
    """Our records of so many runs of the service."""
    patience = time.monotonic() + 60
    while len(ours := [one for one in records(leaving) if one.get("eventName") in EVENTS]) < runs * sum(
        EVENTS.values()
    ):
        assert time.monotonic() < patience, ours
        time.sleep(0.2)
    return ours


@pytest.fixture
def reading(stack: Any, tmp_path: Path) -> Iterator[Leaving]:
    files = {
        "STACK_LOG_FILES": f"[{tmp_path}/plain/*.log]",
        "STACK_DOCKER_FILES": f"[{tmp_path}/docker/*/*-json.log]",
        "STACK_POD_FILES": f"[{tmp_path}/pods/*/*/*.log]",
    }
    with collector(tmp_path / "state", STACK_COLLECTOR="files", STACK_SERVICE_NAME="from-files", **files) as found:
        yield found


def records(leaving: Leaving) -> list[Json]:
    """Every record that came out, with its resource."""
    return [
        {**record, "resource": read(rl["resource"].get("attributes", []))}
        for message in leaving.received("logs")
        for rl in message["resourceLogs"]
        for sl in rl["scopeLogs"]
        for record in sl["logRecords"]
    ]


def write(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def known(record: Json) -> dict[str, Any]:
    """What both ways are to agree on; in a line the time has milliseconds, a number four digits."""
    return {
        "time": int(record["timeUnixNano"]) // 10**6,
        "severity": (record["severityNumber"], record["severityText"]),
        "event": record["eventName"],
        "trace": (record["traceId"], record["spanId"]),
        "body": record["body"]["stringValue"],
        "attributes": sorted(
            (pair["key"], kind, rounded(one)) for pair in record["attributes"] for kind, one in pair["value"].items()
        ),
    }


def rounded(one: Any) -> Any:
    return f"{one:.4g}" if isinstance(one, float) else one


def in_order(some: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(some, key=lambda one: (one["trace"], one["event"]))


def docker(line: str) -> str:
    return json.dumps({"log": line + "\n", "stream": "stderr", "time": "2026-11-30T09:00:00.123456789Z"})


def cri(line: str) -> list[str]:
    """As containerd writes it: a long line in pieces."""
    head = "2026-11-30T09:00:00.123456789+00:00 stderr"
    return [f"{head} P {line[:60]}", f"{head} F {line[60:]}"] if len(line) > 100 else [f"{head} F {line}"]


POD = "pods/shop_tts-7d9f_11111111-2222-3333-4444-555555555555/tts/0.log"


@pytest.mark.parametrize("kind", ["plain", "docker", "cri"])
def test_lines_become_the_records_that_they_are_over_otlp(
    spoken: Spoken, reading: Leaving, eventually: Callable[..., Any], tmp_path: Path, kind: str
) -> None:
    lines = spoken.lines["logfmt"]
    assert sum("purpleotter" in line for line in lines) >= 2
    if kind == "plain":
        write(tmp_path / "plain/tts.log", lines)
    elif kind == "docker":
        write(tmp_path / "docker/abc/abc-json.log", [docker(line) for line in lines])
    else:
        write(tmp_path / POD, [piece for line in lines for piece in cri(line)])
    eventually(lambda: len(records(reading)) >= sum(EVENTS.values()))
    found, expected = records(reading), spoken.records["logfmt"]
    assert in_order([known(one) for one in found]) == in_order([known(one) for one in expected])
    assert "purpleotter" not in json.dumps(found)
    services = {one["resource"]["service.name"] for one in found}
    assert services == {"tts" if kind == "cri" else "from-files"}
    if kind == "cri":
        assert {one["resource"]["k8s.pod.name"] for one in found} == {"tts-7d9f"}


def test_json_lines_have_the_same_fields(
    spoken: Spoken, reading: Leaving, eventually: Callable[..., Any], tmp_path: Path
) -> None:
    write(tmp_path / "docker/abc/abc-json.log", [docker(line) for line in spoken.lines["json"]])
    eventually(lambda: len(records(reading)) >= sum(EVENTS.values()))
    found, expected = ([known(one) for one in some] for some in (records(reading), spoken.records["json"]))
    for one in (*found, *expected):
        words = one.pop("body").split()
        assert words[0] == one["event"]
        # Numbers in JSON have all their digits.
        one["fields"] = sorted(word.partition("=")[0] for word in words[1:])
    assert in_order(found) == in_order(expected)
    assert "purpleotter" not in json.dumps(records(reading))


def test_a_file_goes_on_where_it_was_read_to(
    spoken: Spoken, reading: Leaving, eventually: Callable[..., Any], tmp_path: Path
) -> None:
    """Also after a Collector was killed, and what was written meanwhile; a file that is rotated is read to its end."""
    ours = [line for line in spoken.lines["logfmt"] if " REQ_" in line and "purpleotter" not in line]
    half = len(ours) // 2
    log = tmp_path / "plain/tts.log"
    write(log, ours[:half])
    eventually(lambda: len(records(reading)) == half)
    reading.stack.kill("otelcol")
    write(log, ours[half:-1])
    log.rename(log.with_name("tts.1.log"))
    write(log, ours[-1:])
    reading.stack.start("otelcol")
    eventually(lambda: len(records(reading)) >= len(ours))
    bodies = [one["body"]["stringValue"] for one in records(reading)]
    assert set(bodies) == {" ".join(line.split()[2:-2]) for line in ours}


@pytest.mark.parametrize("form", ["logfmt", "json"])
@pytest.mark.parametrize("kind", ["plain", "docker", "pods"])
def test_promtails_stages_give_the_same_fields(spoken: Spoken, form: str, kind: str) -> None:
    """As its documentation says that they work: it is at its end of life, and not run here."""
    stages = promtail.stages(kind)
    whole = "2026-11-30T09:00:00.123456789+00:00 stderr F {}"
    wrap: dict[str, Callable[[str], str]] = {"plain": str, "docker": docker, "pods": whole.format}
    entries = [
        promtail.run(stages, promtail.Entry(wrap[kind](line), {"service_name": "tts"})) for line in spoken.lines[form]
    ]
    found = [entry for entry in entries if entry is not None]
    assert all(entry.labels == {"service_name": "tts"} for entry in found)
    expected = [as_metadata(record) for record in spoken.records[form]]
    key = operator.itemgetter("span_id", "event")
    assert sorted((shown(entry) for entry in found), key=key) == sorted(expected, key=key)
    assert {entry.time for entry in found} == {stamp(record) for record in spoken.records[form]}


def as_metadata(record: Json) -> dict[str, str]:
    """A record over OTLP as Loki would have its fields."""
    fields = {key.replace(".", "_"): str(rounded(one)) for key, one in read(record["attributes"]).items()}
    ids = {name: base64.b64decode(record[key]).hex() for name, key in (("trace_id", "traceId"), ("span_id", "spanId"))}
    return {**fields, **ids, "event": record["eventName"], "level": record["severityText"]}


def shown(entry: promtail.Entry) -> dict[str, str]:
    return {
        name: rounded(float(one)) if re.fullmatch(r"\d+\.\d+(e-\d+)?", one) else one
        for name, one in entry.metadata.items()
    }


def stamp(record: Json) -> str:
    moment = datetime.datetime.fromtimestamp(int(record["timeUnixNano"]) // 10**9, datetime.timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{int(record['timeUnixNano']) // 10**6 % 1000:03d}Z"


def test_every_field_that_is_an_attribute_over_otlp_is_one_of_a_line() -> None:
    rules = (places.configurations() / "variants" / "files.yaml").read_text(encoding="utf-8").replace("[.]", ".")
    metadata = (places.configurations() / "promtail.yaml").read_text(encoding="utf-8")
    (kept,) = re.findall(r'keep_matching_keys\(log.attributes, "\^\((request_id\|.*)\)\$"\)', rules)
    assert set(kept.split("|")) == set(lines._ATTRIBUTE)
    assert [name for name in lines._ATTRIBUTE.values() if f"{name.replace('.', '_')}:" not in metadata] == []

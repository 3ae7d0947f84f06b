# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts demo` for real: the launcher, a service, requests over HTTP, and every statement about them checked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import wave
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from otlp_sink import OtlpSink

from otel_tts.demo import client
from otel_tts.readers.model import LogLine, Point, Span
from otel_tts.readers.otlp_files import find, read_logs, read_points, read_spans
from otel_tts.readers.syntheses import is_synthesis
from otel_tts.readers.traces import Traces

PLAIN = 3
STAGES = ["tts.text_frontend", "tts.acoustic_model", "tts.vocoder"]


@dataclass(frozen=True)
class Run:
    """A finished demo: its folder, its summary, and its telemetry as read back."""

    folder: Path
    summary: dict[str, Any]
    spans: list[Span]
    logs: list[LogLine]
    points: list[Point]

    @property
    def traces(self) -> Traces:
        return Traces(self.spans)

    def request(self, kind: str) -> dict[str, Any]:
        (found,) = [request for request in self.summary["requests"] if request["kind"] == kind]
        return found

    def lines_of(self, request_id: str) -> dict[str, LogLine]:
        return {line.event_name: line for line in self.logs if line.attributes.get("request_id") == request_id}


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "otel_tts.cli.main", "demo", *arguments]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300, check=False)


def one_file(folder: Path, signal: str) -> Path:
    (found,) = find(folder, signal)
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("demo")
    done = demo("--requests", str(PLAIN), "--out", str(folder), "--json")
    assert done.returncode == 0, done.stderr + (folder / "service.log").read_text()
    return Run(
        folder,
        json.loads(done.stdout),
        list(read_spans(one_file(folder, "traces"))),
        list(read_logs(one_file(folder, "logs"))),
        list(read_points(one_file(folder, "metrics"))),
    )


@pytest.fixture(scope="module")
def spoken(run: Run) -> list[dict[str, Any]]:
    """The requests that were answered with audio to the end."""
    return [request for request in run.summary["requests"] if request["kind"] in ("plain", "streamed")]


def test_every_kind_was_sent(run: Run) -> None:
    assert Counter(request["kind"] for request in run.summary["requests"]) == {
        "plain": PLAIN, "streamed": 1, "Chinese": 1, "empty": 1, "too long": 1,
        "failing": 1, "hang-up": 1,
    }  # fmt: skip
    assert run.summary["problems"] == []


def test_the_root_of_every_request_carries_its_id(run: Run) -> None:
    ids = [request["request_id"] for request in run.summary["requests"]]
    roots = [span for span in run.spans if span.kind == "server"]

    assert len(set(ids)) == len(ids) == len(roots)
    assert Counter(span.attributes["request_id"] for span in roots) == Counter(ids)
    assert {span.name for span in roots} == {"POST /v1/audio/speech"}


def test_ids_of_the_caller_are_kept_and_others_made(run: Run) -> None:
    plain = [request["request_id"] for request in run.summary["requests"]][:PLAIN]

    assert plain[0].startswith("demo-") and not any(each.startswith("demo-") for each in plain[1:])


def test_a_callers_trace_is_joined_and_others_are_roots(run: Run) -> None:
    parents = [run.traces.root(request["request_id"]).parent_id for request in run.summary["requests"]]

    assert [bool(parent) for parent in parents] == [False, True] + [False] * (len(parents) - 2)


def test_one_synthesis_with_its_stages_in_each_trace(run: Run, spoken: list[dict[str, Any]]) -> None:
    for request in spoken:
        root = run.traces.root(request["request_id"])
        below = run.traces.below(root)
        (synthesis,) = [span for span in below if is_synthesis(span)]
        stages = [span for span in below if "tts.stage" in span.attributes]

        assert synthesis.parent_id == root.span_id
        assert synthesis.attributes["request_id"] == request["request_id"]
        assert sorted({stage.name for stage in stages}) == sorted(STAGES)
        for stage in stages:
            assert stage.parent_id == synthesis.span_id
            assert synthesis.start <= stage.start <= stage.end <= synthesis.end
        assert root.start <= synthesis.start <= synthesis.end <= root.end


def test_stages_of_one_thread_do_not_overlap(run: Run, spoken: list[dict[str, Any]]) -> None:
    for request in spoken:
        stages = [s for s in run.traces.below(run.traces.root(request["request_id"])) if "tts.stage" in s.attributes]

        assert len(stages) >= len(STAGES)
        assert all(before.end <= after.start for before, after in pairwise(stages))


def test_audio_facts_agree_with_the_file(run: Run, spoken: list[dict[str, Any]]) -> None:
    for request in spoken:
        said = run.traces.synthesis(request["request_id"]).attributes
        with wave.open(str(run.folder / request["wav"])) as sound:
            samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2") / 32767
            assert said["tts.audio.sample_rate"] == sound.getframerate() == 24_000
            assert said["tts.audio.channels"] == sound.getnchannels() == 1
            assert said["tts.audio.duration"] == pytest.approx(sound.getnframes() / sound.getframerate(), abs=1e-6)
        assert said["tts.audio.peak"] == pytest.approx(np.abs(samples).max(), abs=1e-3)
        assert said["tts.audio.rms"] == pytest.approx(np.sqrt(np.mean(samples**2)), abs=1e-3)
        assert said["tts.outcome"] == "ok" and "tts.audio.anomaly" not in said


def test_what_a_synthesis_says_of_itself(run: Run) -> None:
    for request in run.summary["requests"][:PLAIN]:
        synthesis = run.traces.synthesis(request["request_id"])
        said = synthesis.attributes

        assert synthesis.name.startswith("text_to_speech")
        assert said["gen_ai.operation.name"] == "text_to_speech" and said["gen_ai.output.type"] == "speech"
        assert said["tts.engine.name"] == "hibari" and said["tts.engine.version"]
        assert said["tts.text.length"] == request["text_length"]
        assert said["tts.voice"] == "heart"
        assert said["tts.real_time_factor"] == pytest.approx(synthesis.seconds / said["tts.audio.duration"], rel=0.25)
        assert 0 < said["tts.time_to_first_byte"] <= said["tts.time_to_first_audio"]
        assert not said.get("tts.stream", False)


def test_only_the_first_synthesis_is_a_cold_start(run: Run) -> None:
    cold = [span.attributes["request_id"] for span in run.spans if span.attributes.get("tts.cold_start")]

    assert cold == [run.summary["requests"][0]["request_id"]]


def test_a_stream_knows_its_chunks(run: Run) -> None:
    said = run.traces.synthesis(run.request("streamed")["request_id"]).attributes

    assert said["tts.stream"] is True
    assert said["tts.stream.chunks"] == 6  # a sentence each
    assert said["tts.stream.underrun"] >= 0
    assert said["tts.time_to_first_byte"] < said["tts.audio.duration"]


@pytest.mark.parametrize(
    ("kind", "status", "outcome", "anomalies"),
    [
        ("Chinese", 200, "anomalous", ["empty"]),
        ("empty", 422, "anomalous", ["empty"]),
        ("too long", 413, None, []),
        ("failing", 500, "error", []),
        ("hang-up", 200, "cancelled", []),
    ],
)
def test_how_the_unusual_ones_ended(
    run: Run, kind: str, status: int, outcome: str | None, anomalies: list[str]
) -> None:
    request = run.request(kind)
    root = run.traces.root(request["request_id"])

    assert (request["status_code"], request["outcome"]) == (status, outcome)
    assert root.attributes["http.response.status_code"] == status
    assert request["anomalies"] == anomalies


def test_a_failure_names_the_class_and_nothing_more(run: Run) -> None:
    synthesis = run.traces.synthesis(run.request("failing")["request_id"])

    assert synthesis.attributes["error.type"] == "IndexError"
    assert (synthesis.status, synthesis.status_message) == ("error", "")
    failed = [span.name for span in run.traces.below(synthesis) if span.status == "error"]
    assert failed == [synthesis.name, "tts.text_frontend"]


def test_hanging_up_is_no_error(run: Run) -> None:
    synthesis = run.traces.synthesis(run.request("hang-up")["request_id"])

    assert synthesis.status != "error"
    assert synthesis.attributes["tts.audio.duration"] > 0


def test_log_lines_lie_in_their_traces(run: Run, spoken: list[dict[str, Any]]) -> None:
    for request in spoken:
        lines = run.lines_of(request["request_id"])
        below = run.traces.below(run.traces.root(request["request_id"]))

        assert set(lines) == {"REQ_START", "STAGE_TIME", "REQ_SUCCESS"}
        for event_name, line in lines.items():
            assert line.body.startswith(f"{event_name} request_id={request['request_id']}")
            assert line.trace_id == request["trace_id"]
            assert line.span_id in {span.span_id for span in below}
            assert line.severity == "INFO"


@pytest.mark.parametrize("kind", ["Chinese", "empty", "failing", "hang-up"])
def test_log_lines_tell_failures(run: Run, kind: str) -> None:
    lines = run.lines_of(run.request(kind)["request_id"])

    assert "REQ_SUCCESS" not in lines
    assert lines["REQ_FAIL"].severity in ("WARN", "ERROR")
    assert f"status={run.request(kind)['outcome']}" in lines["REQ_FAIL"].body


def test_metrics_count_what_happened(run: Run) -> None:
    last = max(point.time for point in run.points)
    counted: dict[str, float] = defaultdict(float)
    for point in run.points:
        if point.metric == "tts.requests" and point.time == last:
            counted[point.attributes["tts.outcome"]] += point.value or 0

    assert counted == {"ok": PLAIN + 1, "anomalous": 2, "error": 1, "cancelled": 1}
    latest = {(p.metric, str(p.attributes)): p for p in run.points if p.time == last}
    stages = {p.attributes["tts.stage"] for p in latest.values() if p.metric == "tts.stage.duration"}
    assert stages == {"text_frontend", "acoustic_model", "vocoder"}
    active = [p.value for p in latest.values() if p.metric == "tts.requests.active"]
    assert active and set(active) == {0.0}


def test_exemplars_lead_to_traces(run: Run) -> None:
    known = {span.trace_id for span in run.spans}
    exemplars = [e for p in run.points if p.metric == "tts.request.duration" for e in p.exemplars]

    assert exemplars and {exemplar.trace_id for exemplar in exemplars} <= known


def test_everything_says_who_it_comes_from(run: Run) -> None:
    for each in (*run.spans, *run.logs, *run.points):
        assert each.resource["service.name"] == "otel-tts-demo"
        assert each.resource["telemetry.distro.name"] == "otel-tts"


def test_nothing_that_was_said_is_in_the_telemetry(run: Run) -> None:
    written = b"".join(one_file(run.folder, signal).read_bytes() for signal in ("traces", "metrics", "logs"))
    written += (run.folder / "service.log").read_bytes()
    texts = {case.text for case in client.make_cases(PLAIN)} - {""}

    assert len(written) > 10_000
    for text in texts:
        words = [text, *(word.strip(".,;") for word in text.split())]
        for word in (word for word in words if len(word) > 6 and word.lower() not in HARMLESS):
            assert word.encode() not in written and json.dumps(word)[1:-1].encode() not in written, word


HARMLESS = {"service", "platform", "keepers"}
"""Words of the sentences that a trace may hold for reasons of its own."""


def test_nothing_private_of_http_is_in_the_telemetry(run: Run) -> None:
    keys = {key for span in run.spans for key in span.attributes}

    assert "http.route" in keys
    private = ("url.", "http.request.header", "client.", "http.target")
    assert not [key for key in keys - {"url.scheme"} if key.startswith(private)]


def test_every_wav_file_is_there(run: Run) -> None:
    listed = {request["wav"] for request in run.summary["requests"]} - {None}

    assert listed == {f"wav/{path.name}" for path in (run.folder / "wav").iterdir()}
    assert len(listed) == PLAIN + 3  # the stream, the silent one and what a hanging-up caller had received


def test_the_second_run_replaces_the_first_and_prints_tables(run: Run, tmp_path: Path) -> None:
    first = demo("--requests", "1", "--out", str(tmp_path), "--json")
    assert first.returncode == 0, first.stderr
    done = demo("--requests", "1", "--out", str(tmp_path))

    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    for expected in (
        "the slowest that went well",
        "first sound",
        "STAGE_TIME request_id=",
        "└─ ",
        "█",
        "tts.vocoder",
        "anomalous",
        "IndexError",
        "traces-",
    ):
        assert expected in done.stdout
    assert "otel-tts stack up" in done.stderr
    assert len([s for s in read_spans(one_file(tmp_path, "traces")) if s.kind == "server"]) == 7


def test_to_an_endpoint(sink: OtlpSink, tmp_path: Path) -> None:
    done = demo("--requests", "1", "--out", str(tmp_path), "--endpoint", sink.endpoint, "--json")

    assert done.returncode == 0, done.stderr
    requests = json.loads(done.stdout)["requests"]
    assert len(requests) == 7
    ids = {span.attributes["request_id"] for span in sink.spans() if span.kind == "SERVER"}
    assert ids == {request["request_id"] for request in requests}
    assert {log.event_name for log in sink.logs()} >= {"REQ_START", "REQ_SUCCESS", "STAGE_TIME", "REQ_FAIL"}
    assert sink.latest("tts.requests")
    assert not list(tmp_path.glob("*.jsonl"))


def test_to_an_endpoint_tells_how_to_find_a_request(sink: OtlpSink, tmp_path: Path) -> None:
    done = demo("--requests", "1", "--out", str(tmp_path), "--endpoint", sink.endpoint)

    assert done.returncode == 0, done.stderr
    (request_id,) = {s.attributes["request_id"] for s in sink.spans() if s.attributes.get("tts.cold_start")}
    assert f'{{ span.request_id = "{request_id}" }}' in done.stdout

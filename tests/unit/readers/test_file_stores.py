# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The contracts of the stores, kept by files of OTLP JSON lines; and what only files can meet with."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otel_tts import names
from otel_tts.readers import file_traces, files, otlp_files
from otel_tts.readers.file_metrics import FileMetrics
from otel_tts.readers.files import FileLogs, FileTraces
from otel_tts.readers.filters import Filter
from otel_tts.readers.model import Gap, LogLine
from otel_tts.readers.stores import Question, Series
from tests.store_contracts.of_logs import LogContract
from tests.store_contracts.of_metrics import MetricContract
from tests.store_contracts.of_traces import TraceContract
from tests.store_contracts.sent import MS, Request, S, counted, logs, metrics, traces


class InAFolder:
    """One line a document, in a process's file."""

    service = "tests"

    def __init__(self, folder: Path, signal: str) -> None:
        self._file = folder / f"{signal}-h-1.jsonl"

    def send(self, *documents: dict[str, Any]) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(document) + "\n" for document in documents)


class TestTraces(TraceContract):
    @pytest.fixture
    def to(self, tmp_path: Path) -> InAFolder:
        to = InAFolder(tmp_path, "traces")
        to.store = FileTraces(tmp_path)
        (tmp_path / "traces-h-1.jsonl").touch()
        return to


class TestLogs(LogContract):
    @pytest.fixture
    def to(self, tmp_path: Path) -> InAFolder:
        to = InAFolder(tmp_path, "logs")
        to.store = FileLogs(tmp_path)
        (tmp_path / "logs-h-1.jsonl").touch()
        return to


class TestMetrics(MetricContract):
    @pytest.fixture
    def to(self, tmp_path: Path) -> InAFolder:
        to = InAFolder(tmp_path, "metrics")
        to.store = FileMetrics(tmp_path)
        (tmp_path / "metrics-h-1.jsonl").touch()
        return to


def test_points_that_count_since_the_last_one_are_added_up(tmp_path: Path) -> None:
    to = InAFolder(tmp_path, "metrics")
    for at, value in ((NOW - 100 * S, 5.0), (NOW - 40 * S, 2.0), (NOW - 10 * S, 1.0)):
        made = counted(names.REQUESTS, at, at - S, value)
        made["sum"]["aggregationTemporality"] = 1
        to.send(metrics("tests", [made]))
    answer = FileMetrics(tmp_path).query(Question(names.REQUESTS, "increase", window=60.0), NOW)
    assert answer.complete and answer.items == (Series({}, ((NOW, 3.0),)),)


def line(*requests: Request) -> bytes:
    document = traces("tests", [span for request in requests for span in request.spans])
    return json.dumps(document).encode() + b"\n"


def ids(found: Any) -> list[str | None]:
    return [one.request_id for one in found]


NOW = time.time_ns() - 3600 * S


def test_files_of_every_naming_are_read(tmp_path: Path) -> None:
    requests = [Request(NOW + number * S) for number in range(6)]
    naming = (
        "traces.jsonl", "traces-host-17.jsonl", "traces-host-17.jsonl.1", "traces-host-17.1.jsonl.gz",
        "traces-2026-11-30T00-55-30.039-size.jsonl", "traces-host-18.jsonl.2.gz",
    )  # fmt: skip
    for name, request in zip(naming, requests, strict=True):
        text = gzip.compress(line(request)) if name.endswith(".gz") else line(request)
        (tmp_path / name).write_bytes(text)
    (tmp_path / "notes.jsonl").write_text("{}")
    (tmp_path / "traces.txt").write_text("x")
    (tmp_path / "traces-folder.jsonl").mkdir()
    os.mkfifo(tmp_path / "traces-pipe.jsonl")  # opening it would wait for a writer
    answer = FileTraces(tmp_path).find(Filter())
    assert answer.complete and ids(answer) == [request.id for request in reversed(requests)]


def test_a_trace_in_several_processes_files_is_one(tmp_path: Path) -> None:
    """As when a front end and its workers each write: files are read side by side, not one after the other."""
    requests = [Request(NOW + number * 10 * MS) for number in range(200)]
    for number, request in enumerate(requests):
        server, synthesis, stage = request.spans
        for name, spans in (("front", [server]), (f"worker-{number % 3}", [stage, synthesis])):
            with (tmp_path / f"traces-{name}.jsonl").open("ab") as file:
                file.write(json.dumps(traces("tests", spans)).encode() + b"\n")
    stream = FileTraces(tmp_path).syntheses()
    found = list(stream)
    assert stream.complete and len(found) == 200
    assert {one.root.name for one in found} == {"POST /speak"}


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(file_traces, "QUIET", 100)
    monkeypatch.setattr(file_traces, "HELD", 200)
    monkeypatch.setattr(file_traces, "LARGEST", 50)
    monkeypatch.setattr(file_traces, "REMEMBERED", 300)
    yield


@pytest.mark.usefixtures("little_memory")
def test_files_that_begin_at_different_times_are_read_side_by_side(tmp_path: Path) -> None:
    """The second process begins when the first has written far more than is held; a third one lived long before."""
    requests = [Request(NOW + number * S) for number in range(400)]
    early, long, late = (tmp_path / f"traces-{name}.jsonl" for name in ("z", "m", "a"))
    early.write_bytes(line(*[Request(NOW - 3600 * S + number * S) for number in range(100)]))
    with long.open("ab") as front, late.open("ab") as worker:
        for request in requests[:300]:
            front.write(line(request))
        for request in requests[300:]:
            server, *inner = request.spans
            request.spans = [server]
            front.write(line(request))
            request.spans = inner
            worker.write(line(request))
    stream = FileTraces(tmp_path).syntheses(since=NOW)
    found = list(stream)
    assert stream.complete, stream.gaps
    assert len(found) == 400 and {one.root.name for one in found} == {"POST /speak"}


@pytest.mark.usefixtures("little_memory")
def test_a_span_from_the_future_does_not_part_the_traces_after_it(tmp_path: Path) -> None:
    requests = [Request(NOW + number * S) for number in range(300)]
    with (tmp_path / "traces-a.jsonl").open("ab") as front, (tmp_path / "traces-b.jsonl").open("ab") as worker:
        for number, request in enumerate(requests):
            server, *inner = request.spans
            request.spans = [server]
            front.write(line(request))
            if number == 10:
                front.write(line(Request(NOW + 3 * 86400 * S)))
            request.spans = inner
            worker.write(line(request))
    stream = FileTraces(tmp_path).syntheses()
    assert len([one for one in stream if one.root.name == "POST /speak"]) == 301
    assert stream.complete, stream.gaps


@pytest.mark.usefixtures("little_memory")
def test_spans_that_come_too_late_are_told(tmp_path: Path) -> None:
    first = Request(NOW)
    late = first.spans.pop()
    rest = [Request(NOW + number * S) for number in range(60)]
    document = json.dumps(traces("tests", [late])).encode() + b"\n"
    (tmp_path / "traces.jsonl").write_bytes(line(first) + b"".join(map(line, rest)) + document)
    store = FileTraces(tmp_path)
    stream = store.syntheses()
    found = list(stream)
    assert len(found) == 61 and [gap.why for gap in stream.gaps] == ["late"]
    assert not stream.complete and str(stream.gaps[0]).startswith("1 spans came so long after")
    assert len(store.get(first.trace)) == 3  # by its id all of it is found, wherever it stands
    (whole,) = store.find(Filter(request_id=first.id))
    assert whole.stages == {"vocoder": 0.25}


@pytest.mark.usefixtures("little_memory")
def test_a_long_request_whose_stages_left_long_before_it_is_whole(tmp_path: Path) -> None:
    long = Request(NOW, seconds=600.0)
    server, synthesis, stage = long.spans
    rest = b"".join(line(Request(NOW + number * S)) for number in range(60))
    first, last = (json.dumps(traces("tests", spans)).encode() + b"\n" for spans in ([stage], [synthesis, server]))
    (tmp_path / "traces.jsonl").write_bytes(first + rest + last)
    stream = FileTraces(tmp_path).syntheses()
    assert [one.stages for one in stream if one.request_id == long.id] == [{"vocoder": 0.25}]
    assert stream.complete


@pytest.mark.usefixtures("little_memory")
def test_a_trace_without_end_is_bounded(tmp_path: Path) -> None:
    endless = Request(NOW)
    for number in range(200):
        endless.add("vocoder", NOW + number, 0.001)
    (tmp_path / "traces.jsonl").write_bytes(line(endless))
    stream = FileTraces(tmp_path).syntheses()
    assert ids(stream) == [endless.id]
    assert [gap.why for gap in stream.gaps] == ["limit"]


def test_lines_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    one, two = Request(NOW), Request(NOW + S)
    (tmp_path / "traces-a.jsonl").write_bytes(b"{secret}\nnull\n" + line(one))
    (tmp_path / "traces-b.jsonl").write_bytes(line(two) + line(Request(NOW))[:-30])
    answer = FileTraces(tmp_path).find(Filter())
    assert ids(answer) == [two.id, one.id]
    (gap,) = answer.gaps
    assert gap.why == "unreadable" and str(gap).endswith("(and 2 more)") and "secret" not in str(gap)


def test_a_file_with_nothing_readable_is_told(tmp_path: Path) -> None:
    (tmp_path / "traces.jsonl").write_bytes(b"<html>\n" * 3)
    answer = FileTraces(tmp_path).find(Filter())
    assert [str(gap) for gap in answer.gaps] == [
        f"{tmp_path}/traces.jsonl, line 1 is broken: not JSON at character 1 (and 2 more)"
    ]


def test_a_gzip_file_that_was_cut_gives_what_it_has(tmp_path: Path) -> None:
    requests = [Request(NOW + number * S) for number in range(300)]
    whole = gzip.compress(b"".join(map(line, requests)))
    (tmp_path / "traces.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "traces-2.jsonl.gz").write_bytes(b"no gzip at all")
    stream = FileTraces(tmp_path).syntheses()
    found = len(list(stream))
    assert 0 < found < 300
    (gap,) = stream.gaps
    assert gap.why == "unreadable"


def test_a_file_that_is_being_packed_is_read_once(tmp_path: Path) -> None:
    one = Request(NOW)
    (tmp_path / "logs.jsonl").write_text("")
    (tmp_path / "traces.jsonl").write_bytes(line(one))
    (tmp_path / "traces.jsonl.gz").write_bytes(gzip.compress(line(one))[:20])
    answer = FileTraces(tmp_path).find(Filter())
    assert answer.complete and ids(answer) == [one.id]


def test_a_file_that_is_packed_between_look_and_reading_is_read_all_the_same(tmp_path: Path) -> None:
    one = Request(NOW)
    (tmp_path / "traces.jsonl.gz").write_bytes(gzip.compress(line(one)))
    assert len(list(otlp_files.read_spans(tmp_path / "traces.jsonl"))) == 3


def test_what_is_packed_otherwise_is_told(tmp_path: Path) -> None:
    (tmp_path / "traces.jsonl.zst").write_bytes(b"x")
    (gap,) = FileTraces(tmp_path).find(Filter()).gaps
    assert gap.why == "unreadable" and "traces.jsonl.zst is packed" in gap.text


def test_a_folder_without_files_or_none_at_all_is_told(tmp_path: Path) -> None:
    assert [str(gap) for gap in FileTraces(tmp_path).find(Filter()).gaps] == [
        f"there is no traces*.jsonl* in {tmp_path}"
    ]
    away = tmp_path / "away"
    assert [str(gap) for gap in FileTraces(away).get("0" * 32).gaps] == [f"{away}: no such folder"]
    assert [gap.why for gap in FileLogs(away).find(Filter()).gaps] == ["down"]


def test_a_line_longer_than_any_that_is_written_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_files, "BLOCK", 100)
    monkeypatch.setattr(otlp_files, "LONGEST_LINE", 50_000)
    one, two = Request(NOW), Request(NOW + S)
    (tmp_path / "traces.jsonl").write_bytes(line(one) + b"x" * 120_000 + b"\n" + line(two) + b"broken\n")
    answer = FileTraces(tmp_path).find(Filter())
    assert ids(answer) == [two.id, one.id]
    (gap,) = answer.gaps
    assert "line 2 is broken: longer than 50000 bytes (and 1 more)" in str(gap)


def test_ids_are_found_however_they_are_written(tmp_path: Path) -> None:
    one = Request(NOW, request_id="näme/1")
    upper = line(one).replace(one.trace.encode(), one.trace.upper().encode())
    (tmp_path / "traces.jsonl").write_bytes(upper.replace(b"/1", b"\\/1"))
    store = FileTraces(tmp_path)
    assert len(store.get(one.trace)) == 3
    assert ids(store.find(Filter(request_id="näme/1"))) == ["näme/1"]


def test_only_lines_with_the_id_are_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [Request(NOW + number * S) for number in range(100)]
    (tmp_path / "traces.jsonl").write_bytes(b"".join(map(line, requests)))
    parsed: list[bytes] = []
    loads = json.loads
    monkeypatch.setattr(otlp_files.json, "loads", lambda text: (parsed.append(text), loads(text))[1])
    assert ids(FileTraces(tmp_path).find(Filter(request_id=requests[50].id))) == [requests[50].id]
    assert len(parsed) == 2  # once for its trace's id, once for the trace


def test_an_id_that_every_request_has_is_found_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST_NAMED", 5)
    requests = [Request(NOW + at * S, request_id="same") for at in range(20)]
    requests[0].spans = requests[0].spans[:1]  # one that came to no synthesis
    (tmp_path / "traces.jsonl").write_bytes(b"".join(map(line, requests)))
    answer = FileTraces(tmp_path).find(Filter(request_id="same"))
    assert answer.complete and [one.start for one in answer] == [
        *(one.start for one in reversed(requests[1:])), requests[0].start - MS,
    ]  # fmt: skip


def test_a_trace_without_end_is_read_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_SPANS", 50)
    endless = Request(NOW)
    for at in range(200):
        endless.add("vocoder", NOW + at, 0.001)
    (tmp_path / "traces.jsonl").write_bytes(line(endless))
    answer = FileTraces(tmp_path).get(endless.trace)
    assert len(answer) == 50 and [gap.why for gap in answer.gaps] == ["limit"]


def test_memory_does_not_grow_with_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_traces, "QUIET", 300)

    def peak(files: int) -> int:
        for number in range(files):
            with (tmp_path / f"traces-{number}.jsonl").open("wb") as file:
                file.writelines(line(Request(NOW + (number * 500 + one) * S)) for one in range(500))
        tracemalloc.start()
        try:
            assert sum(1 for _ in FileTraces(tmp_path).syntheses()) == files * 500
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few = peak(2)
    assert peak(6) < 1.5 * few


def test_followed_files_may_be_renamed_begun_anew_and_torn(tmp_path: Path) -> None:
    def text(name: str) -> bytes:
        return json.dumps(logs("tests", [{"timeUnixNano": str(NOW), "body": {"stringValue": name}}])).encode() + b"\n"

    def append(path: Path, text: bytes) -> None:
        with path.open("ab") as file:
            file.write(text)

    path = tmp_path / "logs-h-1.jsonl"
    path.write_bytes(text("before"))
    gaps: list[Gap] = []
    found: Iterator[LogLine] = FileLogs(tmp_path).follow(Filter(), gaps.append, patience=5)
    writer = _in_steps(
        lambda: append(path, text("appended")),
        lambda: append(path, text("torn")[:40]),
        lambda: append(path, text("torn")[40:]),
        lambda: path.rename(tmp_path / "logs-h-1.1.jsonl"),
        lambda: path.write_bytes(text("new file")),
        lambda: path.write_bytes(b"no\n"),  # shorter than before
        lambda: append(path, text("last")),
    )
    bodies = [one.body for one in itertools.islice(found, 4)]
    writer.join()
    assert bodies == ["appended", "torn", "new file", "last"]
    assert [str(gap) for gap in gaps] == [f"{path}: a line is broken: not JSON at character 1"]


def _in_steps(*steps: Any) -> Any:
    def run() -> None:
        for step in steps:
            time.sleep(0.8)
            step()

    thread = threading.Thread(target=run)
    thread.start()
    return thread

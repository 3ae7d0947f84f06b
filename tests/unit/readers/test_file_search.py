# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Lines are found by what stands in them, wherever blocks and lines end: held against reading every line."""

from __future__ import annotations

import gzip
import json
import random
import secrets
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_tts.readers import file_near, file_search, file_slowest, files
from otel_tts.readers.file_search import Found, OfRequest, OfText, OfTraces, lines_with
from otel_tts.readers.files import FileTraces
from otel_tts.readers.filters import Filter
from tests.store_contracts.sent import Request, S, traces

NOW = 1_796_000_000 * S
LONGEST = 1 << 20


def found_in(path: Path, search: file_search.Search, longest: int = LONGEST) -> list[Found]:
    with path.open("rb", buffering=0) as file:
        return list(lines_with(file, search.needle(file_search.head(file)), longest))


@pytest.fixture(params=[40, 64, 1000])
def small_blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_search, "BLOCK", request.param)
    monkeypatch.setattr(file_search, "_STEP", 37)


@pytest.mark.usefixtures("small_blocks")
def test_whatever_the_blocks_each_line_with_it_is_found_once(tmp_path: Path) -> None:
    chance = random.Random(7)
    path = tmp_path / "x"
    for trial in range(40):
        lines = ["".join(chance.choices('ab"n', k=chance.randrange(90))) for _ in range(30)]
        for place in chance.sample(range(30), 6):
            lines[place] += '"needle"' * chance.randrange(1, 4)
        text = "\n".join(lines) + ("\n" if trial % 2 else "")
        path.write_text(text)
        found = found_in(path, OfRequest("needle"))
        assert [one.line for one in found] == [line.encode() for line in lines if '"needle"' in line]
        for one in found:
            assert text.encode()[one.begin : one.end].rstrip(b"\n") == one.line
            assert one.ended == text.encode()[one.begin : one.end].endswith(b"\n")


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("count", [1, 3, 20])
@pytest.mark.parametrize("spelled", ["as ours", "capital", "spaced"])
def test_traces_are_found_however_ids_are_spelled(tmp_path: Path, count: int, spelled: str) -> None:
    ids = [secrets.token_hex(16) for _ in range(60)]
    separators = (", ", ": ") if spelled == "spaced" else (",", ":")
    lines = [
        json.dumps({"traceId": one.upper() if spelled == "capital" else one}, separators=separators) for one in ids
    ]
    path = tmp_path / "x"
    path.write_text("\n".join(lines))
    wanted = random.Random(1).sample(ids, count)
    found = found_in(path, OfTraces(wanted))
    assert [one.line for one in found] == [lines[ids.index(one)].encode() for one in ids if one in wanted]


def test_a_line_longer_than_is_read_is_told_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"short needle\n" + b"x" * 500_000 + b"needle" + b"y" * 600_000 + b"\nneedle")
    assert [one.line and len(one.line) for one in found_in(path, OfText("needle"))] == [12, None, 6]


def test_an_empty_file_and_one_that_is_cut_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.touch()
    assert found_in(path, OfText("needle")) == []
    path.write_bytes(b"needle\n" * 100_000)
    with path.open("rb", buffering=0) as file:
        found = lines_with(file, OfText("needle").needle(b""), LONGEST)
        next(found)
        path.write_bytes(b"")
        assert len(list(found)) < 100_000


def document(*requests: Request) -> bytes:
    return json.dumps(traces("tests", [one for request in requests for one in request.spans])).encode() + b"\n"


def compact(*requests: Request) -> bytes:
    spans = [one for request in requests for one in request.spans]
    return json.dumps(traces("tests", spans), separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize("write", [document, compact])
@pytest.mark.parametrize("packed", [False, True])
def test_the_slowest_are_the_same_as_by_reading_all(tmp_path: Path, write: object, packed: bool) -> None:
    assert callable(write)
    chance = random.Random(3)
    made = [Request(NOW + at * S, seconds=chance.lognormvariate(0, 1), engine="kokoro", **{
        "tts.outcome": chance.choice(["ok", "error"]),
    }) for at in range(400)]  # fmt: skip
    text = b"".join(write(*made[at : at + 7]) for at in range(0, 400, 7)) + write(*made[:3])  # some were sent twice
    path = tmp_path / ("traces.jsonl.gz" if packed else "traces.jsonl")
    path.write_bytes(gzip.compress(text) if packed else text)
    store = FileTraces(tmp_path)
    for wanted in (
        Filter(limit=10),
        Filter(limit=10, outcome="error"),
        Filter(limit=390),
        Filter(limit=10, since=made[300].start),
    ):
        answer = store.slowest(wanted)
        by_reading = store._best(wanted, lambda one: one.seconds)  # pyright: ignore[reportPrivateUsage]
        assert [(one.request_id, one.stages) for one in answer] == [(one.request_id, one.stages) for one in by_reading]
        assert not answer.complete
    assert len(store.slowest(Filter(limit=400))) == 400 and store.slowest(Filter(limit=400)).complete


def test_lines_without_slow_ones_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [Request(NOW + at * S, seconds=100.0 - at) for at in range(100)]
    (tmp_path / "traces.jsonl").write_bytes(b"".join(map(compact, made)))
    parsed: list[bytes] = []
    loads = json.loads
    monkeypatch.setattr("otel_tts.readers.otlp_files.json.loads", lambda text: (parsed.append(text), loads(text))[1])
    assert [one.request_id for one in FileTraces(tmp_path).slowest(Filter(limit=3))] == [one.id for one in made[:3]]
    assert len(parsed) == 6  # the first three, and once more for their traces


@pytest.mark.parametrize(
    "line",
    [
        b'{"startTimeUnixNano":"1796000000000000000"}', b'{"startTimeUnixNano":"5","endTimeUnixNano":"9"}',
        b'"startTimeUnixNano":"179600000000000000x","endTimeUnixNano":"1796000000000000000"', b"", b"{}",
        b'"startTimeUnixNano": "1796000000000000000", "endTimeUnixNano": "1796000000000000000"',
    ],
)  # fmt: skip
def test_a_line_of_another_form_is_parsed(line: bytes) -> None:
    assert file_slowest.longest_in(line) is None


@given(st.lists(st.tuples(st.integers(10**18, 10**19 - 1), st.integers(10**18, 10**19 - 1)), min_size=1))
def test_the_longest_of_a_line(times: list[tuple[int, int]]) -> None:
    text = ",".join(f'{{"startTimeUnixNano":"{begin}","endTimeUnixNano":"{end}"}}' for begin, end in times)
    assert file_slowest.longest_in(text.encode()) == max(end - begin for begin, end in times)


def test_the_nearest_are_found_in_the_middle_of_large_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [Request(NOW + at * S) for at in range(3000)]
    for worker in range(2):
        text = b"".join(compact(*made[at : at + 20]) for at in range(20 * worker, 3000, 40))
        (tmp_path / f"traces-{worker}.jsonl").write_bytes(text)
    parsed: list[int] = []
    read_part = file_near.otlp_files.read_part
    monkeypatch.setattr(
        file_near.otlp_files, "read_part",
        lambda path, take, begin, end: (parsed.append(end - begin), read_part(path, take, begin, end))[1],
    )  # fmt: skip
    near = FileTraces(tmp_path).near(made[1500].start, 100, 60.0)
    assert {one.request_id for one in near} == {one.id for one in made[1450:1551]} - {made[1450].id, made[1550].id} | (
        {one.request_id for one in near} & {made[1450].id, made[1550].id}
    )
    assert len(near) == 100 and sum(parsed) < 0.5 * sum(path.stat().st_size for path in tmp_path.iterdir())
    everything = FileTraces(tmp_path).near(NOW + 10**9 * S, 5000, 60.0)
    assert len(everything) == 3000 and next(iter(everything)).request_id == made[-1].id


def test_the_nearest_out_of_packed_files_and_out_of_none(tmp_path: Path) -> None:
    assert FileTraces(tmp_path / "away").near(NOW, 10, 1.0).items == ()
    made = [Request(NOW + at * S) for at in range(50)]
    (tmp_path / "traces.1.jsonl.gz").write_bytes(gzip.compress(compact(*made[:25])))
    (tmp_path / "traces.jsonl").write_bytes(compact(*made[25:]) + b"{torn")
    (tmp_path / "traces.2.jsonl.gz").write_bytes(b"no gzip")
    assert len(FileTraces(tmp_path).near(NOW, 100, 60.0)) == 50
    assert len(FileTraces(tmp_path).near(NOW, 10, 60.0)) == 10


def test_many_traces_of_one_id_are_told_and_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_NAMED", 5)
    (tmp_path / "traces.jsonl").write_bytes(compact(*(Request(NOW + at * S, request_id="same") for at in range(9))))
    answer = FileTraces(tmp_path).named("same")
    assert not answer.items and [gap.why for gap in answer.gaps] == ["limit"]

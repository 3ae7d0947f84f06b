# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The side index: it finds what a search finds, and is thrown away when it does not fit, or is somebody else's."""

from __future__ import annotations

import gzip
import json
import os
import random
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from otel_tts.readers import file_index, file_search
from otel_tts.readers.files import FileLogs, FileTraces
from otel_tts.readers.filters import Filter
from tests.store_contracts.sent import Request, S, logs, record, traces

NOW = 1_796_000_000 * S


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small files have an index too, with small parts; it lies in a folder of the test's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(file_index, "LEAST", 1000)
    monkeypatch.setattr(file_index, "_PART", 2000)
    monkeypatch.setattr(file_index, "_QUIET_S", -1.0)
    return tmp_path / "cache" / "otel-tts" / "find"


@pytest.fixture
def made(tmp_path: Path) -> list[Request]:
    """A folder t with 200 requests: half of them in a plain file, half in a packed one."""
    folder = tmp_path / "t"
    folder.mkdir()
    requests = [Request(NOW + at * S, request_id=f"r{at}") for at in range(200)]
    text = [traces("tests", [span for one in requests[at : at + 4] for span in one.spans]) for at in range(0, 200, 4)]
    lines = [json.dumps(one).encode() + b"\n" for one in text]
    (folder / "traces-1.jsonl").write_bytes(b"".join(lines[:25]) + b"\n")
    (folder / "traces-2.jsonl.gz").write_bytes(gzip.compress(b"".join(lines[25:])))
    said = [record(one.start, "REQ_START", f"REQ_START request_id={one.id}", one.trace, one.synthesis["spanId"],
                   request_id=one.id) for one in requests]  # fmt: skip
    said += [record(NOW, "", '{"request_id": 5, "traceId": 1}', "", "")]  # a text that looks like it
    (folder / "logs.jsonl").write_bytes(b"".join(json.dumps(logs("tests", [one])).encode() + b"\n" for one in said))
    return requests


def built(tmp_path: Path) -> list[Path]:
    paths = sorted((tmp_path / "t").iterdir())
    for path in paths:
        assert file_index.build(path), path
    return paths


def test_with_it_the_same_is_found_and_little_is_read(
    made: list[Request], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, lines = FileTraces(tmp_path / "t"), FileLogs(tmp_path / "t")
    chosen = [made[at] for at in (0, 3, 57, 99, 100, 199)]
    before = [(store.named(one.id), lines.find(Filter(trace_id=one.trace))) for one in chosen]
    built(tmp_path)
    searched: list[tuple[int, int | None]] = []
    lines_with = file_search.lines_with
    monkeypatch.setattr(
        file_search, "lines_with",
        lambda file, needle, longest, begin=0, end=None: (
            searched.append((begin, end)), lines_with(file, needle, longest, begin, end),
        )[1],
    )  # fmt: skip
    assert [(store.named(one.id), lines.find(Filter(trace_id=one.trace))) for one in chosen] == before
    assert all(end is not None and end - begin < 8000 for begin, end in searched)
    searched.clear()
    assert store.named("nobody").complete and not store.named("nobody").items and not searched


def test_it_is_for_its_owner_only(made: list[Request], tmp_path: Path, cache: Path) -> None:
    built(tmp_path)
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in cache.iterdir()] == [0o600] * 3
    kept = b"".join(path.read_bytes() for path in cache.iterdir())
    assert made[0].trace.encode() not in kept and b"r199" not in kept


@pytest.mark.parametrize("change", ["grown", "touched", "replaced", "cut"])
def test_it_is_thrown_away_when_the_file_is_another(
    made: list[Request], tmp_path: Path, cache: Path, change: str
) -> None:
    built(tmp_path)
    path = tmp_path / "t" / "traces-1.jsonl"
    late = Request(NOW, request_id="late")
    line = json.dumps(traces("tests", late.spans)).encode() + b"\n"
    content, times = path.read_bytes(), (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    match change:
        case "grown":
            path.write_bytes(content + line)
        case "touched":
            path.write_bytes(line + content[len(line) :])
        case "replaced":  # by one of the same size and time
            other = path.with_name("other")
            other.write_bytes(line + content[len(line) :])
            os.utime(other, ns=times)
            other.replace(path)
        case _:
            path.write_bytes(line + content[len(line) : -300])
            os.utime(path, ns=times)
    found = FileTraces(tmp_path / "t").named("late")
    assert [len(spans) for spans in found] == [3]
    assert len(list(cache.iterdir())) == 2


def test_one_that_is_torn_or_foreign_is_as_none(made: list[Request], tmp_path: Path, cache: Path) -> None:
    built(tmp_path)
    for number, path in enumerate(sorted(cache.iterdir())):
        path.write_bytes([b"", b"SQLite format 3\0" + bytes(200), path.read_bytes()[:5000]][number])
    assert len(FileTraces(tmp_path / "t").named("r57")) == 1
    assert len(FileTraces(tmp_path / "t").named("r157")) == 1
    assert len(FileLogs(tmp_path / "t").find(Filter(trace_id=made[57].trace))) == 1


def test_one_that_others_could_have_written_is_not_trusted(made: list[Request], tmp_path: Path, cache: Path) -> None:
    (path, *_) = built(tmp_path)
    for index in cache.iterdir():  # says that nothing is anywhere
        with sqlite3.connect(index) as database:
            database.execute("DELETE FROM places")
        database.close()
    store = FileTraces(tmp_path / "t")
    assert not store.named("r57").items
    cache.chmod(0o777)
    assert len(store.named("r57")) == 1
    cache.chmod(0o700)
    for index in cache.iterdir():
        index.chmod(0o666)
    assert len(store.named("r57")) == 1
    assert path.exists()


def test_what_is_written_in_an_unknown_way_has_none(tmp_path: Path) -> None:
    for text in (b'{"traceId": "W477//OJJwOBAtJpuBP8YMA="}\n', b'{"key": "request_id", "value": {"intValue": 5}}\n',
                 b'{"key":"request_id","value":{"stringValue":"a\\u0062"}}\n'):  # fmt: skip
        path = tmp_path / "traces.jsonl"
        path.write_bytes(text * 100)
        with pytest.raises(ValueError, match="not known"):
            file_index.build(path)
    assert not list((tmp_path / "cache").rglob("*.index")) and not list((tmp_path / "cache").rglob("*.part"))


def test_two_makers_and_one_that_was_killed(made: list[Request], tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "t" / "traces-1.jsonl"
    assert file_index.build(path)
    (index,) = cache.iterdir()
    part = index.with_suffix(".part")
    part.touch()
    assert not file_index.build(path)
    os.utime(part, (time.time() - 3600,) * 2)
    assert file_index.build(path) and [one.suffix for one in cache.iterdir()] == [".index"]
    os.utime(index, (time.time() - 40 * 86400,) * 2)
    assert file_index.build(tmp_path / "t" / "logs.jsonl")
    assert index not in list(cache.iterdir())  # nobody asked for a month


def test_it_is_made_by_a_process_that_nobody_waits_for(made: list[Request], tmp_path: Path, cache: Path) -> None:
    paths = sorted((tmp_path / "t").iterdir())
    child = file_index.start(paths)
    assert child is not None
    until = time.monotonic() + 60
    while len(list(cache.rglob("*.index"))) < 3:
        assert time.monotonic() < until
        time.sleep(0.1)
    assert file_index.start(paths) is None  # nothing is left to do


def test_a_file_that_is_being_written_is_left_alone(
    made: list[Request], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_index, "_QUIET_S", 3600.0)
    assert file_index.start((tmp_path / "t").iterdir()) is None
    assert file_index.start([tmp_path / "gone"]) is None


def test_without_a_cache_folder_nothing_is_made_and_nothing_is_said(made: list[Request], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in its place")
    told = subprocess.run(
        [sys.executable, "-m", "otel_tts.readers.file_index", str(tmp_path / "t" / "logs.jsonl")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
    assert len(FileTraces(tmp_path / "t").named("r57")) == 1


def test_an_id_stands_where_the_index_says_whatever_the_parts(
    made: list[Request], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(5)
    path = tmp_path / "t" / "traces-1.jsonl"
    for _ in range(10):
        monkeypatch.setattr(file_index, "_PART", chance.randrange(100, 20_000))
        assert file_index.build(path)
        with path.open("rb") as file:
            for one in chance.sample(made[:100], 10):
                places = file_index.places(path, file, [one.trace.encode()])
                assert places
                assert any(one.trace.encode() in path.read_bytes()[begin:end] for begin, end in places)
                assert all(begin == 0 or path.read_bytes()[begin - 1 : begin] == b"\n" for begin, _ in places)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The folder keeps to its bounds: the oldest files that nobody writes to are removed, and counted."""

from __future__ import annotations

import gzip
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from otel_tts.export import shared_folder
from otel_tts.export.own_file import OwnFile
from otel_tts.export.shared_folder import Folder

DAY = 86_400


def put(path: Path, kilobytes: int, days_old: float = 0) -> Path:
    content = b'{"resource' + b"x" * (kilobytes * 1024 - 10) if kilobytes else b""
    path.write_bytes(gzip.compress(content, 0) if path.suffix == ".gz" else content)
    then = time.time() - days_old * DAY
    os.utime(path, (then, then))
    return path


def hold(path: Path, most_bytes: int, days: float = 7) -> tuple[Folder, Counter[str]]:
    removed: Counter[str] = Counter()
    made = Folder(path, most_bytes, days)
    made.note_removed = lambda reason, count: removed.update({reason: count})
    return made, removed


def left(path: Path) -> list[str]:
    return sorted(found.name for found in path.iterdir())


def test_the_oldest_go_first_until_the_rest_fits(tmp_path: Path) -> None:
    for age, name in enumerate(("logs-h-4.jsonl", "traces-h-3.jsonl.gz", "metrics-h-2.jsonl", "logs-h-1.jsonl")):
        put(tmp_path / name, 40, age / 100)
    made, removed = hold(tmp_path, 100 * 1024)
    assert made.tidy()
    assert left(tmp_path) == ["logs-h-4.jsonl", "traces-h-3.jsonl.gz"]
    assert removed == {"files_limit": 2}


def test_what_is_too_old_goes_though_there_is_room(tmp_path: Path) -> None:
    put(tmp_path / "logs-h-1.jsonl", 1, 8)
    put(tmp_path / "logs-h-2.jsonl", 1, 6)
    made, removed = hold(tmp_path, 10**9)
    assert made.tidy() and left(tmp_path) == ["logs-h-2.jsonl"] and removed == {"files_expired": 1}


def test_what_somebody_writes_to_stays(tmp_path: Path) -> None:
    with put(tmp_path / "logs-h-1.jsonl", 40, 9).open() as writer:
        shared_folder.lock(writer.fileno())
        made, removed = hold(tmp_path, 1000)
        assert not made.tidy()
        assert left(tmp_path) == ["logs-h-1.jsonl"] and not removed
    assert made.tidy() and left(tmp_path) == []


def test_files_of_others_are_not_touched_nor_counted(tmp_path: Path) -> None:
    others = ["logs.jsonl", "notes.txt", "logs-h-1.csv", "xlogs-h-1.jsonl", "logs-h.jsonl", "logs-2026-11-30.jsonl"]
    for name in others:
        put(tmp_path / name, 40, 30)
    (tmp_path / "logs-2026-11-30.jsonl").write_text('{"message": "of an application, by the day"}\n' * 2000)
    (tmp_path / "logs-2026-11-29.jsonl.gz").write_bytes(b"no gzip at all" * 2000)
    others.append("logs-2026-11-29.jsonl.gz")
    (tmp_path / "logs-h-9.jsonl").symlink_to(tmp_path / "notes.txt")
    (tmp_path / "logs-h-8.jsonl").mkdir()
    made, removed = hold(tmp_path, 1000)
    made.tidy()
    assert not removed
    assert left(tmp_path) == sorted([*others, "logs-h-9.jsonl", "logs-h-8.jsonl"])


def test_very_many_small_files_are_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_folder, "_MOST_FILES", 3)
    for number in range(5):
        put(tmp_path / f"logs-h-{number}.jsonl", 0, (10 - number) / 100)
    made, removed = hold(tmp_path, 10**9)
    assert made.tidy()
    assert left(tmp_path) == [f"logs-h-{number}.jsonl" for number in (2, 3, 4)] and removed == {"files_limit": 2}


def test_own_files_are_closed_by_age_so_that_they_can_expire(tmp_path: Path) -> None:
    made, _ = hold(tmp_path, 10**9, days=2)
    own = OwnFile("logs", made)
    own.write(b"{}\n")
    made.own.add(own)
    own.close_if_old()
    assert len(list(tmp_path.glob("*.jsonl"))) == 1
    own._born -= 1.5 * DAY
    own.close_if_old()
    assert [path.suffix for path in tmp_path.iterdir()] == [".gz"]


def test_where_all_is_in_use_the_writer_gives_up_its_own(tmp_path: Path) -> None:
    with put(tmp_path / "logs-other-1.jsonl", 90).open() as writer:
        shared_folder.lock(writer.fileno())
        made, removed = hold(tmp_path, 100 * 1024)
        own = OwnFile("logs", made)
        for _ in range(100):
            own.write(b'{"resource' + b"x" * 1000 + b"\n")
            assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 101 * 1024
        assert removed["files_limit"] >= 5
    assert (tmp_path / "logs-other-1.jsonl").exists()


@pytest.mark.parametrize("name", ["host-1", "wörk station/..", ""])
def test_a_hosts_name_is_a_part_of_a_files_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_folder.socket, "gethostname", lambda: name)
    shared_folder.host.cache_clear()
    try:
        assert shared_folder._is_ours(f"logs-{shared_folder.host()}-12.jsonl")
    finally:
        shared_folder.host.cache_clear()

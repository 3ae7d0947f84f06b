# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Day files hold each record once, on its own day; what is not verified stays."""

from __future__ import annotations

import gzip
import json
import os
import stat
import time
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from otel_tts.archiving import cleaning, packing, sources
from otel_tts.archiving.archive import Limits
from otel_tts.archiving.fetching import fetch
from otel_tts.archiving.store import Store
from otel_tts.readers import day_files
from otel_tts.readers.files import FileLogs
from otel_tts.readers.filters import Filter
from otel_tts.trouble import Trouble, WrongUse
from tests.support.archived import Folder, at, line


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_split_by_the_records_own_day(folder: Folder) -> None:
    folder.write(
        "logs-2026-11-26T01-00-00.000.jsonl", line(("a", at(24))), line(("b", at(25, 23.99)), ("c", at(26, 0)))
    )
    folder.write("logs.jsonl", line(("d", at(25))))
    done = folder.run()
    assert (done.lines, done.uploaded, done.failed) == (4, 3, "")
    assert folder.archived() == {
        "tts-20261124.jsonl.gz": ["a"], "tts-20261125.jsonl.gz": ["b", "d"], "tts-20261126.jsonl.gz": ["c"]
    }  # fmt: skip
    assert done.figures.waiting_bytes == 0 and abs(done.figures.waiting_since - time.time()) < 60


def test_a_second_run_takes_what_is_new_only(folder: Folder) -> None:
    folder.write("logs.jsonl", line(("a", at(24))))
    folder.run()
    assert folder.run().lines == 0
    folder.write("logs.jsonl", line(("b", at(24))))
    folder.rotate("logs-2026-11-25T00-00-00.000.jsonl")
    folder.write("logs.jsonl", line(("c", at(25))))
    folder.run()
    assert folder.archived() == {
        "tts-20261124.jsonl.gz": ["a"], "tts-20261124-2.jsonl.gz": ["b"], "tts-20261125.jsonl.gz": ["c"]
    }  # fmt: skip
    found = list(day_files.read(folder.store))
    assert [one.attributes["request_id"] for one in found] == ["a", "b", "c"]
    assert [one.attributes["request_id"] for one in day_files.read(folder.store, day_files.utc_day(at(25)))] == ["c"]


def test_today_waits_until_it_is_over(folder: Folder) -> None:
    now = time.time_ns()
    folder.write("logs.jsonl", line(("a", now)))
    done = folder.run()
    assert done.uploaded == 0 and folder.archived() == {} and done.figures.waiting_bytes > 0
    folder.write("logs.jsonl", line(("b", now + 10**6)))
    folder.run()
    from otel_tts.archiving import archive, ledger

    held = ledger.load(folder.home)
    packing.pack(folder.home, held, datetime.fromtimestamp(now / 1e9 + 3 * 86400, timezone.utc))
    assert archive.upload(folder.home, held, Store(f"file://{folder.store}")) == 1
    assert folder.all_ids() == ["a", "b"]


@pytest.mark.parametrize(
    "foreign",
    [b"{torn\n", b"[]\n", b"{}\n", b"null\n", b"\xff\xfe\n", b'{"resourceSpans":[]}\n', b'{"resourceLogs":{"a":1}}\n',
     b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"x"}]}]}]}\n', b"[" * 5000 + b"\n"],
)  # fmt: skip
def test_foreign_lines_are_kept_apart_and_said(folder: Folder, foreign: bytes) -> None:
    folder.write("logs-1.jsonl", line(("a", at(24))), foreign, line(("b", at(24))), age_days=8)
    folder.run()
    folder.run()
    assert folder.all_ids() == ["a", "b"]
    (kept,) = (folder.home / "left-out").iterdir()
    assert kept.read_bytes() == foreign and stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert folder.said == [f"1 lines are none of log records; they are kept in {folder.home / 'left-out'}"]
    assert list(folder.logs.iterdir()) == []


def test_a_line_that_is_being_written_waits_and_one_that_never_ends_is_kept_apart(folder: Folder) -> None:
    whole = line(("a", at(24)))
    folder.write("logs.jsonl", whole[:30])
    assert folder.run().lines == 0
    folder.write("logs.jsonl", whole[30:], whole[:30])
    folder.run()
    assert folder.all_ids() == ["a"] and not folder.said
    folder.rotate("logs-1.jsonl")
    folder.run()
    assert "1 lines are none" in folder.said[0]


def test_records_without_a_time_are_of_the_files_day(folder: Folder) -> None:
    path = folder.write("logs-1.jsonl", line(("a", 0)), line(("b", 2**63 - 1)))
    os.utime(path, (at(24) / 1e9, at(24) / 1e9))
    folder.run()
    assert folder.archived() == {"tts-20261124.jsonl.gz": ["a"], "tts-22620411.jsonl.gz": ["b"]}


def test_a_clock_that_was_set_back_loses_nothing_and_doubles_nothing(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write("logs.jsonl", line(("a", at(24))))
    folder.run()
    real = time.time()
    monkeypatch.setattr(time, "time", lambda: real - 40 * 86400)
    folder.write("logs.jsonl", line(("b", at(24))))
    folder.run()
    monkeypatch.undo()
    folder.write("logs.jsonl", line(("c", at(24))))
    folder.run()
    assert folder.all_ids() == ["a", "b", "c"]
    assert (folder.logs / "logs.jsonl").exists()


def test_days_in_the_future_of_a_wrong_clock_are_not_kept_back(folder: Folder) -> None:
    now = datetime(2026, 11, 30, 1, tzinfo=timezone.utc)
    for day, still_open in {
        "20261128": False,
        "20261129": False,
        "20261130": True,
        "20261201": True,
        "20270301": False,
    }.items():
        assert packing.is_open(datetime.strptime(day, "%Y%m%d").date(), now) is still_open, day
    assert packing.is_open(now.date().replace(day=29), now.replace(hour=0, minute=30))


def test_no_records_make_no_files(folder: Folder) -> None:
    done = folder.run()
    assert (done.lines, done.uploaded, done.failed) == (0, 0, "")
    assert folder.archived() == {}
    assert list(day_files.read(folder.store)) == []
    folder.logs.rmdir()
    with pytest.raises(Trouble, match="--dir"):
        folder.run()


def test_many_days_of_clocks_that_were_never_set(folder: Folder) -> None:
    folder.write(
        "logs-1.jsonl", *(line((f"{n:03}", n * 86400 * 10**9 + 1), (f"x{n:03}", at(24))) for n in range(1, 90))
    )
    folder.run()
    assert len(folder.archived()) == 90 and len(folder.all_ids()) == 178 == len(set(folder.all_ids()))


def test_verified_files_go_after_a_week_and_others_never(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write("logs-old.jsonl", line(("a", at(20))), age_days=8)
    folder.write("logs-new.jsonl", line(("b", at(20))), age_days=6)
    folder.write("logs.jsonl", line(("c", at(20))), age_days=8)
    gone = Store(f"file://{folder.store}")
    monkeypatch.setattr(gone, "put", lambda name, path: None)  # takes it and forgets it
    done = folder.run(gone)
    assert "gives back another" in done.failed and done.uploaded == 0
    assert len(list(folder.logs.iterdir())) == 3 and done.figures.waiting_bytes > 0
    assert folder.run().uploaded == 1
    assert sorted(path.name for path in folder.logs.iterdir()) == ["logs-new.jsonl", "logs.jsonl"]
    (kept,) = (folder.home / "days").iterdir()
    folder.run(keep_days=0)
    assert not kept.exists() and [path.name for path in folder.logs.iterdir()] == ["logs.jsonl"]
    assert folder.all_ids() == ["a", "b", "c"]


def test_the_bound_takes_the_oldest_verified_first_and_unverified_never(folder: Folder) -> None:
    for number in range(1, 5):
        lines = [line((f"{number}-{n}", at(20 + number))) for n in range(50)]
        folder.write(f"logs-{number}.jsonl", *lines, age_days=5 - number)
    size = (folder.logs / "logs-1.jsonl").stat().st_size
    folder.run()
    folder.run(keep_bytes=3 * size)
    assert sorted(path.name for path in folder.logs.iterdir()) == ["logs-3.jsonl", "logs-4.jsonl"]
    folder.write("logs-5.jsonl", *(line((f"5-{n}", time.time_ns())) for n in range(50)))  # its day is not over
    done = folder.run(keep_bytes=0)
    assert [path.name for path in folder.logs.iterdir()] == ["logs-5.jsonl"]
    assert done.figures.waiting_bytes > 0 and "never removed" in folder.said[-1]
    assert len(folder.all_ids()) == 200


def test_a_file_that_gets_the_number_of_one_that_was_removed_is_read(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As disks do: the number of a removed file is the next one's. Here that is so on every disk."""
    real = sources._found
    monkeypatch.setattr(sources, "_found", lambda path, about: replace(real(path, about), key="1:1"))
    folder.write("logs-1.jsonl", line(("a", at(24))), line(("b", at(24))), age_days=9)
    assert folder.run().lines == 2 and list(folder.logs.iterdir()) == []
    folder.write("logs-2.jsonl", line(("c", at(24))), age_days=9)
    assert folder.run().lines == 1
    folder.write("logs-3.jsonl", line(("d", at(24))), line(("e", at(24))), line(("f", at(24))), age_days=9)
    assert folder.run().lines == 3
    assert folder.all_ids() == ["a", "b", "c", "d", "e", "f"]


def test_another_archive_at_the_same_address_overwrites_nothing(folder: Folder, tmp_path: Path) -> None:
    other = Folder(tmp_path / "other")
    other.store = folder.store
    folder.write("logs-1.jsonl", line(("a", at(24))))
    other.write("logs-1.jsonl", line(("b", at(24))))
    folder.run()
    assert "another archive" in other.run().failed
    assert folder.all_ids() == ["a"]
    assert other.run(Store(f"file://{folder.store}/other")).failed == ""


def test_one_run_at_a_time(folder: Folder) -> None:
    import fcntl

    folder.run()
    with (folder.home / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Trouble, match="Another run"):
            folder.run()


def test_a_full_disk_loses_nothing(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write("logs-1.jsonl", line(("a", at(24))), line(("b", at(25))), age_days=8)
    real = os.fsync
    for last in range(1, 40):
        left = [last]

        def full(handle: int, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] <= 0:
                raise OSError(28, "No space left on device")
            real(handle)

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            try:
                folder.run()
                break
            except Trouble as trouble:
                assert "No space left on device" in str(trouble)
    assert last > 10
    folder.run()
    assert folder.all_ids() == ["a", "b"]


def test_a_folder_with_a_blank_in_its_name(folder: Folder, tmp_path: Path) -> None:
    folder.store = tmp_path / "my store"
    folder.store.mkdir()
    folder.write("logs-1.jsonl", line(("a", at(24))))
    assert folder.run(Store(folder.store.as_uri())).failed == ""
    assert folder.all_ids() == ["a"]


def test_a_ledger_that_is_broken_is_said_and_nothing_is_touched(folder: Folder) -> None:
    folder.write("logs-1.jsonl", line(("a", at(24))))
    folder.run()
    (folder.home / "ledger.json").write_text('{"run": 1', encoding="utf-8")
    with pytest.raises(Trouble, match="put back a copy"):
        folder.run()
    assert len(list((folder.home / "days").iterdir())) == 1


def test_a_day_file_that_was_changed_is_not_uploaded(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write("logs-1.jsonl", line(("a", at(24))))
    refusing = Store(f"file://{folder.store}")
    monkeypatch.setattr(refusing, "put", lambda name, path: None)
    folder.run(refusing)
    (path,) = (folder.home / "days").iterdir()
    path.write_bytes(gzip.compress(b"another"))
    assert "is not what it was" in folder.run().failed
    assert folder.archived() == {}


def test_the_store_expires_by_its_own_clock(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write("logs-1.jsonl", line(("a", at(24))), line(("b", at(25))))
    folder.run()
    then = time.time() - 91 * 86400
    os.utime(folder.store / "tts-20261124.jsonl.gz", (then, then))
    (folder.store / "foreign.txt").write_text("x")
    os.utime(folder.store / "foreign.txt", (then, then))
    real = time.time()
    with monkeypatch.context() as patched:  # a clock that is far ahead deletes nothing
        patched.setattr(cleaning.time, "time", lambda: real + 400 * 86400)
        assert folder.run().expired == 0
    assert folder.run(expire_days=0).expired == 0
    assert folder.run().expired == 1
    assert sorted(path.name for path in folder.store.glob("[!.]*.*")) == [
        "foreign.txt", "otel-tts-archive.txt", "tts-20261125.jsonl.gz"
    ]  # fmt: skip


def test_a_month_comes_back(folder: Folder, tmp_path: Path) -> None:
    folder.write("logs-1.jsonl", line(("a", at(24))), line(("b", at(25))))
    folder.run()
    store = Store(f"file://{folder.store}")
    first, last = day_files.utc_day(at(25)), day_files.utc_day(at(30))
    (path,) = fetch(store, tmp_path / "back", first, last)
    assert path.name == "tts-20261125.jsonl.gz" and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert fetch(store, tmp_path / "back", first, last) == [path]
    assert [one.attributes["request_id"] for one in day_files.read(tmp_path / "back")] == ["b"]
    assert len(FileLogs(folder.store).find(Filter(request_id="a"))) == 1  # `otel-tts find --dir` reads them too


@pytest.mark.parametrize(
    "url",
    [
        "", "s3://", "http://x/y", "s3://key:verysecret@bucket/x", "s3://b/x?secret_access_key=verysecret", "file://",
        "file://x/y", "/tmp",
    ],
)  # fmt: skip
def test_an_address_without_keys(url: str) -> None:
    with pytest.raises(WrongUse) as raised:
        Store(url)
    assert "verysecret" not in str(raised.value)


def test_names_of_day_files() -> None:
    day = day_files.utc_day(at(5))
    assert [day_files.name(day), day_files.name(day, 12)] == ["tts-20261105.jsonl.gz", "tts-20261105-12.jsonl.gz"]
    assert day_files.day_of("tts-20261105-12.jsonl.gz") == day
    for wrong in ("tts-20261305.jsonl.gz", "tts-2026115.jsonl.gz", "tts-20261105-0.jsonl.gz", "tts-20261105.jsonl"):
        assert day_files.day_of(wrong) is None


def test_limits_are_what_the_command_says() -> None:
    assert json.dumps(Limits().__dict__) == '{"keep_days": 7.0, "keep_bytes": 10000000000, "expire_days": 90}'

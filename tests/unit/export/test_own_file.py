# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One process's file: whole lines, of its own, closed and packed when it is full."""

from __future__ import annotations

import gzip
import os
import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from otel_tts.export import shared_folder
from otel_tts.export.own_file import OwnFile
from otel_tts.export.shared_folder import Folder
from otel_tts.readers import otlp_files

WHO = f"{shared_folder.host()}-{os.getpid()}"
LINE = b'{"resourceLogs":[]}\n'


def make(path: Path, most_bytes: int = 10**9) -> OwnFile:
    return OwnFile("logs", Folder(path, most_bytes, 7))


def content(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def test_a_full_file_is_closed_and_packed(tmp_path: Path) -> None:
    own = make(tmp_path, 16 * 3 * len(LINE))  # three lines a file
    own.folder.most_bytes = 10**9
    for _ in range(7):
        own.write(LINE)
    paths = otlp_files.find(tmp_path, otlp_files.LOGS)
    assert [path.suffix for path in paths] == [".gz", ".gz", ".jsonl"]
    assert [content(path) for path in paths] == [LINE * 3, LINE * 3, LINE]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    assert len(list(tmp_path.iterdir())) == 3


def test_a_file_that_was_there_is_never_written_to(tmp_path: Path) -> None:
    """Another process had this number: dead, it makes room; alive, as in another container on one share, it stays."""
    alive = tmp_path / f"logs-{WHO}.jsonl"
    alive.write_bytes(LINE * 3)
    with alive.open() as theirs:
        shared_folder.lock(theirs.fileno())
        own = make(tmp_path)
        own.write(LINE)
        assert (tmp_path / f"logs-{WHO}.2.jsonl").read_bytes() == LINE
        own.close()
    assert alive.read_bytes() == LINE * 3

    make(tmp_path).write(LINE)
    assert alive.read_bytes() == LINE
    (theirs_now,) = tmp_path.glob(f"logs-{WHO}-*.jsonl")
    assert theirs_now.read_bytes() == LINE * 3


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.write_text("mine")
    inside.mkdir()
    (inside / f"logs-{WHO}.jsonl").symlink_to(outside)
    make(inside).write(LINE)
    assert outside.read_text() == "mine"
    assert (inside / f"logs-{WHO}.2.jsonl").read_bytes() == LINE


def test_a_line_that_does_not_fit_leaves_nothing_of_itself(tmp_path: Path) -> None:
    own = make(tmp_path)
    own.write(LINE)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(LINE) + 7, hard))  # as a disk with room for seven bytes
        with pytest.raises(OSError, match=r"No space left|File too large"):
            own.write(LINE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    own.write(LINE)
    assert (tmp_path / f"logs-{WHO}.jsonl").read_bytes() == LINE * 2


def test_a_file_that_somebody_removes_is_made_anew(tmp_path: Path) -> None:
    own = make(tmp_path / "new")
    own.write(LINE)
    (tmp_path / "new" / f"logs-{WHO}.jsonl").unlink()
    (tmp_path / "new").rmdir()
    own.write(LINE)
    assert (tmp_path / "new" / f"logs-{WHO}.jsonl").read_bytes() == LINE


def test_a_child_writes_to_its_own_and_the_parent_goes_on(tmp_path: Path) -> None:
    program = f"""
        import os, sys
        from pathlib import Path
        from otel_tts.export.shared_folder import Folder, host
        from otel_tts.export.own_file import OwnFile
        own = OwnFile("logs", Folder(Path(sys.argv[1]), 10**9, 7))
        own.write({LINE!r})
        with own._lock:  # as a thread of the parent would hold it
            child = os.fork()
            if not child:
                own.write({LINE!r})
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        own.write({LINE!r})
        print(host(), os.getpid(), child)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    host, parent, child = done.stdout.split()
    assert (tmp_path / f"logs-{host}-{parent}.jsonl").read_bytes() == LINE * 2
    assert (tmp_path / f"logs-{host}-{child}.jsonl").read_bytes() == LINE


def test_what_was_being_packed_when_its_process_died_is_read_once_and_cleaned_up(tmp_path: Path) -> None:
    (tmp_path / "logs-h-1.jsonl").write_bytes(LINE)
    (tmp_path / "logs-h-1.jsonl.gz").write_bytes(gzip.compress(LINE))
    (tmp_path / "logs-h-2.jsonl").write_bytes(LINE)
    (tmp_path / "logs-h-2.jsonl.gz.part").write_bytes(b"half")
    assert [path.name for path in otlp_files.find(tmp_path, "logs")] == ["logs-h-1.jsonl", "logs-h-2.jsonl"]
    assert Folder(tmp_path, 10**9, 7).tidy()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs-h-1.jsonl.gz", "logs-h-2.jsonl"]

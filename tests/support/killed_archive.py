# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Kills a run of the archive at a line of it, again and again, each time followed by a run that is left alone.

`python -m tests.support.killed_archive FOLDER N` prints JSON: how many places there are, and after a kill at which what
was wrong; every Nth is tried. Each run is a fork of this process, which never uses opendal itself: its threads do not
survive a fork.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import opendal  # noqa: F401  (children need not load it)

import otel_tts.archiving
from tests.support.archived import Folder, at, line

OURS = str(Path(otel_tts.archiving.__file__).parent)
EXPECTED = ["a", "b", "c", "d", "e", "f"]

Place = tuple[str, int]


def prepare(root: Path) -> Folder:
    """Files with records of two days and lines that are none, and one that was archived before."""
    folder = Folder(root)
    folder.write("logs-1.jsonl", line(("a", at(24))), line(("b", at(24)), ("c", at(25))), b"{torn\n", age_days=9)
    in_child(lambda: folder.run())
    folder.write("logs-2.jsonl", line(("d", at(24))), line(("e", at(26))), age_days=8)
    folder.write("logs.jsonl", line(("f", at(25))), b"begun")
    return folder


def in_child(work: Callable[[], Any]) -> int:
    """Do it in a fork; its exit status as `waitpid` gives it."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    return os.waitpid(child, 0)[1]


def traced(work: Callable[[], Any], at_line: Callable[[Place], None]) -> None:
    """Do it, and call `at_line` before each line of the archive."""

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        if event == "line":
            at_line((frame.f_code.co_filename[len(OURS) + 1 :], frame.f_lineno))
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)


def places(root: Path) -> list[tuple[Place, int]]:
    """Every line that a run comes to, the first and the last time that it does."""
    folder, seen = prepare(root), Counter[Place]()

    def work() -> None:
        traced(folder.run, lambda place: seen.update([place]))
        (root / "places").write_text(json.dumps([[*place, count] for place, count in seen.items()]))

    assert in_child(work) == 0
    held = json.loads((root / "places").read_text())
    return [((file, number), hit) for file, number, count in held for hit in sorted({1, count})]


def kill_at(folder: Folder, place: Place, hit: int) -> int:
    left = [hit]

    def look(here: Place) -> None:
        if here == place:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    return in_child(lambda: traced(folder.run, look))


def main(root: Path, every: int) -> dict[str, Any]:
    found = places(root / "first")
    wrong: list[str] = []
    killed = 0
    for number, (place, hit) in enumerate(found[::every]):
        folder = prepare(root / str(number))
        killed += os.WIFSIGNALED(kill_at(folder, place, hit))
        before = [path.name for path in folder.logs.iterdir()]
        status = in_child(folder.run)
        if status or folder.all_ids() != EXPECTED:
            wrong.append(f"{place} ({hit}): status {status}, {folder.archived()}")
        if (folder.logs / "logs-2.jsonl").exists() or "logs.jsonl" not in before:
            wrong.append(f"{place} ({hit}): files {before}, then {sorted(folder.logs.iterdir())}")
        if sorted(path.name for path in (folder.home / "pieces").iterdir()):
            wrong.append(f"{place} ({hit}): pieces are left")
    return {"places": len(found), "tried": len(found[::every]), "killed": killed, "wrong": wrong}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))

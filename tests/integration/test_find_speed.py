# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""How long a question to large files takes, held against grep and orjson in the same run: never against a clock.

100 MB here; OTEL_TTS_FIND_BYTES=1e9 is the size of `make soak`.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path

import pytest

from otel_tts import names
from tests.store_contracts.sent import Request, S, logs, record, traces
from tests.support.measured import in_turns, measure

BYTES = float(os.environ.get("OTEL_TTS_FIND_BYTES", "1e8"))
FULL = BYTES >= 5e8
COMMAND = [sys.executable, "-m", "otel_tts.cli.main"]
READ = "import sys, orjson\nfor line in open(sys.argv[1], 'rb'): orjson.loads(line)"


def fill(folder: Path, limit: float) -> Path:
    """Batches of 100 requests a line, as exporters write them, at rest since an hour."""
    chance = random.Random(1)
    start, number, size = 1_796_000_000 * S, 0, 0
    with (folder / "traces-h-1.jsonl").open("w") as spans, (folder / "logs-h-1.jsonl").open("w") as lines:
        while size < limit:
            made: list[Request] = []
            for _ in range(100):
                characters = chance.randrange(10, 400)
                seconds = (0.3 + 0.012 * characters) * chance.lognormvariate(0, 0.15)
                stages = {"text_frontend": 0.05 * seconds, "acoustic_model": 0.6 * seconds, "vocoder": 0.25 * seconds}
                made.append(Request(start, f"req-{number:08d}", seconds, stages=stages, **{
                    names.TEXT_LENGTH: characters, names.VOICE_SOURCE: "preset", names.AUDIO_DURATION: 7.0,
                }))  # fmt: skip
                number, start = number + 1, start + round(chance.expovariate(0.14) * S)
            said = [
                record(one.start, kind, f"{kind} request_id={one.id}", one.trace, request_id=one.id) for one in made
                for kind in ("REQ_START", "REQ_SUCCESS")
            ]  # fmt: skip
            for file, document in (
                (spans, traces("tests", [span for one in made for span in one.spans])), (lines, logs("tests", said)),
            ):  # fmt: skip
                size += file.write(json.dumps(document, separators=(",", ":")) + "\n")
    old = time.time() - 3600
    for path in folder.iterdir():
        os.utime(path, (old, old))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large files, in the page cache."""
    return fill(tmp_path_factory.mktemp("files"), BYTES)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small ones that begin alike."""
    return fill(tmp_path_factory.mktemp("small"), 3e6)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """With a cache of its own, and bytes as characters: grep is quick then."""
    return {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "LC_ALL": "C"}


def test_a_request_is_found_about_as_fast_as_by_grep(
    folder: Path, small: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    request_id = "req-00000700"  # where in the files it stands makes no difference: all are searched
    files = [str(path) for path in sorted(folder.iterdir())]
    find = [*COMMAND, "find", request_id, "--dir", str(folder)]
    grep, version, first, in_small = in_turns(
        ["grep", "-c", request_id, *files], [*COMMAND, "--version"], [*find, "--no-index"], [*find[:-1], str(small)],
        environ=environ,
    )  # fmt: skip
    peak = measure(find, environ)[1]
    # The index is made by a process that nobody waits for.
    until = time.monotonic() + 120
    while len(list(tmp_path.rglob("*.index"))) < 2:
        assert time.monotonic() < until
        time.sleep(0.2)
    (second,) = in_turns(find, environ=environ)
    print(
        f"{BYTES:.0e} bytes: grep {grep:.2f} s, --version {version:.2f} s, find {first:.2f} s, with the index "
        f"{second:.2f} s, {peak:.0f} MiB"
    )
    assert peak < 100
    # Loading, comparing and drawing do not grow with the files: in small ones they are nearly all of it.
    start = version if FULL else 1.3 * in_small
    assert first <= 3 * grep + start
    # At the full size a third of what the first may take, its start included.
    assert second <= (grep + version / 3 if FULL else grep + start)


def test_the_slowest_are_found_in_the_time_of_reading_the_file_twice(
    folder: Path, small: Path, environ: dict[str, str]
) -> None:
    find = [*COMMAND, "find", "--slowest", "10", "--dir"]
    reading, slowest, in_small = in_turns(
        [sys.executable, "-c", READ, str(folder / "traces-h-1.jsonl")], [*find, str(folder)], [*find, str(small)],
        environ=environ,
    )  # fmt: skip
    print(f"{BYTES:.0e} bytes: orjson {reading:.2f} s, find --slowest 10 {slowest:.2f} s")
    start = 0.0 if FULL else 1.3 * in_small
    assert slowest <= 2 * reading + start

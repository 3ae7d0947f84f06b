# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""OTEL_TTS_FILE_DIR in real processes: several at once, killed, on a full disk, in a folder that is too small."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from otlp_sink import OtlpSink

from otel_tts.readers.model import Span
from otel_tts.readers.otlp_files import BadLine, find, read_spans

SIGNALS = ("traces", "metrics", "logs")
WORK = """
    import os, sys, time
    from pathlib import Path
    from opentelemetry import trace
    from otel_tts.distro import shutdown

    def work(count, noise=0):
        for _ in range(count):
            with trace.get_tracer("otel_tts").start_as_current_span("tts.vocoder") as span:
                for number in range(noise):
                    span.set_attribute(f"noise.{number}", os.urandom(50).hex())  # so that packing does not help
"""


def environment(folder: Path, **more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    tools = str(Path(sys.executable).parent)
    often = {"OTEL_BSP_SCHEDULE_DELAY": "20", "OTEL_BLRP_SCHEDULE_DELAY": "20", "OTEL_METRIC_EXPORT_INTERVAL": "100"}
    return {
        **clean, **often, "PATH": tools + os.pathsep + clean["PATH"], "PYTHONUNBUFFERED": "1",
        "OTEL_SERVICE_NAME": "test", "OTEL_TTS_FILE_DIR": str(folder), **more,
    }  # fmt: skip


def start(
    source: str, env: Mapping[str, str], folder: Path, before: tuple[str, ...] = ()
) -> subprocess.Popen[str]:  # fmt: skip
    program = folder / "program.py"
    program.write_text(textwrap.dedent(WORK) + textwrap.dedent(source))
    return subprocess.Popen(
        [*before, "opentelemetry-instrument", sys.executable, str(program)],
        env=dict(env), cwd=folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def end(process: subprocess.Popen[str], said: str = "") -> tuple[str, str]:
    out, errors = process.communicate(said, timeout=90)
    assert process.returncode == 0, errors
    return out, errors


def spans_in(folder: Path, bad: list[BadLine] | None = None) -> dict[Path, list[Span]]:
    """The spans of each file; lines that cannot be read go to `bad`, and must not be where there is none."""
    found: list[BadLine] = [] if bad is None else bad
    read = {path: list(read_spans(path, found.append)) for path in find(folder, "traces")}
    assert bad is not None or not found
    return read


def test_workers_and_their_children_write_at_once_and_nothing_mixes(tmp_path: Path) -> None:
    folder = tmp_path / "telemetry"
    source = """
        work(300)
        child = os.fork()
        work(300)
        if not child:
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print(os.getpid(), child)
    """
    workers = [start(source, environment(folder), tmp_path) for _ in range(2)]
    ended = [end(worker) for worker in workers]
    processes = {int(number) for out, _ in ended for number in out.split()}
    assert len(processes) == 4

    read = spans_in(folder)
    assert {int(path.stem.rpartition("-")[2]) for path in read} == processes
    for path, spans in read.items():
        assert {span.resource["process.pid"] for span in spans} == {int(path.stem.rpartition("-")[2])}
    # What the parent had not written at the fork is the parent's.
    assert sorted(len(spans) for spans in read.values()) == [300, 300, 600, 600]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    for out, errors in ended:
        assert f"exporter=otel_tts_file {folder} " in errors
        assert errors.count("otel-tts") == 1, errors
        assert out


def test_what_was_written_survives_a_kill_and_the_next_process_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "telemetry"
    for _ in range(3):
        source = "print('up', flush=True)\nwhile True: work(200); time.sleep(0.001)"
        process = start(source, environment(folder), tmp_path)
        assert process.stdout is not None and process.stdout.readline()
        while not any(path.stat().st_size > 200_000 for path in folder.glob(f"traces-*-{process.pid}.jsonl")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    end(start("work(5)", environment(folder), tmp_path))

    torn: list[BadLine] = []
    read = spans_in(folder, torn)
    assert len(read) == 4 and all(read.values())
    assert len(torn) <= 3 and all(bad.torn for bad in torn)


@pytest.fixture
def tmpfs(tmp_path: Path) -> tuple[str, ...]:
    """The beginning of a command line: what follows sees a file system of 1 MB at `tmp_path`/disk."""
    (tmp_path / "disk").mkdir()
    inside = f"mount -t tmpfs -o size=1m,mode=700 tmpfs '{tmp_path / 'disk'}' && exec \"$@\""
    begin = ("unshare", "-rm", "sh", "-c", inside, "sh")
    if shutil.which("unshare") is None or subprocess.run([*begin, "true"], capture_output=True).returncode:
        if os.environ.get("CI") == "true":
            pytest.fail("no file system can be mounted in a namespace of one's own; with CI=true this is a failure")
        pytest.skip("no file system can be mounted in a namespace of one's own (unshare -rm)")
    return begin


def test_a_full_disk_drops_counts_and_is_said_once_and_so_is_that_it_goes_on(
    tmp_path: Path, tmpfs: tuple[str, ...]
) -> None:
    disk = tmp_path / "disk"
    source = f"""
        from otel_tts.readers.otlp_files import find, read_points, read_spans
        disk = Path({str(disk)!r})

        def written():
            bad = []
            count = sum(len(list(read_spans(path, bad.append))) for path in find(disk, "traces"))
            assert not bad, bad
            return count

        work(100)
        shutdown.flush()
        before = written()
        with (disk / "ballast").open("wb", buffering=0) as ballast:
            try:
                while ballast.write(bytes(4096)):
                    pass
            except OSError:
                pass
        for _ in range(5):
            work(100)
            shutdown.flush()
        meanwhile = written()
        (disk / "ballast").unlink()
        work(100)
        shutdown.flush()
        after = written()
        time.sleep(0.5)
        dropped = [
            point.value for path in find(disk, "metrics") for point in read_points(path)
            if point.attributes.get("reason") == "export_failed_spans"
        ]
        print(before, meanwhile, after, int(dropped[-1]))
    """
    out, errors = end(start(source, environment(disk), tmp_path, tmpfs))
    assert out.split() == ["100", "100", "200", "500"]
    told = [line for line in errors.splitlines() if "otel-tts: " in line and "had not been delivered" not in line]
    begins, again = told
    assert f"get written to {disk} (No space left on device). Make room there" in begins
    assert f"does get written to {disk} again; " in again and "500 spans" in again


def test_all_processes_together_keep_to_the_bound(tmp_path: Path) -> None:
    folder, most = tmp_path / "telemetry", 1_000_000
    source = """
        from otel_tts.recording import recorder
        for _ in range(60):
            work(60, 8)
            time.sleep(0.02)
        print(recorder.current().dropped["files_limit"])
    """
    env = environment(folder, OTEL_TTS_FILE_BYTES=str(most), OTEL_TTS_ALLOW_ATTRIBUTES="noise.*")
    env["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"] = "20"  # lines of 40 kB at most
    workers = [start(source, env, tmp_path) for _ in range(3)]
    largest = 0
    while any(worker.poll() is None for worker in workers):
        largest = max(largest, size_of(folder))
        time.sleep(0.01)
    removed = [int(end(worker)[0]) for worker in workers]
    written = [len(spans) for spans in spans_in(folder).values()]
    assert most / 2 < size_of(folder) <= most
    assert largest <= most + 3 * (40_000 + most // 16), "a line and a file that is being packed, for each process"
    assert sum(written) < 3 * 60 * 60 and sum(removed) > 10, "else nothing was too much"


def size_of(folder: Path) -> int:
    total = 0
    for path in list(folder.iterdir()) if folder.is_dir() else []:
        try:
            total += path.stat().st_size
        except OSError:  # removed meanwhile
            pass
    return total


@pytest.mark.parametrize("what", ["a file", "a link", "read-only"])
def test_a_folder_that_cannot_be_used_is_said_and_the_server_gets_everything(
    sink: OtlpSink, tmp_path: Path, request: pytest.FixtureRequest, what: str
) -> None:
    folder, before = tmp_path / "telemetry", ()
    if what == "a file":
        folder.write_text("")
    elif what == "a link":
        (tmp_path / "elsewhere").mkdir()
        folder.symlink_to(tmp_path / "elsewhere")
    else:
        before = request.getfixturevalue("tmpfs")
        folder = tmp_path / "disk"
        before = (*before, "sh", "-c", f"mount -o remount,ro '{folder}' && exec \"$@\"", "sh")
    env = environment(folder, OTEL_EXPORTER_OTLP_ENDPOINT=sink.endpoint)
    _, errors = end(start("work(7)", env, tmp_path, before))
    assert len(sink.spans("tts.vocoder")) == 7
    told = [line for line in errors.splitlines() if f"OTEL_TTS_FILE_DIR={folder} " in line and "left out" in line]
    assert len(told) == 3 and all("name " in line or "choose another" in line for line in told)
    assert f"exporter=otlp http/protobuf {sink.endpoint} " in errors
    assert not (tmp_path / "elsewhere").exists() or not list((tmp_path / "elsewhere").iterdir())


def test_beside_a_server_both_get_everything(sink: OtlpSink, tmp_path: Path) -> None:
    folder = tmp_path / "telemetry"
    _, errors = end(start("work(9)", environment(folder, OTEL_EXPORTER_OTLP_ENDPOINT=sink.endpoint), tmp_path))
    assert len(sink.spans("tts.vocoder")) == sum(map(len, spans_in(folder).values())) == 9
    assert f"exporter=otlp http/protobuf {sink.endpoint} + otel_tts_file {folder} " in errors
    assert sink.latest("process.thread.count") and all(find(folder, signal) for signal in ("traces", "metrics"))

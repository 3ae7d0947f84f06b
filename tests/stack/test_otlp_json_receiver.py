# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The Collector's own receiver reads the files of OTEL_TTS_FILE_DIR, configured as docs/find.md says."""

from __future__ import annotations

import gzip
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_tts.readers import otlp_files
from otel_tts.stack import build

SERVICE = """
import sys
import numpy, otel_tts

otel_tts.configure(service_name="files")
tone = numpy.sin(numpy.arange(16000) / 10) * 0.3

def speak(level):
    with otel_tts.synthesis("IndexTTS-2", engine="own", text="purpleotter", voice="anna") as synthesis:
        with otel_tts.stage("vocoder"):
            if not level:
                raise RuntimeError
        synthesis.audio(tone * level, 16000)

for level in (1.0, 9.0, 0.0) * int(sys.argv[1]):
    try:
        speak(level)
    except RuntimeError:
        pass
"""
READ: dict[str, Callable[..., Any]] = {
    otlp_files.TRACES: otlp_files.read_spans,
    otlp_files.LOGS: otlp_files.read_logs,
    otlp_files.METRICS: otlp_files.read_points,
}
MIB = 1024 * 1024


def documented() -> dict[str, Any]:
    """The receiver's configuration as it stands in the document."""
    page = (Path(__file__).parents[2] / "docs" / "find.md").read_text(encoding="utf-8")
    found = re.search(r"^```yaml\n(receivers:\n  otlp_json_file:.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert found is not None
    return yaml.safe_load(found[1])["receivers"]["otlp_json_file"]


def speak(folder: Path, times: int, **more: str) -> None:
    """One run of the service, which leaves its files in `folder`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
    environment |= {"OTEL_TTS_FILE_DIR": str(folder), "OTEL_TTS_LOG_FORMAT": "none", **more}
    subprocess.run([sys.executable, "-c", SERVICE, str(times)], env=environment, check=True, timeout=120)


def everything(paths: list[Path], kind: str) -> list[str]:
    return sorted(repr(one) for path in paths for one in READ[kind](path))


def pass_on(work: Path, folder: Path, until: Callable[[Path], bool]) -> Path:
    """Have the Collector read `folder` and write what it understood; return where, once `until` holds of it."""
    out, configuration = work / "out", work / "otelcol.yaml"
    out.mkdir()
    pipelines: dict[str, Any] = {}
    receivers, exporters = {}, {}
    for kind in READ:
        receivers[f"otlp_json_file/{kind}"] = {**documented(), "include": [f"{folder}/{kind}*.jsonl*"]}
        exporters[f"file/{kind}"] = {"path": f"{out}/{kind}.jsonl", "flush_interval": "100ms"}
        pipelines[kind] = {"receivers": [f"otlp_json_file/{kind}"], "exporters": [f"file/{kind}"]}
    service = {"pipelines": pipelines, "telemetry": {"metrics": {"level": "none"}}}
    configuration.write_text(yaml.safe_dump({"receivers": receivers, "exporters": exporters, "service": service}))
    command = [str(build.binaries()["otelcol"] / "otelcol-tts"), f"--config={configuration}"]
    with (work / "otelcol.log").open("w") as log:
        collector = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env={"PATH": os.environ["PATH"]})
    try:
        patience = time.monotonic() + 60
        while not until(out) and collector.poll() is None and time.monotonic() < patience:
            time.sleep(0.2)
        time.sleep(1)  # what came twice would come now: it looks five times a second
    finally:
        collector.send_signal(signal.SIGTERM)
        assert collector.wait(60) == 0, (work / "otelcol.log").read_text()
    return out


def all_is_read(work: Path, folder: Path) -> None:
    ours = {kind: everything(otlp_files.find(folder, kind), kind) for kind in READ}
    assert all(ours.values())

    def counts(out: Path) -> bool:
        return all(len(everything(otlp_files.find(out, kind), kind)) >= len(ours[kind]) for kind in READ)

    out = pass_on(work, folder, counts)
    for kind in READ:
        assert everything(otlp_files.find(out, kind), kind) == ours[kind]


def test_it_reads_what_we_wrote_each_once(stack: object, tmp_path: Path) -> None:
    folder = tmp_path / "telemetry"
    speak(folder, 1)
    (packed,) = folder.glob("traces-*.jsonl")
    packed.with_suffix(".jsonl.gz").write_bytes(gzip.compress(packed.read_bytes()))
    packed.unlink()
    speak(folder, 1)
    all_is_read(tmp_path, folder)


def test_a_batch_of_over_a_megabyte_is_read_too(stack: object, tmp_path: Path) -> None:
    """By its default it would be cut there, and nothing of it be left."""
    folder = tmp_path / "telemetry"
    speak(folder, 300, OTEL_BSP_MAX_EXPORT_BATCH_SIZE="2048", OTEL_BSP_SCHEDULE_DELAY="60000")
    (traces,) = otlp_files.find(folder, otlp_files.TRACES)
    assert max(map(len, traces.read_bytes().splitlines())) > MIB
    all_is_read(tmp_path, folder)


@pytest.mark.parametrize("name", ["max_log_size", "start_at"])
def test_the_document_says_what_has_to_be_set(name: str) -> None:
    assert name in documented()

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from otel_tts.distro import resource

DRIVERS = {
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\n": "535.183.01",
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  575.57.08  Release Build\nGCC 12\n": "575.57.08",
    "something else entirely 1.2\n": None,
}


@pytest.mark.parametrize("text", DRIVERS)
def test_the_drivers_version_is_read_from_its_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "version").write_text(text)
    assert resource.runtime_versions(tmp_path / "version").get("tts.runtime.gpu_driver") == DRIVERS[text]


def test_without_a_driver_there_is_no_version(tmp_path: Path) -> None:
    assert "tts.runtime.gpu_driver" not in resource.runtime_versions(tmp_path / "nothing")


@pytest.mark.parametrize(("torch", "cuda"), [("2.8.0+cu128", "12.8"), ("2.4.1+cu118", "11.8"), ("2.8.0+cpu", None)])
def test_torch_says_its_cuda(monkeypatch: pytest.MonkeyPatch, torch: str, cuda: str | None) -> None:
    monkeypatch.setattr(resource, "_first_version", lambda names: torch if "torch" in names else None)
    assert resource.runtime_versions(Path("/nonexistent")).get("tts.runtime.cuda") == cuda


def test_nothing_heavy_is_imported_and_no_command_line_leaves() -> None:
    code = (
        "import sys\nfrom otel_tts.distro.resource import DistroDetector\n"
        "before = set(sys.modules)\nfound = DistroDetector().detect().attributes\n"
        "assert found['process.pid'] and found['telemetry.distro.name'] == 'otel-tts', found\n"
        "assert found['tts.runtime.onnxruntime'], found\n"
        "assert not any('command' in key or 'executable' in key for key in found), found\n"
        "heavy = {'torch', 'onnxruntime', 'scipy', 'subprocess'} & (set(sys.modules) - before)\nassert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ})

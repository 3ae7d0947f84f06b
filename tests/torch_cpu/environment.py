# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Runs tests with the real torch in an environment of their own: ``python tests/torch_cpu/environment.py``.

The environment holds torch.lock, nearly 7 GB, and stays in ~/.cache/otel-tts/venvs for the next time; a changed lock
makes a new one. otel-tts itself is installed into a temporary folder, from this checkout.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "torch.lock"
VENVS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "otel-tts" / "venvs"
NEEDS = 10 << 30
"""Bytes. uv links the files from its cache where that is on the same file system, so they are there once."""
PATIENCE = 900
"""Seconds for the download, which takes less than one minute on a fast line."""
TESTS = ("tests/torch_cpu", "tests/unit/timing/test_real_torch.py")


def main() -> int:
    environment = VENVS / f"torch-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    if not environment.is_dir():
        if reason := _why_not():
            print(f"SKIPPED the tests with the real torch: {reason}")
            return 0
        print(f"installing torch.lock into {environment}", flush=True)
        try:
            _create(environment)
        except subprocess.TimeoutExpired:
            print(f"SKIPPED the tests with the real torch: not installed after {PATIENCE // 60} minutes")
            return 0
    with tempfile.TemporaryDirectory() as site:
        _install("--no-deps", "--no-build-isolation", "--python", sys.executable, "--target", site, str(ROOT))
        return subprocess.call(
            [str(environment / "bin" / "pytest"), *TESTS, *sys.argv[1:]],
            cwd=ROOT, env=os.environ | {"PYTHONPATH": site},
        )  # fmt: skip


def _why_not() -> str | None:
    if sys.platform != "linux":
        return "torch's wheel on PyPI is the CUDA build on Linux only"
    VENVS.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(VENVS).free) < NEEDS:
        return f"{free >> 30} GB are free at {VENVS}, the environment may take {NEEDS >> 30}"
    return None


def _create(environment: Path) -> None:
    """Fill a folder beside it and rename: there is a whole environment or none."""
    with tempfile.TemporaryDirectory(prefix=f".{environment.name}-", dir=VENVS, ignore_cleanup_errors=True) as folder:
        new = Path(folder) / "venv"
        _uv("venv", "--relocatable", "--python", sys.executable, str(new))
        _install("--python", str(new / "bin" / "python"), "--requirements", str(LOCK))
        try:
            new.rename(environment)
        except OSError:
            if not environment.is_dir():  # else another run was faster
                raise


def _install(*arguments: str) -> None:
    _uv("pip", "install", *arguments)


def _uv(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "uv", *arguments, "--quiet"], check=True, timeout=PATIENCE)


if __name__ == "__main__":
    sys.exit(main())

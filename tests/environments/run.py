# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Runs tests whose engines cannot share the development environment: ``python tests/environments/run.py NAME …``.

``NAME.in`` says what such an environment needs beside otel-tts, ``NAME.lock`` what it holds (``make lock``). It stays
in ~/.cache/otel-tts/venvs for the next time; a changed lock makes a new one. otel-tts itself is installed into a
temporary folder, from this checkout.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
VENVS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "otel-tts" / "venvs"
PATIENCE = 1200
"""Seconds for the download, which takes less than one minute on a fast line."""


@dataclass(frozen=True)
class Environment:
    """`tests` run in it. `gigabytes` it may take; uv links files from its cache, so what is shared is there once."""

    tests: tuple[str, ...]
    gigabytes: int
    below: tuple[int, int] = (4, 0)
    """The first Python that its packages have no wheels for."""
    on_request: bool = False
    """Too much for each `make test`: another torch than the others'. `make test-engines` runs it."""


ENVIRONMENTS = {
    "torch": Environment(("tests/torch_cpu", "tests/unit/device/test_real_torch.py"), 10),
    "qwen": Environment(("tests/torch_cpu/test_qwen_tts.py",), 10),
    "speech": Environment(
        tuple(f"tests/torch_cpu/test_{name}.py" for name in ("coqui", "f5_tts", "omnivoice", "voxcpm")), 12
    ),
    "chatterbox": Environment(("tests/torch_cpu/test_chatterbox.py",), 10, below=(3, 13), on_request=True),
    "protobuf3": Environment(("tests/protobuf3",), 10),
    "onnx": Environment(("tests/onnx_cpu", "tests/examples/test_piper_server.py"), 2),
    "services": Environment(("tests/services",), 2),
    "web": Environment(("tests/web_routes",), 1),
    "agents": Environment(("tests/voice_agents",), 2, on_request=True),
    "omni": Environment(("tests/sglang_front",), 1),
    "asgi": Environment(("tests/asgi_servers",), 1),
    "piper12": Environment(("tests/piper_1_2",), 1, below=(3, 12)),
    "gradio5": Environment(("tests/gradio_pages",), 10),
    "gradio6": Environment(("tests/gradio_pages",), 10),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    groups = {
        "all": list(ENVIRONMENTS),
        "usual": [name for name, one in ENVIRONMENTS.items() if not one.on_request],
    }
    told = "one, those of `make test` (usual), or all"
    parser.add_argument("name", choices=[*ENVIRONMENTS, *groups], help=told)
    parser.add_argument("pytest", nargs=argparse.REMAINDER, help="pytest's options; files of tests in place of all")
    asked = parser.parse_args()
    names = groups.get(asked.name, [asked.name])
    failed = [name for name in names if run(name, asked.pytest)]
    if failed:
        print(f"failed in: {', '.join(failed)}")
    return 1 if failed else 0


def run(name: str, arguments: list[str]) -> int:
    """Run the environment's tests, or pytest with `arguments`; return its exit status. A skip prints its reason."""
    print(f"\n== tests in the environment {name} ==", flush=True)
    lock, environment = HERE / f"{name}.lock", place_of(name)
    if not environment.is_dir():
        if reason := _why_not(ENVIRONMENTS[name]):
            print(f"SKIPPED: {reason}")
            return 0
        print(f"installing {lock.name} into {environment}", flush=True)
        try:
            make_environment(environment, "--requirements", str(lock))
        except subprocess.TimeoutExpired:
            print(f"SKIPPED: not installed after {PATIENCE // 60} minutes")
            return 0
    named = any((ROOT / argument.partition("::")[0]).exists() for argument in arguments)
    tests = () if named else ENVIRONMENTS[name].tests
    with tempfile.TemporaryDirectory() as site:
        _install("--no-deps", "--no-build-isolation", "--python", sys.executable, "--target", site, str(ROOT))
        return subprocess.call(
            [str(environment / "bin" / "pytest"), *tests, *arguments],
            cwd=ROOT, env=os.environ | {"PYTHONPATH": site},
        )  # fmt: skip


def place_of(name: str) -> Path:
    """Return where that environment is, or will be."""
    lock = HERE / f"{name}.lock"
    return VENVS / f"{name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"


def _why_not(environment: Environment) -> str | None:
    if sys.platform != "linux":
        return "the locks' wheels are tested on Linux only (torch's there is the CUDA build)"
    if sys.version_info[:2] >= environment.below:
        return f"its packages have wheels for Python below {'.'.join(map(str, environment.below))} only"
    VENVS.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(VENVS).free) < environment.gigabytes << 30:
        return f"{free >> 30} GB are free at {VENVS}, the environment may take {environment.gigabytes}"
    return None


def make_environment(environment: Path, *needs: str) -> None:
    """Install `needs` (arguments of ``uv pip install``) into a new environment.

    A folder beside it is filled and renamed: there is a whole environment or none. Raises subprocess.CalledProcessError
    when uv cannot install, TimeoutExpired after PATIENCE.
    """
    with tempfile.TemporaryDirectory(
        prefix=f".{environment.name}-", dir=environment.parent, ignore_cleanup_errors=True
    ) as folder:
        new = Path(folder) / "venv"
        _uv("venv", "--relocatable", "--python", sys.executable, str(new))
        _install("--python", str(new / "bin" / "python"), *needs)
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

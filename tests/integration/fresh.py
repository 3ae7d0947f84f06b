# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A wheel of this checkout in a virtual environment of its own, used from outside of the checkout.

uv makes the environments: it links packages out of its own cache (~/.cache/uv), so that a new one for each run takes a
second or two and none is ever out of date.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Installed:
    """An environment with otel-tts in it, and the folder its commands run in."""

    venv: Path
    cwd: Path

    def run(self, command: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment by its path, without activating the environment."""
        return subprocess.run(
            [str(self.venv / "bin" / command), *arguments],
            cwd=self.cwd, env=clean() | environ, capture_output=True, text=True, timeout=180,
        )  # fmt: skip

    def demo(self, out: Path, **environ: str) -> str:
        """Run the demo with its output in `out`; returns what its service logged. Fails when the demo does."""
        done = self.run("otel-tts", "demo", "--requests", "2", "--out", str(out), **environ)
        log = (out / "service.log").read_text(encoding="utf-8") if out.is_dir() else ""
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{log[:2000]}"
        assert "Traceback" not in done.stdout + done.stderr
        return log

    def python(self, code: str) -> str:
        done = self.run("python", "-c", code)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def clean() -> dict[str, str]:
    """This environment without what would lead back into the checkout or its .venv."""
    foreign = ("OTEL_", "PYTHON", "VIRTUAL_ENV")
    paths = [path for path in os.environ["PATH"].split(os.pathsep) if not path.startswith(str(ROOT))]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {"PATH": os.pathsep.join(paths)}


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this checkout into `folder`."""
    _call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT))
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, python: str, folder: Path) -> Installed:
    """Make an environment for the interpreter `python` below `folder` with demo.lock and the wheel in it."""
    venv, cwd = folder / "venv", folder / "elsewhere"
    cwd.mkdir(parents=True)
    _call(*_uv("venv", "--python", python, str(venv)))
    into = ("pip", "install", "--python", str(venv / "bin" / "python"))
    _call(*_uv(*into, "--requirements", str(ROOT / "demo.lock")))
    _call(*_uv(*into, "--no-deps", str(wheel)))
    return Installed(venv, cwd)


def find_python(version: str) -> str | None:
    """The interpreter for `version` (as in 3.12): on PATH, else of pyenv; None when there is none that starts."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [shutil.which(f"python{version}"), *map(str, pyenv.glob(f"{version}.*/bin/python{version}"))]
    return next((path for path in candidates if path and _is(path, version)), None)


def _is(python: str, version: str) -> bool:
    # A shim of pyenv is on PATH for every version, and fails for those that are not switched on.
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        return subprocess.run([python, "-c", ask], capture_output=True, text=True, timeout=30).stdout.strip() == version
    except (OSError, subprocess.TimeoutExpired):
        return False


def _uv(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "uv", *arguments, "--quiet")


def _call(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, env=clean(), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"

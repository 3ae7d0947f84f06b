# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Which otel-tts is measured: this checkout's own, or with ``--against`` two wheels, each installed for itself.

The bench itself is always this checkout's. A wheel's environment sees it through a folder that holds a link to
``tests`` and nothing else, so that ``import otel_tts`` finds the wheel's.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.environments.run import VENVS, make_environment

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "demo.lock"


@dataclass(frozen=True)
class Build:
    """An otel-tts, the Python that it is installed for, and the folder to start it in."""

    name: str
    python: Path
    cwd: Path

    def tool(self, name: str) -> str:
        """The path of one of its commands."""
        return str(self.python.parent / name)

    def env(self, env: Mapping[str, str]) -> dict[str, str]:
        """`env` with its commands first on the PATH."""
        return {**env, "PATH": f"{self.python.parent}{os.pathsep}{env.get('PATH', '')}"}


HERE = Build("this checkout", Path(sys.executable), ROOT)


def without_checkout(folder: Path) -> Path:
    """Return a folder below `folder` from which the bench can be imported, and no otel_tts."""
    view = folder / "view"
    if not view.is_dir():
        view.mkdir()
        (view / "tests").symlink_to(ROOT / "tests")
    return view


class InstallError(Exception):
    """A wheel could not be built or installed; the message says why."""


def this_and(wheel: Path, folder: Path) -> tuple[Build, Build]:
    """Return this checkout's build, installed below `folder`, and `wheel`'s, which is kept for the next time.

    Both environments are made in the same way. Raises InstallError.
    """
    view = without_checkout(folder)
    kept = VENVS / f"bench-{hashlib.sha256(wheel.read_bytes() + LOCK.read_bytes()).hexdigest()[:12]}"
    VENVS.mkdir(parents=True, exist_ok=True)
    if not kept.is_dir():
        _install(wheel, kept)
    fresh = folder / "this-checkout"
    _install(_wheel_of_this(folder), fresh)
    return Build("this checkout", fresh / "bin" / "python", view), Build(wheel.name, kept / "bin" / "python", view)


def _install(wheel: Path, environment: Path) -> None:
    needs = ("--constraint", str(LOCK), f"otel-tts[demo] @ {wheel.resolve().as_uri()}")
    try:  # not pyproject.toml's constraints: a wheel has its own
        make_environment(environment, "--no-config", "--compile-bytecode", *needs)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:  # uv has said why
        raise InstallError(f"{wheel.name} could not be installed with the versions of {LOCK.name}") from error


def _wheel_of_this(folder: Path) -> Path:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise InstallError(f"this checkout makes no wheel:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    (wheel,) = folder.glob("otel_tts-*.whl")
    return wheel

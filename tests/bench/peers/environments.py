# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Where the peers live: each in an environment of its own, made from ``tests/environments/peers-NAME.lock``."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.bench.builds import Build, without_checkout
from tests.environments.run import HERE, VENVS, make_environment

NAMES = tuple(sorted(path.stem.removeprefix("peers-") for path in HERE.glob("peers-*.in")))
HINT = "its environment is not there, see make bench-peers"


def find(name: str, folder: Path) -> Build | None:
    """Return the environment `name` as a build without otel-tts, to run from below `folder`; None when not there."""
    environment = _place(name)
    if not environment.is_dir():
        return None
    return Build(name, environment / "bin" / "python", without_checkout(folder))


def make(name: str) -> bool:
    """Make the environment `name` where it is not there; return whether it was not."""
    environment = _place(name)
    if environment.is_dir():
        return False
    VENVS.mkdir(parents=True, exist_ok=True)
    # Not pyproject.toml's constraints: they are for otel-tts.
    make_environment(environment, "--no-config", "--compile-bytecode", "--requirements", str(_lock(name)))
    return True


def _place(name: str) -> Path:
    return VENVS / f"peers-{name}-{hashlib.sha256(_lock(name).read_bytes()).hexdigest()[:12]}"


def _lock(name: str) -> Path:
    return HERE / f"peers-{name}.lock"

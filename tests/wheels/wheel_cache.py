# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Downloads the wheels of speech engines, only to read them: nothing is installed, none of their code runs.

``wheels.lock`` names each wheel with its hashes (`make lock`). They stay in ~/.cache/otel-tts/wheels. Run as a program
it writes the lock, downloads what is not there yet and prints where each wheel is; options are uv's, as --upgrade.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK = HERE / "wheels.lock"
WANTED = HERE / "wheels.in"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "otel-tts" / "wheels"
PATIENCE = 300
"""Seconds for the download, which takes a few on a fast line."""

NO_WHEEL = {
    "chattts": "only a source archive is published",
    "melotts": "only a source archive is published, and it does not build",
    "cosyvoice": "not published",
    "gpt-sovits": "not published",
    "fish-speech": "what is published under this name is 0.1.0, not the program of today",
    "indextts": "upstream is not published; the packages made from it are read",
}
"""Engines that cannot be read from a wheel: their tables run on stand-ins with the structure of their source."""

_PLATFORM = ("--only-binary", ":all:", "--no-deps")
_PYTHON = "3.11"
_LINUX = "manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"


class Unavailable(Exception):
    """The wheels are not here and cannot be had; the message says why."""


@dataclass(frozen=True)
class Pin:
    """One line of the lock."""

    name: str
    version: str
    hashes: frozenset[str]


def pins(lock: Path = LOCK) -> dict[str, Pin]:
    """Return what a lock names, by name."""
    found = re.findall(r"^([\w.-]+)==(\S+)((?:\s*\\\n\s*--hash=sha256:\w+)+)", lock.read_text("utf-8"), re.MULTILINE)
    return {name: Pin(name, version, frozenset(re.findall(r"sha256:(\w+)", hashes))) for name, version, hashes in found}


def wheels(lock: Path = LOCK) -> dict[str, Path]:
    """Return the wheel of each pin, downloaded where it is not in the cache. Raises Unavailable."""
    wanted = pins(lock)
    if lacking := [pin for pin in wanted.values() if _cached(pin) is None]:
        _download(lacking)
    found = {name: _cached(pin) for name, pin in wanted.items()}
    if absent := [name for name, path in found.items() if path is None]:
        raise Unavailable(f"no wheel was downloaded for {', '.join(absent)}")
    return {name: path for name, path in found.items() if path is not None}


def newest(folder: Path) -> Path:
    """Write a lock of the newest versions into `folder` and return it. Raises Unavailable."""
    lock = folder / "newest.lock"
    compile_lock(lock, "--upgrade")
    return lock


def compile_lock(lock: Path, *options: str) -> None:
    """Write `lock`: the wheels of one Python and platform, whatever runs here. Versions in it stay unless --upgrade."""
    _run(
        [
            sys.executable, "-m", "uv", "pip", "compile", "--quiet", *_PLATFORM, "--generate-hashes", "--no-annotate",
            "--python-version", _PYTHON, "--python-platform", "x86_64-manylinux_2_28",
            "--custom-compile-command", "make lock", *options, str(WANTED), "-o", str(lock),
        ]
    )  # fmt: skip


def _cached(pin: Pin) -> Path | None:
    """Return a whole wheel with one of the pin's hashes."""
    stem = f"{re.sub(r'[-_.]+', '_', pin.name)}-{pin.version}-"
    for path in CACHE.glob("*.whl"):
        if path.name.lower().startswith(stem.lower()) and _hash(path) in pin.hashes:
            return path
    return None


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _download(lacking: list[Pin]) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        asked = Path(folder) / "asked.txt"
        asked.write_text("".join(_line(pin) for pin in lacking), "utf-8")
        platforms = [word for name in _LINUX for word in ("--platform", name)]
        _run(
            [
                sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--require-hashes",
                *_PLATFORM, "--python-version", _PYTHON, *platforms, "--requirement", str(asked), "--dest", folder,
            ]
        )  # fmt: skip
        for wheel in Path(folder).glob("*.whl"):
            wheel.replace(CACHE / wheel.name)


def _line(pin: Pin) -> str:
    return f"{pin.name}=={pin.version} {' '.join(f'--hash=sha256:{each}' for each in sorted(pin.hashes))}\n"


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"no answer from the package index in {PATIENCE} s") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Unavailable(f"the package index gave no wheels: {said[-1] if said else f'status {done.returncode}'}")


if __name__ == "__main__":
    try:
        compile_lock(LOCK, *sys.argv[1:])
        print(*wheels().values(), sep="\n")
    except Unavailable as unavailable:
        sys.exit(f"{unavailable}")

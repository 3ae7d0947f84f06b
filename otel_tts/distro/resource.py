# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Who reports: this distribution's name and version, and the versions of what speech synthesis runs on.

Everything is read from package metadata and one file of the driver: importing torch here would cost seconds, and
asking CUDA would initialise it in a process that may fork its workers later.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from opentelemetry.sdk.resources import Resource, ResourceDetector

from otel_tts.guard import contain
from otel_tts.version import __version__

NAME: Final = "otel-tts"
_DRIVER: Final = Path("/proc/driver/nvidia/version")
_DRIVER_VERSION: Final = re.compile(r"Kernel Module\D*?(?:for \S+)?\s+(\d+(?:\.\d+)+)")
_CUDA_IN_TORCH: Final = re.compile(r"\+cu(\d+)(\d)$")

# The first of these distributions that is installed gives the version.
_DISTRIBUTIONS: Final[dict[str, tuple[str, ...]]] = {
    "tts.runtime.torch": ("torch",),
    "tts.runtime.cudnn": ("nvidia-cudnn-cu13", "nvidia-cudnn-cu12", "nvidia-cudnn-cu11"),
    "tts.runtime.onnxruntime": ("onnxruntime-gpu", "onnxruntime"),
    "tts.runtime.scipy": ("scipy",),
}


class DistroDetector(ResourceDetector):
    """``telemetry.distro.*``, ``tts.runtime.*``, ``host.name``, and ``process.*`` without the command line.

    The distribution adds them by itself; the detector is there for configuration files and for other distributions.
    """

    def detect(self) -> Resource:
        """Return what is known; what is not is absent."""
        return Resource(attributes())

    def is_process_dependent(self) -> bool:
        """Say that a forked child has to ask again: process.pid differs."""
        return True


def attributes() -> dict[str, str | int]:
    """Return all that the detector knows."""
    return {**distro_attributes(), **runtime_versions(), **process_attributes(), **host_attributes()}


def host_attributes() -> dict[str, str]:
    """Return the host's name, in a container the container's."""
    name = platform.node()
    return {"host.name": name} if name else {}


def distro_attributes() -> dict[str, str]:
    """Return name and version of this distribution."""
    return {"telemetry.distro.name": NAME, "telemetry.distro.version": __version__}


def process_attributes() -> dict[str, str | int]:
    """Return the process's id and its Python. Not the command line: a text to be spoken may stand in it."""
    return {
        "process.pid": os.getpid(),
        "process.runtime.name": platform.python_implementation().lower(),
        "process.runtime.version": platform.python_version(),
    }


def runtime_versions(driver: Path = _DRIVER) -> dict[str, str]:
    """Return the versions of the libraries under the engines, and of the GPU driver."""
    found = {key: version for key, names in _DISTRIBUTIONS.items() if (version := _first_version(names))}
    found.update(contain("resource.cuda", _cuda, found.get("tts.runtime.torch", "")) or {})
    found.update(contain("resource.driver", _driver, driver) or {})
    return found


def _first_version(distributions: Iterable[str]) -> str | None:
    return next(_versions(distributions), None)


def _versions(distributions: Iterable[str]) -> Iterator[str]:
    for name in distributions:
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        if version:  # a broken installation has metadata without one
            yield version


def _cuda(torch: str) -> dict[str, str]:
    if match := _CUDA_IN_TORCH.search(torch):  # 2.8.0+cu128
        return {"tts.runtime.cuda": f"{match[1]}.{match[2]}"}
    runtime = _first_version(("nvidia-cuda-runtime", "nvidia-cuda-runtime-cu12", "nvidia-cuda-runtime-cu11"))
    return {"tts.runtime.cuda": runtime} if runtime else {}


def _driver(path: Path) -> dict[str, str]:
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError:  # no NVIDIA driver, or not visible in this container
        return {}
    match = _DRIVER_VERSION.search(text)
    return {"tts.runtime.gpu_driver": match[1]} if match else {}

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The scripted libnvidia-ml.so.1 as Python sees it."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

from otel_tts.device.power.nvml import Nvml

SOURCE = Path(__file__).parent / "nvml_stub.c"
GPU0, GPU1 = (f"GPU-00000000-0000-0000-0000-{index:012d}" for index in range(2))
NOT_SUPPORTED, NO_PERMISSION, NOT_LOADED, FUNCTION_NOT_FOUND, LOST = 3, 4, 9, 13, 15


def build(cc: str, folder: Path) -> Path:
    """Compile the library into `folder`."""
    library = folder / "libnvidia-ml.so.1"
    flags = ("-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1")
    subprocess.run([cc, *flags, "-o", str(library), str(SOURCE), "-lpthread"], check=True, timeout=60)
    return library


class Stub:
    """Loaded under its soname, so that nvidia-ml-py's own ``CDLL("libnvidia-ml.so.1")`` is this one."""

    def __init__(self, library: Path) -> None:
        self.lib = ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
        self.lib.nvmlstub_set.argtypes = [ctypes.c_uint, ctypes.c_char_p, ctypes.c_ulonglong]
        self.lib.nvmlstub_proc.argtypes = [ctypes.c_uint] * 2 + [ctypes.c_ulonglong] + [ctypes.c_uint] * 2
        self.lib.nvmlstub_advance_ms.argtypes = [ctypes.c_double]
        self.lib.nvmlstub_fail.argtypes = [ctypes.c_char_p, ctypes.c_int]
        self.lib.nvmlstub_hang.argtypes = [ctypes.c_char_p]
        self.lib.nvmlstub_true_energy_mj.restype = ctypes.c_double
        self.lib.nvmlstub_calls.restype = ctypes.c_ulonglong

    def reset(self, devices: int = 2) -> None:
        self.hang("")
        self.lib.nvmlstub_reset(devices)

    def set(self, device: int = 0, **values: int) -> None:
        for key, value in values.items():
            assert self.lib.nvmlstub_set(device, key.encode(), value) == 0, key

    def process(self, pid: int, used: int, device: int = 0) -> None:
        self.lib.nvmlstub_proc(device, pid, used, 0xFFFFFFFF, 0xFFFFFFFF)

    def fail(self, function: str, code: int) -> None:
        self.lib.nvmlstub_fail(function.encode(), code)

    def hang(self, function: str) -> None:
        """Let `function` not come back until another one, or none, is named."""
        self.lib.nvmlstub_hang(function.encode())

    def is_hanging(self) -> bool:
        return bool(self.lib.nvmlstub_hanging())

    def enable_mig(self, device: int) -> None:
        self.lib.nvmlstub_enable_mig(device)

    def advance(self, ms: float) -> None:
        self.lib.nvmlstub_advance_ms(ms)

    @property
    def calls(self) -> int:
        return self.lib.nvmlstub_calls()

    @property
    def initialisations(self) -> int:
        return self.lib.nvmlstub_refs()


def look(nvml: Nvml, index: int = 0):
    """One look at the device with that index."""
    (gpu,) = [gpu for gpu in nvml.gpus((str(index),)) if gpu.parent is None]
    return nvml.look(gpu)

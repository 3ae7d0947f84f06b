# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""CUDA (and ROCm, which torch calls by the same names) through the torch that the application has imported."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from typing import Any, Final

from otel_tts.timing.torch_events import TorchEvents

_RUNTIMES: Final = ("libcudart.so.13", "libcudart.so.12")
_THREAD_LOCAL: Final = 1
"""cudaStreamCaptureModeThreadLocal"""


class CudaBackend(TorchEvents):
    """torch.cuda, as of torch 2.4 to 2.13."""

    kind = "cuda"

    def __init__(self, torch: Any) -> None:
        super().__init__(torch.cuda, torch.cuda.Event)
        self._torch = torch
        self.is_capturing = torch.cuda.is_current_stream_capturing

    @classmethod
    def of(cls, torch: Any) -> CudaBackend | None:
        """Return the backend of a torch that is built with CUDA or ROCm."""
        return cls(torch) if torch.version.cuda or torch.version.hip else None

    def new_event(self) -> Any:
        # The default has changed between versions: never rely on it.
        return self._module.Event(enable_timing=True)

    def memory_stats(self, device: int) -> Mapping[str, Any]:
        # The nested form: flattening its 130 numbers costs a hundred times what reading ten of them does.
        return self._torch._C._cuda_memoryStats(device) if self.is_ready() else {}

    def reset_peak(self, device: int) -> None:
        if self.is_ready():
            self._torch._C._cuda_resetPeakMemoryStats(device)

    def adopt_thread(self) -> None:
        """As ProcessGroupNCCL's watchdog does: queries of this thread then leave other threads' captures alone.

        torch has no binding for it (https://github.com/pytorch/pytorch/pull/104555); the mode is the thread's own.
        """
        flags = getattr(os, "RTLD_NOLOAD", 0)
        for name in _RUNTIMES if flags else ():
            try:
                runtime = ctypes.CDLL(name, mode=flags | os.RTLD_LOCAL | os.RTLD_NOW)
            except OSError:  # not the one that torch has loaded
                continue
            mode = ctypes.c_int(_THREAD_LOCAL)
            runtime.cudaThreadExchangeStreamCaptureMode(ctypes.byref(mode))
            return

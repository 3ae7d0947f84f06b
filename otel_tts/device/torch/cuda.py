# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""CUDA (and ROCm, which torch calls by the same names) through the torch that the application has imported."""

from __future__ import annotations

import ctypes
import os
from operator import attrgetter
from typing import Any, Final

_RUNTIMES: Final = ("libcudart.so.13", "libcudart.so.12")
_THREAD_LOCAL: Final = 1
"""cudaStreamCaptureModeThreadLocal: captures of other threads are none of the calling thread's business."""


class TorchEvents:
    """The part of a `Backend` that asks the stream or event itself; `module` is the device's, such as torch.cuda.

    What a stage calls is torch's own function: a method in between would cost as much again.
    """

    def __init__(self, module: Any, event_class: Any) -> None:
        self._module = module
        self.is_ready = module.is_initialized  # False in a forked child, where the device cannot be used
        self.current_stream = module.current_stream
        self.device_of: Any = attrgetter("device_index")
        self.record, self.query, self.elapsed_ms = event_class.record, event_class.query, event_class.elapsed_time

    def sync_stream(self, stream: Any) -> None:
        stream.synchronize()


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

    def adopt_thread(self) -> None:
        """Let queries of this thread leave other threads' captures alone, as ProcessGroupNCCL's watchdog does.

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

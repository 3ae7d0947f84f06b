# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Other accelerators through torch's common interface, where their events can be read without waiting: Intel's XPU.

MPS is left to the host's clock: its ``elapsed_time`` may wait for the device. So are devices that nobody has looked at.
"""

from __future__ import annotations

from typing import Any

from otel_tts.device.torch.cuda import TorchEvents


class XpuBackend(TorchEvents):
    """torch.xpu and torch.Event, as of torch 2.6 to 2.13."""

    kind = "xpu"

    def __init__(self, torch: Any) -> None:
        super().__init__(torch.xpu, torch.Event)
        self._torch, self._device = torch, torch.device("xpu")

    @classmethod
    def of(cls, torch: Any) -> XpuBackend | None:
        """Return the backend of a torch that is built for XPU."""
        xpu = getattr(torch, "xpu", None)
        return cls(torch) if xpu is not None and getattr(torch.version, "xpu", None) else None

    def is_capturing(self) -> bool:
        capturing = getattr(self._module, "is_current_stream_capturing", None)
        return bool(capturing()) if capturing is not None else False

    def new_event(self) -> Any:
        return self._torch.Event(device=self._device, enable_timing=True)

    def adopt_thread(self) -> None:
        """Nothing: a query does not disturb a capture here."""

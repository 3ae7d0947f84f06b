# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What torch's devices have in common: streams and events with the same methods, whatever made them."""

from __future__ import annotations

from typing import Any


class TorchEvents:
    """The part of a `Backend` that asks the stream or event itself; `module` is the device's, such as torch.cuda."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self.is_ready = module.is_initialized  # False in a forked child, where the device cannot be used
        self.current_device = module.current_device
        self.current_stream = module.current_stream

    def device_of(self, stream: Any) -> int:
        return stream.device_index

    def uuid(self, device: int) -> str | None:
        found = getattr(self._module.get_device_properties(device), "uuid", None)
        return None if found is None else str(found)

    def record(self, event: Any, stream: Any) -> None:
        event.record(stream)

    def query(self, event: Any) -> bool:
        return event.query()

    def elapsed_ms(self, start: Any, end: Any) -> float:
        return start.elapsed_time(end)

    def sync_stream(self, stream: Any) -> None:
        stream.synchronize()

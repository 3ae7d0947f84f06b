# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What torch's devices have in common: streams and events with the same methods, whatever made them."""

from __future__ import annotations

from operator import attrgetter
from typing import Any


class TorchEvents:
    """The part of a `Backend` that asks the stream or event itself; `module` is the device's, such as torch.cuda.

    What a stage calls is torch's own function: a method in between would cost as much again.
    """

    def __init__(self, module: Any, event_class: Any) -> None:
        self._module = module
        self.is_ready = module.is_initialized  # False in a forked child, where the device cannot be used
        self.current_device = module.current_device
        self.current_stream = module.current_stream
        self.device_of: Any = attrgetter("device_index")
        self.record, self.query, self.elapsed_ms = event_class.record, event_class.query, event_class.elapsed_time

    def uuid(self, device: int) -> str | None:
        found = getattr(self._module.get_device_properties(device), "uuid", None)
        return None if found is None else str(found)

    def sync_stream(self, stream: Any) -> None:
        stream.synchronize()

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A test kit for who writes an engine's table or a service: what would leave the process, in memory.

`Telemetry` stands in the exporters' place, `FakeClock` in the clocks', `FakeDevice` in a GPU's. As fixtures of pytest
they are in `otel_tts.testing.fixtures`, which is the only module here that imports pytest. See docs/testing-tables.md
and docs/testing-services.md.
"""

from __future__ import annotations

from otel_tts.testing.clock import EPOCH_NS, FakeClock, put_clock
from otel_tts.testing.device import FakeDevice, OutOfMemoryError
from otel_tts.testing.telemetry import CountingIds, Telemetry, shown

__all__ = [
    "EPOCH_NS",
    "CountingIds",
    "FakeClock",
    "FakeDevice",
    "OutOfMemoryError",
    "Telemetry",
    "put_clock",
    "shown",
]

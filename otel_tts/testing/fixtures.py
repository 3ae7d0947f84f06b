# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of pytest: ``pytest_plugins = ["otel_tts.testing.fixtures"]`` in your topmost conftest.py or test module.

Asked for, and no entry point that pytest loads by itself: that would import OpenTelemetry's SDK at every start of
pytest in every environment that otel-tts is installed in.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from otel_tts.testing.clock import FakeClock
from otel_tts.testing.device import FakeDevice
from otel_tts.testing.telemetry import Telemetry


@pytest.fixture
def fake_clock() -> Iterator[FakeClock]:
    """The process's clocks, which stand still until ``fake_clock.tick(seconds)``."""
    with FakeClock() as clock:
        yield clock


@pytest.fixture
def fake_device(fake_clock: FakeClock) -> FakeDevice:
    """A device on the fake clock."""
    return FakeDevice(fake_clock)


@pytest.fixture
def telemetry(request: pytest.FixtureRequest) -> Iterator[Telemetry]:
    """What the test's code records; on `fake_clock` and `fake_device` where the test asks for them, whatever the order.

    For settings of your own make a `Telemetry` yourself.
    """
    if "fake_clock" in request.fixturenames:
        request.getfixturevalue("fake_clock")
    device = request.getfixturevalue("fake_device") if "fake_device" in request.fixturenames else None
    with Telemetry(device=device) as telemetry:
        yield telemetry

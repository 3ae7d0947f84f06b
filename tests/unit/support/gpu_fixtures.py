# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures: NVML in C, and a torch whose device lives in virtual time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otel_tts.device.power.nvml import Nvml
from tests.unit.support.faketorch import Device, FakeTorch
from tests.unit.support.nvml_stub import Stub, build
from tests.unit.support.world import World


@pytest.fixture(scope="session")
def library(requires: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(requires("cc"), tmp_path_factory.mktemp("nvml"))


@pytest.fixture(scope="session")
def _loaded(library: Path) -> Stub:
    return Stub(library)


@pytest.fixture
def stub(_loaded: Stub) -> Iterator[Stub]:
    _loaded.reset()
    yield _loaded
    _loaded.reset()


@pytest.fixture
def nvml(stub: Stub) -> Iterator[Nvml]:
    opened = Nvml()
    yield opened
    opened.close()


@pytest.fixture
def device(clock: Any) -> Device:
    return Device(clock)


@pytest.fixture
def torch(device: Device, monkeypatch: pytest.MonkeyPatch) -> FakeTorch:
    """As if the application had imported torch and initialised CUDA."""
    fake = FakeTorch(device)
    monkeypatch.setitem(sys.modules, "torch", fake)
    return fake


@pytest.fixture
def here(world: Callable[..., World], torch: FakeTorch) -> World:
    return world(clock="host")

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os

import pytest
import wheel_cache
from holding import opened

from otel_tts.engines.check.packages import Packages


@pytest.fixture(scope="session")
def packages() -> Packages:
    """The wheels of wheels.lock, open to be read."""
    try:
        return opened(wheel_cache.wheels())
    except wheel_cache.Unavailable as unavailable:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"the wheels of the engines are not read: {unavailable}")

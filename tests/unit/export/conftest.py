# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A receiver for each test, and no proxies but those that the test names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.support.receiver import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Machines with one decoder each, and with none."""

from __future__ import annotations

import shutil

import pytest

from otel_tts.audio.files import decoders


@pytest.fixture(params=["soundfile", "av", "ffprobe", "none"])
def only(request, monkeypatch) -> str:
    """As if this decoder were the only one on the machine."""
    if request.param == "av":
        pytest.importorskip("av", reason="PyAV is not installed here")
    if request.param == "ffprobe" and shutil.which("ffprobe") is None:
        pytest.skip("no ffprobe on PATH")
    for name in ("soundfile", "av", "ffprobe"):
        if name != request.param:
            monkeypatch.setattr(decoders, f"_with_{name}", lambda *_: None)
    return request.param

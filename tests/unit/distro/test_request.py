# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from otel_tts.recording import request


def test_what_is_harmless_is_kept() -> None:
    for good in ("a", "A-1_b.c:d", "x" * 128, b"from-a-header"):
        assert request.accept_id(good) == (good.decode() if isinstance(good, bytes) else good)


def test_everything_else_is_replaced_by_something_harmless() -> None:
    bad = [None, "", b"", "x" * 129, "a b", "a\n", "a\nb", "ä", b"\x80", "a/b", "../x", "{x}", "a;b", "a\x00"]
    made = [request.accept_id(raw) for raw in bad]
    assert len(set(made)) == len(bad)
    assert all(request.accept_id(new) == new and len(new) == 32 for new in made)

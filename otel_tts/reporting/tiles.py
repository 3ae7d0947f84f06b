# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The month in six figures."""

from __future__ import annotations

from collections.abc import Iterator

from otel_tts.reporting import costs
from otel_tts.reporting.parts import Page, Tile


def write(page: Page) -> Iterator[Tile]:
    """The figures, each with what it was before."""
    say, now, before = page.say, page.now, page.before
    than = page.than
    yield Tile(
        say("Requests", "请求数"), say.count(now.requests), say.change(now.requests, before.requests or None, than)
    )
    for label, share, share_before in (
        (say("Done within 2 seconds", "2 秒内完成"), now.prompt_share, before.prompt_share),
        (say("Failed", "失败"), now.failed_share, before.failed_share),
        (say("Without sound", "无声音频"), now.silent_share, before.silent_share),
    ):
        yield Tile(label, say.share(share), say.points(share, share_before, than))
    for label, (cost, cost_before) in (
        (say("Cost of a recording", "每次合成成本"), costs.of_a_recording(page.report)),
        (say("Cost of a minute of speech", "每分钟音频成本"), costs.of_a_minute(page.report)),
    ):
        yield Tile(label, page.money(cost), say.change(cost, cost_before, than))

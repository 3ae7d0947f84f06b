# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What went wrong, and how often."""

from __future__ import annotations

from typing import Final

from otel_tts.reporting import reasons
from otel_tts.reporting.parts import Page, Section, Table

_MOST: Final = 6


def write(page: Page) -> Section:
    """The section."""
    say, now = page.say, page.now
    rows = tuple(
        (say.pick(words), say.count(count), say.share(min(1.0, count / now.failed)))
        for words, count in reasons.all_in_words(page.report.reasons, now.outcomes)[:_MOST]
    )
    head = (say("Reason", "原因"), say("Requests", "请求数"), say("Share of failures", "占失败比例"))
    title = say("What went wrong", "失败与原因")
    return Section(title, (_failed(page), _silent(page)), None, Table(head, rows) if rows else None)


def _failed(page: Page) -> str:
    say, now = page.say, page.now
    failed, share = say.many(now.failed, "request", "requests", "个请求"), say.share(now.failed_share)
    return say(
        f"{failed} got no speech that can be heard, {share} of those whose callers waited for the answer.",
        f"有 {failed}没有得到可用语音，占等待结果的请求的 {share}。",
    )


def _silent(page: Page) -> str:
    silent = page.say.many(page.now.silent, "recording was", "recordings were", "段音频")
    return page.say(f"{silent} silent or empty.", f"其中 {silent}无声或为空。")

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The voices that were asked for most."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from otel_tts.names import OTHER
from otel_tts.reporting.parts import Page, Section, Table
from otel_tts.reporting.wording import Wording

_MOST: Final = 3
_HASH: Final = re.compile(r"v-[0-9a-f]{16}")
_NAMELESS: Final = ("", OTHER)


def write(page: Page) -> Section:
    """The section."""
    say, now = page.say, page.now
    named = [(name, count) for name, count in now.voices.items() if name not in _NAMELESS][:_MOST]
    rows = tuple((_name(name, say), say.count(count), say.share(count / now.requests)) for name, count in named)
    table = Table((say("Voice", "声音"), say("Requests", "请求数"), say("Share", "占比")), rows) if rows else None
    title = say("The three voices most asked for", "最常用的三个声音")
    return Section(title, tuple(_sentences(page, bool(rows))), None, table)


def _sentences(page: Page, any_named: bool) -> Iterator[str]:
    say, now = page.say, page.now
    if not any_named:
        yield say("No voice has a name here.", "没有已命名的声音。")
    nameless = sum(count for name, count in now.voices.items() if name in _NAMELESS)
    if nameless and now.requests:
        share = say.share(nameless / now.requests)
        yield say(
            f"{share} of the requests were for voices that have no name here.", f"{share} 的请求使用了未命名的声音。"
        )


def _name(name: str, say: Wording) -> str:
    """A voice's name; a hash is none that anybody knows, but tells it from others."""
    if _HASH.fullmatch(name) is None:
        return name
    return say(f"a voice without a name ({name[2:6]})", f"未命名声音（{name[2:6]}）")

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Where messages go: one address a line, with a name before it where one is given (`night https://…`)."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Final
from urllib.parse import parse_qs, urlsplit

from otel_tts.commands import installing
from otel_tts.relaying.place import Place, Sender
from otel_tts.relaying.robots import DINGTALK, WECHAT, DingTalkRobot, WeChatRobot
from otel_tts.trouble import WrongUse

VARIABLE: Final = "RELAY_TO"

_DEAF: Final = ("dingtalk", "wecombot")
"""Of apprise's: it does not read what they answer, see findings/apprise-any-200-of-a-robot-is-a-success.sh."""


def read(text: str) -> list[Place]:
    """The places that `text` names, one a line; empty lines and those that begin with `#` say nothing.

    Raises WrongUse, which names a line by its number only: there is a key in it.
    """
    places: list[Place] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            places.append(_place(words, [one.name for one in places]))
        except ValueError as error:
            raise WrongUse(f"Line {number} of where to send is wrong: {error}.") from None
    if not places:
        raise WrongUse(
            f"Nobody is named to send to. Write the addresses into a file of your own (chmod 600) and give it by"
            f" --to-file, or set {VARIABLE} (docs/relay.md)."
        )
    return places


def _place(words: list[str], taken: list[str]) -> Place:
    if len(words) > 2:
        raise ValueError("it is a name and an address, or an address")
    sender = _sender(words[-1])
    name = words[0] if len(words) == 2 else _unused(sender.kind, taken)
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}", name):
        raise ValueError("the name before the address is one word of letters, digits, _ . and -")
    if name in taken:
        raise ValueError(f"the name {name} is given twice")
    return Place(name, sender)


def _unused(kind: str, taken: list[str]) -> str:
    number = 1
    while (name := kind if number == 1 else f"{kind}-{number}") in taken:
        number += 1
    return name


def _sender(url: str) -> Sender:
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    if parts.scheme in ("http", "https") and parts.hostname:
        if parts.path == WECHAT and query.get("key"):
            return WeChatRobot(url)
        if parts.path == DINGTALK and query.get("access_token"):
            return DingTalkRobot(url)
        raise ValueError("it is no robot's address of WeChat Work or DingTalk; others are in apprise's form")
    if parts.scheme in _DEAF:
        raise ValueError("give the robot's own address, https://…: apprise takes a robot's refusal for a success")
    if find_spec("apprise") is None:
        raise ValueError(f"apprise sends there, and is not installed: {installing('relay')}")
    from otel_tts.relaying.others import Apprise

    return Apprise(url)

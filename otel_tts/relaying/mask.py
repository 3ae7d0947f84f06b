# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What may be told to people's chats: of a record what the privacy gate lets pass, of an alert its rule's own words.

A store may hold records of senders without otel-tts, whose text is whatever they wrote. So a line is made anew from the
attributes that the gate knows, each in its form; nothing of its body but its seconds.
"""

from __future__ import annotations

import re
from typing import Final

from otel_tts import names
from otel_tts.privacy import allowed
from otel_tts.readers.filters import seconds_of
from otel_tts.readers.model import LogLine
from otel_tts.views.printable import printable

INSTEAD: Final = "****"

_FIELDS: Final = (
    ("request_id", names.REQUEST_ID),
    ("status", names.OUTCOME),
    ("error_type", names.ERROR_TYPE),
    ("stage", names.STAGE),
    ("engine", names.ENGINE),
    ("voice", names.VOICE),
    ("text_len", names.TEXT_LENGTH),
)
# As the Collector masks them: e-mail addresses, and mobile numbers as written in mainland China.
_PERSONAL: Final = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}|(?<!\d)1[3-9]\d{9}(?!\d)")
# Markdown that would become a link, a picture, code or a mention of everybody.
_MARKUP: Final = str.maketrans({"[": "(", "]": ")", "<": "‹", ">": "›", "`": "'", "@": "＠"})


def line(record: LogLine) -> str:
    """A record's fields as `key=value`, for a row of a message."""
    told = [(field, value(key, record.attributes.get(key))) for field, key in _FIELDS]
    told += [("duration", f"{seconds:.3f}") for seconds in (seconds_of(record).get("duration"),) if seconds is not None]
    return " ".join(f"{field}={said}" for field, said in told if said)


def value(key: str, found: object) -> str:
    """`found` as text where the gate lets it pass under this key, else that something stood there; empty for None."""
    if found is None:
        return ""
    rule = allowed.ATTRIBUTES.get(key)
    if rule is None or not rule.fits(found) or _PERSONAL.search(str(found)):
        return INSTEAD
    return str(found)


def text(said: str, longest: int = 300) -> str:
    """Words of a rule or of a server on one line, without what Markdown acts on, addresses and mobile numbers."""
    return _PERSONAL.sub(INSTEAD, printable(said, longest)).translate(_MARKUP)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""How a watcher's probe says that it is one: a header that only who may read the control folder's token can make.

The token itself never travels. A header is good for a minute, so that one that was overheard says nothing for long.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterable
from typing import Final

HEADER: Final = "x-otel-tts-canary"
_HEADER: Final = HEADER.encode()
_GOOD_FOR_S: Final = 60
_LONGEST: Final = 100

_token: bytes | None = None


def trust(token: bytes | None) -> None:
    """Believe headers that were made with `token` from now on; None: believe none."""
    global _token
    _token = token


def sign(token: bytes, at_s: float) -> str:
    """Return the header's value for a probe at `at_s`, Unix time."""
    stamp = str(int(at_s))
    return f"{stamp}.{hmac.new(token, stamp.encode(), hashlib.sha256).hexdigest()}"


def is_marked(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Say whether a request with these headers, names in lower case, is a probe of ours. Free where there is no token.

    A header that somebody else made is as none.
    """
    if (token := _token) is None:
        return False
    for name, value in headers:
        if name == _HEADER:
            return _is_ours(token, value)
    return False


def _is_ours(token: bytes, value: bytes) -> bool:
    stamp, dot, _ = value.partition(b".")
    if len(value) > _LONGEST or not dot or not stamp.isdigit() or abs(time.time() - int(stamp)) > _GOOD_FOR_S:
        return False
    return hmac.compare_digest(value, sign(token, int(stamp)).encode())

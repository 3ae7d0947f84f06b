# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Robots of chat groups that always answer with status 200, and say in the body's `errcode` how it went.

WeChat Work's: https://developer.work.weixin.qq.com/document/path/91770; DingTalk's:
https://open.dingtalk.com/document/orgapp/custom-robot-access. The address is what the chat shows, with the key in it;
no error of ours repeats it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import time
import urllib.error
import urllib.request
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from otel_tts.readers.http import NoRedirect
from otel_tts.relaying.place import Refused, Unreached

WECHAT: Final = "/cgi-bin/webhook/send"
DINGTALK: Final = "/robot/send"

TIMEOUT_S: Final = 15.0
_LARGEST: Final = 64 * 1024

_OF_THE_MESSAGE: Final = frozenset({40008, 40058, 44004, 45002, 47001, 40035, 400302, 460101})
"""Codes that say something about the message: it would be refused again. All others are about the place."""


class WeChatRobot:
    """WeChat Work's group robot."""

    kind, most = "wechat-robot", 4096

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, title: str, text: str) -> None:
        """Send one piece. Raises Refused, Unreached."""
        _post(self._url, {"msgtype": "markdown", "markdown": {"content": text}})


class DingTalkRobot:
    """DingTalk's; `&secret=SEC…` in the address, which is not DingTalk's own, signs each message."""

    kind, most = "dingtalk", 18000

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self._secret = query.pop("secret", "")
        self._base, self._query = f"{parts.scheme}://{parts.netloc}{parts.path}", query

    def send(self, title: str, text: str) -> None:
        """Send one piece. Raises Refused, Unreached."""
        content = {"title": title, "text": text.replace("\n", "  \n")}  # else its Markdown joins lines
        url = f"{self._base}?{urlencode({**self._query, **self._signature()})}"
        _post(url, {"msgtype": "markdown", "markdown": content})

    def _signature(self) -> dict[str, str]:
        if not self._secret:
            return {}
        stamp = str(round(time.time() * 1000))
        digest = hmac.new(self._secret.encode(), f"{stamp}\n{self._secret}".encode(), hashlib.sha256).digest()
        return {"timestamp": stamp, "sign": base64.b64encode(digest).decode()}


def _post(url: str, body: dict[str, Any]) -> None:
    """Raises Refused for an errcode that is not 0, Unreached for everything that is no answer of a robot."""
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "otel-tts"}
    request = urllib.request.Request(url, json.dumps(body, ensure_ascii=False).encode(), headers)
    try:
        with urllib.request.build_opener(NoRedirect()).open(request, timeout=TIMEOUT_S) as answer:
            said = json.loads(answer.read(_LARGEST))
        code = said["errcode"]
        if not isinstance(code, int):
            raise TypeError
    except urllib.error.HTTPError as error:
        with error:
            raise Unreached(f"status {error.code}") from None
    except (OSError, http.client.HTTPException) as error:
        raise Unreached(_why(error)) from None
    except (ValueError, TypeError, KeyError):
        raise Unreached("not a robot's answer") from None
    if code != 0:
        raise Refused(f"errcode {code}", for_good=code in _OF_THE_MESSAGE)


def _why(error: Exception) -> str:
    """The kind of error: its message may have the address in it."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return type(reason).__name__

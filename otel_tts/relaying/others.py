# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""All that apprise can reach: WeChat Work's applications, Feishu, Slack, mail and a hundred more.

In what apprise logs are addresses with keys (one that it cannot read it repeats whole), and in what the libraries below
it log: they are silenced here.
"""

from __future__ import annotations

import logging
import warnings
from contextlib import suppress
from typing import Any, Final

from otel_tts.relaying.place import Refused

_LOUD: Final = ("apprise", "urllib3", "requests", "requests_oauthlib", "oauthlib")
_RESERVE: Final = 0.9
"""Of a service's limit: what Markdown becomes elsewhere (HTML, Slack's own) is longer."""


class Apprise:
    """One service by apprise's URL. Raises ValueError for one that apprise cannot read."""

    def __init__(self, url: str) -> None:
        from apprise import Apprise as Library
        from apprise import AppriseAsset
        from apprise.common import PersistentStoreMode

        silence()
        # A token that a service gives for two hours stays in memory.
        asset = AppriseAsset(storage_mode=PersistentStoreMode.MEMORY)
        service: Any = None
        # It loads all its plugins, and these what they find: Python's own warnings are then about them.
        with suppress(Exception), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            service = Library.instantiate(url, asset=asset, suppress_exceptions=True)
        if not service:
            raise ValueError("apprise cannot read it")
        self._library: Any = Library(asset=asset)
        self._library.add(service)
        schemes: Any = service.secure_protocol or service.protocol
        self.kind = schemes if isinstance(schemes, str) else str(schemes[0])
        self.most = int(min(service.body_maxlen, 32768) * _RESERVE)

    def send(self, title: str, text: str) -> None:
        """Send one piece. Raises Refused: apprise does not tell why."""
        from apprise.common import NotifyFormat

        try:
            taken = self._library.notify(body=text, title=title, body_format=NotifyFormat.MARKDOWN)
        except Exception as error:  # a plugin's; its message may have the address in it
            raise Refused(type(error).__name__) from None
        if not taken:
            raise Refused("apprise could not deliver it")


def silence() -> None:
    """Keep these libraries from logging: in what they say stand addresses and keys."""
    for name in _LOUD:
        logger = logging.getLogger(name)
        logger.handlers = [logging.NullHandler()]
        logger.propagate = False
        logger.setLevel(logging.CRITICAL + 1)

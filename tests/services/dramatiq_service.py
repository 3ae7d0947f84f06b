# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Actors of Dramatiq, on the Redis of BROKER."""

from __future__ import annotations

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import CurrentMessage

broker = RedisBroker(url=os.environ["BROKER"])
broker.add_middleware(CurrentMessage())
dramatiq.set_broker(broker)


@dramatiq.actor(max_retries=0)
def speak(text: str) -> None:
    from speech import say

    say(text)


@dramatiq.actor(max_retries=0)
def fail(text: str) -> None:
    from speech import stumble

    stumble(text)


@dramatiq.actor(max_retries=2, min_backoff=10, max_backoff=20)
def try_again(text: str) -> None:
    if not CurrentMessage.get_current_message().options.get("retries"):
        raise ConnectionError(text)
    speak(text)

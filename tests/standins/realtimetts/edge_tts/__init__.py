# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from edge_tts.communicate import Communicate


async def list_voices(proxy=None):
    raise ConnectionError("no service here")


__all__ = ["Communicate", "list_voices"]

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers by chance that are nobody else's.

Engines seed Python's `random` for each request, so that a text sounds the same again: what is drawn there would come
again too, and would be missing in the engine's own numbers.
"""

from __future__ import annotations

import random

from otel_tts import forking

_own = random.Random()
bits = _own.getrandbits
"""Return a number of so many random bits. Seeded by the system, in a forked child again; a tenth of asking it."""


def _renew() -> None:
    _own.seed()


forking.register("chance", renew=_renew)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The process that has the models: requests come in as lines of JSON, and their audio goes out, a quarter of a second
a word. ``{"abort": ID}`` ends one; the word "broken" breaks the process, "half"
does after its first piece."""

from __future__ import annotations

import json
import os
import sys

SAMPLES = 6000
"""In a piece."""

for line in sys.stdin:
    asked = json.loads(line)
    if "abort" in asked:
        continue
    if "broken" in asked["text"]:
        os._exit(3)
    words = asked["text"].split()
    made = words[: asked["limit"]]
    pieces = [made] if asked["whole"] else [[word] for word in made]
    for number, piece in enumerate(pieces, 1):
        said = {
            "id": asked["id"], "level": 0.1 + 0.01 * len(piece[0]), "samples": SAMPLES * len(piece),
            "finished": number == len(pieces), "headers": asked["headers"], "tokens": len(made),
            "reason": "stop" if made == words else "length",
        }  # fmt: skip
        print(json.dumps(said), flush=True)
        if "half" in asked["text"]:
            os._exit(3)

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""hibari in a plain script, as a user writes it: no line of telemetry."""

from __future__ import annotations

import sys

from hibari import Hibari

tts = Hibari()
tts.save("The ship sails at nine. Bring a warm coat, please.", sys.argv[1], seed=1)
chunks = list(tts.stream("One more, in pieces. And the last one.", seed=2))
print(sum(len(chunk) for chunk in chunks))

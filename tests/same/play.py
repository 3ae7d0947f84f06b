# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.same.play SCENE``: one process that plays one scene and ends, as a service would."""

from __future__ import annotations

import sys

from tests.same import fixed

fixed.install()

import otel_tts  # noqa: E402

otel_tts.configure(service_name="same")

from otel_tts.recording import recorder  # noqa: E402

if (here := recorder.current()) is not None:
    here.loops.stop()  # a clock that is moved by hand would be taken for a loop that stands still

from tests.same.scenes import SCENES, flush  # noqa: E402  # engines are imported after the set-up, as in a service

SCENES[sys.argv[1]].play()
flush()

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What RealtimeTTS' engines ask of pyaudio, whose package needs a sound library: the names of formats."""

paInt16, paCustomFormat = 8, 65536

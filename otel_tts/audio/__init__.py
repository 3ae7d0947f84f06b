# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What audio is like: length, level, silence, damage, and whether a stream of it plays without gaps. Plain values."""

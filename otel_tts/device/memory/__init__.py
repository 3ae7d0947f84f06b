# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Memory of a device: readings at a stage's ends, peaks in between, leaks, and what was said when it ran out."""

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Event loops that requests come through: how late they do what is due, why, and where in the code they stood."""

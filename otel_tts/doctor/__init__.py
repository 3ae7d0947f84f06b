# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Looks whether everything is here that telemetry needs, and on a GPU, whether it keeps its promises."""

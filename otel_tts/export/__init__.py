# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Telemetry without a server: OTLP JSON lines in a folder that many processes share."""

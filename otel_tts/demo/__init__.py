# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The demo: a small speech service without a line of telemetry, requests to it, and what is seen of them."""

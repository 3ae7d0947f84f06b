# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Where telemetry leaves: what the SDK hands to exporters, as bytes of OTLP, sent over HTTP."""

# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Where telemetry leaves: as bytes of OTLP over HTTP, or as lines of JSON in a folder that many processes share."""

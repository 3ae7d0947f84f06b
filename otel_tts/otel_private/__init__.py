# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Every private name of OpenTelemetry that the package relies on, and what happens where one is gone."""
